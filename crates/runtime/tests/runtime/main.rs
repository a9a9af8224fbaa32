#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    missing_docs
)]
//! Behaviour of instances on the log in memory.

mod at_most_once;
mod buffers;
mod changed_log;
mod clients;
mod count;
mod cut_logs;
mod failures;
mod group_topology;
mod handlers;
mod listeners;
mod lost_topics;
mod queries;
mod renewals;
mod retention;
mod revocations;
mod secrecy;
mod standby;
mod standstill;
mod streams;
mod subscriptions;
mod support;
mod threads;
mod topologies;
mod warnings;
