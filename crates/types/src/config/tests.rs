//! Tables of given texts and what becomes of them.

use std::time::Duration;

use super::*;
use crate::ErrorKind;

fn minimal() -> ConfigBuilder {
    Config::builder().application_id("app").bootstrap_servers("memory:")
}

#[track_caller]
fn with(settings: &[(&str, &str)]) -> Config {
    settings.iter().fold(minimal(), |config, (key, value)| config.set(*key, value)).build().unwrap()
}

/// The problem lines of settings that must be refused.
#[track_caller]
fn problems(settings: &[(&str, &str)]) -> Vec<String> {
    let builder = settings.iter().fold(minimal(), |config, (key, value)| config.set(*key, value));
    let error = builder.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    error.message().lines().skip(1).map(|line| line.trim().to_owned()).collect()
}

#[track_caller]
fn refuses(key: &str, value: &str, must_be: &str) {
    assert_eq!(problems(&[(key, value)]), [format!("{key} = {value}: must be {must_be}")]);
}

#[test]
fn every_default_can_be_read() {
    for key in keys() {
        if let KeyDefault::Is(text) = key.default {
            assert!(key.read(text).is_ok(), "{}", key.name);
        }
    }
}

#[test]
fn each_table_is_sorted_and_names_are_unique() {
    for origin in [Origin::KafkaStreams, Origin::KafkaClient, Origin::Millstream] {
        let names: Vec<_> = keys().filter(|key| key.origin == origin).map(|key| key.name).collect();
        assert!(names.is_sorted(), "{origin:?}");
    }
    let names: std::collections::BTreeSet<_> = keys().map(|key| key.name).collect();
    assert_eq!(names.len(), keys().count());
    assert_eq!(keys().filter(|key| key.origin == Origin::KafkaStreams).count(), 74, "Kafka Streams 4.3.0 has 74 keys");
}

#[test]
fn defaults_are_kafkas() {
    let config = with(&[]);
    assert_eq!(config.processing_guarantee(), ProcessingGuarantee::AtLeastOnce);
    assert_eq!(config.commit_interval(), Duration::from_secs(30));
    assert_eq!(config.num_stream_threads(), 1);
    assert_eq!(config.statestore_cache_max_bytes(), 10 * 1024 * 1024);
    assert_eq!(config.buffered_records_per_partition(), 1_000);
    assert_eq!(config.poll(), Duration::from_millis(100));
    assert_eq!(config.max_task_idle(), TaskIdle::Fetching);
    assert_eq!(config.topology_optimization(), Optimizations::default());
    assert_eq!(config.deserialization_exception_handler(), HandlerChoice::Fail);
    assert_eq!(config.default_timestamp_extractor(), TimestampExtractorChoice::FailOnInvalidTimestamp);
    assert_eq!(config.dsl_store(), DslStoreChoice::Persistent);
    assert_eq!(config.auto_offset_reset(), OffsetReset::Earliest);
    assert_eq!(config.dead_letter_queue_topic(), None);
    assert_eq!(config.client_id(), None);
    assert_eq!(config.application_server(), None);
    assert_eq!(config.state_cleanup_dir_max_age(), None);
    assert_eq!(config.log_summary_interval(), Some(Duration::from_secs(120)));
    assert_eq!(config.replication_factor(), -1);
    assert_eq!(config.state_dir(), std::env::temp_dir().join("millstream"));
    assert_eq!(config.statestore_memory_max_bytes(), 192 * 1024 * 1024);
    assert_eq!(config.statestore_uncommitted_max_bytes(), 64 * 1024 * 1024);
    assert_eq!(config.get("commit.interval.ms").as_deref(), Some("30000"));
    assert_eq!(config.get("upgrade.from"), None);
    assert!(config.warnings().is_empty());
}

