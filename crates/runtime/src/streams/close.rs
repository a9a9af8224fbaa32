//! Closing with a say in what becomes of the group.

use std::time::Duration;

use millstream_log::Departure;

use super::Streams;

/// What becomes of the memberships of a closed instance in its group, as Kafka Streams'
/// `CloseOptions.GroupMembershipOperation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupMembershipOperation {
    /// The members leave: other instances get the tasks at once.
    LeaveGroup,
    /// The memberships stay until their sessions end (`group.streams.session.timeout.ms` of the brokers, 45 s). An
    /// instance started on the same state directory before that has its tasks back at once, and no other instance
    /// is disturbed.
    RemainInGroup,
}

/// How to close: Kafka Streams' `CloseOptions`.
///
/// Unless said otherwise an instance leaves its group if other instances are in it. The last one stays a member until
/// its session ends: nobody waits for its tasks, and the next start has them back without the wait of a new group
/// (`group.streams.initial.rebalance.delay.ms` of the brokers, 3 s). An instance that starts on another state directory
/// gives its place up after such a wait.
///
/// ```
/// use millstream_runtime::{CloseOptions, GroupMembershipOperation};
/// use std::time::Duration;
///
/// let options = CloseOptions::timeout(Duration::from_secs(30))
///     .with_group_membership_operation(GroupMembershipOperation::RemainInGroup);
/// ```
#[derive(Clone, Debug)]
pub struct CloseOptions {
    timeout: Duration,
    operation: Option<GroupMembershipOperation>,
}

impl CloseOptions {
    /// Waits at most this long for the threads to end.
    pub fn timeout(timeout: Duration) -> Self {
        Self { timeout, operation: None }
    }

    /// Waits as long as it takes.
    pub fn group_membership_operation(operation: GroupMembershipOperation) -> Self {
        Self { timeout: Duration::MAX, operation: Some(operation) }
    }

    /// Another longest wait.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Says what becomes of the memberships.
    #[must_use]
    pub fn with_group_membership_operation(self, operation: GroupMembershipOperation) -> Self {
        Self { operation: Some(operation), ..self }
    }
}

impl Streams {
    /// As [`close`](Self::close), with a say in what becomes of the memberships in the group.
    pub fn close_with(&self, options: &CloseOptions) -> bool {
        if let Some(operation) = options.operation {
            self.supervisor.set_departure(match operation {
                GroupMembershipOperation::LeaveGroup => Departure::Leave,
                GroupMembershipOperation::RemainInGroup => Departure::Remain,
            });
        }
        self.close(options.timeout)
    }
}
