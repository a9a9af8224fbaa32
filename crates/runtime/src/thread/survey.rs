//! What must be asked of the log before a task can start, question by question.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_log::{Admin, Call, CommittedOffset, Failure, FailureKind, OffsetSpec, Outcome, TopicMetadata};
use millstream_types::{Error, ErrorKind, Now, Offset, Result, TopicPartition};

/// The questions, and what has been answered so far. The order matters: committed offsets come
/// first, and waiting for them to be stable fences what the tasks' last owner left behind; ends
/// are asked after that, so that nothing of a committed transaction lies past them.
pub(crate) struct Survey {
    group: Arc<str>,
    inputs: Vec<TopicPartition>,
    changelogs: Vec<TopicPartition>,
    /// What a reader of the inputs may see.
    input_end: OffsetSpec,
    asked: Question,
    aside: Aside,
    facts: SurveyFacts,
    /// Since when the question is open (monotonic ns), and why it was not answered last.
    open_ns: Option<u64>,
    unanswered: Option<Error>,
    /// Inputs whose log starts behind what is committed, and where.
    overtaken: Vec<(TopicPartition, Offset)>,
    /// How often topics were asked for that the log does not know, and when the next look is due (monotonic ns).
    looks: u32,
    look_ns: Option<u64>,
}

/// So often a topic that is missing is asked for, with such a pause before each time: a broker may hear late of a new one.
const LOOKS_MAX: u32 = 20;
const LOOK_PAUSE_NS: u64 = 100_000_000;

/// The answers.
#[derive(Debug, Default)]
pub(crate) struct SurveyFacts {
    pub(crate) committed: BTreeMap<TopicPartition, CommittedOffset>,
    /// Those of them that the group does not have: a renewal of it that was cut short has left them aside.
    pub(crate) set_aside: BTreeSet<TopicPartition>,
    pub(crate) topics: BTreeMap<Arc<str>, TopicMetadata>,
    /// First and one past the last offset of inputs; of changelogs the end is the uncommitted one.
    pub(crate) ranges: BTreeMap<TopicPartition, (Offset, Offset)>,
}

enum Question {
    Committed(Call<Vec<Option<CommittedOffset>>>),
    Topics(Vec<Arc<str>>, Call<Vec<Option<TopicMetadata>>>),
    Starts(Call<Vec<Offset>>),
    InputEnds(Call<Vec<Offset>>),
    ChangelogEnds(Call<Vec<Offset>>),
    None,
}

/// Whether the group was being made anew, for inputs without a committed offset. Asked beside the other questions.
enum Aside {
    Unasked,
    Asked(Vec<TopicPartition>, Call<Vec<Option<CommittedOffset>>>),
    Answered,
}

impl Survey {
    pub(crate) fn start(
        admin: &mut dyn Admin,
        group: &Arc<str>,
        inputs: Vec<TopicPartition>,
        changelogs: Vec<TopicPartition>,
        input_end: OffsetSpec,
    ) -> Self {
        let asked = Question::Committed(admin.committed(group, &inputs));
        Self {
            group: Arc::clone(group),
            inputs,
            changelogs,
            input_end,
            asked,
            aside: Aside::Unasked,
            facts: SurveyFacts::default(),
            open_ns: None,
            unanswered: None,
            overtaken: Vec::new(),
            looks: 0,
            look_ns: None,
        }
    }

    /// The answers once all are there. A question that failed without effect is asked again.
    pub(crate) fn poll(&mut self, admin: &mut dyn Admin, now: Now) -> Result<Option<SurveyFacts>, Failure> {
        if let Some(look_ns) = self.look_ns {
            if now.mono_ns < look_ns {
                return Ok(None);
            }
            self.look_ns = None;
            self.ask_again(admin);
        }
        loop {
            self.open_ns.get_or_insert(now.mono_ns);
            let answered = match &mut self.asked {
                Question::Committed(call) => call.poll(now).map(Answer::Committed),
                Question::Topics(_, call) => call.poll(now).map(Answer::Topics),
                Question::Starts(call) | Question::InputEnds(call) | Question::ChangelogEnds(call) => {
                    call.poll(now).map(Answer::Offsets)
                }
                Question::None => {
                    let is_over = self.take_aside(admin, now)?;
                    return Ok(is_over.then(|| std::mem::take(&mut self.facts)));
                }
            };
            match answered {
                Outcome::Pending => return Ok(None),
                Outcome::Done(answer) => {
                    (self.open_ns, self.unanswered) = (None, None);
                    self.keep(answer);
                    if let Some(missing) = self.missing_topic() {
                        self.looks += 1;
                        if self.looks > LOOKS_MAX {
                            return Err(gone(missing));
                        }
                        self.look_ns = Some(now.mono_ns.saturating_add(LOOK_PAUSE_NS));
                        return Ok(None);
                    }
                    self.ask_next(admin);
                }
                // Reading changes nothing, so an unknown outcome is as good as none.
                Outcome::Failed(failure) if may_pass(&failure) => {
                    tracing::warn!(%failure, "what the log must tell before tasks start is asked again");
                    self.unanswered = Some(failure.error);
                    self.ask_again(admin);
                    return Ok(None);
                }
                Outcome::Failed(failure) => return Err(failure),
            }
        }
    }

