//! One commit of a thread, from flushed tasks to acknowledged offsets.
//!
//! The order is the guarantee. Under `exactly_once_v2`: everything written is acknowledged, then
//! offsets and outputs become visible in one step. Under `at_least_once`: everything written is
//! acknowledged, then offsets follow. Local state is applied after either, by the thread.

use std::collections::BTreeMap;

use millstream_log::{Acks, Call, CommittedOffset, Failure, FailureKind, Member, Outcome, Writer};
use millstream_types::{Now, Offset, TopicPartition};

/// Wait before an operation that failed without effect is started again.
const RETRY_BACKOFF_NS: u64 = 100_000_000;

/// A commit under way.
pub(crate) struct Commit {
    stage: Stage,
    offsets: Vec<(TopicPartition, CommittedOffset)>,
    acks: BTreeMap<TopicPartition, Option<Offset>>,
    is_transactional: bool,
    give_up_ns: u64,
}

enum Stage {
    Flushing(Call<Acks>),
    Committing(Call<()>),
    FlushingAgain { at_ns: u64 },
    CommittingAgain { at_ns: u64 },
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
    /// Starts with everything flushed into the writer. A retriable failure is retried for
    /// `timeout_ns`.
    pub(crate) fn start(
        writer: &mut dyn Writer,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        is_transactional: bool,
        timeout_ns: u64,
        now: Now,
    ) -> Self {
        Self {
            stage: Stage::Flushing(writer.flush()),
            offsets,
            acks: BTreeMap::new(),
            is_transactional,
            give_up_ns: now.mono_ns.saturating_add(timeout_ns),
        }
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
        Self { stage, offsets, acks: BTreeMap::new(), is_transactional: false, give_up_ns }
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
                Stage::Flushing(call) => match call.poll(now) {
                    Outcome::Pending => return pending(now),
                    Outcome::Done(acks) => {
                        self.acks.extend(acks);
                        self.commit(writer, member);
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
                Stage::CommittingAgain { .. } => self.commit(writer, member),
                Stage::Over => return Progress::Done,
            }
        }
    }

    fn commit(&mut self, writer: &mut dyn Writer, member: &mut dyn Member) {
        let offsets = self.offsets.clone();
        self.stage = Stage::Committing(if self.is_transactional {
            writer.commit(offsets, &member.metadata())
        } else if offsets.is_empty() {
            Call::done(())
        } else {
            member.commit(offsets)
        });
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
