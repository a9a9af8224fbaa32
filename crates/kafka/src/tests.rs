//! Tests of all parts together, against scripted brokers.

mod codes;
mod coordinator_moves;
mod topics;
mod wrong_answers;
