//! Internal topics and the settings Kafka Streams creates them with.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_state::{StoreFacts, StoreKind};

const DAY_MS: i64 = 86_400_000;

/// An internal topic: a repartition topic or a changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    /// Name in the log, with the application id.
    pub name: Arc<str>,
    /// What it is for.
    pub kind: InternalTopicKind,
}

/// What an internal topic is for, which decides its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalTopicKind {
    /// Carries records to the task that owns their new key.
    Repartition,
    /// Keeps the changes of a store.
    Changelog(StoreFacts),
}

/// What the configuration says of internal topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopicDefaults {
    /// The user's `topic.` settings without the prefix; they override the library's.
    pub topic_configs: Vec<(String, String)>,
    /// `windowstore.changelog.additional.retention.ms`.
    pub additional_retention_ms: i64,
}

/// A topic to create, with all its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInternalTopic {
    /// Name in the log.
    pub name: Arc<str>,
    /// Number of partitions, at least 1.
    pub partitions: i32,
    /// Settings, sorted by key.
    pub configs: Vec<(String, String)>,
}

impl Default for InternalTopicDefaults {
    fn default() -> Self {
        Self { topic_configs: Vec::new(), additional_retention_ms: DAY_MS }
    }
}

impl InternalTopic {
    /// The settings it is created with, sorted by key. The user's `topic.` settings override the
    /// library's, the store's own override both; stores that keep duplicates are never compacted.
    ///
    /// ```
    /// use millstream_topology::plan::{InternalTopic, InternalTopicDefaults, InternalTopicKind};
    ///
    /// let topic = InternalTopic { name: "app-by-name-repartition".into(), kind: InternalTopicKind::Repartition };
    /// let configs = topic.configs(&InternalTopicDefaults::default());
    /// assert!(configs.contains(&("cleanup.policy".to_owned(), "delete".to_owned())));
    /// ```
    pub fn configs(&self, defaults: &InternalTopicDefaults) -> Vec<(String, String)> {
        let mut configs: BTreeMap<String, String> = BTreeMap::new();
        let mut set = |key: &str, value: &str| configs.insert(key.to_owned(), value.to_owned());
        set("message.timestamp.type", "CreateTime");
        match &self.kind {
            InternalTopicKind::Repartition => {
                set("cleanup.policy", "delete");
                set("segment.bytes", "52428800");
                set("retention.ms", "-1");
            }
            InternalTopicKind::Changelog(store) if is_windowed(store) => {
                set("cleanup.policy", "compact,delete");
            }
            InternalTopicKind::Changelog(_) => {
                set("cleanup.policy", "compact");
            }
        }
        configs.extend(defaults.topic_configs.iter().cloned());
        if let InternalTopicKind::Changelog(store) = &self.kind {
            configs.extend(store.changelog_configs.iter().cloned());
            if store.retains_duplicates {
                configs.insert("cleanup.policy".to_owned(), "delete".to_owned());
            }
            // The application's own retention.ms does not count here: it cannot know the windows.
            if let Some(history_ms) = store.history_ms
                && !store.changelog_configs.iter().any(|(key, _)| key == "min.compaction.lag.ms")
            {
                let lag = history_ms.saturating_add(DAY_MS);
                configs.insert("min.compaction.lag.ms".to_owned(), lag.to_string());
            }
            let is_given = store.changelog_configs.iter().any(|(key, _)| key == "retention.ms");
            if is_windowed(store) && !is_given {
                let retention = store.retention_ms.unwrap_or_default().saturating_add(defaults.additional_retention_ms);
                configs.insert("retention.ms".to_owned(), retention.to_string());
            }
        }
        configs.into_iter().collect()
    }
}

fn is_windowed(store: &StoreFacts) -> bool {
    use StoreKind::{Session, TimestampedWindow, TimestampedWindowWithHeaders, Window};
    matches!(store.kind, Window | TimestampedWindow | TimestampedWindowWithHeaders | Session)
}
