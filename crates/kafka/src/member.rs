//! Membership in a streams group (KIP-1071): brokers decide who runs what, members say what they run.
//!
//! Heartbeats go out from the network thread, so slow user code never costs a member its tasks before
//! `max.poll.interval.ms`. What the stream thread must know waits for its next poll.

mod adoption;
mod commit;
mod endpoints;
mod heartbeat;
mod misfit;
mod others;
mod refused;
mod remedy;
mod request;
mod statuses;
mod tasks;
#[cfg(test)]
mod tests;
mod topology;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_log::{
    Call, CommittedOffset, Departure, GroupMetadata, GroupTopology, Member, MemberConfig, MemberEvent,
};
use millstream_types::{Now, TopicPartition};

use crate::call::Slot;
use crate::driver::Driver;
use crate::renewal::Renewals;
use commit::OffsetCommit;
use heartbeat::Heartbeats;
pub(crate) use refused::RefusedMember;

/// A member, on a stream thread.
pub(crate) struct KafkaMember {
    driver: Driver,
    config: MemberConfig,
    shared: Arc<Mutex<Shared>>,
}

/// What member and heartbeats share.
pub(super) struct Shared {
    events: VecDeque<MemberEvent>,
    orders: VecDeque<Order>,
    /// Epoch of the present membership; -1 without.
    epoch: i32,
    /// When the stream thread polled last, in ms of the monotonic clock.
    polled_ms: Option<i64>,
    is_closed: bool,
}

/// What the stream thread wants.
pub(super) enum Order {
    Join(GroupTopology),
    /// The tasks of the last `Revoke` are closed.
    Revoked,
    /// All members are to end.
    Shutdown,
    Leave(Departure, Slot<()>),
}

/// The lock; what a panicking thread left is whole, since every change is.
pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KafkaMember {
    /// A member that is told to be in this rack (`client.rack`).
    pub(crate) fn new(driver: Driver, config: MemberConfig, rack: Option<String>, renewals: Renewals) -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            events: VecDeque::new(),
            orders: VecDeque::new(),
            epoch: -1,
            polled_ms: None,
            is_closed: false,
        }));
        driver.add(Heartbeats::new(Arc::clone(&shared), config.clone(), rack, renewals));
        Self { driver, config, shared }
    }

    fn order(&self, order: Order) {
        lock(&self.shared).orders.push_back(order);
        self.driver.wake();
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        lock(&self.shared).is_closed = true;
        self.driver.wake();
    }
}

impl Member for KafkaMember {
    fn join(&mut self, topology: GroupTopology) {
        let mut shared = lock(&self.shared);
        shared.events.clear();
        shared.orders.push_back(Order::Join(topology));
        drop(shared);
        self.driver.wake();
    }

    fn poll(&mut self, now: Now, events: &mut Vec<MemberEvent>) {
        let mut shared = lock(&self.shared);
        shared.polled_ms = Some(now.mono_ms());
        events.extend(shared.events.drain(..));
        events.extend(self.driver.failure().map(MemberEvent::Failed));
    }

    fn revoked(&mut self) {
        self.order(Order::Revoked);
    }

    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>) -> Call<()> {
        if offsets.is_empty() {
            return Call::done(());
        }
        let (call, slot) = self.driver.call();
        self.driver.add(OffsetCommit::new(self.metadata(), offsets, slot));
        call
    }

    fn metadata(&self) -> GroupMetadata {
        GroupMetadata {
            group: Arc::clone(&self.config.group),
            member_id: Arc::clone(&self.config.member_id),
            epoch: lock(&self.shared).epoch,
        }
    }

    fn request_shutdown(&mut self) {
        self.order(Order::Shutdown);
    }

    fn leave(&mut self, departure: Departure) -> Call<()> {
        let (call, slot) = self.driver.call();
        self.order(Order::Leave(departure, slot));
        call
    }
}
