//! Finds out why reading stands still: a transaction of somebody else that does not end holds back all that lies
//! behind its first record, from inputs read under `exactly_once_v2` and from changelogs.
//!
//! It is told and not acted on: whether the transaction hangs or its owner is slow, only people know. So are tasks that
//! cannot be taken over because the log does not answer: brokers do not tell offsets that such a transaction commits.

use std::collections::BTreeMap;

use millstream_log::{Admin, Call, OffsetSpec, OpenTransaction, Outcome};
use millstream_types::{Error, ErrorKind, Now, Offset, TopicPartition};

use super::restore::of_partition;

/// How often brokers look for transactions whose timeout is over, unless told otherwise
/// (`transaction.abort.timed.out.transaction.cleanup.interval.ms`).
const ABORT_SCAN_NS: u64 = 10_000_000_000;

/// Looks at partitions now and then.
pub(super) struct Standstill {
    /// How long a partition may stand still (monotonic ns).
    patience_ns: u64,
    due_ns: Option<u64>,
    question: Question,
    /// Partitions that stood still when they were looked at last: where, since when (monotonic ns), and whether that
    /// was told.
    seen: BTreeMap<TopicPartition, Seen>,
    /// Of partitions.
    errors: Vec<Error>,
    /// Of the takeover.
    unanswered: Option<Error>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Offset,
    since_ns: u64,
    is_told: bool,
}

/// A partition that stands still.
struct Held {
    partition: TopicPartition,
    /// What may be read ends here.
    at: Offset,
    end: Offset,
    since_ns: u64,
}

enum Question {
    None,
    Committed(Vec<TopicPartition>, Call<Vec<Offset>>),
    Ends(Vec<TopicPartition>, Vec<Offset>, Call<Vec<Offset>>),
    Transactions(Vec<Held>, Call<Vec<Vec<OpenTransaction>>>),
}

impl Standstill {
    pub(super) fn new(patience_ns: u64) -> Self {
        Self {
            patience_ns,
            due_ns: None,
            question: Question::None,
            seen: BTreeMap::new(),
            errors: Vec::new(),
            unanswered: None,
        }
    }

    /// For how long the log may owe an answer before that is told (monotonic ns).
    pub(super) fn answer_ns(&self) -> u64 {
        self.patience_ns.saturating_add(ABORT_SCAN_NS)
    }

    /// All that stands still, as far as it is known.
    pub(super) fn held_up(&self) -> Vec<Error> {
        self.errors.iter().chain(&self.unanswered).cloned().collect()
    }

    /// Nothing is read any more.
    pub(super) fn forget(&mut self) {
        self.errors.clear();
        self.unanswered = None;
    }

    /// Takes in why tasks wait for an answer, if they do for too long; whether that is news.
    pub(super) fn hear(&mut self, why: Option<&Error>) -> bool {
        if why.is_some() == self.unanswered.is_some() {
            return false;
        }
        self.unanswered = why.map(|why| {
            let seconds = self.answer_ns() / 1_000_000_000;
            let message = format!("tasks cannot be taken over for more than {seconds} s: {}", why.message());
            let error = Error::new(why.kind(), message).with_context(|context| *context = why.context().clone());
            tracing::error!(%error, "the log does not tell where tasks begin");
            error
        });
        true
    }

