//! One commit of a thread, from flushed tasks to acknowledged offsets.
//!
//! The order is the guarantee. Under `exactly_once_v2`: everything written is acknowledged, then
//! offsets and outputs become visible in one step. Under `at_least_once`: everything written is
//! acknowledged, then offsets follow. Local state is applied after either, by the thread.

use std::collections::BTreeMap;

use millstream_log::{Acks, Call, CommittedOffset, Failure, FailureKind, Member, Outcome, Writer};
use millstream_types::{Now, Offset, TaskId, TopicPartition};

/// Wait before an operation that failed without effect is started again.
const RETRY_BACKOFF_NS: u64 = 100_000_000;

/// A commit under way.
pub(crate) struct Commit {
    stage: Stage,
    offsets: Vec<(TopicPartition, CommittedOffset)>,
    acks: BTreeMap<TopicPartition, Option<Offset>>,
    /// How far each task had processed its inputs.
    positions: BTreeMap<TaskId, Vec<(TopicPartition, Offset)>>,
    give_up_ns: u64,
}

enum Stage {
    /// A transaction ends: its outputs are being acknowledged, then its end is. Both are asked for at once, so that
    /// what is appended meanwhile belongs to the next transaction.
    Ending(Option<Call<Acks>>, Call<()>),
    Flushing(Call<Acks>),
    Committing(Call<()>),
    FlushingAgain {
        at_ns: u64,
    },
    CommittingAgain {
        at_ns: u64,
    },
    Over,
}

/// How a commit stands.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Not over; look again at this time (monotonic ns) at the latest.
    Pending { until_ns: u64 },
    /// It is committed.
    Done,
    /// It is not, or nobody knows.
    Failed(Failure),
}

impl Commit {
    /// Starts with everything flushed into the writer; offsets follow. A retriable failure is retried for
    /// `timeout_ns`.
    pub(crate) fn start(
        writer: &mut dyn Writer,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        timeout_ns: u64,
        now: Now,
    ) -> Self {
        let give_up_ns = now.mono_ns.saturating_add(timeout_ns);
        Self::at(Stage::Flushing(writer.flush()), offsets, give_up_ns)
    }

    /// Starts to end the transaction. No failure is retried: whoever cannot be sure begins anew.
    pub(crate) fn of_transaction(
        writer: &mut dyn Writer,
        member: &dyn Member,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
    ) -> Self {
        let flush = writer.flush();
        let end = writer.commit(offsets.clone(), &member.metadata());
        Self::at(Stage::Ending(Some(flush), end), offsets, 0)
    }

    /// Starts to commit offsets and nothing else.
    pub(crate) fn of_offsets(
        member: &mut dyn Member,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        timeout_ns: u64,
        now: Now,
    ) -> Self {
        let give_up_ns = now.mono_ns.saturating_add(timeout_ns);
        let stage = Stage::Committing(member.commit(offsets.clone()));
        Self::at(stage, offsets, give_up_ns)
    }

    fn at(stage: Stage, offsets: Vec<(TopicPartition, CommittedOffset)>, give_up_ns: u64) -> Self {
        Self { stage, offsets, acks: BTreeMap::new(), positions: BTreeMap::new(), give_up_ns }
    }

    /// Notes how far a task had processed its inputs when the commit began.
    pub(crate) fn note_position(&mut self, task: TaskId, position: Vec<(TopicPartition, Offset)>) {
        self.positions.insert(task, position);
    }

    /// How far a task had processed its inputs when the commit began.
    pub(crate) fn position(&self, task: TaskId) -> &[(TopicPartition, Offset)] {
        self.positions.get(&task).map(Vec::as_slice).unwrap_or_default()
    }

    /// One past the last offset of an input that was processed when the commit began.
    pub(crate) fn processed(&self, input: &TopicPartition) -> Offset {
        let mut positions = self.positions.values().flatten();
        positions.find(|(known, _)| known == input).map_or(Offset(0), |(_, last)| last.next())
    }

    /// Last offset written to a partition by this commit: `None` when nothing was written,
    /// `Some(None)` when the offset is not known.
    #[expect(clippy::option_option, reason = "nothing written and an unknown offset are different things")]
    pub(crate) fn ack(&self, partition: &TopicPartition) -> Option<Option<Offset>> {
        self.acks.get(partition).copied()
    }

    /// The offsets it commits.
    pub(crate) fn offsets(&self) -> &[(TopicPartition, CommittedOffset)] {
        &self.offsets
    }

    /// Goes on.
    pub(crate) fn poll(&mut self, writer: &mut dyn Writer, member: &mut dyn Member, now: Now) -> Progress {
        loop {
            match &mut self.stage {
                Stage::Ending(flush, end) => {
                    let outcome = match flush.as_mut().map(|flush| flush.poll(now)) {
                        None => end.poll(now),
                        Some(Outcome::Pending) => Outcome::Pending,
                        Some(Outcome::Failed(failure)) => Outcome::Failed(failure),
                        Some(Outcome::Done(acks)) => {
                            *flush = None;
                            self.acks.extend(acks);
                            continue;
                        }
                    };
                    match outcome {
                        Outcome::Pending => return pending(now),
                        Outcome::Done(()) => {
                            self.stage = Stage::Over;
                            return Progress::Done;
                        }
                        Outcome::Failed(failure) => return self.fail(failure),
                    }
                }
                Stage::Flushing(call) => match call.poll(now) {
                    Outcome::Pending => return pending(now),
                    Outcome::Done(acks) => {
                        self.acks.extend(acks);
                        self.commit(member);
                    }
                    Outcome::Failed(failure) => match self.retry_at(&failure, now) {
                        Some(at_ns) => self.stage = Stage::FlushingAgain { at_ns },
                        None => return self.fail(failure),
                    },
                },
                Stage::Committing(call) => match call.poll(now) {
                    Outcome::Pending => return pending(now),
                    Outcome::Done(()) => {
                        self.stage = Stage::Over;
                        return Progress::Done;
                    }
                    Outcome::Failed(failure) => match self.retry_at(&failure, now) {
                        Some(at_ns) => self.stage = Stage::CommittingAgain { at_ns },
                        None => return self.fail(failure),
                    },
                },
                Stage::FlushingAgain { at_ns } | Stage::CommittingAgain { at_ns } if now.mono_ns < *at_ns => {
                    return Progress::Pending { until_ns: *at_ns };
                }
                Stage::FlushingAgain { .. } => self.stage = Stage::Flushing(writer.flush()),
                Stage::CommittingAgain { .. } => self.commit(member),
                Stage::Over => return Progress::Done,
            }
        }
    }

    fn commit(&mut self, member: &mut dyn Member) {
        let offsets = self.offsets.clone();
        self.stage = Stage::Committing(if offsets.is_empty() { Call::done(()) } else { member.commit(offsets) });
    }

    fn retry_at(&self, failure: &Failure, now: Now) -> Option<u64> {
        let may_retry = failure.kind == FailureKind::Retriable && now.mono_ns < self.give_up_ns;
        may_retry.then(|| now.mono_ns.saturating_add(RETRY_BACKOFF_NS))
    }

    fn fail(&mut self, failure: Failure) -> Progress {
        self.stage = Stage::Over;
        Progress::Failed(failure)
    }
}

/// A pending operation wakes the thread by the log; the time is only a bound.
fn pending(now: Now) -> Progress {
    Progress::Pending { until_ns: now.mono_ns.saturating_add(RETRY_BACKOFF_NS) }
}