#[test]
fn typed_setters_reach_typed_getters() {
    let config = minimal()
        .client_id("c")
        .num_stream_threads(4)
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .commit_interval(Duration::from_millis(250))
        .state_dir("some/where")
        .statestore_cache_max_bytes(0)
        .statestore_uncommitted_max_bytes(5)
        .max_task_idle(Duration::from_secs(1))
        .task_timeout(Duration::from_secs(2))
        .buffered_records_per_partition(7)
        .poll(Duration::from_millis(9))
        .repartition_purge_interval(Duration::from_secs(3))
        .replication_factor(3)
        .topology_optimization("merge.repartition.topics , single.store.self.join")
        .dead_letter_queue_topic("dead")
        .default_timestamp_extractor(TimestampExtractorChoice::WallclockTimestamp)
        .deserialization_exception_handler(HandlerChoice::Continue)
        .processing_exception_handler(HandlerChoice::Continue)
        .production_exception_handler(HandlerChoice::Continue)
        .dsl_store(DslStoreChoice::InMemory)
        .log_flush(LogFlush::Commit)
        .session_timeout(Duration::from_secs(6))
        .build()
        .unwrap();
    assert_eq!(config.client_id(), Some("c"));
    assert_eq!(config.num_stream_threads(), 4);
    assert!(config.is_exactly_once());
    assert_eq!(config.commit_interval(), Duration::from_millis(250));
    assert_eq!(config.state_dir(), Path::new("some/where"));
    assert_eq!(config.statestore_cache_max_bytes(), 0);
    assert_eq!(config.statestore_uncommitted_max_bytes(), 5);
    assert_eq!(config.max_task_idle(), TaskIdle::Wait(Duration::from_secs(1)));
    assert_eq!(config.task_timeout(), Duration::from_secs(2));
    assert_eq!(config.buffered_records_per_partition(), 7);
    assert_eq!(config.poll(), Duration::from_millis(9));
    assert_eq!(config.repartition_purge_interval(), Duration::from_secs(3));
    assert_eq!(config.replication_factor(), 3);
    let optimizations = Optimizations { reuse_ktable_source_topics: false, ..Optimizations::ALL };
    assert_eq!(config.topology_optimization(), optimizations);
    assert_eq!(config.dead_letter_queue_topic(), Some("dead"));
    assert_eq!(config.default_timestamp_extractor(), TimestampExtractorChoice::WallclockTimestamp);
    assert_eq!(config.deserialization_exception_handler(), HandlerChoice::Continue);
    assert_eq!(config.processing_exception_handler(), HandlerChoice::Continue);
    assert_eq!(config.production_exception_handler(), HandlerChoice::Continue);
    assert_eq!(config.dsl_store(), DslStoreChoice::InMemory);
    assert_eq!(config.log_flush(), LogFlush::Commit);
    assert_eq!(config.session_timeout(), Duration::from_secs(6));
    assert_eq!(config.heartbeat_interval(), Duration::from_secs(2));
    assert!(config.warnings().is_empty());
}

#[test]
fn exactly_once_commits_every_100_ms_unless_told() {
    let exactly_once = ("processing.guarantee", " exactly_once_v2 ");
    assert_eq!(with(&[exactly_once]).commit_interval(), Duration::from_millis(100));
    assert_eq!(with(&[exactly_once, ("commit.interval.ms", " 5 ")]).commit_interval(), Duration::from_millis(5));
}

#[test]
fn kafkas_class_names_are_taken() {
    let config = with(&[
        ("deserialization.exception.handler", "org.apache.kafka.streams.errors.LogAndContinueExceptionHandler"),
        ("processing.exception.handler", "LogAndContinueProcessingExceptionHandler"),
        ("production.exception.handler", "org.apache.kafka.streams.errors.DefaultProductionExceptionHandler"),
        ("default.timestamp.extractor", "org.apache.kafka.streams.processor.WallclockTimestampExtractor"),
        (
            "dsl.store.suppliers.class",
            "org.apache.kafka.streams.state.BuiltInDslStoreSuppliers$InMemoryDslStoreSuppliers",
        ),
        ("group.protocol", "Streams"),
        ("ensure.explicit.internal.resource.naming", " TRUE "),
    ]);
    assert_eq!(config.deserialization_exception_handler(), HandlerChoice::Continue);
    assert_eq!(config.processing_exception_handler(), HandlerChoice::Continue);
    assert_eq!(config.production_exception_handler(), HandlerChoice::Fail);
    assert_eq!(config.default_timestamp_extractor(), TimestampExtractorChoice::WallclockTimestamp);
    assert_eq!(config.dsl_store(), DslStoreChoice::InMemory);
    assert_eq!(config.group_protocol(), GroupProtocol::Streams);
    assert!(config.ensure_explicit_internal_resource_naming());
}

