//! The input topics, filled before anything is measured.

use millstream::log::{Log, NewTopic, Outcome, PartitionHandle, Writer};
use millstream::types::{Now, partition_for_key};
use millstream::{Headers, Timestamp, TopicPartition};

use crate::generator::{Generated, Generator, TABLE_RECORDS};
use crate::job::{Job, text};
use crate::workload::Workload;

/// Creates the topics and fills the input.
pub(super) fn load(log: &dyn Log, job: &Job, records: u64) -> Result<(), String> {
    let topic = |name: &String| NewTopic {
        name: name.as_str().into(),
        partitions: job.partitions,
        replication_factor: -1,
        configs: Vec::new(),
    };
    let topics = [&job.topics.input, &job.topics.output, &job.topics.table].map(topic);
    done(log.admin().create_topics(&topics).poll(Now::default()))?;
    let mut generator = Generator::new(job.keys);
    let mut input = Filling::new(log, &job.topics.input, job.partitions)?;
    for number in 0..records {
        input.append(&generator.record(number))?;
    }
    input.flush()?;
    if job.workload != Workload::W4 {
        return Ok(());
    }
    let mut table = Filling::new(log, &job.topics.table, job.partitions)?;
    for number in 0..TABLE_RECORDS {
        table.append(&generator.row(number))?;
    }
    table.flush()
}

/// A topic being filled.
struct Filling {
    writer: Box<dyn Writer>,
    handles: Vec<PartitionHandle>,
    headers: Headers,
}

impl Filling {
    fn new(log: &dyn Log, topic: &str, partitions: i32) -> Result<Self, String> {
        let mut writer = log.writer(None);
        done(writer.init().poll(Now::default()))?;
        let handles =
            (0..partitions).map(|partition| writer.partition(&TopicPartition::new(topic, partition))).collect();
        Ok(Self { writer, handles, headers: Headers::new() })
    }

    fn append(&mut self, record: &Generated<'_>) -> Result<(), String> {
        let (key, value) = (record.key.as_bytes(), record.value.as_bytes());
        let partition = partition_for_key(key, self.handles.len() as i32) as usize;
        let Some(handle) = self.handles.get(partition) else { return Ok(()) };
        let timestamp = Timestamp(record.timestamp_ms);
        self.writer.append(*handle, timestamp, Some(key), Some(value), &self.headers).map_err(text)
    }

    fn flush(mut self) -> Result<(), String> {
        done(self.writer.flush().poll(Now::default())).map(drop)
    }
}

/// The answer of the embedded log, which always answers at once.
fn done<T>(outcome: Outcome<T>) -> Result<T, String> {
    match outcome {
        Outcome::Done(answer) => Ok(answer),
        Outcome::Pending => Err("the log does not answer".to_owned()),
        Outcome::Failed(failure) => Err(failure.to_string()),
    }
}
