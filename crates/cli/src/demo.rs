//! The demo: a real year of flights through a real topology, exactly once, on the embedded log or on
//! Kafka.
//!
//! [`data`] holds the year, [`replay`] writes it to the log that [`place`] names, [`topology`] is what
//! a user of the library would write, [`run`] puts them together, [`lag`] watches them, [`report`] and
//! [`dump`] read the results.

mod calendar;
mod data;
mod directory;
mod dump;
mod lag;
mod load;
mod order;
mod place;
mod progress;
mod records;
mod replay;
mod report;
mod run;
mod scan;
mod topics;
mod topology;

pub(crate) use dump::dump;
pub(crate) use load::load;
pub(crate) use run::{Ending, run};
