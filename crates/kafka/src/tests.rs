//! Tests of all parts together, against scripted brokers.

mod codes;
mod wrong_answers;
