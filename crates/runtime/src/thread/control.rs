//! What a stream thread and its owner tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_log::Departure;
use millstream_types::{Error, TaskId};
use parking_lot::Mutex;

use crate::query::Mailbox;

/// State of a stream thread, as Kafka Streams names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// Not stepped yet.
    Created,
    /// Checks topics and joins the group.
    Starting,
    /// Gives tasks up.
    PartitionsRevoked,
    /// Takes tasks over and restores them.
    PartitionsAssigned,
    /// Runs all its tasks.
    Running,
    /// Commits and closes its tasks.
    PendingShutdown,
    /// Over.
    Dead,
}

/// What a thread is doing, for its owner and the curious.
#[derive(Clone, Debug)]
pub struct ThreadMetadata {
    /// Name of the thread.
    pub name: Arc<str>,
    /// Its state.
    pub state: ThreadState,
    /// Tasks that run.
    pub active: Vec<TaskId>,
    /// Tasks of which a copy of the state is kept.
    pub standby: Vec<TaskId>,
    /// Tasks that are being restored.
    pub restoring: Vec<TaskId>,
    /// Whether local stores wait to take what is committed: after a crash it would be restored.
    pub is_behind: bool,
    /// Why processing is paused: local state cannot be written (disk full), say.
    pub paused: Option<Error>,
    /// Partitions that cannot be read on, because a transaction of somebody else has not ended for longer than
    /// `transaction.timeout.ms`; and tasks that cannot be taken over, because the log has not told for 10 s more than that
    /// what must be known of them: offsets that such a transaction commits, say.
    pub held_up: Vec<Error>,
}

/// The two directions.
pub(crate) struct ThreadControl {
    name: Arc<str>,
    stop: AtomicBool,
    departure: Mutex<Option<Departure>>,
    /// Whether the group is to hear, when the thread leaves, that the whole application ends.
    ends_application: AtomicBool,
    /// Whether the group has told the thread so.
    told_to_end: AtomicBool,
    metadata: Mutex<ThreadMetadata>,
    /// What others want of the thread's stores.
    mailbox: Mailbox,
}

impl ThreadControl {
    pub(crate) fn new(name: Arc<str>) -> Self {
        let metadata = ThreadMetadata {
            name: Arc::clone(&name),
            state: ThreadState::Created,
            active: vec![],
            standby: vec![],
            restoring: vec![],
            is_behind: false,
            paused: None,
            held_up: vec![],
        };
        Self {
            name,
            stop: AtomicBool::new(false),
            ends_application: AtomicBool::new(false),
            told_to_end: AtomicBool::new(false),
            departure: Mutex::default(),
            metadata: Mutex::new(metadata),
            mailbox: Mailbox::default(),
        }
    }

    /// Asks the thread to commit, close its tasks and end.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Says what becomes of the thread's membership when it ends.
    pub(crate) fn set_departure(&self, departure: Departure) {
        *self.departure.lock() = Some(departure);
    }

    pub(crate) fn departure(&self) -> Option<Departure> {
        *self.departure.lock()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Asks the thread to tell the group, when it leaves, that all instances are to end.
    pub(crate) fn end_application(&self) {
        self.ends_application.store(true, Ordering::Release);
    }

    pub(crate) fn ends_application(&self) -> bool {
        self.ends_application.load(Ordering::Acquire)
    }

    /// Notes that the group has told the thread to end.
    pub(crate) fn tell_to_end(&self) {
        self.told_to_end.store(true, Ordering::Release);
    }

    pub(crate) fn is_told_to_end(&self) -> bool {
        self.told_to_end.load(Ordering::Acquire)
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn state(&self) -> ThreadState {
        self.metadata.lock().state
    }

    pub(crate) fn metadata(&self) -> ThreadMetadata {
        self.metadata.lock().clone()
    }

    pub(crate) fn publish(&self, change: impl FnOnce(&mut ThreadMetadata)) {
        change(&mut self.metadata.lock());
    }
}
