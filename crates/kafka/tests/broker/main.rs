//! The client against real brokers: what a scripted broker cannot show. Needs Java 17 and Maven.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods)]

mod admin;
mod cut;
mod java;
mod membership;
mod moves;
mod older;
mod proxy;
mod reading;
mod support;
mod tools;
mod writing;
