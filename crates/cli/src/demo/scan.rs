//! Talking to the log from the command's own thread: one call after the other.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use millstream::answer;
use millstream::log::batch::RecordView;
use millstream::log::{Fetched, Isolation, Log, OffsetSpec, ReaderEvent, TopicMetadata};
use millstream::types::{Clock, Error, ErrorKind, Offset, Result, TopicPartition, clock::SystemClock};

/// Bytes asked for at once.
const POLL_BYTES_MAX: usize = 256 << 10;
/// How long to sleep between two looks at an answer that is not there.
const WAIT: Duration = Duration::from_millis(10);
/// Between two questions whether a transaction is over.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the end of a transaction is waited for; brokers end an abandoned one long before.
const OPEN_MAX: Duration = Duration::from_secs(60);

/// What is done about transactions that are not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// Nothing: they, and what follows them, are not shown.
    LeftOut,
    /// They are waited for. A killed instance leaves one that ends by its timeout, and before it has ended nothing is
    /// shown that others have committed since.
    Awaited,
}

impl Open {
    /// On brokers others end them; an embedded log is ours alone, and nobody will.
    pub(super) fn on(bootstrap: Option<&String>) -> Self {
        if bootstrap.is_some() { Self::Awaited } else { Self::LeftOut }
    }
}

/// One past the last record of each partition, whether its transaction has ended or not.
pub(super) fn end_offsets(log: &dyn Log, partitions: &[TopicPartition]) -> Result<Vec<Offset>> {
    answer(log, log.admin().offsets(partitions, OffsetSpec::EndUncommitted))
}

/// What the log knows of a topic.
pub(super) fn topic(log: &dyn Log, name: &str) -> Result<TopicMetadata> {
    let found = answer(log, log.admin().topics(&[Arc::from(name)]))?.into_iter().next().flatten();
    found.ok_or_else(|| Error::new(ErrorKind::Configuration, format!("there is no topic {name}")))
}

/// Shows every committed record of a topic, partition after partition, in the order of offsets.
/// `visit` gives `false` to stop.
pub(super) fn scan(
    log: &dyn Log,
    name: &str,
    open: Open,
    mut visit: impl FnMut(i32, RecordView<'_>) -> Result<bool>,
) -> Result<()> {
    let partitions: Vec<_> =
        (0..topic(log, name)?.partitions).map(|number| TopicPartition::new(name, number)).collect();
    let starts = answer(log, log.admin().offsets(&partitions, OffsetSpec::Start))?;
    let ends = committed_ends(log, &partitions, open)?;
    for ((partition, start), end) in partitions.into_iter().zip(starts).zip(ends) {
        if !scan_partition(log, partition, start, end, &mut visit)? {
            break;
        }
    }
    Ok(())
}

/// One past the last committed record of each partition.
fn committed_ends(log: &dyn Log, partitions: &[TopicPartition], open: Open) -> Result<Vec<Offset>> {
    let committed = || answer(log, log.admin().offsets(partitions, OffsetSpec::EndCommitted));
    if open == Open::LeftOut {
        return committed();
    }
    let clock = SystemClock::new();
    let deadline_ns = clock.now().mono_ns + OPEN_MAX.as_nanos() as u64;
    let ends = end_offsets(log, partitions)?;
    let mut is_told = false;
    loop {
        let stable = committed()?;
        let is_open = |((_, stable), end): &((&TopicPartition, &Offset), &Offset)| stable < end;
        let Some(((partition, stable), _)) = partitions.iter().zip(&stable).zip(&ends).find(is_open) else {
            return Ok(ends);
        };
        if clock.now().mono_ns > deadline_ns {
            let message = format!("a transaction in {partition} that began at offset {stable} or before does not end");
            return Err(Error::new(ErrorKind::Retriable, message));
        }
        if !is_told {
            is_told = true;
            let _ = writeln!(io::stderr(), "Waiting for the end of a transaction in {partition}.");
        }
        log.wait(PAUSE);
    }
}

/// Shows the committed records from `start` on; those at `end` or later were not there when the
/// scan began. Gives whether `visit` wants more.
fn scan_partition(
    log: &dyn Log,
    partition: TopicPartition,
    start: Offset,
    end: Offset,
    visit: &mut impl FnMut(i32, RecordView<'_>) -> Result<bool>,
) -> Result<bool> {
    let clock = SystemClock::new();
    let number = partition.partition.0;
    let mut reader = log.reader(Isolation::ReadCommitted);
    reader.assign(&[(partition, start.into())]);
    let mut position = start;
    let mut events = Vec::new();
    while position < end {
        reader.poll(clock.now(), POLL_BYTES_MAX, &mut events);
        if events.is_empty() {
            log.wait(WAIT);
        }
        for event in events.drain(..) {
            let fetched = fetched(event)?;
            for batch in &fetched.batches {
                let mut records = batch.cursor(fetched.from).map_err(|error| damaged(&fetched, error))?;
                while let Some(record) = records.next_record().map_err(|error| damaged(&fetched, error))? {
                    if record.offset < end && !visit(number, record)? {
                        return Ok(false);
                    }
                }
            }
            position = fetched.next;
        }
    }
    Ok(true)
}

pub(super) fn fetched(event: ReaderEvent) -> Result<Fetched> {
    let lost = |partition: &TopicPartition, what: &str| {
        Error::new(ErrorKind::Corrupted, format!("{partition} {what} while it was read"))
    };
    match event {
        ReaderEvent::Fetched(fetched) => Ok(fetched),
        ReaderEvent::OutOfRange { partition, position, .. } => {
            Err(lost(&partition, &format!("lost offset {position}")))
        }
        ReaderEvent::Gone { partition } => Err(lost(&partition, "was deleted")),
        ReaderEvent::Failed(failure) => Err(failure.error),
    }
}

fn damaged(fetched: &Fetched, error: millstream::log::batch::BatchError) -> Error {
    Error::new(ErrorKind::Corrupted, format!("a batch of {} cannot be read", fetched.partition)).with_source(error)
}
