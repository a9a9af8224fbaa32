//! Before a thread joins: the group gets its settings, source topics must exist, internal topics are checked and
//! created.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::{Admin, Call, Failure, FailureKind, NewTopic, Outcome, TopicMetadata};
use millstream_topology::plan::{InternalTopicDefaults, NewInternalTopic, Plan};
use millstream_types::clock::millis;
use millstream_types::{Error, ErrorKind, Now, Result};

use super::fit;
use crate::layout::{InternalTopicSettings, Layout};
use crate::shared::{Shared, failed};

/// The questions, in order.
#[derive(Default)]
pub(crate) struct Setup {
    asked: Question,
}

#[derive(Default)]
enum Question {
    #[default]
    None,
    /// The group's own settings.
    Group(Call<()>),
    /// Which topics the patterns of sources match.
    Matching(Plan, Call<Vec<TopicMetadata>>),
    /// How many partitions the user's topics have.
    Sources(Plan, Vec<Arc<str>>, Call<Vec<Option<TopicMetadata>>>),
    /// Whether internal topics that exist already fit.
    Internal(Layout, Vec<NewInternalTopic>, Call<Vec<Option<TopicMetadata>>>),
    /// Creating those that do not.
    Create(Layout, Call<()>),
}

impl Setup {
    /// Asks on; gives the layout when everything is in place.
    ///
    /// # Errors
    /// `Configuration` when source topics are missing, all of them named, or internal topics do not
    /// fit; `Topology` when topics that are joined have different numbers of partitions.
    pub(crate) fn poll(&mut self, shared: &Shared, admin: &mut dyn Admin, now: Now) -> Result<Option<Layout>> {
        loop {
            self.asked = match std::mem::take(&mut self.asked) {
                Question::None => {
                    let settings: Vec<_> = shared.config.group_configs().into_iter().collect();
                    let call = if settings.is_empty() {
                        Call::done(())
                    } else {
                        admin.configure_group(&shared.application_id, &settings)
                    };
                    Question::Group(call)
                }
                Question::Group(mut call) => match call.poll(now) {
                    Outcome::Pending => {
                        self.asked = Question::Group(call);
                        return Ok(None);
                    }
                    Outcome::Failed(failure) => return again(failure),
                    Outcome::Done(()) => {
                        let plan = Plan::of(shared.topology.facts(), &shared.application_id);
                        if plan.has_patterns() {
                            Question::Matching(plan, admin.list_topics())
                        } else {
                            ask_sources(plan, admin)
                        }
                    }
                },
                Question::Matching(plan, mut call) => match call.poll(now) {
                    Outcome::Pending => {
                        self.asked = Question::Matching(plan, call);
                        return Ok(None);
                    }
                    Outcome::Failed(failure) => return again(failure),
                    Outcome::Done(topics) => ask_sources(plan.with_matched_topics(&names(topics))?, admin),
                },
                Question::Sources(plan, names, mut call) => match call.poll(now) {
                    Outcome::Pending => {
                        self.asked = Question::Sources(plan, names, call);
                        return Ok(None);
                    }
                    Outcome::Failed(failure) => return again(failure),
                    Outcome::Done(topics) => check_internal(shared, &plan, &names, topics, admin)?,
                },
                Question::Internal(layout, needed, mut call) => match call.poll(now) {
                    Outcome::Pending => {
                        self.asked = Question::Internal(layout, needed, call);
                        return Ok(None);
                    }
                    Outcome::Failed(failure) => return again(failure),
                    Outcome::Done(existing) => create(shared, layout, &needed, &existing, admin)?,
                },
                Question::Create(layout, mut call) => match call.poll(now) {
                    Outcome::Pending => {
                        self.asked = Question::Create(layout, call);
                        return Ok(None);
                    }
                    Outcome::Failed(failure) => return again(failure),
                    Outcome::Done(()) => return Ok(Some(layout)),
                },
            };
        }
    }
}

/// Names of topics.
pub(super) fn names(topics: Vec<TopicMetadata>) -> Vec<Arc<str>> {
    topics.into_iter().map(|topic| topic.name).collect()
}

/// Asks how many partitions the user's topics have.
fn ask_sources(plan: Plan, admin: &mut dyn Admin) -> Question {
    let names = plan.external_topics();
    let call = admin.topics(&names);
    Question::Sources(plan, names, call)
}

/// With the partitions of the user's topics known, asks which internal topics exist.
fn check_internal(
    shared: &Shared,
    plan: &Plan,
    names: &[Arc<str>],
    topics: Vec<Option<TopicMetadata>>,
    admin: &mut dyn Admin,
) -> Result<Question> {
    let counts: BTreeMap<&str, i32> =
        names.iter().zip(&topics).filter_map(|(name, topic)| Some((&**name, topic.as_ref()?.partitions))).collect();
    let partitions = plan.partitions(&|topic| counts.get(topic).copied())?;
    let config = &shared.config;
    let defaults = InternalTopicDefaults {
        topic_configs: config.topic_configs().into_iter().collect(),
        additional_retention_ms: millis(config.windowstore_changelog_additional_retention()),
    };
    let needed = partitions.internal_topics(&defaults);
    let replication_factor = i16::try_from(config.replication_factor()).unwrap_or(-1);
    let layout = Layout::of_plan(&partitions, &InternalTopicSettings { defaults, replication_factor });
    let names: Vec<Arc<str>> = needed.iter().map(|topic| Arc::clone(&topic.name)).collect();
    Ok(Question::Internal(layout, needed, admin.topics(&names)))
}

/// Checks the internal topics that exist and creates the others.
fn create(
    shared: &Shared,
    layout: Layout,
    needed: &[NewInternalTopic],
    existing: &[Option<TopicMetadata>],
    admin: &mut dyn Admin,
) -> Result<Question> {
    let mut problems = Vec::new();
    let mut missing = Vec::new();
    let mut first = None;
    for (topic, found) in needed.iter().zip(existing) {
        match found {
            Some(found) => {
                let found = fit::problems(topic, found);
                if !found.is_empty() {
                    first.get_or_insert_with(|| Arc::clone(&topic.name));
                }
                problems.extend(found);
            }
            None => missing.push(NewTopic {
                name: Arc::clone(&topic.name),
                partitions: topic.partitions,
                replication_factor: i16::try_from(shared.config.replication_factor()).unwrap_or(-1),
                configs: topic.configs.clone(),
            }),
        }
    }
    if !problems.is_empty() {
        let error = Error::new(ErrorKind::Configuration, problems.join("\n"));
        return Err(error.with_context(|context| context.topic = first));
    }
    let call = if missing.is_empty() { Call::done(()) } else { admin.create_topics(&missing) };
    Ok(Question::Create(layout, call))
}

/// Reading and creating topics may be repeated whatever came of it.
fn again(failure: Failure) -> Result<Option<Layout>> {
    if failure.kind == FailureKind::Fatal {
        return Err(failed(failure));
    }
    tracing::warn!(%failure, "the log did not answer; asking again");
    Ok(None)
}
