//! The handle of an application: its threads and its state.

mod close;
mod driver;
mod engines;
mod log;
#[cfg(feature = "signals")]
mod signals;
mod state;
mod supervisor;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use millstream_topology::graph::Topology;
use millstream_types::clock::SystemClock;
use millstream_types::{Clock, Config, Error, ErrorKind, Result};
use parking_lot::Mutex;

pub use close::{CloseOptions, GroupMembershipOperation};
pub use log::{log_options, open_log};
#[cfg(feature = "signals")]
pub use signals::shutdown_flag;
pub use state::{State, StateListener};
pub use supervisor::{StreamThreadExceptionResponse, UncaughtExceptionHandler};

use crate::handlers::Handlers;
use crate::instance::{Components, Instance};
use crate::metrics::Metrics;
use crate::thread::ThreadMetadata;
use supervisor::{Run, Supervisor};

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
    instance: Instance,
    components: Components,
    supervisor: Arc<Supervisor>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Streams {
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
        let supervisor = Arc::new(Supervisor::new(Arc::clone(&components.log)));
        Ok(Self { instance, components, supervisor, threads: Mutex::default() })
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// `State` when it was started or closed before, or the system gives no threads.
    pub fn start(&self) -> Result<()> {
        // The list stays locked, so that a close at the same time finds all threads or none.
        let mut handles = self.threads.lock();
        if self.state() != State::Created {
            return Err(self.cannot_start());
        }
        let number = self.instance.shared().config.num_stream_threads().max(1);
        let threads: Vec<_> = (1..=number).map(|number| self.instance.stream_thread(number)).collect();
        let global = self.instance.global_thread();
        let controls = threads.iter().map(|thread| Arc::clone(thread.control())).collect();
        self.supervisor.watch(controls, global.as_ref().map(|global| Arc::clone(global.control())));
        // Only now: a close that comes from here on finds the threads and stops them.
        if !self.supervisor.state.become_state(State::Rebalancing) {
            self.supervisor.unwatch();
            return Err(self.cannot_start());
        }
        let mut runs: Vec<(Arc<str>, Box<dyn driver::Driven>)> = Vec::new();
        if let Some(global) = global {
            let name = global.control().metadata().name;
            runs.push((name, Box::new(Run::new(global, &self.supervisor))));
        }
        for thread in threads {
            let name = thread.metadata().name;
            runs.push((name, Box::new(Run::new(thread, &self.supervisor))));
        }
        let mut failure = None;
        for (name, run) in runs {
            let (log, clock) = (Arc::clone(&self.components.log), Arc::clone(&self.components.clock));
            match driver::spawn(&name, run, log, clock) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    self.supervisor.not_started(&error);
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    fn cannot_start(&self) -> Error {
        Error::new(ErrorKind::State, format!("an application starts once; its state is {}", self.state()))
    }

    /// Commits, closes all tasks, leaves the group and ends the threads. Returns within `timeout`;
    /// whether everything was closed by then. If not, the threads end as soon as they can.
    ///
    /// Called from one of the application's own threads (a listener, a handler) it starts closing
    /// and returns at once.
    pub fn close(&self, timeout: Duration) -> bool {
        self.supervisor.shut_down();
        if std::thread::current().name().is_some_and(|name| self.supervisor.is_own_thread(name)) {
            return self.supervisor.is_over();
        }
        if !self.supervisor.wait_until_over(timeout) {
            return false;
        }
        for handle in self.threads.lock().drain(..) {
            // It has ended but for its last instructions; a panic was reported already.
            drop(handle.join());
        }
        true
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

    /// What each stream thread is doing, tasks included.
    pub fn threads_metadata(&self) -> Vec<ThreadMetadata> {
        self.supervisor.metadata()
    }

    /// The log the application runs on: to write its input and read its output.
    pub fn log(&self) -> Arc<dyn millstream_log::Log> {
        Arc::clone(&self.components.log)
    }

    /// What the instance counts.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.instance.metrics()
    }
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("state", &self.state()).finish_non_exhaustive()
    }
}
