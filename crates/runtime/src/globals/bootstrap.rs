//! Where the topics of global stores begin and end.

use std::sync::Arc;

use millstream_log::{Admin, Call, FailureKind, OffsetSpec, Outcome, TopicMetadata};
use millstream_types::{Error, ErrorKind, Now, Offset, Result, TopicPartition};

use super::feed::{Feed, TopicFacts};
use crate::shared::{Shared, failed};

/// The questions, in order.
#[derive(Default)]
pub(super) struct Bootstrap {
    asked: Question,
    facts: TopicFacts,
    partitions: Vec<TopicPartition>,
}

#[derive(Default)]
enum Question {
    #[default]
    None,
    Topics(Call<Vec<Option<TopicMetadata>>>),
    Starts(Call<Vec<Offset>>),
    Ends(Call<Vec<Offset>>),
}

impl Bootstrap {
    /// Asks on; gives the answers when all are there.
    ///
    /// # Errors
    /// `Configuration` when a topic does not exist; `Retriable` when the log could not answer: the
    /// next call asks again.
    pub(super) fn poll(
        &mut self,
        feeds: &[Feed],
        shared: &Shared,
        admin: &mut dyn Admin,
        now: Now,
    ) -> Result<Option<TopicFacts>> {
        let names: Vec<Arc<str>> = feeds.iter().map(|feed| Arc::clone(&feed.topic)).collect();
        loop {
            self.asked = match &mut self.asked {
                Question::None => Question::Topics(admin.topics(&names)),
                Question::Topics(call) => match call.poll(now) {
                    Outcome::Pending => return Ok(None),
                    Outcome::Failed(failure) => return Err(self.again(failure)),
                    Outcome::Done(topics) => {
                        self.keep_topics(&names, topics)?;
                        Question::Starts(admin.offsets(&self.partitions, OffsetSpec::Start))
                    }
                },
                Question::Starts(call) => match call.poll(now) {
                    Outcome::Pending => return Ok(None),
                    Outcome::Failed(failure) => return Err(self.again(failure)),
                    Outcome::Done(starts) => {
                        let known = self.partitions.iter().cloned().zip(starts);
                        self.facts.ranges = known.map(|(partition, start)| (partition, (start, start))).collect();
                        Question::Ends(admin.offsets(&self.partitions, shared.input_end()))
                    }
                },
                Question::Ends(call) => match call.poll(now) {
                    Outcome::Pending => return Ok(None),
                    Outcome::Failed(failure) => return Err(self.again(failure)),
                    Outcome::Done(ends) => {
                        for (partition, end) in self.partitions.iter().zip(ends) {
                            if let Some(range) = self.facts.ranges.get_mut(partition) {
                                range.1 = range.1.max(end);
                            }
                        }
                        return Ok(Some(std::mem::take(&mut self.facts)));
                    }
                },
            };
        }
    }

    fn keep_topics(&mut self, names: &[Arc<str>], topics: Vec<Option<TopicMetadata>>) -> Result<()> {
        let mut missing: Vec<&str> = Vec::new();
        self.partitions.clear();
        for (name, topic) in names.iter().zip(topics) {
            let Some(topic) = topic else {
                missing.push(name);
                continue;
            };
            let is_known = self.facts.topics.insert(Arc::clone(name), topic.clone()).is_some();
            if !is_known {
                let all = (0..topic.partitions).map(|partition| TopicPartition::new(Arc::clone(name), partition));
                self.partitions.extend(all);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("topics of global stores do not exist: {}", missing.join(", "));
        Err(Error::new(ErrorKind::Configuration, message))
    }

    fn again(&mut self, failure: millstream_log::Failure) -> Error {
        *self = Self::default();
        let is_fatal = failure.kind == FailureKind::Fatal;
        let error = failed(failure);
        // There is no transaction that could be fenced here: all but a refusal is asked again.
        if is_fatal { error } else { Error::new(ErrorKind::Retriable, "the log did not answer").with_source(error) }
    }
}
