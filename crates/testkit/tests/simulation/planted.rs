//! Bugs on purpose, between the runtime and its seams: the simulation must find each of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_log::{
    Acks, Admin, Call, CommittedOffset, Failure, FailureKind, GroupMetadata, Isolation, Log, Member, MemberConfig,
    NewTopic, OffsetSpec, Outcome, PartitionHandle, Pending, Reader, TopicMetadata, Writer,
};
use millstream_state::{CommitMark, Engine, EngineProvider, Scan, StoreFacts};
use millstream_types::{Headers, Now, Offset, Result, TaskId, Timestamp, TopicPartition};

/// A bug that someone might make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Offsets are committed in a transaction of their own, before the one with the output.
    OffsetsBeforeOutput,
    /// Readers see open and aborted transactions.
    LastStableOffsetIgnored,
    /// Now and then a change does not reach the changelog.
    ChangelogWriteLost,
    /// The mark of a store says more than its data holds.
    MarkAheadOfData,
    /// A commit whose outcome is unknown is taken as done.
    UnknownTakenAsDone,
    /// A task goes on one record before where it was committed.
    ResumedOneTooEarly,
    /// A restore stops one record before the end of the changelog.
    RestoredTooLittle,
    /// What is written while a transaction ends goes into that one, and not into the next.
    WrittenIntoEndingTransaction,
    /// Acknowledgements say one offset too much, and so do the marks of the stores.
    AcknowledgedTooMuch,
}

impl Bug {
    pub(crate) const ALL: [Self; 9] = [
        Self::OffsetsBeforeOutput,
        Self::LastStableOffsetIgnored,
        Self::ChangelogWriteLost,
        Self::MarkAheadOfData,
        Self::UnknownTakenAsDone,
        Self::ResumedOneTooEarly,
        Self::RestoredTooLittle,
        Self::WrittenIntoEndingTransaction,
        Self::AcknowledgedTooMuch,
    ];
}

/// A log with a bug in its clients.
pub(crate) struct BuggyLog {
    pub(crate) inner: Arc<dyn Log>,
    pub(crate) bug: Bug,
}

impl Log for BuggyLog {
    fn admin(&self) -> Box<dyn Admin> {
        Box::new(BuggyAdmin { inner: self.inner.admin(), bug: self.bug })
    }

    fn reader(&self, isolation: Isolation) -> Box<dyn Reader> {
        match self.bug {
            Bug::LastStableOffsetIgnored => self.inner.reader(Isolation::ReadUncommitted),
            _ => self.inner.reader(isolation),
        }
    }

    fn writer(&self, transactional_id: Option<&str>) -> Box<dyn Writer> {
        Box::new(BuggyWriter {
            inner: Arc::new(Mutex::new(self.inner.writer(transactional_id))),
            bug: self.bug,
            changelogs: Vec::new(),
            appends: 0,
            held: Vec::new(),
        })
    }

    fn member(&self, config: MemberConfig) -> Box<dyn Member> {
        self.inner.member(config)
    }

    fn wait(&self, timeout: Duration) {
        self.inner.wait(timeout);
    }

    fn wake(&self) {
        self.inner.wake();
    }
}

struct BuggyAdmin {
    inner: Box<dyn Admin>,
    bug: Bug,
}

impl Admin for BuggyAdmin {
    fn topics(&mut self, names: &[Arc<str>]) -> Call<Vec<Option<TopicMetadata>>> {
        self.inner.topics(names)
    }

    fn list_topics(&mut self) -> Call<Vec<TopicMetadata>> {
        self.inner.list_topics()
    }

    fn create_topics(&mut self, topics: &[NewTopic]) -> Call<()> {
        self.inner.create_topics(topics)
    }

    fn delete_topics(&mut self, names: &[Arc<str>]) -> Call<()> {
        self.inner.delete_topics(names)
    }

    fn delete_records(&mut self, before: &[(TopicPartition, Offset)]) -> Call<()> {
        self.inner.delete_records(before)
    }

    fn renew_group(&mut self, group: &str) -> Call<usize> {
        self.inner.renew_group(group)
    }

    fn offsets(&mut self, partitions: &[TopicPartition], spec: OffsetSpec) -> Call<Vec<Offset>> {
        let is_changelog = partitions.iter().any(|partition| partition.topic.ends_with("-changelog"));
        let call = self.inner.offsets(partitions, spec);
        if self.bug != Bug::RestoredTooLittle || spec != OffsetSpec::EndUncommitted || !is_changelog {
            return call;
        }
        mapped(call, |outcome| match outcome {
            // A record and the marker of its transaction.
            Outcome::Done(ends) => Outcome::Done(ends.into_iter().map(|end| Offset((end.0 - 2).max(0))).collect()),
            other => other,
        })
    }

    fn committed(&mut self, group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        let call = self.inner.committed(group, partitions);
        if self.bug != Bug::ResumedOneTooEarly {
            return call;
        }
        mapped(call, |outcome| match outcome {
            Outcome::Done(offsets) => Outcome::Done(
                offsets
                    .into_iter()
                    .map(|offset| {
                        offset.map(|offset| CommittedOffset { offset: Offset((offset.offset.0 - 1).max(0)), ..offset })
                    })
                    .collect(),
            ),
            other => other,
        })
    }
}

struct BuggyWriter {
    inner: SharedWriter,
    bug: Bug,
    changelogs: Vec<PartitionHandle>,
    appends: u64,
    /// Records held back until the offsets are committed.
    held: Vec<Held>,
}

type SharedWriter = Arc<Mutex<Box<dyn Writer>>>;
type Held = (PartitionHandle, Timestamp, Option<Vec<u8>>, Option<Vec<u8>>, Headers);

