//! Retention: old segment files of topics that say so are removed.
//!
//! As in Kafka, `retention.ms` and `retention.bytes` count where `cleanup.policy` contains
//! `delete`, and only whole closed segments go. Unlike Kafka, a topic without these settings keeps
//! everything, and so does a log in memory.

use super::broker::{Broker, Slot, Topic};

/// How often retention is looked at (`log.retention.check.interval.ms`), in ms.
const INTERVAL_MS: i64 = 300_000;

/// What a topic keeps; `None` is everything.
#[derive(Debug, PartialEq, Eq)]
struct Retention {
    ms: Option<i64>,
    bytes: Option<u64>,
}

impl Broker {
    /// Removes what is out of date, when it is time to look.
    pub(super) fn expire_records(&mut self, now_ms: i64) {
        if self.files.is_none() || now_ms < self.retention_due_ms || self.writable().is_err() {
            return;
        }
        self.retention_due_ms = now_ms.saturating_add(INTERVAL_MS);
        let wall_ms = self.now.wall_ms;
        let mut expired: Vec<(Slot, i64)> = Vec::new();
        for topic in self.topics.values() {
            let Some(retention) = Retention::of(topic) else { continue };
            let time = retention.ms.map(|ms| wall_ms.saturating_sub(ms));
            let offset = |slot: &Slot| Some((*slot, self.partition(*slot)?.expired(time, retention.bytes)?));
            expired.extend(topic.slots.iter().filter_map(offset));
        }
        for (slot, offset) in expired {
            if let Err(failure) = self.delete_before(slot, offset) {
                tracing::error!(%failure, "records past their retention could not be removed");
            }
        }
    }
}

impl Retention {
    fn of(topic: &Topic) -> Option<Self> {
        let setting = |name: &str| topic.configs.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        let policy = setting("cleanup.policy").unwrap_or("delete");
        if !policy.split(',').any(|policy| policy.trim() == "delete") {
            return None;
        }
        // -1 is Kafka's "for ever"; so is what is no number.
        let ms = setting("retention.ms").and_then(|value| value.parse().ok()).filter(|ms| *ms >= 0);
        let bytes = setting("retention.bytes").and_then(|value| value.parse().ok());
        (ms.is_some() || bytes.is_some()).then_some(Self { ms, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(configs: &[(&str, &str)], ms: Option<i64>, bytes: Option<u64>) {
        let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let found = Retention::of(&Topic { id: 1, slots: vec![], configs });
        assert_eq!(found, (ms.is_some() || bytes.is_some()).then_some(Retention { ms, bytes }));
    }

    #[test]
    fn settings_count_where_the_policy_deletes() {
        check(&[], None, None);
        check(&[("retention.ms", "10")], Some(10), None);
        check(&[("retention.ms", "-1"), ("retention.bytes", "-1")], None, None);
        check(&[("retention.bytes", "10"), ("cleanup.policy", "delete")], None, Some(10));
        check(&[("retention.ms", "10"), ("cleanup.policy", "compact")], None, None);
        check(&[("retention.ms", "10"), ("cleanup.policy", "compact, delete")], Some(10), None);
        check(&[("retention.ms", "soon")], None, None);
    }
}
