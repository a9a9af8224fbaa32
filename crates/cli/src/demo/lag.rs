//! How far the topology is, asked from the log: what its group has committed.

use std::sync::Arc;
use std::time::Duration;

use millstream::log::{Call, Isolation, Log, OffsetSpec, Outcome, ReaderEvent};
use millstream::types::{Clock, Error, ErrorKind, Offset, Result, TopicPartition, clock::SystemClock};

use super::scan::fetched;
use super::topics::{APPLICATION_ID, FLIGHTS, PARTITIONS, PLANES};

/// Bytes asked for when looking for a record that is left.
const PEEK_BYTES: usize = 64 << 10;
/// Between two looks at an answer that is not there, or at whether somebody asks to stop.
const WAIT: Duration = Duration::from_millis(20);

/// Watches the committed offsets of the demo's group.
pub(super) struct Lag<'a> {
    log: Arc<dyn Log>,
    flights: Vec<TopicPartition>,
    /// Whether answers are not wanted any more: brokers may take long to give one.
    is_asked_to_stop: &'a dyn Fn() -> bool,
}

/// How far the group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Flights processed and committed, by all instances.
    pub(super) flights_done: u64,
    /// Whether everything is processed and committed.
    pub(super) is_over: bool,
}

impl<'a> Lag<'a> {
    pub(super) fn new(log: Arc<dyn Log>, is_asked_to_stop: &'a dyn Fn() -> bool) -> Self {
        Self { log, flights: partitions(FLIGHTS, PARTITIONS).collect(), is_asked_to_stop }
    }

    /// How far the group is now.
    pub(super) fn look(&self) -> Result<Look> {
        Ok(Look { flights_done: self.flights_done()?, is_over: self.is_over()? })
    }

    /// Flights processed and committed.
    fn flights_done(&self) -> Result<u64> {
        let committed = self.committed(&self.flights)?;
        Ok(committed.iter().map(|offset| u64::try_from(offset.0).unwrap_or(0)).sum())
    }

    /// Whether everything is processed and committed: the inputs and what they became in
    /// repartition topics. The inputs are looked at first: once they are done, nothing is added to
    /// the topics behind them.
    fn is_over(&self) -> Result<bool> {
        if !self.is_read(&self.flights)? {
            return Ok(false);
        }
        let is_source = |name: &str| {
            name == PLANES || name.strip_prefix(APPLICATION_ID).is_some_and(|rest| rest.ends_with("-repartition"))
        };
        let topics = self.answer(self.log.admin().list_topics())?;
        let others = topics.iter().filter(|topic| is_source(&topic.name));
        let others: Vec<_> = others.flat_map(|topic| partitions(&topic.name, topic.partitions)).collect();
        self.is_read(&others)
    }

