//! The handle of an application: its threads and its state.

mod close;
mod driver;
mod engines;
mod hosts;
mod log;
mod replacements;
mod roster;
mod run;
#[cfg(feature = "signals")]
mod signals;
mod state;
mod supervisor;

use std::sync::Arc;
use std::time::Duration;

use millstream_topology::flow::MetricName;
use millstream_topology::graph::Topology;
use millstream_types::clock::SystemClock;
use millstream_types::{Clock, Config, Error, ErrorKind, Result, Timestamp};

pub use close::{CloseOptions, GroupMembershipOperation};
pub use hosts::{KeyQueryMetadata, StreamsMetadata};
pub use log::{log_options, open_log};
#[cfg(feature = "signals")]
pub use signals::shutdown_flag;
pub use state::{State, StateListener};
pub use supervisor::{StreamThreadExceptionResponse, UncaughtExceptionHandler};

use crate::handlers::Handlers;
use crate::instance::{Components, Instance};
use crate::listeners::{StandbyUpdateListener, StateRestoreListener};
use crate::metrics::Metrics;
use crate::thread::ThreadMetadata;
use supervisor::Supervisor;

/// How long a directory is waited for that another process has, which may be about to end.
const PATIENCE: Duration = Duration::from_secs(3);

/// A running application, or one about to run: Kafka Streams' `KafkaStreams`.
///
/// ```
/// use millstream_runtime::Streams;
/// use millstream_topology::{SinkSpec, SourceSpec, Topology};
/// use millstream_types::{Config, Serdes};
/// use std::time::Duration;
///
/// let mut topology = Topology::new();
/// topology
///     .add_source("in", &["words"], SourceSpec::new(Serdes::string(), Serdes::string()))
///     .add_sink("out", "copies", SinkSpec::new(Serdes::string(), Serdes::string()), &["in"]);
/// let config = Config::builder().application_id("copy").bootstrap_servers("memory:").build()?;
///
/// let streams = Streams::new(&topology, &config)?;
/// assert!(streams.close(Duration::from_secs(10)));
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// Dropping the handle without [`close`](Self::close) lets the threads run on.
pub struct Streams {
    pub(crate) supervisor: Arc<Supervisor>,
}

impl Streams {
    /// Target of the `tracing` event that tells of a thread that ended with an error. Who shows
    /// [`error`](Self::error) may leave it out.
    pub const THREAD_ENDED: &str = "millstream_runtime::thread_ended";

    /// Prepares an application on the log that `bootstrap.servers` names: `memory:`,
    /// `embedded:DIR`, or `host:port` of Kafka brokers. Persistent stores lie under `state.dir`.
    ///
    /// # Errors
    /// `Configuration` for settings that the log cannot serve, such as classic groups on brokers;
    /// `Topology` with every problem of the topology; `Storage` when a directory cannot be used, or is
    /// in use by another process.
    pub fn new(topology: &Topology, config: &Config) -> Result<Self> {
        Self::with_handlers(topology, config, Handlers::default())
    }

