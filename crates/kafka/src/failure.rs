//! What went wrong with a request, as the client sees it and as the seam is told.

use millstream_log::{Failure, FailureKind};
use millstream_types::{Error, ErrorKind};

use crate::protocol::{DecodeError, ErrorCode};

/// Why there is no answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// It never left: it had no effect.
    #[error("the request was not sent: {0}")]
    NotSent(String),
    /// It was sent, but the connection ended before the answer: it may have had its effect.
    #[error("the connection ended before the answer came: {0}")]
    Lost(String),
    /// It was sent, but no answer came in time: it may have had its effect.
    #[error("no answer came within {0} ms")]
    TimedOut(i64),
    /// The broker does not know the request in any version that is spoken here.
    #[error("the broker does not speak {api} in versions {first} to {last}: it is too old or too new")]
    Unsupported {
        /// The API.
        api: &'static str,
        /// First version spoken here.
        first: i16,
        /// Last version spoken here.
        last: i16,
    },
    /// The answer cannot be read.
    #[error("the broker's answer to {api} cannot be read")]
    Malformed {
        /// The API.
        api: &'static str,
        /// What is wrong.
        source: DecodeError,
    },
}

impl RequestError {
    /// The error with what is behind it.
    pub(crate) fn full_text(&self) -> String {
        match self {
            Self::Malformed { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }

    /// Whether the request may have had its effect.
    pub(crate) fn is_in_doubt(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::TimedOut(_) | Self::Malformed { .. })
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_retriable(&self) -> bool {
        !matches!(self, Self::Unsupported { .. })
    }
}

/// A failure that had no effect and may pass.
pub(crate) fn retriable(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Retriable, error: Error::new(ErrorKind::Retriable, message) }
}

/// A failure that repeating does not mend.
pub(crate) fn fatal(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Fatal, error: Error::new(ErrorKind::Fatal, message) }
}

/// What a broker's error code means for a request of which it says that nothing was done.
pub(crate) fn refused(what: &str, code: ErrorCode, detail: Option<&str>) -> Failure {
    let detail = detail.filter(|detail| !detail.is_empty()).map(|detail| format!(": {detail}")).unwrap_or_default();
    let remedy = remedy(code).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    let message = format!("{what}: the broker answers {code}{detail}{remedy}");
    if code.is_retriable() { retriable(message) } else { fatal(message) }
}

/// What a user can do about a refusal.
fn remedy(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "the principal needs rights on the topic: DESCRIBE, and READ, WRITE, CREATE or DELETE as it is used"
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => "the principal needs READ and DESCRIBE on the group",
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
            "the principal needs WRITE and DESCRIBE on transactional ids that begin with the application.id"
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => "the principal lacks rights on the cluster",
        ErrorCode::INVALID_TRANSACTION_TIMEOUT => {
            "lower transaction.timeout.ms, or raise transaction.max.timeout.ms of the brokers"
        }
        ErrorCode::MESSAGE_TOO_LARGE => "raise max.message.bytes of the topic, or write smaller records",
        ErrorCode::INVALID_REPLICATION_FACTOR => "lower replication.factor, or start more brokers",
        ErrorCode::POLICY_VIOLATION => "a policy of the brokers forbids it",
        ErrorCode::UNSTABLE_OFFSET_COMMIT => {
            "a transaction that commits these offsets has not ended; brokers abort it when its own timeout is over. One that \
             hangs is named by kafka-transactions.sh find-hanging --topic __consumer_offsets, and can be ended by hand \
             (abort --topic __consumer_offsets --partition P --start-offset O)"
        }
        ErrorCode::TOPIC_DELETION_DISABLED => "set delete.topic.enable=true on the brokers",
        _ => return None,
    })
}

/// What a missing answer means. `has_effect`: whether it matters that the request may have been done.
pub(crate) fn unanswered(what: &str, error: RequestError, has_effect: bool) -> Failure {
    let kind = match &error {
        error if has_effect && error.is_in_doubt() => FailureKind::Unknown,
        error if error.is_retriable() => FailureKind::Retriable,
        _ => FailureKind::Fatal,
    };
    let of = if kind == FailureKind::Fatal { ErrorKind::Fatal } else { ErrorKind::Retriable };
    Failure { kind, error: Error::new(of, format!("{what} failed")).with_source(error) }
}
