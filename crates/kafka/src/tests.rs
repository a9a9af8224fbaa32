//! Tests of all parts together, against scripted brokers.

mod codes;