#[test]
fn a_bad_value_is_told_with_what_is_allowed() {
    refuses("commit.interval.ms", "-1", "a whole number of 64 bits, 0 or more");
    refuses("num.stream.threads", "3000000000", "a whole number of 32 bits, 0 or more");
    refuses("num.stream.threads", "two", "a whole number of 32 bits, 0 or more");
    refuses("max.warmup.replicas", "0", "a whole number of 32 bits, 1 or more");
    refuses("ensure.explicit.internal.resource.naming", "yes", "true or false");
    refuses("processing.guarantee", "exactly_once", "one of at_least_once, exactly_once_v2, at_most_once");
    refuses("group.protocol", "consumer", "one of classic, streams, in any case");
    refuses("deserialization.exception.handler", "com.example.Mine", "one of fail, continue");
    refuses("probing.rebalance.interval.ms", "1", "a whole number of 64 bits, 60000 or more");
    refuses("topology.optimization", "all,none", keys::OPTIMIZATION_RULE);
    refuses("topology.optimization", "", keys::OPTIMIZATION_RULE);
    refuses("application.server", "foo", "`host:port`");
    refuses("application.id", "../x", keys::APPLICATION_ID_RULE);
    refuses("application.id", "", keys::APPLICATION_ID_RULE);
    refuses("application.id", "..", keys::APPLICATION_ID_RULE);
    refuses("rack.aware.assignment.tags", "a,b,c,d,e,f", "a list with commas, at most 5 items");
    refuses("consumer.max.poll.records", "0", "a whole number of 32 bits, 1 or more");
    refuses("log.flush", "always", "one of os, commit");
    refuses("upgrade.from", "1.0", &find_key("upgrade.from").unwrap().allowed_text());
}

#[test]
fn all_problems_are_told_together() {
    let error = Config::builder()
        .set("poll.ms", "soon")
        .set("bootstrap.servers", "broker")
        .set("application.server", "host:99999")
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the configuration has 4 problems:\n  \
         poll.ms = soon: must be a whole number of 64 bits, 0 or more\n  \
         application.id: must be given: 1 to 200 of the characters a-z A-Z 0-9 . _ - (and not . or ..)\n  \
         bootstrap.servers = broker: must be `host:port,…` (Kafka brokers), `embedded:DIR` (a log in that directory) or `memory:`\n  \
         application.server = host:99999: must be `host:port`"
    );
}

#[test]
fn rules_over_several_keys() {
    let exactly_once = ("processing.guarantee", "exactly_once_v2");
    // As in Kafka Streams, equal is enough.
    with(&[exactly_once, ("commit.interval.ms", "10000")]);
    let told = problems(&[exactly_once, ("commit.interval.ms", "10001")]);
    assert!(told[0].starts_with("transaction.timeout.ms = 10000: must be at least commit.interval.ms (10001)"));
    let told = problems(&[exactly_once, ("producer.transaction.timeout.ms", "99")]);
    assert!(told[0].starts_with("transaction.timeout.ms = 99"));
    with(&[("commit.interval.ms", "10001")]);

    let told = problems(&[exactly_once, ("producer.max.in.flight.requests.per.connection", "6")]);
    assert!(told[0].ends_with("must be at most 5 under exactly_once_v2"));
    let config = with(&[("group.instance.id", "i"), ("main.consumer.group.instance.id", "j")]);
    assert_eq!(config.group_instance_id().as_deref(), Some("j"));
    let told = problems(&[("rack.aware.assignment.tags", "zone"), ("client.tag.rack", "a")]);
    assert!(told[0].contains("client.tag.zone is not"));
    with(&[("rack.aware.assignment.tags", "zone"), ("client.tag.zone", "a")]);
    refuses("heartbeat.interval.ms", "45000", "below session.timeout.ms (45000)");
}

