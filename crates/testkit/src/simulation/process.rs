//! One instance of the application and the machine it runs on.

use std::sync::Arc;
use std::time::Duration;

use millstream_log::Log;
use millstream_runtime::{Components, GlobalThread, Handlers, Instance, Metrics, Step, StreamThread, ThreadState};
use millstream_state::EngineProvider;
use millstream_types::clock::Clock;
use millstream_types::{Config, Now, Result, TaskId};

use super::log::{FaultyLog, Network};
use super::plan::{Plan, SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS};
use super::scenario::APPLICATION;
use super::{Disk, Trace};
use crate::Random;

/// What stands between an instance and its seams, for tests that plant bugs there.
#[derive(Clone, Default)]
pub struct Wrap {
    /// Around the log.
    pub log: Option<fn(Arc<dyn Log>) -> Arc<dyn Log>>,
    /// Around the engines.
    pub engines: Option<fn(Arc<dyn EngineProvider>) -> Arc<dyn EngineProvider>>,
    /// Whether rules of the seam may be broken: a planted bug is to be found by what it does to the
    /// results.
    pub breaks_seam_rules: bool,
}

/// A machine: its disk and its clock outlive the process on it.
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) disk: Disk,
    /// How far its wall clock is off, in ms.
    pub(super) skew_ms: i64,
    pub(super) paused_until_ms: u64,
    /// When the process is started again, if it is down.
    pub(super) start_ms: Option<u64>,
    pub(super) process: Option<Process>,
    /// What all processes on this machine have counted.
    pub(super) metrics: Vec<Arc<Metrics>>,
}

/// A running process: everything that SIGKILL destroys.
pub(super) struct Process {
    log: Arc<FaultyLog>,
    threads: Vec<StreamThread>,
    global: Option<GlobalThread>,
    pub(super) stop_ms: Option<u64>,
    /// Time between stopping and starting again.
    pub(super) down_ms: u64,
}

/// Time is handed to the step; nothing else may ask for it.
struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Now {
        Now::default()
    }
}

impl Machine {
    pub(super) fn new(plan: &Plan, number: usize, trace: &Trace) -> Self {
        let name = format!("i{number}");
        let random = Random::domain(plan.seed, &name);
        Self {
            disk: Disk::new(&name, random, plan.disk_failures, trace.clone()),
            name,
            skew_ms: 0,
            paused_until_ms: 0,
            start_ms: Some(number as u64 * 7),
            process: None,
            metrics: Vec::new(),
        }
    }

    /// Starts the process.
    pub(super) fn start(&mut self, plan: &Plan, log: &Arc<dyn Log>, network: &Network, wrap: &Wrap) -> Result<()> {
        let faulty = Arc::new(FaultyLog::new(Arc::clone(log), network, &self.name));
        let seam: Arc<dyn Log> = Arc::clone(&faulty) as Arc<dyn Log>;
        let engines: Arc<dyn EngineProvider> = Arc::new(self.disk.clone());
        let components = Components {
            log: wrap.log.map_or(Arc::clone(&seam), |wrap| wrap(Arc::clone(&seam))),
            engines: wrap.engines.map_or(Arc::clone(&engines), |wrap| wrap(Arc::clone(&engines))),
            clock: Arc::new(NoClock),
            handlers: Handlers::default(),
        };
        let instance = Instance::new(&plan.scenario.topology(plan)?, &config(plan)?, &components)?;
        let threads = (1..=plan.threads).map(|number| instance.stream_thread(number)).collect();
        let global = instance.global_thread();
        self.metrics.push(instance.metrics());
        self.start_ms = None;
        self.process = Some(Process { log: faulty, threads, global, stop_ms: None, down_ms: 0 });
        Ok(())
    }

    /// SIGKILL, and the machine loses what it had not synced.
    pub(super) fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.log.cut();
            self.disk.crash();
        }
    }

    /// The process has ended in order.
    pub(super) fn ended(&mut self) {
        if let Some(process) = self.process.take() {
            process.log.cut();
            self.disk.close();
        }
    }
}

impl Process {
    /// A step of every thread; `Stopped` when all have stopped.
    pub(super) fn step(&mut self, now: Now) -> Step {
        if let Some(global) = &mut self.global {
            global.step(now);
        }
        let mut all = Step::Stopped;
        for thread in &mut self.threads {
            match thread.step(now) {
                Step::Progress => all = Step::Progress,
                idle @ Step::Idle { .. } if all == Step::Stopped => all = idle,
                Step::Idle { .. } | Step::Stopped => {}
            }
        }
        all
    }

    pub(super) fn stop(&mut self, now_ms: u64, down_ms: u64) {
        for thread in &self.threads {
            thread.stop();
        }
        self.stop_ms.get_or_insert(now_ms);
        self.down_ms = down_ms;
    }

    /// Why a thread died, if one did.
    pub(super) fn error(&self) -> Option<String> {
        let of_global = self.global.as_ref().and_then(GlobalThread::error);
        of_global.or_else(|| self.threads.iter().find_map(StreamThread::error)).map(ToString::to_string)
    }

    pub(super) fn is_running(&self) -> bool {
        self.threads.iter().all(|thread| thread.metadata().state == ThreadState::Running)
    }

    /// The tasks that it runs.
    pub(super) fn tasks(&self) -> Vec<TaskId> {
        self.threads.iter().flat_map(|thread| thread.metadata().active).collect()
    }

    /// For reports.
    pub(super) fn describe(&self) -> String {
        let threads = self.threads.iter().map(|thread| format!("{:?}", thread.metadata()));
        threads.collect::<Vec<_>>().join(", ")
    }
}

fn config(plan: &Plan) -> Result<Config> {
    Config::builder()
        .application_id(APPLICATION)
        .bootstrap_servers("memory:")
        .processing_guarantee(plan.guarantee)
        .num_stream_threads(plan.threads)
        .commit_interval(Duration::from_millis(plan.commit_interval_ms))
        .session_timeout(Duration::from_millis(SESSION_TIMEOUT_MS))
        .set("max.poll.interval.ms", SESSION_TIMEOUT_MS)
        .repartition_purge_interval(Duration::from_millis(200))
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)
        .set("num.standby.replicas", plan.standby_replicas)
        .set("buffered.records.per.partition", 5)
        .build()
}