    /// Whether no record is left behind the committed offsets. Markers of transactions may be: no
    /// reader ever sees them, and nothing has to be committed for them.
    fn is_read(&self, partitions: &[TopicPartition]) -> Result<bool> {
        let committed = self.committed(partitions)?;
        let all = self.answer(self.log.admin().offsets(partitions, OffsetSpec::EndUncommitted))?;
        let ends = self.answer(self.log.admin().offsets(partitions, OffsetSpec::EndCommitted))?;
        if ends.iter().zip(&all).any(|(end, all)| end < all) {
            // A transaction is open, by a killed instance perhaps: what others have committed behind its
            // beginning can be read once it has ended.
            return Ok(false);
        }
        for ((partition, position), end) in partitions.iter().zip(committed).zip(ends) {
            if position < end && self.has_record(partition, position, end)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has_record(&self, partition: &TopicPartition, from: Offset, end: Offset) -> Result<bool> {
        let clock = SystemClock::new();
        let mut reader = self.log.reader(Isolation::ReadCommitted);
        reader.assign(&[(partition.clone(), from.into())]);
        let mut events = Vec::new();
        let mut position = from;
        while position < end {
            reader.poll(clock.now(), PEEK_BYTES, &mut events);
            if events.is_empty() {
                self.wait()?;
            }
            for event in events.drain(..) {
                if let ReaderEvent::OutOfRange { .. } = event {
                    // What was committed is deleted already, so there was more behind it.
                    return Ok(true);
                }
                let fetched = fetched(event)?;
                if fetched.batches.iter().any(|batch| batch.last_offset() >= from) {
                    return Ok(true);
                }
                position = fetched.next;
            }
        }
        Ok(false)
    }

    /// The committed offsets; the start where nothing was committed.
    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<Offset>> {
        let mut admin = self.log.admin();
        let committed = self.answer(admin.committed(APPLICATION_ID, partitions))?;
        let starts = self.answer(admin.offsets(partitions, OffsetSpec::Start))?;
        Ok(committed.into_iter().zip(starts).map(|(known, start)| known.map_or(start, |known| known.offset)).collect())
    }

    fn answer<T>(&self, mut call: Call<T>) -> Result<T> {
        let clock = SystemClock::new();
        loop {
            match call.poll(clock.now()) {
                Outcome::Done(answer) => return Ok(answer),
                Outcome::Failed(failure) => return Err(failure.error),
                Outcome::Pending => self.wait()?,
            }
        }
    }

    fn wait(&self) -> Result<()> {
        if (self.is_asked_to_stop)() {
            return Err(Error::new(ErrorKind::State, "the run is asked to stop"));
        }
        self.log.wait(WAIT);
        Ok(())
    }
}

fn partitions(topic: &str, count: i32) -> impl Iterator<Item = TopicPartition> {
    let topic: Arc<str> = topic.into();
    (0..count).map(move |number| TopicPartition::new(topic.clone(), number))
}

#[cfg(test)]
mod tests {
    use millstream::answer;
    use millstream::log::{CommittedOffset, EmbeddedLog, GroupMetadata, NewTopic, Options, Writer};
    use millstream::types::{Headers, Timestamp};

    use super::*;

    const REPARTITION: &str = "flights-demo-departures-by-plane-repartition";

    fn append(writer: &mut dyn Writer, topic: &str) {
        let handle = writer.partition(&TopicPartition::new(topic, 0));
        writer.append(handle, Timestamp(0), Some(b"k"), Some(b"v"), &Headers::new()).unwrap();
    }

    fn commit(log: &dyn Log, writer: &mut dyn Writer, topic: &str, offset: i64) {
        let offset = CommittedOffset { offset: Offset(offset), leader_epoch: -1, metadata: String::new() };
        let group = GroupMetadata { group: APPLICATION_ID.into(), member_id: "".into(), epoch: -1 };
        answer(log, writer.commit(vec![(TopicPartition::new(topic, 0), offset)], &group)).unwrap();
    }

    #[test]
    fn all_is_over_when_only_markers_are_left_and_no_transaction_is_open() {
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::memory(Options::default()));
        let topics = [FLIGHTS, PLANES, REPARTITION].map(|name| NewTopic {
            name: name.into(),
            partitions: PARTITIONS,
            replication_factor: -1,
            configs: Vec::new(),
        });
        answer(&*log, log.admin().create_topics(&topics)).unwrap();
        let lag = Lag::new(log.clone(), &|| false);
        assert!(lag.is_over().unwrap());

        let mut inputs = log.writer(None);
        answer(&*log, inputs.init()).unwrap();
        append(&mut *inputs, FLIGHTS);
        append(&mut *inputs, PLANES);
        answer(&*log, inputs.flush()).unwrap();
        assert!(!lag.is_over().unwrap());

        let mut outputs = log.writer(Some("thread-1"));
        answer(&*log, outputs.init()).unwrap();
        append(&mut *outputs, REPARTITION);
        commit(&*log, &mut *outputs, FLIGHTS, 1);
        assert_eq!(lag.flights_done().unwrap(), 1);
        assert!(!lag.is_over().unwrap());
        commit(&*log, &mut *outputs, PLANES, 1);
        assert!(!lag.is_over().unwrap());
        commit(&*log, &mut *outputs, REPARTITION, 1);
        assert!(lag.is_over().unwrap());

        // What a killed instance has left open.
        let mut killed = log.writer(Some("thread-2"));
        answer(&*log, killed.init()).unwrap();
        append(&mut *killed, REPARTITION);
        answer(&*log, killed.flush()).unwrap();
        assert!(!lag.is_over().unwrap());
        // Its successor ends it.
        answer(&*log, log.writer(Some("thread-2")).init()).unwrap();
        assert!(lag.is_over().unwrap());
    }
}