#[test]
fn old_names_count_where_the_new_one_is_not_given() {
    let config = with(&[("cache.max.bytes.buffering", "5"), ("default.dsl.store", "in_memory")]);
    assert_eq!(config.statestore_cache_max_bytes(), 5);
    assert_eq!(config.dsl_store(), DslStoreChoice::InMemory);
    assert_eq!(config.warnings().len(), 2);
    assert_eq!(
        config.warnings()[0].to_string(),
        "cache.max.bytes.buffering: deprecated, use statestore.cache.max.bytes"
    );

    let config = with(&[("cache.max.bytes.buffering", "5"), ("statestore.cache.max.bytes", "6")]);
    assert_eq!(config.statestore_cache_max_bytes(), 6);
    let config = with(&[("default.deserialization.exception.handler", "LogAndContinueExceptionHandler")]);
    assert_eq!(config.deserialization_exception_handler(), HandlerChoice::Continue);
    let config = with(&[("default.dsl.store", "rocksDB")]);
    assert_eq!(config.dsl_store(), DslStoreChoice::Persistent);
}

#[test]
fn odd_keys_are_told_once_and_kept() {
    use ConfigWarningKind::{JvmOnly, NeedsBrokers, NotOverridable, OfGroup, Unknown, Unread};
    let without_reason = |warning: &ConfigWarning| match warning.kind {
        Unread { .. } => Unread { why: "" },
        kind => kind,
    };
    let table = [
        ("my.own.setting", Some(Unknown)),
        ("consumer.fetch.max.byte", Some(Unknown)),
        ("default.key.serde", Some(JvmOnly)),
        ("rocksdb.config.setter", Some(JvmOnly)),
        ("consumer.interceptor.classes", Some(JvmOnly)),
        ("producer.metric.reporters", Some(JvmOnly)),
        ("sasl.oauthbearer.jwt.validator.class", Some(JvmOnly)),
        ("security.protocol", Some(NeedsBrokers)),
        ("producer.linger.ms", Some(NeedsBrokers)),
        ("sasl.oauthbearer.scope", Some(NeedsBrokers)),
        ("enable.auto.commit", Some(NotOverridable)),
        ("main.consumer.max.poll.records", Some(Unread { why: "" })),
        ("max.warmup.replicas", Some(Unread { why: "" })),
        ("session.timeout.ms", None),
        ("group.streams.session.timeout.ms", Some(NeedsBrokers)),
        ("topic.min.insync.replicas", None),
        ("client.tag.zone", None),
        ("log.flush", None),
    ];
    for (key, expected) in table {
        let value = match key {
            "security.protocol" => "SSL",
            "log.flush" => "os",
            "session.timeout.ms" => "9000",
            _ => "1",
        };
        let config = with(&[(key, value)]);
        let told: Vec<_> =
            config.warnings().iter().map(|warning| (warning.key.as_str(), without_reason(warning))).collect();
        assert_eq!(told, expected.map(|kind| (key, kind)).into_iter().collect::<Vec<_>>(), "{key}");
        assert_eq!(config.get(key).as_deref(), Some(value));
        assert!(config.app_configs().any(|given| given == (key, value)));
    }
    let brokers = minimal().bootstrap_servers("b:9092").set("linger.ms", 5).build().unwrap();
    assert!(brokers.warnings().is_empty());
    let brokers = |key: &str| {
        let config = minimal().bootstrap_servers("b:9092").set("group.protocol", "streams").set(key, 2);
        config.build().unwrap().warnings().iter().map(without_reason).collect::<Vec<_>>()
    };
    for key in ["acks", "consumer.receive.buffer.bytes", "retry.backoff.max.ms", "ssl.key.password"] {
        assert_eq!(brokers(key), [Unread { why: "" }], "{key}");
    }
    let of_group = [
        ("consumer.session.timeout.ms", Some("group.streams.session.timeout.ms")),
        ("num.standby.replicas", Some("group.streams.num.standby.replicas")),
        ("max.warmup.replicas", None),
    ];
    for (key, instead) in of_group {
        assert_eq!(brokers(key), [OfGroup { instead }], "{key}");
    }
    assert_eq!(brokers("group.streams.num.standby.replicas"), []);
    assert!(with(&[("isolation.level", "x")]).warnings().iter().all(|warning| warning.kind == NeedsBrokers));
    let exactly_once = with(&[("isolation.level", "x"), ("processing.guarantee", "exactly_once_v2")]);
    assert_eq!(exactly_once.warnings()[0].kind, NotOverridable);
}

