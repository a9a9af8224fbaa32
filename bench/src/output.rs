//! Whether a run did what it should: a figure for wrong output is none.

use std::collections::HashMap;

use bytes::Bytes;
use millstream_log::{EmbeddedLog, Isolation, Log, ReaderEvent};
use millstream_types::{Now, Offset, TopicPartition};

use crate::args::{Args, Workload};
use crate::input::{INPUT, OUTPUT, done};

/// Checks that all input is committed and the output is what the workload gives: as many records
/// as pass the filter, or counts whose last values add up to the input.
pub(crate) fn check(
    log: &EmbeddedLog,
    application: &str,
    workload: Workload,
    args: &Args,
    passing: u64,
) -> Result<(), String> {
    check_offsets(log, application, args)?;
    let mut records = 0;
    let mut last: HashMap<Bytes, i64> = HashMap::new();
    read(log, args, |key, value| {
        records += 1;
        if workload == Workload::Count {
            let count = value.and_then(|value| value.try_into().ok()).map_or(0, i64::from_be_bytes);
            last.insert(Bytes::copy_from_slice(key.unwrap_or_default()), count);
        }
    })?;
    let (found, expected) = match workload {
        Workload::Stateless => (records, passing),
        Workload::Count => (last.values().sum::<i64>() as u64, args.records),
    };
    if found == expected { Ok(()) } else { Err(format!("the output adds up to {found}, not {expected}")) }
}

fn check_offsets(log: &EmbeddedLog, application: &str, args: &Args) -> Result<(), String> {
    let inputs: Vec<_> = (0..args.partitions).map(|partition| TopicPartition::new(INPUT, partition)).collect();
    let committed = done(log.admin().committed(application, &inputs).poll(Now::default()))?;
    let sum: i64 = committed.iter().flatten().map(|committed| committed.offset.0).sum();
    if sum == args.records as i64 { Ok(()) } else { Err(format!("{sum} of {} records are committed", args.records)) }
}

/// Calls `each` with key and value of every committed record of the output.
fn read(log: &EmbeddedLog, args: &Args, mut each: impl FnMut(Option<&[u8]>, Option<&[u8]>)) -> Result<(), String> {
    let mut reader = log.reader(Isolation::ReadCommitted);
    let start = |partition| (TopicPartition::new(OUTPUT, partition), Offset(0));
    reader.assign(&(0..args.partitions).map(start).collect::<Vec<_>>());
    loop {
        let mut events = Vec::new();
        reader.poll(Now::default(), 1 << 20, &mut events);
        let mut has_moved = false;
        for event in events {
            let ReaderEvent::Fetched(fetched) = event else { return Err(format!("the output is lost: {event:?}")) };
            has_moved |= fetched.next > fetched.from;
            for batch in fetched.batches {
                let mut records = batch.cursor(fetched.from).map_err(|error| error.to_string())?;
                while let Some(record) = records.next_record().map_err(|error| error.to_string())? {
                    each(record.key, record.value);
                }
            }
        }
        if !has_moved {
            return Ok(());
        }
    }
}
