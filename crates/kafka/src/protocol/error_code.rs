//! Kafka's error codes.

use std::fmt;

/// What a broker answers instead of success. Codes that are not known keep their number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i16);

/// What is known of a code: its number, its name, and what to do.
struct Known(i16, &'static str, Kind);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The same request may succeed later.
    Retriable,
    /// The same request may succeed later, at another broker: ask for metadata or coordinator first.
    Moved,
    /// Repeating is of no use.
    Final,
}

use Kind::{Final, Moved, Retriable};

impl ErrorCode {
    /// No error.
    pub const NONE: Self = Self(0);

    /// An error if the code says so.
    ///
    /// # Errors
    /// The code itself.
    pub fn check(code: i16) -> Result<(), Self> {
        if code == 0 { Ok(()) } else { Err(Self(code)) }
    }

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        self.known().map_or("UNKNOWN", |known| known.1)
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(self) -> bool {
        self.known().is_some_and(|known| known.2 != Final)
    }

    /// Whether another broker may know better: metadata is stale.
    pub fn is_moved(self) -> bool {
        self.known().is_some_and(|known| known.2 == Moved)
    }

    fn known(self) -> Option<&'static Known> {
        KNOWN.binary_search_by_key(&self.0, |known| known.0).ok().and_then(|at| KNOWN.get(at))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ErrorCode {}

/// The codes, named where code asks for them.
impl ErrorCode {
    /// -1.
    pub const UNKNOWN_SERVER_ERROR: Self = Self(-1);
    /// 1.
    pub const OFFSET_OUT_OF_RANGE: Self = Self(1);
    /// 2.
    pub const CORRUPT_MESSAGE: Self = Self(2);
    /// 3.
    pub const UNKNOWN_TOPIC_OR_PARTITION: Self = Self(3);
    /// 4.
    pub const INVALID_FETCH_SIZE: Self = Self(4);
    /// 5.
    pub const LEADER_NOT_AVAILABLE: Self = Self(5);
    /// 6.
    pub const NOT_LEADER_OR_FOLLOWER: Self = Self(6);
    /// 7.
    pub const REQUEST_TIMED_OUT: Self = Self(7);
    /// 8.
    pub const BROKER_NOT_AVAILABLE: Self = Self(8);
    /// 9.
    pub const REPLICA_NOT_AVAILABLE: Self = Self(9);
    /// 10.
    pub const MESSAGE_TOO_LARGE: Self = Self(10);
    /// 11.
    pub const STALE_CONTROLLER_EPOCH: Self = Self(11);
    /// 12.
    pub const OFFSET_METADATA_TOO_LARGE: Self = Self(12);
    /// 13.
    pub const NETWORK_EXCEPTION: Self = Self(13);
    /// 14.
    pub const COORDINATOR_LOAD_IN_PROGRESS: Self = Self(14);
    /// 15.
    pub const COORDINATOR_NOT_AVAILABLE: Self = Self(15);
    /// 16.
    pub const NOT_COORDINATOR: Self = Self(16);
    /// 17.
    pub const INVALID_TOPIC_EXCEPTION: Self = Self(17);
    /// 18.
    pub const RECORD_LIST_TOO_LARGE: Self = Self(18);
    /// 19.
    pub const NOT_ENOUGH_REPLICAS: Self = Self(19);
    /// 20.
    pub const NOT_ENOUGH_REPLICAS_AFTER_APPEND: Self = Self(20);
    /// 21.
    pub const INVALID_REQUIRED_ACKS: Self = Self(21);
    /// 22.
    pub const ILLEGAL_GENERATION: Self = Self(22);
    /// 23.
    pub const INCONSISTENT_GROUP_PROTOCOL: Self = Self(23);
    /// 24.
    pub const INVALID_GROUP_ID: Self = Self(24);
    /// 25.
    pub const UNKNOWN_MEMBER_ID: Self = Self(25);
    /// 26.
    pub const INVALID_SESSION_TIMEOUT: Self = Self(26);
    /// 27.
    pub const REBALANCE_IN_PROGRESS: Self = Self(27);
    /// 28.
    pub const INVALID_COMMIT_OFFSET_SIZE: Self = Self(28);
    /// 29.
    pub const TOPIC_AUTHORIZATION_FAILED: Self = Self(29);
    /// 30.
    pub const GROUP_AUTHORIZATION_FAILED: Self = Self(30);
    /// 31.
    pub const CLUSTER_AUTHORIZATION_FAILED: Self = Self(31);
    /// 32.
    pub const INVALID_TIMESTAMP: Self = Self(32);
    /// 33.
    pub const UNSUPPORTED_SASL_MECHANISM: Self = Self(33);
    /// 34.
    pub const ILLEGAL_SASL_STATE: Self = Self(34);
    /// 35.
    pub const UNSUPPORTED_VERSION: Self = Self(35);
    /// 36.
    pub const TOPIC_ALREADY_EXISTS: Self = Self(36);
    /// 37.
    pub const INVALID_PARTITIONS: Self = Self(37);
    /// 38.
    pub const INVALID_REPLICATION_FACTOR: Self = Self(38);
    /// 39.
    pub const INVALID_REPLICA_ASSIGNMENT: Self = Self(39);
    /// 40.
    pub const INVALID_CONFIG: Self = Self(40);
    /// 41.
    pub const NOT_CONTROLLER: Self = Self(41);
    /// 42.
    pub const INVALID_REQUEST: Self = Self(42);
    /// 43.
    pub const UNSUPPORTED_FOR_MESSAGE_FORMAT: Self = Self(43);
    /// 44.
    pub const POLICY_VIOLATION: Self = Self(44);
    /// 45.
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: Self = Self(45);
    /// 46.
    pub const DUPLICATE_SEQUENCE_NUMBER: Self = Self(46);
    /// 47.
    pub const INVALID_PRODUCER_EPOCH: Self = Self(47);
    /// 48.
    pub const INVALID_TXN_STATE: Self = Self(48);
    /// 49.
    pub const INVALID_PRODUCER_ID_MAPPING: Self = Self(49);
    /// 50.
    pub const INVALID_TRANSACTION_TIMEOUT: Self = Self(50);
    /// 51.
    pub const CONCURRENT_TRANSACTIONS: Self = Self(51);
    /// 52.
    pub const TRANSACTION_COORDINATOR_FENCED: Self = Self(52);
    /// 53.
    pub const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Self = Self(53);
    /// 54.
    pub const SECURITY_DISABLED: Self = Self(54);
    /// 55.
    pub const OPERATION_NOT_ATTEMPTED: Self = Self(55);
    /// 56.
    pub const KAFKA_STORAGE_ERROR: Self = Self(56);
    /// 57.
    pub const LOG_DIR_NOT_FOUND: Self = Self(57);
    /// 58.
    pub const SASL_AUTHENTICATION_FAILED: Self = Self(58);
    /// 59.
    pub const UNKNOWN_PRODUCER_ID: Self = Self(59);
    /// 60.
    pub const REASSIGNMENT_IN_PROGRESS: Self = Self(60);
    /// 61.
    pub const DELEGATION_TOKEN_AUTH_DISABLED: Self = Self(61);
    /// 62.
    pub const DELEGATION_TOKEN_NOT_FOUND: Self = Self(62);
    /// 63.
    pub const DELEGATION_TOKEN_OWNER_MISMATCH: Self = Self(63);
    /// 64.
    pub const DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: Self = Self(64);
    /// 65.
    pub const DELEGATION_TOKEN_AUTHORIZATION_FAILED: Self = Self(65);
    /// 66.
    pub const DELEGATION_TOKEN_EXPIRED: Self = Self(66);
    /// 67.
    pub const INVALID_PRINCIPAL_TYPE: Self = Self(67);
    /// 68.
    pub const NON_EMPTY_GROUP: Self = Self(68);
    /// 69.
    pub const GROUP_ID_NOT_FOUND: Self = Self(69);
    /// 70.
    pub const FETCH_SESSION_ID_NOT_FOUND: Self = Self(70);
    /// 71.
    pub const INVALID_FETCH_SESSION_EPOCH: Self = Self(71);
    /// 72.
    pub const LISTENER_NOT_FOUND: Self = Self(72);
    /// 73.
    pub const TOPIC_DELETION_DISABLED: Self = Self(73);
    /// 74.
    pub const FENCED_LEADER_EPOCH: Self = Self(74);
    /// 75.
    pub const UNKNOWN_LEADER_EPOCH: Self = Self(75);
    /// 76.
    pub const UNSUPPORTED_COMPRESSION_TYPE: Self = Self(76);
    /// 77.
    pub const STALE_BROKER_EPOCH: Self = Self(77);
    /// 78.
    pub const OFFSET_NOT_AVAILABLE: Self = Self(78);
    /// 79.
    pub const MEMBER_ID_REQUIRED: Self = Self(79);
    /// 80.
    pub const PREFERRED_LEADER_NOT_AVAILABLE: Self = Self(80);
    /// 81.
    pub const GROUP_MAX_SIZE_REACHED: Self = Self(81);
    /// 82.
    pub const FENCED_INSTANCE_ID: Self = Self(82);
    /// 83.
    pub const ELIGIBLE_LEADERS_NOT_AVAILABLE: Self = Self(83);
    /// 84.
    pub const ELECTION_NOT_NEEDED: Self = Self(84);
    /// 85.
    pub const NO_REASSIGNMENT_IN_PROGRESS: Self = Self(85);
    /// 86.
    pub const GROUP_SUBSCRIBED_TO_TOPIC: Self = Self(86);
    /// 87.
    pub const INVALID_RECORD: Self = Self(87);
    /// 88.
    pub const UNSTABLE_OFFSET_COMMIT: Self = Self(88);
    /// 89.
    pub const THROTTLING_QUOTA_EXCEEDED: Self = Self(89);
    /// 90.
    pub const PRODUCER_FENCED: Self = Self(90);
    /// 91.
    pub const RESOURCE_NOT_FOUND: Self = Self(91);
    /// 92.
    pub const DUPLICATE_RESOURCE: Self = Self(92);
    /// 93.
    pub const UNACCEPTABLE_CREDENTIAL: Self = Self(93);
    /// 94.
    pub const INCONSISTENT_VOTER_SET: Self = Self(94);
    /// 95.
    pub const INVALID_UPDATE_VERSION: Self = Self(95);
    /// 96.
    pub const FEATURE_UPDATE_FAILED: Self = Self(96);
    /// 97.
    pub const PRINCIPAL_DESERIALIZATION_FAILURE: Self = Self(97);
    /// 98.
    pub const SNAPSHOT_NOT_FOUND: Self = Self(98);
    /// 99.
    pub const POSITION_OUT_OF_RANGE: Self = Self(99);
    /// 100.
    pub const UNKNOWN_TOPIC_ID: Self = Self(100);
    /// 101.
    pub const DUPLICATE_BROKER_REGISTRATION: Self = Self(101);
    /// 102.
    pub const BROKER_ID_NOT_REGISTERED: Self = Self(102);
    /// 103.
    pub const INCONSISTENT_TOPIC_ID: Self = Self(103);
    /// 104.
    pub const INCONSISTENT_CLUSTER_ID: Self = Self(104);
    /// 105.
    pub const TRANSACTIONAL_ID_NOT_FOUND: Self = Self(105);
    /// 106.
    pub const FETCH_SESSION_TOPIC_ID_ERROR: Self = Self(106);
    /// 107.
    pub const INELIGIBLE_REPLICA: Self = Self(107);
    /// 108.
    pub const NEW_LEADER_ELECTED: Self = Self(108);
    /// 109.
    pub const OFFSET_MOVED_TO_TIERED_STORAGE: Self = Self(109);
    /// 110.
    pub const FENCED_MEMBER_EPOCH: Self = Self(110);
    /// 111.
    pub const UNRELEASED_INSTANCE_ID: Self = Self(111);
    /// 112.
    pub const UNSUPPORTED_ASSIGNOR: Self = Self(112);
    /// 113.
    pub const STALE_MEMBER_EPOCH: Self = Self(113);
    /// 114.
    pub const MISMATCHED_ENDPOINT_TYPE: Self = Self(114);
    /// 115.
    pub const UNSUPPORTED_ENDPOINT_TYPE: Self = Self(115);
    /// 116.
    pub const UNKNOWN_CONTROLLER_ID: Self = Self(116);
    /// 117.
    pub const UNKNOWN_SUBSCRIPTION_ID: Self = Self(117);
    /// 118.
    pub const TELEMETRY_TOO_LARGE: Self = Self(118);
    /// 119.
    pub const INVALID_REGISTRATION: Self = Self(119);
    /// 120.
    pub const TRANSACTION_ABORTABLE: Self = Self(120);
    /// 121.
    pub const INVALID_RECORD_STATE: Self = Self(121);
    /// 122.
    pub const SHARE_SESSION_NOT_FOUND: Self = Self(122);
    /// 123.
    pub const INVALID_SHARE_SESSION_EPOCH: Self = Self(123);
    /// 124.
    pub const FENCED_STATE_EPOCH: Self = Self(124);
    /// 125.
    pub const INVALID_VOTER_KEY: Self = Self(125);
    /// 126.
    pub const DUPLICATE_VOTER: Self = Self(126);
    /// 127.
    pub const VOTER_NOT_FOUND: Self = Self(127);
    /// 128.
    pub const INVALID_REGULAR_EXPRESSION: Self = Self(128);
    /// 129.
    pub const REBOOTSTRAP_REQUIRED: Self = Self(129);
    /// 130.
    pub const STREAMS_INVALID_TOPOLOGY: Self = Self(130);
    /// 131.
    pub const STREAMS_INVALID_TOPOLOGY_EPOCH: Self = Self(131);
    /// 132.
    pub const STREAMS_TOPOLOGY_FENCED: Self = Self(132);
    /// 133.
    pub const SHARE_SESSION_LIMIT_REACHED: Self = Self(133);
}

/// Sorted by number.
static KNOWN: &[Known] = &[
    Known(-1, "UNKNOWN_SERVER_ERROR", Final),
    Known(1, "OFFSET_OUT_OF_RANGE", Final),
    Known(2, "CORRUPT_MESSAGE", Retriable),
    Known(3, "UNKNOWN_TOPIC_OR_PARTITION", Moved),
    Known(4, "INVALID_FETCH_SIZE", Final),
    Known(5, "LEADER_NOT_AVAILABLE", Moved),
    Known(6, "NOT_LEADER_OR_FOLLOWER", Moved),
    Known(7, "REQUEST_TIMED_OUT", Retriable),
    Known(8, "BROKER_NOT_AVAILABLE", Final),
    Known(9, "REPLICA_NOT_AVAILABLE", Moved),
    Known(10, "MESSAGE_TOO_LARGE", Final),
    Known(11, "STALE_CONTROLLER_EPOCH", Final),
    Known(12, "OFFSET_METADATA_TOO_LARGE", Final),
    Known(13, "NETWORK_EXCEPTION", Moved),
    Known(14, "COORDINATOR_LOAD_IN_PROGRESS", Retriable),
    Known(15, "COORDINATOR_NOT_AVAILABLE", Moved),
    Known(16, "NOT_COORDINATOR", Moved),
    Known(17, "INVALID_TOPIC_EXCEPTION", Final),
    Known(18, "RECORD_LIST_TOO_LARGE", Final),
    Known(19, "NOT_ENOUGH_REPLICAS", Retriable),
    Known(20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Retriable),
    Known(21, "INVALID_REQUIRED_ACKS", Final),
    Known(22, "ILLEGAL_GENERATION", Final),
    Known(23, "INCONSISTENT_GROUP_PROTOCOL", Final),
    Known(24, "INVALID_GROUP_ID", Final),
    Known(25, "UNKNOWN_MEMBER_ID", Final),
    Known(26, "INVALID_SESSION_TIMEOUT", Final),
    Known(27, "REBALANCE_IN_PROGRESS", Final),
    Known(28, "INVALID_COMMIT_OFFSET_SIZE", Final),
    Known(29, "TOPIC_AUTHORIZATION_FAILED", Final),
    Known(30, "GROUP_AUTHORIZATION_FAILED", Final),
    Known(31, "CLUSTER_AUTHORIZATION_FAILED", Final),
    Known(32, "INVALID_TIMESTAMP", Final),
    Known(33, "UNSUPPORTED_SASL_MECHANISM", Final),
    Known(34, "ILLEGAL_SASL_STATE", Final),
    Known(35, "UNSUPPORTED_VERSION", Final),
    Known(36, "TOPIC_ALREADY_EXISTS", Final),
    Known(37, "INVALID_PARTITIONS", Final),
    Known(38, "INVALID_REPLICATION_FACTOR", Final),
    Known(39, "INVALID_REPLICA_ASSIGNMENT", Final),
    Known(40, "INVALID_CONFIG", Final),
    Known(41, "NOT_CONTROLLER", Retriable),
    Known(42, "INVALID_REQUEST", Final),
    Known(43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", Final),
    Known(44, "POLICY_VIOLATION", Final),
    Known(45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Final),
    Known(46, "DUPLICATE_SEQUENCE_NUMBER", Final),
    Known(47, "INVALID_PRODUCER_EPOCH", Final),
    Known(48, "INVALID_TXN_STATE", Final),
    Known(49, "INVALID_PRODUCER_ID_MAPPING", Final),
    Known(50, "INVALID_TRANSACTION_TIMEOUT", Final),
    Known(51, "CONCURRENT_TRANSACTIONS", Retriable),
    Known(52, "TRANSACTION_COORDINATOR_FENCED", Final),
    Known(53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Final),
    Known(54, "SECURITY_DISABLED", Final),
    Known(55, "OPERATION_NOT_ATTEMPTED", Final),
    Known(56, "KAFKA_STORAGE_ERROR", Moved),
    Known(57, "LOG_DIR_NOT_FOUND", Final),
    Known(58, "SASL_AUTHENTICATION_FAILED", Final),
    Known(59, "UNKNOWN_PRODUCER_ID", Final),
    Known(60, "REASSIGNMENT_IN_PROGRESS", Final),
    Known(61, "DELEGATION_TOKEN_AUTH_DISABLED", Final),
    Known(62, "DELEGATION_TOKEN_NOT_FOUND", Final),
    Known(63, "DELEGATION_TOKEN_OWNER_MISMATCH", Final),
    Known(64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", Final),
    Known(65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", Final),
    Known(66, "DELEGATION_TOKEN_EXPIRED", Final),
    Known(67, "INVALID_PRINCIPAL_TYPE", Final),
    Known(68, "NON_EMPTY_GROUP", Final),
    Known(69, "GROUP_ID_NOT_FOUND", Final),
    Known(70, "FETCH_SESSION_ID_NOT_FOUND", Retriable),
    Known(71, "INVALID_FETCH_SESSION_EPOCH", Retriable),
    Known(72, "LISTENER_NOT_FOUND", Moved),
    Known(73, "TOPIC_DELETION_DISABLED", Final),
    Known(74, "FENCED_LEADER_EPOCH", Moved),
    Known(75, "UNKNOWN_LEADER_EPOCH", Retriable),
    Known(76, "UNSUPPORTED_COMPRESSION_TYPE", Final),
    Known(77, "STALE_BROKER_EPOCH", Final),
    Known(78, "OFFSET_NOT_AVAILABLE", Retriable),
    Known(79, "MEMBER_ID_REQUIRED", Final),
    Known(80, "PREFERRED_LEADER_NOT_AVAILABLE", Moved),
    Known(81, "GROUP_MAX_SIZE_REACHED", Final),
    Known(82, "FENCED_INSTANCE_ID", Final),
    Known(83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", Moved),
    Known(84, "ELECTION_NOT_NEEDED", Moved),
    Known(85, "NO_REASSIGNMENT_IN_PROGRESS", Final),
    Known(86, "GROUP_SUBSCRIBED_TO_TOPIC", Final),
    Known(87, "INVALID_RECORD", Final),
    Known(88, "UNSTABLE_OFFSET_COMMIT", Retriable),
    Known(89, "THROTTLING_QUOTA_EXCEEDED", Retriable),
    Known(90, "PRODUCER_FENCED", Final),
    Known(91, "RESOURCE_NOT_FOUND", Final),
    Known(92, "DUPLICATE_RESOURCE", Final),
    Known(93, "UNACCEPTABLE_CREDENTIAL", Final),
    Known(94, "INCONSISTENT_VOTER_SET", Final),
    Known(95, "INVALID_UPDATE_VERSION", Final),
    Known(96, "FEATURE_UPDATE_FAILED", Final),
    Known(97, "PRINCIPAL_DESERIALIZATION_FAILURE", Final),
    Known(98, "SNAPSHOT_NOT_FOUND", Final),
    Known(99, "POSITION_OUT_OF_RANGE", Final),
    Known(100, "UNKNOWN_TOPIC_ID", Moved),
    Known(101, "DUPLICATE_BROKER_REGISTRATION", Final),
    Known(102, "BROKER_ID_NOT_REGISTERED", Final),
    Known(103, "INCONSISTENT_TOPIC_ID", Moved),
    Known(104, "INCONSISTENT_CLUSTER_ID", Final),
    Known(105, "TRANSACTIONAL_ID_NOT_FOUND", Final),
    Known(106, "FETCH_SESSION_TOPIC_ID_ERROR", Retriable),
    Known(107, "INELIGIBLE_REPLICA", Final),
    Known(108, "NEW_LEADER_ELECTED", Final),
    Known(109, "OFFSET_MOVED_TO_TIERED_STORAGE", Final),
    Known(110, "FENCED_MEMBER_EPOCH", Final),
    Known(111, "UNRELEASED_INSTANCE_ID", Final),
    Known(112, "UNSUPPORTED_ASSIGNOR", Final),
    Known(113, "STALE_MEMBER_EPOCH", Final),
    Known(114, "MISMATCHED_ENDPOINT_TYPE", Final),
    Known(115, "UNSUPPORTED_ENDPOINT_TYPE", Final),
    Known(116, "UNKNOWN_CONTROLLER_ID", Final),
    Known(117, "UNKNOWN_SUBSCRIPTION_ID", Final),
    Known(118, "TELEMETRY_TOO_LARGE", Final),
    Known(119, "INVALID_REGISTRATION", Final),
    Known(120, "TRANSACTION_ABORTABLE", Final),
    Known(121, "INVALID_RECORD_STATE", Final),
    Known(122, "SHARE_SESSION_NOT_FOUND", Retriable),
    Known(123, "INVALID_SHARE_SESSION_EPOCH", Retriable),
    Known(124, "FENCED_STATE_EPOCH", Final),
    Known(125, "INVALID_VOTER_KEY", Final),
    Known(126, "DUPLICATE_VOTER", Final),
    Known(127, "VOTER_NOT_FOUND", Final),
    Known(128, "INVALID_REGULAR_EXPRESSION", Final),
    Known(129, "REBOOTSTRAP_REQUIRED", Final),
    Known(130, "STREAMS_INVALID_TOPOLOGY", Final),
    Known(131, "STREAMS_INVALID_TOPOLOGY_EPOCH", Final),
    Known(132, "STREAMS_TOPOLOGY_FENCED", Final),
    Known(133, "SHARE_SESSION_LIMIT_REACHED", Retriable),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_told_apart() {
        assert!(KNOWN.is_sorted_by(|left, right| left.0 < right.0));
        assert_eq!(ErrorCode::NOT_COORDINATOR.to_string(), "NOT_COORDINATOR (16)");
        assert!(ErrorCode::NOT_COORDINATOR.is_moved() && ErrorCode::NOT_COORDINATOR.is_retriable());
        assert!(!ErrorCode::PRODUCER_FENCED.is_retriable());
        assert_eq!(ErrorCode(9999).name(), "UNKNOWN");
        assert!(!ErrorCode(9999).is_retriable());
    }
}
