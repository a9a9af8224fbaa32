//! What the embedded log keeps when files fail.

mod crash;
mod damage;

use std::path::Path;
use std::sync::Arc;

use millstream_types::{Headers, Now, Offset, Result, Timestamp, TopicPartition};

use super::*;
use crate::fs::faulty::FaultyFs;
use crate::seam::{Call, GroupMetadata, Outcome, ReaderEvent};

const DIR: &str = "/log";

fn open_in(fs: &FaultyFs, options: &Options) -> Result<EmbeddedLog> {
    // A short journal, so that it is rewritten in the middle of a test.
    super::open::open(Arc::new(fs.clone()), Path::new(DIR), options.clone(), 600, 1, 0).map(EmbeddedLog::of)
}

fn options(flush: Flush) -> Options {
    Options { flush, segment_bytes: 400, seed: Some(1), ..Options::default() }
}

fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn outcome<T>(mut call: Call<T>) -> Result<T, Failure> {
    match call.poll(Now::default()) {
        Outcome::Done(answer) => Ok(answer),
        Outcome::Failed(failure) => Err(failure),
        Outcome::Pending => panic!("the embedded log answers at once"),
    }
}

fn writer(log: &EmbeddedLog, transactional_id: Option<&str>) -> Result<Box<dyn Writer>, Failure> {
    let mut writer = log.writer(transactional_id);
    outcome(writer.init())?;
    Ok(writer)
}

fn put(writer: &mut Box<dyn Writer>, to: &TopicPartition, value: i64) {
    let handle = writer.partition(to);
    // A failure shows at the next flush.
    let value = value.to_string();
    let _ = writer.append(handle, Timestamp(1), None, Some(value.as_bytes()), &Headers::new());
}

fn offset(offset: i64) -> CommittedOffset {
    CommittedOffset { offset: Offset(offset), leader_epoch: -1, metadata: String::new() }
}

fn nobody() -> GroupMetadata {
    GroupMetadata { group: "app".into(), member_id: "".into(), epoch: -1 }
}

/// Values that a read-committed reader sees, and whether it met an error.
fn values(log: &EmbeddedLog, partition: &TopicPartition) -> Result<Vec<i64>> {
    let start = outcome(log.admin().offsets(std::slice::from_ref(partition), crate::OffsetSpec::Start));
    let start = start.map_err(|failure| failure.error)?.remove(0);
    let mut reader = log.reader(Isolation::ReadCommitted);
    reader.assign(&[(partition.clone(), start.into())]);
    let (mut all, mut events) = (Vec::new(), Vec::new());
    loop {
        reader.poll(Now::default(), 1000, &mut events);
        if events.is_empty() {
            return Ok(all);
        }
        for event in events.drain(..) {
            match event {
                ReaderEvent::Fetched(fetched) => {
                    for batch in &fetched.batches {
                        let mut records = batch.cursor(fetched.from)?;
                        while let Some(record) = records.next_record()? {
                            all.push(std::str::from_utf8(record.value.unwrap()).unwrap().parse().unwrap());
                        }
                    }
                }
                ReaderEvent::Failed(failure) => return Err(failure.error),
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

fn committed(log: &EmbeddedLog, partition: &TopicPartition) -> i64 {
    let found = outcome(log.admin().committed("app", std::slice::from_ref(partition))).unwrap().remove(0);
    found.map_or(0, |committed| committed.offset.0)
}