    /// Looks on; whether there is news. A question that failed is asked again when the next look is due.
    pub(super) fn poll(
        &mut self,
        partitions: impl FnOnce() -> Vec<TopicPartition>,
        admin: &mut dyn Admin,
        now: Now,
    ) -> bool {
        match std::mem::replace(&mut self.question, Question::None) {
            Question::None => {
                let pause_ns = (self.patience_ns / 2).max(1);
                let due_ns = *self.due_ns.get_or_insert(now.mono_ns.saturating_add(pause_ns));
                if now.mono_ns < due_ns {
                    return false;
                }
                self.due_ns = Some(now.mono_ns.saturating_add(pause_ns));
                let partitions = partitions();
                if !partitions.is_empty() {
                    let call = admin.offsets(&partitions, OffsetSpec::EndCommitted);
                    self.question = Question::Committed(partitions, call);
                }
                false
            }
            Question::Committed(partitions, mut call) => {
                match call.poll(now) {
                    Outcome::Pending => self.question = Question::Committed(partitions, call),
                    Outcome::Done(stable) => {
                        let call = admin.offsets(&partitions, OffsetSpec::EndUncommitted);
                        self.question = Question::Ends(partitions, stable, call);
                    }
                    Outcome::Failed(_) => {}
                }
                false
            }
            Question::Ends(partitions, stable, mut call) => {
                match call.poll(now) {
                    Outcome::Pending => self.question = Question::Ends(partitions, stable, call),
                    Outcome::Done(ends) => return self.compare(partitions, &stable, &ends, admin, now),
                    Outcome::Failed(_) => {}
                }
                false
            }
            Question::Transactions(held, mut call) => match call.poll(now) {
                Outcome::Pending => {
                    self.question = Question::Transactions(held, call);
                    false
                }
                Outcome::Done(open) => self.tell(&held, &open, now),
                Outcome::Failed(_) => self.tell(&held, &[], now),
            },
        }
    }

    /// Finds what has stood still for too long, and asks who holds it up. What moved again is news, too.
    fn compare(
        &mut self,
        partitions: Vec<TopicPartition>,
        stable: &[Offset],
        ends: &[Offset],
        admin: &mut dyn Admin,
        now: Now,
    ) -> bool {
        let mut seen = BTreeMap::new();
        let mut held = Vec::new();
        for ((partition, at), end) in partitions.into_iter().zip(stable).zip(ends) {
            if at >= end {
                continue;
            }
            let fresh = Seen { at: *at, since_ns: now.mono_ns, is_told: false };
            let known = self.seen.get(&partition).filter(|known| known.at == *at).copied().unwrap_or(fresh);
            seen.insert(partition.clone(), known);
            if now.mono_ns.saturating_sub(known.since_ns) >= self.patience_ns {
                held.push(Held { partition, at: *at, end: *end, since_ns: known.since_ns });
            }
        }
        self.seen = seen;
        if held.is_empty() {
            self.errors.clear();
            return true;
        }
        let partitions: Vec<TopicPartition> = held.iter().map(|held| held.partition.clone()).collect();
        self.question = Question::Transactions(held, admin.open_transactions(&partitions));
        false
    }

    fn tell(&mut self, held: &[Held], open: &[Vec<OpenTransaction>], now: Now) -> bool {
        let mut errors = Vec::with_capacity(held.len());
        for (place, held) in held.iter().enumerate() {
            let transactions = open.get(place).map(Vec::as_slice).unwrap_or_default();
            let error = error(held, transactions.iter().min_by_key(|open| open.start), now);
            if let Some(seen) = self.seen.get_mut(&held.partition)
                && !std::mem::replace(&mut seen.is_told, true)
            {
                tracing::error!(%error, "reading stands still");
            }
            errors.push(error);
        }
        self.errors = errors;
        true
    }
}

fn error(held: &Held, transaction: Option<&OpenTransaction>, now: Now) -> Error {
    let Held { partition, at, end, since_ns } = held;
    let seconds = now.mono_ns.saturating_sub(*since_ns) / 1_000_000_000;
    let who = match transaction {
        None => "a transaction that began there".to_owned(),
        Some(open) if open.last_timestamp_ms < 0 => {
            format!("the transaction of producer {} (epoch {})", open.producer_id, open.producer_epoch)
        }
        Some(open) => {
            format!(
                "the transaction of producer {} (epoch {}), whose last record has the timestamp {} ms,",
                open.producer_id, open.producer_epoch, open.last_timestamp_ms
            )
        }
    };
    let message = format!(
        "nothing behind offset {at} can be read for {seconds} s, {} offsets wait: {who} has not ended; it does when its own \
         timeout is over. If it hangs (kafka-transactions.sh find-hanging), nobody knows but its other partitions whether \
         it was committed: where these have no commit marker it can be aborted by hand (kafka-transactions.sh abort \
         --topic {} --partition {} --start-offset {at})",
        end.0 - at.0,
        partition.topic,
        partition.partition,
    );
    of_partition(Error::new(ErrorKind::Retriable, message), partition)
        .with_context(|context| context.offset = Some(*at))
}
