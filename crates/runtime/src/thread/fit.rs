//! Whether an internal topic that exists can be used: the rules of Kafka Streams' `InternalTopicManager.validate`,
//! applied at every start.

use millstream_log::TopicMetadata;
use millstream_topology::plan::NewInternalTopic;

/// Why an internal topic cannot be used, each with what to do.
pub(super) fn problems(needed: &NewInternalTopic, found: &TopicMetadata) -> Vec<String> {
    let name = &needed.name;
    if needed.partitions != found.partitions {
        return vec![format!(
            "internal topic {name} exists with {} partitions, {} are needed; if the input topics were given more \
             partitions, reset the application to start with the new number",
            found.partitions, needed.partitions
        )];
    }
    let wanted = |key: &str| setting(&needed.configs, key);
    let is = |key: &str| setting(&found.configs, key);
    let (Some(wanted_policy), Some(policy)) = (wanted("cleanup.policy"), is("cleanup.policy")) else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    let mut wrong = |key: &str, is: &str, why: &str, must_be: &str| {
        problems.push(format!(
            "internal topic {name} has {key}={is}, {why}; set it to {must_be} (kafka-configs.sh --alter --topic {name}), \
             and reset the application if records may have been removed already"
        ));
    };
    let has = |policy: &str, part: &str| policy.split(',').any(|one| one.trim() == part);
    if has(policy, "delete") && !has(wanted_policy, "delete") {
        wrong("cleanup.policy", policy, "which deletes state", wanted_policy);
    }
    if has(policy, "compact") && !has(wanted_policy, "compact") {
        wrong("cleanup.policy", policy, "which removes records that are still needed", wanted_policy);
    }
    if has(policy, "delete") && has(wanted_policy, "delete") {
        let retention_ms = number(is("retention.ms"));
        let needed_ms = number(wanted("retention.ms"));
        if let (Some(retention_ms), Some(needed_ms)) = (retention_ms, needed_ms)
            && is_shorter(retention_ms, needed_ms)
        {
            let (is, must_be) = (retention_ms.to_string(), needed_ms.to_string());
            wrong("retention.ms", &is, "which deletes records that are still needed", &must_be);
        }
        // A size says nothing about time.
        if let (Some(bytes), None) =
            (number(is("retention.bytes")).filter(|bytes| *bytes >= 0), wanted("retention.bytes"))
        {
            wrong("retention.bytes", &bytes.to_string(), "which deletes records whatever their age", "-1");
        }
    }
    if let (Some(lag_ms), Some(needed_ms)) =
        (number(is("min.compaction.lag.ms")), number(wanted("min.compaction.lag.ms")))
        && lag_ms < needed_ms
    {
        let (is, must_be) = (lag_ms.to_string(), needed_ms.to_string());
        wrong("min.compaction.lag.ms", &is, "which removes versions within the history", &must_be);
    }
    problems
}

fn setting<'a>(configs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    configs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

/// Whether one retention ends before the other; a negative one never ends.
fn is_shorter(retention_ms: i64, than_ms: i64) -> bool {
    retention_ms >= 0 && (than_ms < 0 || retention_ms < than_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Settings<'a> = &'a [(&'a str, &'a str)];

    fn configs(settings: Settings<'_>) -> Vec<(String, String)> {
        settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(needed: Settings<'_>, found: Settings<'_>, expected: &[&str]) {
        let needed = NewInternalTopic { name: "app-s-changelog".into(), partitions: 2, configs: configs(needed) };
        let found = TopicMetadata { name: "app-s-changelog".into(), id: 1, partitions: 2, configs: configs(found) };
        let problems = problems(&needed, &found);
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains("topic app-s-changelog") && problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn a_changelog_is_not_to_be_deleted() {
        let needed: Settings<'_> = &[("cleanup.policy", "compact")];
        check(needed, &[("cleanup.policy", "compact")], &[]);
        check(needed, &[], &[]);
        check(
            needed,
            &[("cleanup.policy", "delete")],
            &["cleanup.policy=delete, which deletes state; set it to compact"],
        );
        check(needed, &[("cleanup.policy", "compact,delete")], &["cleanup.policy=compact,delete"]);
    }

    #[test]
    fn a_windowed_changelog_keeps_its_records_long_enough() {
        let needed: Settings<'_> = &[("cleanup.policy", "compact,delete"), ("retention.ms", "1000")];
        check(needed, &[("cleanup.policy", "compact")], &[]);
        check(needed, &[("cleanup.policy", "delete,compact"), ("retention.ms", "1000")], &[]);
        check(needed, &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")], &[]);
        check(needed, &[("cleanup.policy", "delete"), ("retention.ms", "999")], &["retention.ms=999"]);
        check(needed, &[("cleanup.policy", "delete"), ("retention.bytes", "5")], &["retention.bytes=5"]);
    }

    #[test]
    fn a_repartition_topic_keeps_all_its_records_until_they_are_processed() {
        let needed: Settings<'_> = &[("cleanup.policy", "delete"), ("retention.ms", "-1")];
        check(needed, &[("cleanup.policy", "delete"), ("retention.ms", "-1")], &[]);
        check(needed, &[("cleanup.policy", "compact")], &["which removes records"]);
        check(needed, &[("cleanup.policy", "delete"), ("retention.ms", "604800000")], &["set it to -1"]);
    }

    #[test]
    fn a_versioned_changelog_keeps_its_history() {
        let needed: Settings<'_> = &[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "100")];
        check(needed, &[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "100")], &[]);
        check(needed, &[("cleanup.policy", "compact"), ("min.compaction.lag.ms", "0")], &["min.compaction.lag.ms=0"]);
    }
}
