//! The run: time passes, instances step in random order, things happen, and after every change of
//! the log the invariants are checked.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_log::{EmbeddedLog, Log, NewTopic, Options, Writer};
use millstream_runtime::Step;
use millstream_types::{Headers, Now, TopicPartition};

use super::observer::{Observer, View, answer};
use super::plan::{Plan, SESSION_TIMEOUT_MS, StrikeKind, TRANSACTION_TIMEOUT_MS};
use super::process::{Machine, Wrap};
use super::scenario::APPLICATION;
use super::{Network, Trace, stores};
use crate::Random;

/// Simulated time within which everything is processed once nothing goes wrong any more.
const LIVENESS_MS: u64 = 30_000;
/// Simulated time after the last fault in which everybody learns where they stand.
const SETTLE_MS: u64 = SESSION_TIMEOUT_MS * 2;
/// Simulated time within which an instance stops when asked to.
const STOP_MS: u64 = 20_000;
/// Wall clock at the start, ms since the epoch.
const WALL_START_MS: i64 = 1_700_000_000_000;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Hash of everything that happened.
    pub hash: u128,
    /// Number of things that happened.
    pub events: u64,
    /// Faults that struck in the network.
    pub faults: u64,
    /// Simulated time it took, in ms.
    pub simulated_ms: u64,
    /// Commits of all instances.
    pub commits: u64,
    /// Times a thread dropped what it had not committed and began anew.
    pub rollbacks: u64,
    /// Changelog records restored.
    pub restored: u64,
    /// Changelog records taken by standby tasks.
    pub updated: u64,
    /// Stores deleted and restored from the start.
    pub restores_full: u64,
    /// What happened; empty unless the trace is kept.
    pub trace: Vec<String>,
}

/// An invariant that did not hold.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// Simulated time, in ms.
    pub at_ms: u64,
    /// What is wrong.
    pub what: String,
    /// What happened before; empty unless the trace is kept.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {} at {} ms: {}\nMILLSTREAM_SEED={} cargo test -p millstream-testkit --test simulation",
            self.seed, self.at_ms, self.what, self.seed
        )
    }
}

struct World<'a> {
    plan: &'a Plan,
    wrap: &'a Wrap,
    log: Arc<dyn Log>,
    network: Network,
    trace: Trace,
    observer: Arc<Mutex<Observer>>,
    inputs: Box<dyn Writer>,
    machines: Vec<Machine>,
    order: Random,
    now_ms: u64,
    next_input: usize,
    next_strike: usize,
    is_healed: bool,
    /// The view at the last check, to check again only what has changed.
    checked: u64,
}

/// Runs a plan.
///
/// # Errors
/// The first invariant that does not hold.
pub fn run(plan: &Plan, wrap: &Wrap, keeps_trace: bool) -> Result<Report, Failure> {
    let trace = Trace::new(keeps_trace);
    let mut world = World::new(plan, wrap, trace.clone());
    let outcome = world.run();
    outcome.map_err(|what| {
        trace.add(format_args!("{} FAILED {what}", world.now_ms));
        Failure { seed: plan.seed, at_ms: world.now_ms, what, trace: trace.lines() }
    })?;
    let metrics: Vec<_> = world.machines.iter().flat_map(|machine| &machine.metrics).collect();
    Ok(Report {
        hash: trace.hash(),
        events: trace.len(),
        faults: world.network.faults(),
        simulated_ms: world.now_ms,
        commits: metrics.iter().map(|metrics| metrics.commits()).sum(),
        rollbacks: metrics.iter().map(|metrics| metrics.rollbacks()).sum(),
        restored: metrics.iter().map(|metrics| metrics.restored()).sum(),
        updated: metrics.iter().map(|metrics| metrics.updated()).sum(),
        restores_full: metrics.iter().map(|metrics| metrics.restores_full()).sum(),
        trace: trace.lines(),
    })
}

impl<'a> World<'a> {
    fn new(plan: &'a Plan, wrap: &'a Wrap, trace: Trace) -> Self {
        let options = Options {
            seed: Some(plan.seed),
            batch_bytes_max: plan.batch_bytes_max,
            num_partitions: plan.partitions,
            transaction_timeout_ms: TRANSACTION_TIMEOUT_MS as i64,
            ..Options::default()
        };
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::memory(options));
        let network = Network::new(Random::domain(plan.seed, "network"), plan.rates.clone(), trace.clone());
        let observer = Arc::new(Mutex::new(Observer::new(&*log, APPLICATION)));
        // What is processed may be deleted in the step that commits it.
        let watching = Arc::clone(&observer);
        network.before_delete(move || {
            lock(&watching).look(Now::default());
        });
        let machines = (0..plan.instances).map(|number| Machine::new(plan, number, &trace)).collect();
        Self {
            plan,
            wrap,
            network,
            observer,
            inputs: log.writer(None),
            log,
            trace,
            machines,
            order: Random::domain(plan.seed, "order"),
            now_ms: 0,
            next_input: 0,
            next_strike: 0,
            is_healed: false,
            checked: u64::MAX,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        self.create_topics()?;
        while !self.is_done()? {
            self.now_ms += self.order.between(1, 5);
            self.network.advance(self.now(0).mono_ns);
            if !self.is_healed && self.now_ms >= self.plan.heal_ms {
                self.heal();
            }
            self.write_inputs()?;
            self.strike()?;
            self.start()?;
            self.step()?;
            self.check()?;
        }
        self.close()
    }

