//! Tests of all parts together, against scripted brokers.

mod codes;
mod topics;
mod wrong_answers;