impl Writer for BuggyWriter {
    fn init(&mut self) -> Call<()> {
        self.held.clear();
        self.inner.lock().unwrap().init()
    }

    fn partition_count(&mut self, topic: &str, now: Now) -> Outcome<i32> {
        self.inner.lock().unwrap().partition_count(topic, now)
    }

    fn partition(&mut self, partition: &TopicPartition) -> PartitionHandle {
        let handle = self.inner.lock().unwrap().partition(partition);
        if partition.topic.ends_with("-changelog") {
            self.changelogs.push(handle);
        }
        handle
    }

    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<()> {
        self.appends += 1;
        match self.bug {
            Bug::ChangelogWriteLost if self.appends.is_multiple_of(23) && self.changelogs.contains(&to) => Ok(()),
            Bug::OffsetsBeforeOutput => {
                self.held.push((to, timestamp, key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec), headers.clone()));
                Ok(())
            }
            _ => self.inner.lock().unwrap().append(to, timestamp, key, value, headers),
        }
    }

    fn flush(&mut self) -> Call<Acks> {
        let call = self.inner.lock().unwrap().flush();
        if self.bug != Bug::AcknowledgedTooMuch {
            return call;
        }
        mapped(call, |outcome| match outcome {
            Outcome::Done(acks) => Outcome::Done(
                acks.into_iter()
                    .map(|(partition, offset)| (partition, offset.map(|offset| offset.next().next())))
                    .collect(),
            ),
            other => other,
        })
    }

    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>, group: &GroupMetadata) -> Call<()> {
        if self.bug == Bug::WrittenIntoEndingTransaction {
            let writer = Arc::clone(&self.inner);
            return Call::pending(EndLater { writer, what: Some((offsets, group.clone())), looks: 0, call: None });
        }
        let call = self.inner.lock().unwrap().commit(offsets, group);
        match self.bug {
            Bug::OffsetsBeforeOutput => Call::pending(OutputAfter {
                writer: Arc::clone(&self.inner),
                call,
                held: Some(std::mem::take(&mut self.held)),
                group: group.clone(),
            }),
            Bug::UnknownTakenAsDone => mapped(call, |outcome| match outcome {
                Outcome::Failed(failure) if failure.kind == FailureKind::Unknown => Outcome::Done(()),
                other => other,
            }),
            _ => call,
        }
    }

    fn abort(&mut self) -> Call<()> {
        self.held.clear();
        self.inner.lock().unwrap().abort()
    }
}

/// The transaction is ended at the third look.
struct EndLater {
    writer: SharedWriter,
    what: Option<(Vec<(TopicPartition, CommittedOffset)>, GroupMetadata)>,
    looks: u32,
    call: Option<Call<()>>,
}

impl Pending<()> for EndLater {
    fn poll(&mut self, now: Now) -> Outcome<()> {
        self.looks += 1;
        if let Some((offsets, group)) = self.what.take_if(|_| self.looks >= 3) {
            self.call = Some(self.writer.lock().unwrap().commit(offsets, &group));
        }
        self.call.as_mut().map_or(Outcome::Pending, |call| call.poll(now))
    }
}

/// The offsets are being committed; the output follows in a transaction of its own.
struct OutputAfter {
    writer: SharedWriter,
    call: Call<()>,
    held: Option<Vec<Held>>,
    group: GroupMetadata,
}

impl Pending<()> for OutputAfter {
    fn poll(&mut self, now: Now) -> Outcome<()> {
        let outcome = self.call.poll(now);
        if !matches!(outcome, Outcome::Done(())) {
            return outcome;
        }
        let Some(held) = self.held.take() else { return outcome };
        let mut writer = self.writer.lock().unwrap();
        for (to, timestamp, key, value, headers) in held {
            if let Err(error) = writer.append(to, timestamp, key.as_deref(), value.as_deref(), &headers) {
                return Outcome::Failed(Failure { kind: FailureKind::Unknown, error });
            }
        }
        self.call = writer.commit(Vec::new(), &self.group);
        drop(writer);
        self.call.poll(now)
    }
}

/// A call whose answer is changed.
fn mapped<T: Send + 'static>(call: Call<T>, change: fn(Outcome<T>) -> Outcome<T>) -> Call<T> {
    struct Mapped<T>(Call<T>, fn(Outcome<T>) -> Outcome<T>);
    impl<T: Send> Pending<T> for Mapped<T> {
        fn poll(&mut self, now: Now) -> Outcome<T> {
            (self.1)(self.0.poll(now))
        }
    }
    Call::pending(Mapped(call, change))
}

/// Engines with a bug.
pub(crate) struct BuggyEngines {
    pub(crate) inner: Arc<dyn EngineProvider>,
}

impl EngineProvider for BuggyEngines {
    fn open(&self, task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>> {
        Ok(Box::new(BuggyEngine(self.inner.open(task, facts)?)))
    }

    fn tasks(&self) -> Result<Vec<TaskId>> {
        self.inner.tasks()
    }

    fn remove(&self, task: TaskId) -> Result<()> {
        self.inner.remove(task)
    }

    fn process_id(&self) -> Arc<str> {
        self.inner.process_id()
    }
}

/// Marks one record more than it has applied.
struct BuggyEngine(Box<dyn Engine>);

impl Engine for BuggyEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.0.get(key)
    }

    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        self.0.scan(from, to, is_reverse)
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        let mut all: Vec<_> = writes.collect();
        all.pop();
        self.0.apply(&mut all.into_iter(), mark)
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.0.mark()
    }

    fn wipe(&mut self) -> Result<()> {
        self.0.wipe()
    }

    fn is_persistent(&self) -> bool {
        self.0.is_persistent()
    }
}