    fn now(&self, skew_ms: i64) -> Now {
        Now { mono_ns: self.now_ms * 1_000_000, wall_ms: WALL_START_MS + self.now_ms as i64 + skew_ms }
    }

    fn create_topics(&mut self) -> Result<(), String> {
        let now = self.now(0);
        let names = self.plan.scenario.input_topics().iter().chain(&["out"]);
        let topics: Vec<NewTopic> = names
            .map(|name| NewTopic {
                name: Arc::from(*name),
                partitions: self.plan.partitions,
                replication_factor: -1,
                configs: Vec::new(),
            })
            .collect();
        let created = answer(self.log.admin().create_topics(&topics), now);
        let registered = answer(self.inputs.init(), now);
        created.and(registered).ok_or_else(|| "the topics could not be created".to_owned())
    }

    /// Writes the input records whose time has come.
    fn write_inputs(&mut self) -> Result<(), String> {
        let mut wrote = false;
        while let Some(record) = self.plan.inputs.get(self.next_input).filter(|record| record.at_ms <= self.now_ms) {
            self.next_input += 1;
            wrote = true;
            let to = self.inputs.partition(&TopicPartition::new(record.topic, record.partition));
            let (key, value) = (record.key.as_bytes(), record.value.as_bytes());
            let appended = self.inputs.append(to, record.timestamp, Some(key), Some(value), &Headers::new());
            appended.map_err(|error| format!("an input record could not be written: {error}"))?;
        }
        if wrote && answer(self.inputs.flush(), self.now(0)).is_none() {
            return Err("input records could not be written".to_owned());
        }
        Ok(())
    }

    /// Lets happen what the plan has for now.
    fn strike(&mut self) -> Result<(), String> {
        while let Some(strike) = self.plan.strikes.get(self.next_strike).filter(|strike| strike.at_ms <= self.now_ms) {
            self.next_strike += 1;
            self.trace.add(format_args!("{} STRIKE {strike:?}", self.now_ms));
            if strike.kind == StrikeKind::Fence {
                self.fence(strike.instance)?;
                continue;
            }
            let now_ms = self.now_ms;
            let Some(machine) = self.machines.get_mut(strike.instance) else { continue };
            match strike.kind {
                StrikeKind::Kill { down_ms } => {
                    machine.kill();
                    machine.paused_until_ms = 0;
                    machine.start_ms = Some(now_ms + down_ms);
                    stores::check(self.plan, lock(&self.observer).view(), machine)?;
                }
                StrikeKind::LoseDisk { down_ms } => {
                    machine.kill();
                    machine.disk.replace();
                    machine.paused_until_ms = 0;
                    machine.start_ms = Some(now_ms + down_ms);
                }
                StrikeKind::Close { down_ms } => {
                    if let Some(process) = &mut machine.process {
                        process.stop(now_ms, down_ms);
                    }
                }
                StrikeKind::Pause { ms } => machine.paused_until_ms = now_ms + ms,
                StrikeKind::WallJump { by_ms } => machine.skew_ms += by_ms,
                StrikeKind::Fence => {}
            }
        }
        Ok(())
    }

    /// A stranger takes over a transactional id, as a doubly started instance would.
    fn fence(&mut self, instance: usize) -> Result<(), String> {
        let name = self.machines.get(instance).map(|machine| machine.name.as_str()).unwrap_or_default();
        let now = self.now(0);
        for id in self.network.transactional_ids().iter().filter(|id| id.contains(name)) {
            answer(self.log.writer(Some(id)).init(), now).ok_or("a stranger could not register")?;
        }
        Ok(())
    }

