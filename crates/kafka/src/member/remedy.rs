//! What it means that a group refuses a member for good, and what its users can do.

use millstream_log::{Failure, FailureKind, MemberConfig};
use millstream_types::{Error, ErrorKind};

use crate::failure::refused;
use crate::protocol::ErrorCode;

/// Whether the group was made with another topology. Up to Kafka 4.3 only the text tells this from requests that
/// are invalid for other reasons.
pub(super) fn is_other_topology(code: ErrorCode, detail: Option<&str>) -> bool {
    match code {
        ErrorCode::STREAMS_INVALID_TOPOLOGY_EPOCH | ErrorCode::STREAMS_TOPOLOGY_FENCED => true,
        ErrorCode::INVALID_REQUEST => detail.is_some_and(|detail| detail.starts_with("Topology updates")),
        _ => false,
    }
}

/// What a refusal for good means, and what to do.
pub(super) fn explained(config: &MemberConfig, code: ErrorCode, detail: Option<&str>) -> Failure {
    let group = &config.group;
    let renewal = format!(
        "the group was made with another topology, and its brokers do not let it change: stop all instances, run \
         `millstream upgrade-group --bootstrap HOST:PORT --application-id {group}` (or set group.topology.upgrade=auto \
         for the first instance that starts), then start the new version; see the page on upgrades"
    );
    let remedy = match code {
        _ if is_other_topology(code, detail) => Some(renewal.as_str()),
        ErrorCode::INVALID_REQUEST if detail.is_some_and(|detail| detail.starts_with("Static membership")) => Some(
            "these brokers have no static members in streams groups (Kafka 4.3 has none): leave group.instance.id out; \
             without it, too, an instance that starts again on its state directory takes its own place",
        ),
        ErrorCode::UNRELEASED_INSTANCE_ID => Some(
            "another member has the same group.instance.id and is not gone: give each instance an id of its own; one \
             that was killed keeps its place until its session ends (group.streams.session.timeout.ms of the brokers), \
             for all but who starts on its state directory",
        ),
        ErrorCode::FENCED_INSTANCE_ID => {
            Some("another instance has started with the same group.instance.id: give each instance an id of its own")
        }
        ErrorCode::GROUP_MAX_SIZE_REACHED => {
            Some("the group has as many members as its brokers allow (group.streams.max.size): start fewer threads")
        }
        ErrorCode::STREAMS_INVALID_TOPOLOGY => {
            Some("the broker refuses the topology itself, whatever the group had before")
        }
        ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::INCONSISTENT_GROUP_PROTOCOL => Some(
            "a group of another protocol has the application.id: stop its members first, or use another application.id",
        ),
        ErrorCode::GROUP_AUTHORIZATION_FAILED | ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            Some("the principal lacks rights: READ on the group, DESCRIBE and CREATE on its topics")
        }
        ErrorCode::UNSUPPORTED_VERSION => Some(
            "the brokers do not serve streams groups: Kafka 4.2 or newer is needed, and where the cluster was upgraded \
             from an older version the feature streams.version (kafka-features.sh upgrade --feature streams.version=1)",
        ),
        _ => None,
    };
    let failure = refused(&format!("joining group {group}"), code, detail);
    match remedy {
        None => failure,
        Some(remedy) => {
            let error = Error::new(ErrorKind::Configuration, format!("{}; {remedy}", failure.error));
            Failure { kind: FailureKind::Fatal, error }
        }
    }
}
