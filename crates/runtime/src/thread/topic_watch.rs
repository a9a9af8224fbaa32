//! Looks for topics that appear, or vanish, under the patterns of sources while a thread runs.
//!
//! Every thread looks by itself and begins anew with the new topics, as the members of a Kafka group
//! do when their subscription changes. Until the last one has, a task that another thread laid out
//! differently reads what its owner knows of; nothing is read twice, because a task has one owner.

use std::sync::Arc;
use std::time::Duration;

use millstream_log::{Admin, Call, Outcome, TopicMetadata};
use millstream_topology::plan::Plan;
use millstream_types::clock::nanos;
use millstream_types::config::Bootstrap;
use millstream_types::{Config, Now, Result};

use super::setup::names;
use crate::layout::Layout;
use crate::shared::Shared;

/// How often a log of our own is asked where the user says nothing: it answers at once.
const OWN_LOG_AGE: Duration = Duration::from_secs(1);

/// The next look.
#[derive(Default)]
pub(super) struct TopicWatch {
    /// When it is due (monotonic ns); `None` before the first.
    due_ns: Option<u64>,
    call: Option<Call<Vec<TopicMetadata>>>,
}

impl TopicWatch {
    /// Whether the patterns match other topics than the layout has. A question that failed is asked
    /// again when the next one is due.
    ///
    /// # Errors
    /// `Topology` when a topic appeared that two sources match.
    pub(super) fn poll(&mut self, shared: &Shared, layout: &Layout, admin: &mut dyn Admin, now: Now) -> Result<bool> {
        if !layout.has_patterns {
            return Ok(false);
        }
        let age_ns = nanos(age(&shared.config));
        if let Some(call) = &mut self.call {
            let outcome = call.poll(now);
            if matches!(outcome, Outcome::Pending) {
                return Ok(false);
            }
            self.call = None;
            let Outcome::Done(topics) = outcome else { return Ok(false) };
            let plan = Plan::of(shared.topology.facts(), &shared.application_id);
            let mut matched = plan.with_matched_topics(&names(topics))?.external_topics();
            matched.retain(|topic| !is_global(shared, topic));
            return Ok(matched != layout.external_topics());
        }
        let due_ns = *self.due_ns.get_or_insert(now.mono_ns.saturating_add(age_ns));
        if now.mono_ns >= due_ns {
            self.due_ns = Some(now.mono_ns.saturating_add(age_ns));
            self.call = Some(admin.list_topics());
        }
        Ok(false)
    }
}

/// Topics of global stores are in no layout of tasks.
fn is_global(shared: &Shared, topic: &Arc<str>) -> bool {
    shared.topology.global_stores().iter().any(|store| store.topic == *topic)
}

/// How old the known topics may be (`metadata.max.age.ms`).
fn age(config: &Config) -> Duration {
    let key = "metadata.max.age.ms";
    let given = config.app_configs().find(|(name, _)| *name == key);
    let given = given.and_then(|(_, value)| value.trim().parse().ok()).map(Duration::from_millis);
    match (given, config.bootstrap()) {
        (Some(age), _) => age,
        (None, Bootstrap::Memory | Bootstrap::Embedded { .. }) => OWN_LOG_AGE,
        (None, _) => Duration::from_secs(300),
    }
}