#[test]
fn a_prefix_of_a_client_that_there_is_not_is_told() {
    let warnings = |key: &str| {
        let value = if key.ends_with("security.protocol") { "PLAINTEXT" } else { "2" };
        let config = minimal().bootstrap_servers("b:9092").set("group.protocol", "streams").set(key, value);
        config.build().unwrap().warnings().iter().map(|warning| warning.kind).collect::<Vec<_>>()
    };
    for key in [
        "restore.consumer.fetch.max.bytes",
        "admin.retry.backoff.ms",
        "producer.retry.backoff.ms",
        "consumer.linger.ms",
        "consumer.commit.interval.ms",
        "producer.state.dir",
        "main.consumer.client.id",
        "restore.consumer.security.protocol",
    ] {
        assert!(matches!(warnings(key)[..], [ConfigWarningKind::Unread { .. }]), "{key}");
    }
    for key in ["main.consumer.fetch.max.bytes", "consumer.retry.backoff.ms", "producer.linger.ms"] {
        assert_eq!(warnings(key), [], "{key}");
    }
}

#[test]
fn the_narrower_prefix_wins() {
    let config = with(&[
        ("max.poll.records", "1"),
        ("consumer.max.poll.records", "2"),
        ("main.consumer.max.poll.records", "3"),
        ("linger.ms", "4"),
        ("producer.linger.ms", "5"),
        ("topic.min.insync.replicas", "2"),
        ("group.streams.num.standby.replicas", "1"),
        ("group.protocol", "streams"),
        ("client.tag.zone", "z"),
        ("my.own", "x"),
    ]);
    assert_eq!(config.max_poll_records(), 3);
    let of = |client, key: &str| config.client_configs(client).get(key).cloned();
    assert_eq!(of(Client::MainConsumer, "max.poll.records").as_deref(), Some("3"));
    assert_eq!(of(Client::RestoreConsumer, "max.poll.records").as_deref(), Some("2"));
    assert_eq!(of(Client::Admin, "linger.ms").as_deref(), Some("4"));
    assert_eq!(of(Client::Producer, "linger.ms").as_deref(), Some("5"));
    assert_eq!(of(Client::Producer, "my.own"), None);
    assert_eq!(config.topic_configs(), [("min.insync.replicas".to_owned(), "2".to_owned())].into());
    assert_eq!(config.group_configs(), [("streams.num.standby.replicas".to_owned(), "1".to_owned())].into());
    assert_eq!(config.client_tags(), [("zone".to_owned(), "z".to_owned())].into());
}

#[test]
fn later_values_win_when_merged() {
    let file = Config::from_properties_str("application.id=file\npoll.ms=1\nbootstrap.servers=memory:").unwrap();
    let config = file.merge(Config::builder().application_id("code")).build().unwrap();
    assert_eq!(config.application_id(), "code");
    assert_eq!(config.poll(), Duration::from_millis(1));
}