    /// Starts the processes whose time has come.
    fn start(&mut self) -> Result<(), String> {
        for machine in &mut self.machines {
            if machine.start_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
                self.trace.add(format_args!("{} {} starts", self.now_ms, machine.name));
                let started = machine.start(self.plan, &self.log, &self.network, self.wrap);
                started.map_err(|error| format!("{} cannot start: {error}", machine.name))?;
            }
        }
        Ok(())
    }

    /// Lets some of the instances do a step, in random order.
    fn step(&mut self) -> Result<(), String> {
        let mut order: Vec<usize> = (0..self.machines.len()).collect();
        self.order.shuffle(&mut order);
        for number in order {
            let is_lazy = self.order.per_mille(200);
            let skew_ms = self.machines.get(number).map_or(0, |machine| machine.skew_ms);
            let now = self.now(skew_ms);
            let Some(machine) = self.machines.get_mut(number) else { continue };
            if is_lazy || self.now_ms < machine.paused_until_ms {
                continue;
            }
            let Some(process) = &mut machine.process else { continue };
            let step = process.step(now);
            if let Some(error) = process.error() {
                return Err(format!("{} died: {error}", machine.name));
            }
            match step {
                Step::Progress => self.trace.add(format_args!("{} {} progress", self.now_ms, machine.name)),
                Step::Idle { .. } => {}
                Step::Stopped => {
                    self.trace.add(format_args!("{} {} stopped", self.now_ms, machine.name));
                    let down_ms = process.down_ms;
                    machine.ended();
                    machine.start_ms = Some(self.now_ms + down_ms);
                }
            }
        }
        Ok(())
    }

    /// Checks the invariants if the log has changed.
    fn check(&mut self) -> Result<(), String> {
        let now = self.now(0);
        let mut observer = lock(&self.observer);
        let view = observer.look(now);
        let regressions: &[String] = if self.plan.is_exactly_once() { &view.regressions } else { &[] };
        if let Some(problem) = view.problems.iter().chain(regressions).next() {
            return Err(problem.clone());
        }
        let violations = if self.wrap.breaks_seam_rules { Vec::new() } else { self.network.violations() };
        if let Some(violation) = violations.first() {
            return Err(violation.clone());
        }
        let version = view.version();
        if version != self.checked {
            self.checked = version;
            self.plan.scenario.check(self.plan, view)?;
        }
        for machine in &self.machines {
            let stopping_ms = machine.process.as_ref().and_then(|process| process.stop_ms);
            if stopping_ms.is_some_and(|since_ms| self.now_ms.saturating_sub(since_ms) > STOP_MS) {
                return Err(format!("{} was asked to stop {STOP_MS} ms ago and did not", machine.name));
            }
        }
        Ok(())
    }

    /// From here on nothing goes wrong.
    fn heal(&mut self) {
        self.is_healed = true;
        self.trace.add(format_args!("{} HEAL", self.now_ms));
        self.network.heal();
        for machine in &mut self.machines {
            machine.disk.heal();
            machine.paused_until_ms = 0;
        }
    }

    /// Whether everything is processed and everybody runs.
    fn is_done(&mut self) -> Result<bool, String> {
        // Whoever was expelled must have heard of it.
        if self.now_ms < self.plan.heal_ms + SETTLE_MS {
            return Ok(false);
        }
        let observer = lock(&self.observer);
        let view = observer.view();
        let lagging = lag(self.plan, view);
        let idle: Vec<&Machine> = self
            .machines
            .iter()
            .filter(|machine| !machine.process.as_ref().is_some_and(super::process::Process::is_running))
            .collect();
        if lagging.is_empty() && idle.is_empty() {
            return Ok(true);
        }
        if self.now_ms > self.plan.heal_ms + LIVENESS_MS {
            let idle: Vec<String> = idle
                .iter()
                .map(|machine| {
                    let state =
                        machine.process.as_ref().map_or_else(|| "down".to_owned(), super::process::Process::describe);
                    format!("{}: {state}", machine.name)
                })
                .collect();
            return Err(format!(
                "{LIVENESS_MS} ms after the last fault: not processed {lagging:?}, not running {idle:?}"
            ));
        }
        Ok(false)
    }

    /// Closes everybody and looks at what is left.
    fn close(&mut self) -> Result<(), String> {
        let tasks = self.tasks();
        for machine in &mut self.machines {
            if let Some(process) = &mut machine.process {
                process.stop(self.now_ms, 1_000_000);
            }
        }
        while self.machines.iter().any(|machine| machine.process.is_some()) {
            self.now_ms += 3;
            self.network.advance(self.now(0).mono_ns);
            self.step()?;
            self.check()?;
        }
        let observer = lock(&self.observer);
        let view = observer.view();
        if let Some((partition, _)) = view.partitions().find(|(_, seen)| !seen.is_stable()) {
            return Err(format!("a transaction is still open in {partition} after everybody has stopped"));
        }
        self.plan.scenario.check_end(self.plan, view)?;
        for machine in &self.machines {
            stores::check(self.plan, view, machine)?;
        }
        stores::check_owners(self.plan, view, &self.machines, &tasks)
    }

    /// Which machine runs which task.
    fn tasks(&self) -> Vec<(usize, millstream_types::TaskId)> {
        let of = |(number, machine): (usize, &Machine)| {
            let tasks = machine.process.as_ref().map(super::process::Process::tasks).unwrap_or_default();
            tasks.into_iter().map(move |task| (number, task)).collect::<Vec<_>>()
        };
        self.machines.iter().enumerate().flat_map(of).collect()
    }
}

fn lock(observer: &Mutex<Observer>) -> MutexGuard<'_, Observer> {
    observer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The partitions that are read and not processed to their end.
fn lag(plan: &Plan, view: &View) -> Vec<String> {
    let mut lagging = Vec::new();
    for (partition, seen) in view.partitions() {
        let topic = &*partition.topic;
        let is_read = plan.scenario.reads(topic);
        let last = seen.records.last().map_or(0, |record| record.offset.0 + 1);
        let committed = view.committed(topic, partition.partition.0);
        if is_read && (committed < last || !seen.is_stable()) {
            lagging.push(format!("{partition}: {committed} of {last}"));
        }
    }
    lagging
}