    /// Why the question under way is not answered, if it failed and is open for longer than this.
    pub(crate) fn unanswered(&self, for_ns: u64, now: Now) -> Option<&Error> {
        let is_late = self.open_ns.is_some_and(|open_ns| now.mono_ns.saturating_sub(open_ns) > for_ns);
        self.unanswered.as_ref().filter(|_| is_late)
    }

    fn keep(&mut self, answer: Answer) {
        match (&self.asked, answer) {
            (Question::Committed(_), Answer::Committed(offsets)) => {
                self.facts.committed = known(&self.inputs, offsets).collect();
            }
            (Question::Topics(names, _), Answer::Topics(topics)) => {
                let known = names.iter().zip(topics);
                self.facts.topics = known.filter_map(|(name, topic)| Some((Arc::clone(name), topic?))).collect();
            }
            (Question::Starts(_), Answer::Offsets(starts)) => {
                for (partition, start) in self.inputs.iter().chain(&self.changelogs).zip(starts) {
                    self.facts.ranges.insert(partition.clone(), (start, start));
                }
            }
            (Question::InputEnds(_), Answer::Offsets(ends)) => self.facts.set_ends(&self.inputs, ends),
            (Question::ChangelogEnds(_), Answer::Offsets(ends)) => self.facts.set_ends(&self.changelogs, ends),
            _ => {}
        }
    }

    /// Asks the next question, if one is left.
    fn ask_next(&mut self, admin: &mut dyn Admin) {
        // Between the two answers another owner may have committed, and deleted what it had
        // processed. Only what was committed after the start was known says whether any was lost.
        if matches!(self.asked, Question::Starts(_)) && self.was_overtaken() {
            self.asked = Question::Committed(admin.committed(&self.group, &self.inputs));
            return;
        }
        if matches!(self.asked, Question::Committed(_)) {
            self.ask_aside(admin);
        }
        self.asked = match &self.asked {
            Question::Committed(_) => {
                let mut names: Vec<Arc<str>> =
                    self.inputs.iter().chain(&self.changelogs).map(|partition| Arc::clone(&partition.topic)).collect();
                names.sort();
                names.dedup();
                let call = admin.topics(&names);
                Question::Topics(names, call)
            }
            Question::Topics(..) => {
                let all: Vec<_> = self.inputs.iter().chain(&self.changelogs).cloned().collect();
                Question::Starts(admin.offsets(&all, OffsetSpec::Start))
            }
            Question::Starts(_) => Question::InputEnds(admin.offsets(&self.inputs, self.input_end)),
            Question::InputEnds(_) => {
                Question::ChangelogEnds(admin.offsets(&self.changelogs, OffsetSpec::EndUncommitted))
            }
            Question::ChangelogEnds(_) | Question::None => Question::None,
        };
    }

    /// Asks for offsets that were left aside, where the group has none.
    fn ask_aside(&mut self, admin: &mut dyn Admin) {
        let is_missing = |partition: &&TopicPartition| !self.facts.committed.contains_key(*partition);
        let missing: Vec<TopicPartition> = self.inputs.iter().filter(is_missing).cloned().collect();
        if matches!(self.aside, Aside::Unasked) && !missing.is_empty() {
            let call = admin.set_aside(&self.group, &missing);
            self.aside = Aside::Asked(missing, call);
        }
    }

    /// Goes on from offsets that were left aside; whether it is known by now.
    fn take_aside(&mut self, admin: &mut dyn Admin, now: Now) -> Result<bool, Failure> {
        let Aside::Asked(missing, call) = &mut self.aside else { return Ok(true) };
        match call.poll(now) {
            Outcome::Pending => return Ok(false),
            Outcome::Done(offsets) => {
                for (partition, at) in known(missing, offsets) {
                    if self.facts.committed.contains_key(&partition) {
                        continue;
                    }
                    tracing::warn!(
                        group = %self.group, %partition, offset = %at.offset,
                        "the group has no offset of this input, but one was kept while the group was made anew, which was \
                         cut short: it goes on there"
                    );
                    self.facts.set_aside.insert(partition.clone());
                    self.facts.committed.insert(partition, at);
                }
                self.aside = Aside::Answered;
            }
            Outcome::Failed(failure) if may_pass(&failure) => {
                tracing::warn!(%failure, "whether the group was being made anew is asked again");
                self.unanswered = Some(failure.error);
                *call = admin.set_aside(&self.group, missing);
                return Ok(false);
            }
            Outcome::Failed(failure) => return Err(failure),
        }
        Ok(true)
    }