    /// As [`new`](Self::new), with exception handlers that are code.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_handlers(topology: &Topology, config: &Config, handlers: Handlers) -> Result<Self> {
        // A faulty topology is said before anything is opened.
        topology.check()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let log = log::open(config, &clock, log::Use::Application)?;
        let engines = engines::open(topology, config, clock.now())?;
        Self::with_log(topology, config, Components { log, engines, clock, handlers })
    }

    /// Prepares an application on given components.
    ///
    /// # Errors
    /// `Topology` with every problem of the topology; what opening a global store gives.
    pub fn with_log(topology: &Topology, config: &Config, components: Components) -> Result<Self> {
        let instance = Instance::new(topology, config, &components)?;
        Ok(Self { supervisor: Arc::new(Supervisor::new(instance, components)) })
    }

    /// Another handle of the same application.
    pub(crate) fn share(&self) -> Self {
        Self { supervisor: Arc::clone(&self.supervisor) }
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// `State` when it was started or closed before, or the system gives no threads.
    pub fn start(&self) -> Result<()> {
        self.supervisor.start()
    }

    /// Starts one more stream thread and gives its name: the number in it is the smallest that no other
    /// thread has. The record caches' bytes are shared anew. `None` unless the application is running or
    /// rebalancing.
    ///
    /// # Errors
    /// `State` when the system gives no thread; the application ends then.
    pub fn add_stream_thread(&self) -> Result<Option<Arc<str>>> {
        self.supervisor.add_thread()
    }

    /// Ends one of the stream threads in order: it commits, closes its tasks and leaves the group. Waits until
    /// it has, and gives its name. `None` unless the application is running or rebalancing, and has a
    /// thread left. Without any it stays in its state, and waits for [`add_stream_thread`](Self::add_stream_thread).
    ///
    /// Called from a stream thread (a listener, a handler) it takes another one, and the calling one
    /// only if there is no other; that one ends after the call.
    pub fn remove_stream_thread(&self) -> Option<Arc<str>> {
        // Without a limit there is no error.
        self.supervisor.remove_thread(None).unwrap_or(None)
    }

    /// As [`remove_stream_thread`](Self::remove_stream_thread), waiting no longer than `timeout`.
    ///
    /// # Errors
    /// `State` when the thread has not ended by then; it ends as soon as it can.
    pub fn remove_stream_thread_within(&self, timeout: Duration) -> Result<Option<Arc<str>>> {
        self.supervisor.remove_thread(Some(timeout))
    }

    /// Stops processing and punctuating, on this instance, until [`resume`](Self::resume). Threads go on
    /// as members: they fetch, commit, restore. May be called before [`start`](Self::start).
    pub fn pause(&self) {
        self.supervisor.instance.shared().set_paused(true);
    }

    /// Goes on after [`pause`](Self::pause).
    pub fn resume(&self) {
        self.supervisor.instance.shared().set_paused(false);
    }

    /// Whether processing is paused.
    pub fn is_paused(&self) -> bool {
        self.supervisor.instance.shared().is_paused()
    }

    /// Deletes the local state of the application, which is restored from its changelogs at the next
    /// start.
    ///
    /// # Errors
    /// `State` while it runs: before [`start`](Self::start) and after [`close`](Self::close) only. What
    /// deleting gives.
    pub fn clean_up(&self) -> Result<()> {
        let state = self.state();
        if state != State::Created && !state.has_completed_shutdown() {
            return Err(Error::new(ErrorKind::State, format!("local state cannot be deleted while {state}")));
        }
        self.supervisor.instance.clean_up(&*self.supervisor.components.engines)
    }

    /// Commits, closes all tasks and ends the threads. The instance leaves its group if others are in it; the last
    /// one keeps its place until its session ends, for its next start ([`CloseOptions`] says otherwise). Returns within
    /// `timeout`; whether everything was closed by then. If not, the threads end as soon as they can.
    ///
    /// Called from one of the application's own threads (a listener, a handler) it starts closing
    /// and returns at once.
    pub fn close(&self, timeout: Duration) -> bool {
        self.supervisor.shut_down();
        if self.is_on_own_thread() {
            return self.supervisor.is_over();
        }
        self.supervisor.wait_until_over(timeout)
    }

    /// The state.
    pub fn state(&self) -> State {
        self.supervisor.state.get()
    }

    /// Sets who hears of changes of the state: new and old state. Called by the thread that made
    /// the change, in order.
    pub fn set_state_listener(&self, listener: impl Fn(State, State) + Send + Sync + 'static) {
        self.supervisor.state.set_listener(Arc::new(listener));
    }

    /// Sets who hears how stores are restored. Kafka Streams takes one before [`start`](Self::start) only; here it
    /// hears of all restores that begin from now on.
    pub fn set_global_state_restore_listener(&self, listener: impl StateRestoreListener + 'static) {
        self.supervisor.instance.set_global_state_restore_listener(listener);
    }

    /// Sets who hears how standby tasks keep their copies. As for
    /// [`set_global_state_restore_listener`](Self::set_global_state_restore_listener) of those that begin from now on.
    pub fn set_standby_update_listener(&self, listener: impl StandbyUpdateListener + 'static) {
        self.supervisor.instance.set_standby_update_listener(listener);
    }

    /// Sets who decides when a thread ends with an error; without one the instance shuts down.
    pub fn set_uncaught_exception_handler(
        &self,
        handler: impl Fn(&Error) -> StreamThreadExceptionResponse + Send + Sync + 'static,
    ) {
        self.supervisor.set_handler(Arc::new(handler));
    }

    /// Waits until the state is one of these; whether it is within `timeout`.
    pub fn wait_for(&self, states: &[State], timeout: Duration) -> bool {
        self.supervisor.state.wait_for(states, timeout)
    }

    /// The error that ended the application, if one did.
    pub fn error(&self) -> Option<Error> {
        self.supervisor.error()
    }

    /// What each stream thread is doing, tasks included. Threads that were removed or replaced are left
    /// out once they have ended.
    pub fn threads_metadata(&self) -> Vec<ThreadMetadata> {
        self.supervisor.metadata()
    }

    /// The log the application runs on: to write its input and read its output.
    pub fn log(&self) -> Arc<dyn millstream_log::Log> {
        Arc::clone(&self.supervisor.components.log)
    }

    /// What the instance counts.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.supervisor.instance.metrics()
    }

    /// What the sensors of processors have measured ([`StreamsMetrics`](millstream_topology::StreamsMetrics)), by
    /// name.
    pub fn sensors(&self) -> Vec<(MetricName, f64)> {
        let now = self.supervisor.components.clock.now();
        self.supervisor.instance.sensors().values(Timestamp(now.wall_ms))
    }
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("state", &self.state()).finish_non_exhaustive()
    }
}
