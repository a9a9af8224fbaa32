//! The demo: a real year of flights through a real topology, exactly once, on the embedded log.
//!
//! [`data`] holds the year, [`replay`] writes it to the log, [`topology`] is what a user of the
//! library would write, [`run`] puts them together, [`report`] and [`dump`] read the results.

mod calendar;
mod data;
mod directory;
mod dump;
mod lag;
mod order;
mod progress;
mod records;
mod replay;
mod report;
mod run;
mod scan;
mod topics;
mod topology;

pub(crate) use dump::dump;
pub(crate) use run::{Ending, run};