    /// A topic that was asked for and does not exist.
    fn missing_topic(&self) -> Option<TopicPartition> {
        if !matches!(self.asked, Question::Topics(..)) {
            return None;
        }
        let all = self.inputs.iter().chain(&self.changelogs);
        all.into_iter().find(|partition| !self.facts.topics.contains_key(&partition.topic)).cloned()
    }

    /// Whether a log starts behind what is committed, in another place than when this was asked last.
    fn was_overtaken(&mut self) -> bool {
        let facts = &self.facts;
        let starts_behind = |partition: &&TopicPartition| {
            facts.committed.get(*partition).is_some_and(|committed| committed.offset < facts.range(partition).0)
        };
        let with_start = |partition: &TopicPartition| (partition.clone(), facts.range(partition).0);
        let overtaken: Vec<_> = self.inputs.iter().filter(starts_behind).map(with_start).collect();
        let is_news = !overtaken.is_empty() && overtaken != self.overtaken;
        self.overtaken = overtaken;
        is_news
    }

    fn ask_again(&mut self, admin: &mut dyn Admin) {
        let all = || self.inputs.iter().chain(&self.changelogs).cloned().collect::<Vec<_>>();
        self.asked = match std::mem::replace(&mut self.asked, Question::None) {
            Question::Committed(_) => Question::Committed(admin.committed(&self.group, &self.inputs)),
            Question::Topics(names, _) => {
                let call = admin.topics(&names);
                Question::Topics(names, call)
            }
            Question::Starts(_) => Question::Starts(admin.offsets(&all(), OffsetSpec::Start)),
            Question::InputEnds(_) => Question::InputEnds(admin.offsets(&self.inputs, self.input_end)),
            Question::ChangelogEnds(_) => {
                Question::ChangelogEnds(admin.offsets(&self.changelogs, OffsetSpec::EndUncommitted))
            }
            Question::None => Question::None,
        };
    }
}

/// Whether asking again may help.
fn may_pass(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Retriable | FailureKind::Unknown)
}

/// Those that have an offset.
fn known(
    partitions: &[TopicPartition],
    offsets: Vec<Option<CommittedOffset>>,
) -> impl Iterator<Item = (TopicPartition, CommittedOffset)> {
    partitions.iter().zip(offsets).filter_map(|(partition, at)| Some((partition.clone(), at?)))
}

/// Neither input nor changelog may vanish: what they held is lost.
fn gone(partition: TopicPartition) -> Failure {
    let message = "the topic does not exist any more; what was in it is lost: to go on without, delete the local state \
                   (Streams::clean_up) and start again, or reset the application to process everything anew";
    let error = Error::new(ErrorKind::Fatal, message).with_context(|context| {
        context.partition = Some(partition.partition);
        context.topic = Some(partition.topic);
    });
    Failure { kind: FailureKind::Fatal, error }
}

impl SurveyFacts {
    fn set_ends(&mut self, partitions: &[TopicPartition], ends: Vec<Offset>) {
        for (partition, end) in partitions.iter().zip(ends) {
            if let Some(range) = self.ranges.get_mut(partition) {
                range.1 = range.1.max(end);
            }
        }
    }

    /// First and one past the last offset.
    pub(crate) fn range(&self, partition: &TopicPartition) -> (Offset, Offset) {
        self.ranges.get(partition).copied().unwrap_or_default()
    }

    /// Id of a topic; 0 when not known.
    pub(crate) fn topic_id(&self, topic: &str) -> u128 {
        self.topics.get(topic).map_or(0, |topic| topic.id)
    }
}

enum Answer {
    Committed(Vec<Option<CommittedOffset>>),
    Topics(Vec<Option<TopicMetadata>>),
    Offsets(Vec<Offset>),
}

/// Changes the answer of an outcome.
trait MapOutcome<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U>;
}

impl<T> MapOutcome<T> for Outcome<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Outcome::Pending => Outcome::Pending,
            Outcome::Done(answer) => Outcome::Done(change(answer)),
            Outcome::Failed(failure) => Outcome::Failed(failure),
        }
    }
}
