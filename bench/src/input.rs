//! The input topic, filled before anything is measured.

use millstream_log::{EmbeddedLog, Log, NewTopic, Outcome};
use millstream_types::{Headers, Now, Result, Timestamp, TopicPartition, partition_for_key};

use crate::args::Args;
use crate::generator::{Generator, amount};

pub(crate) const INPUT: &str = "in";
pub(crate) const OUTPUT: &str = "out";

/// Records with a smaller amount pass the filter: about a half.
pub(crate) const AMOUNT_LIMIT: u32 = 500_000;

/// Creates the topics and fills the input; gives how many records pass the filter.
pub(crate) fn load(log: &EmbeddedLog, args: &Args) -> Result<u64, String> {
    let topic = |name: &str| NewTopic {
        name: name.into(),
        partitions: args.partitions,
        replication_factor: -1,
        configs: Vec::new(),
    };
    done(log.admin().create_topics(&[topic(INPUT), topic(OUTPUT)]).poll(Now::default()))?;
    write(log, args).map_err(|error| error.to_string())?
}

fn write(log: &EmbeddedLog, args: &Args) -> Result<Result<u64, String>> {
    let mut writer = log.writer(None);
    if let Err(message) = done(writer.init().poll(Now::default())) {
        return Ok(Err(message));
    }
    let handles: Vec<_> =
        (0..args.partitions).map(|partition| writer.partition(&TopicPartition::new(INPUT, partition))).collect();
    let mut generator = Generator::new(args.keys);
    let headers = Headers::new();
    let mut passing = 0;
    for number in 0..args.records {
        let record = generator.record(number);
        passing += u64::from(amount(record.value) < AMOUNT_LIMIT);
        let (key, value) = (record.key.as_bytes(), record.value.as_bytes());
        let partition = partition_for_key(key, args.partitions) as usize;
        let Some(handle) = handles.get(partition) else { continue };
        writer.append(*handle, Timestamp(record.timestamp_ms), Some(key), Some(value), &headers)?;
    }
    Ok(done(writer.flush().poll(Now::default())).map(|_| passing))
}

/// The answer of the embedded log, which always answers at once.
pub(crate) fn done<T>(outcome: Outcome<T>) -> Result<T, String> {
    match outcome {
        Outcome::Done(answer) => Ok(answer),
        Outcome::Pending => Err("the log does not answer".to_owned()),
        Outcome::Failed(failure) => Err(failure.to_string()),
    }
}