#[test]
fn bootstrap_servers_name_a_log() {
    #[track_caller]
    fn check(text: &str, expected: Option<&Bootstrap>) {
        assert_eq!(text.parse::<Bootstrap>().ok().as_ref(), expected, "{text}");
    }
    let broker = |host: &str, port| HostPort { host: host.to_owned(), port };
    check("memory:", Some(&Bootstrap::Memory));
    check("embedded:./my log", Some(&Bootstrap::Embedded("./my log".into())));
    check("a:9092, b:9093", Some(&Bootstrap::Brokers(vec![broker("a", 9092), broker("b", 9093)])));
    check("PLAINTEXT://[::1]:9092", Some(&Bootstrap::Brokers(vec![broker("::1", 9092)])));
    for wrong in ["", "memory", "embedded:", "host", "host:", ":1", "host:70000", "a:1,", "a b:1", "a/b:1"] {
        check(wrong, None);
    }
    for text in ["memory:", "embedded:x", "a:1,[::1]:2"] {
        assert_eq!(text.parse::<Bootstrap>().unwrap().to_string(), text);
    }
}

#[test]
fn secrets_are_never_shown() {
    let builder = minimal().set("ssl.key.password", "hunter2").set("sasl.jaas.config", "user hunter2");
    assert!(!format!("{builder:?}").contains("hunter2"));
    let config = builder.build().unwrap();
    assert!(!format!("{config:?} {config}").contains("hunter2"));
    assert!(config.to_string().contains("ssl.key.password = [hidden]\n"));
    assert!(config.to_string().contains("application.id = app\n"));
    assert_eq!(config.get("ssl.key.password").as_deref(), Some("hunter2"));
}

#[test]
fn a_listing_reads_back_as_the_same_configuration() {
    let config = with(&[
        ("my.own key", " two  spaces "),
        ("odd=key:#!", "tab\tline\nback\\slash = : # é 🛩"),
        ("state.dir", "C:\\data"),
    ]);
    let again = Config::from_properties_str(&config.to_properties()).unwrap().build().unwrap();
    assert_eq!(again, config);
    assert_ne!(again, with(&[]));
}

#[test]
fn properties_are_read_as_java_reads_them() {
    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(properties::parse(text).unwrap(), expected);
    }
    check("", &[]);
    check("a=b", &[("a", "b")]);
    check("  a  =  b  ", &[("a", "b  ")]);
    check("a:b\nc d\ne\t=\tf", &[("a", "b"), ("c", "d"), ("e", "f")]);
    check("# x\n  ! y\n\na=#1", &[("a", "#1")]);
    check("a", &[("a", "")]);
    check("a==b", &[("a", "=b")]);
    check("a = b = c", &[("a", "b = c")]);
    check("a=one \\\n    two\r\nb=1\rc=2", &[("a", "one two"), ("b", "1"), ("c", "2")]);
    check("a=x\\\\\nb=y", &[("a", "x\\"), ("b", "y")]);
    check("a\\ b\\=\\:=\\u00e9\\t\\n\\q", &[("a b=:", "é\t\nq")]);
    check("a=\\ud83d\\udee9", &[("a", "🛩")]);
    check("a=1\na=2", &[("a", "2")]);
    check("a=end\\", &[("a", "end")]);
    check("a=b \\\n # no comment", &[("a", "b # no comment")]);
    check("\\\n# comment\n\\\n\na=b", &[("a", "b")]);
    check("größe=ключ", &[("größe", "ключ")]);
    let error = properties::parse("a=b\n\nc=\\u00g0").unwrap_err();
    assert!(error.message().starts_with("line 3 "), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::from_properties_file("no/such/file.properties").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("no/such/file.properties"));
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn environment_variables_stand_for_keys() {
    let variables = [
        ("MILLSTREAM_APPLICATION_ID", "env"),
        ("MILLSTREAM_PRODUCER_LINGER_MS", "5"),
        ("MILLSTREAM_MY_OWN__KEY", "x"),
        ("MILLSTREAM_RACK_AWARE_ASSIGNMENT_NON_OVERLAP_COST", "1"),
        ("MILLSTREAM_", "empty"),
        ("OTHER_APPLICATION_ID", "other"),
    ];
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let keys: Vec<_> = environment::parse(Config::ENV_PREFIX, variables).into_iter().collect();
    let expected = [
        ("application.id", "env"),
        ("my.own_key", "x"),
        ("producer.linger.ms", "5"),
        ("rack.aware.assignment.non_overlap_cost", "1"),
    ];
    assert_eq!(keys, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}
