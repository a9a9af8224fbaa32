//! What it means that a group refuses a member for good, and what its users can do.

use millstream_log::{Failure, FailureKind, MemberConfig};
use millstream_types::{Error, ErrorKind};

use crate::call::refused;
use crate::protocol::ErrorCode;

/// What a refusal for good means, and what to do.
pub(super) fn explained(config: &MemberConfig, code: ErrorCode, detail: Option<&str>) -> Failure {
    let group = &config.group;
    let remedy = match code {
        ErrorCode::INVALID_REQUEST | ErrorCode::STREAMS_INVALID_TOPOLOGY_EPOCH | ErrorCode::STREAMS_TOPOLOGY_FENCED => {
            Some(
                "brokers up to 4.3 do not let a group change its topology: stop all instances, and delete the group after \
             saving its offsets, or use another application.id",
            )
        }
        ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::INCONSISTENT_GROUP_PROTOCOL => Some(
            "a group of another protocol has the application.id: stop its members first, or use another application.id",
        ),
        ErrorCode::GROUP_AUTHORIZATION_FAILED | ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            Some("the principal lacks rights: READ on the group, DESCRIBE and CREATE on its topics")
        }
        ErrorCode::UNSUPPORTED_VERSION => Some("the broker does not know streams groups: Kafka 4.2 or newer is needed"),
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
