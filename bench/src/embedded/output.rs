//! Whether a run did what it should: a figure for wrong output is none.

use std::collections::HashMap;

use millstream::log::{Isolation, Log, ReaderEvent};
use millstream::types::Now;
use millstream::{Offset, TopicPartition};

use crate::answer::{self, Answer};
use crate::job::Job;

/// Bytes taken at once.
const READ_BYTES: usize = 1 << 20;

/// Checks that the output is the workload's.
pub(super) fn check(log: &dyn Log, job: &Job, records: u64) -> Result<(), String> {
    let Some(expected) = answer::of(job.workload, records, job.keys) else { return Ok(()) };
    let mut found = Answer::default();
    if job.workload.is_stream() {
        read(log, job, |key, value| found.add(key, value))?;
    } else {
        let mut last: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        read(log, job, |key, value| drop(last.insert(key.to_vec(), value.to_vec())))?;
        for (key, value) in &last {
            found.add(key, value);
        }
    }
    if found == expected { Ok(()) } else { Err(format!("the output is {found:?}, not {expected:?}")) }
}

/// Calls `each` with key and value of every committed record of the output.
fn read(log: &dyn Log, job: &Job, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), String> {
    let mut reader = log.reader(Isolation::ReadCommitted);
    let start = |partition| (TopicPartition::new(job.topics.output.as_str(), partition), Offset(0).into());
    reader.assign(&(0..job.partitions).map(start).collect::<Vec<_>>());
    loop {
        let mut events = Vec::new();
        reader.poll(Now::default(), READ_BYTES, &mut events);
        let mut has_moved = false;
        for event in events {
            let ReaderEvent::Fetched(fetched) = event else { return Err(format!("the output is lost: {event:?}")) };
            has_moved |= fetched.next > fetched.from;
            for batch in fetched.batches {
                let mut records = batch.cursor(fetched.from).map_err(|error| error.to_string())?;
                while let Some(record) = records.next_record().map_err(|error| error.to_string())? {
                    each(record.key.unwrap_or_default(), record.value.unwrap_or_default());
                }
            }
        }
        if !has_moved {
            return Ok(());
        }
    }
}
