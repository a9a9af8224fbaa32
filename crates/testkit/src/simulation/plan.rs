//! What a run does, made from its seed before it starts.

use millstream_types::{ProcessingGuarantee, Timestamp, partition_for_key};

use super::FaultRates;
use super::scenario::ScenarioKind;
use crate::Random;

/// Input ends about here, in ms of simulated time.
const INPUT_MS: u64 = 1500;

/// A whole run as data. Each part is drawn from a domain of its own, so that changing one part
/// leaves the others as they were.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where everything comes from.
    pub seed: u64,
    /// The topology that runs.
    pub scenario: ScenarioKind,
    /// `processing.guarantee`.
    pub guarantee: ProcessingGuarantee,
    /// Whether stores have a record cache.
    pub is_cached: bool,
    /// Partitions of the input and output topics.
    pub partitions: i32,
    /// Instances of the application.
    pub instances: usize,
    /// Stream threads of each instance.
    pub threads: usize,
    /// `num.standby.replicas`.
    pub standby_replicas: usize,
    /// `commit.interval.ms`.
    pub commit_interval_ms: u64,
    /// Size at which a writer sends a batch, in bytes.
    pub batch_bytes_max: usize,
    /// Faults between the instances and the log.
    pub rates: FaultRates,
    /// Store batches refused, in a thousand.
    pub disk_failures: u32,
    /// Records of the input topics, by time.
    pub inputs: Vec<PlannedRecord>,
    /// What happens to instances, by time.
    pub strikes: Vec<Strike>,
    /// From here on nothing goes wrong any more, in ms of simulated time.
    pub heal_ms: u64,
}

/// A record that is written to an input topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRecord {
    /// When, in ms of simulated time.
    pub at_ms: u64,
    /// Topic.
    pub topic: &'static str,
    /// Partition: that of the key.
    pub partition: i32,
    /// Key.
    pub key: String,
    /// Value, unlike that of any other record.
    pub value: String,
    /// Event time.
    pub timestamp: Timestamp,
}

/// Something that happens to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// When, in ms of simulated time.
    pub at_ms: u64,
    /// Which instance.
    pub instance: usize,
    /// What.
    pub kind: StrikeKind,
}

/// What can happen to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrikeKind {
    /// Killed without warning; started again after that many ms. Un-synced state is lost.
    Kill {
        /// Time until it is started again.
        down_ms: u64,
    },
    /// Closed in order; started again after that many ms.
    Close {
        /// Time until it is started again.
        down_ms: u64,
    },
    /// Stands still for that many ms, then goes on as if nothing had been.
    Pause {
        /// Time it stands still.
        ms: u64,
    },
    /// Killed, and its disk is replaced by an empty one; started again after that many ms.
    LoseDisk {
        /// Time until it is started again.
        down_ms: u64,
    },
    /// Another writer takes its transactional id.
    Fence,
    /// Its wall clock jumps.
    WallJump {
        /// By how much, in ms.
        by_ms: i64,
    },
}

/// `session.timeout.ms` of all runs.
pub const SESSION_TIMEOUT_MS: u64 = 300;
/// `transaction.timeout.ms` of all runs.
pub const TRANSACTION_TIMEOUT_MS: u64 = 800;

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::domain(seed, "shape");
        let kinds = ScenarioKind::ALL;
        let scenario = random.pick(&kinds).copied().unwrap_or(ScenarioKind::Count);
        let partitions = random.between(1, 3) as i32;
        let instances = random.pick(&[1, 2, 2, 3, 3]).copied().unwrap_or(2);
        let is_exactly_once = !scenario.may_repeat() || random.per_mille(600);
        Self {
            seed,
            scenario,
            guarantee: if is_exactly_once {
                ProcessingGuarantee::ExactlyOnceV2
            } else {
                ProcessingGuarantee::AtLeastOnce
            },
            is_cached: random.coin(),
            partitions,
            instances,
            threads: if random.per_mille(300) { 2 } else { 1 },
            standby_replicas: Random::domain(seed, "standby").pick(&[0, 0, 1, 1, 2]).copied().unwrap_or(0),
            commit_interval_ms: random.between(10, 80),
            batch_bytes_max: random.between(150, 2000) as usize,
            rates: rates(&mut Random::domain(seed, "rates")),
            disk_failures: if random.coin() { 30 } else { 0 },
            inputs: inputs(&mut Random::domain(seed, "inputs"), scenario, partitions),
            strikes: strikes(&mut Random::domain(seed, "strikes"), instances),
            heal_ms: INPUT_MS + 700,
        }
    }

    /// The plan of a seed under `at_most_once`, with a topology that tells what is processed twice.
    pub fn at_most_once(seed: u64) -> Self {
        let plan = Self::new(seed);
        let kinds = [ScenarioKind::Latest, ScenarioKind::Count, ScenarioKind::Windows];
        let scenario = Random::domain(seed, "at most once").pick(&kinds).copied().unwrap_or(ScenarioKind::Latest);
        let inputs = inputs(&mut Random::domain(seed, "inputs"), scenario, plan.partitions);
        Self { guarantee: ProcessingGuarantee::AtMostOnce, scenario, inputs, ..plan }
    }

    /// The plan of a seed under exactly-once, with one of [`ScenarioKind::OPERATORS`].
    pub fn of_operators(seed: u64) -> Self {
        let plan = Self::new(seed);
        let scenario = Random::domain(seed, "operators").pick(&ScenarioKind::OPERATORS).copied();
        let scenario = scenario.unwrap_or(ScenarioKind::StreamJoin);
        let inputs = inputs(&mut Random::domain(seed, "inputs"), scenario, plan.partitions);
        Self { guarantee: ProcessingGuarantee::ExactlyOnceV2, scenario, inputs, ..plan }
    }

    /// Whether the plan runs under `exactly_once_v2`.
    pub fn is_exactly_once(&self) -> bool {
        self.guarantee == ProcessingGuarantee::ExactlyOnceV2
    }

    /// Whether an instance may write after its tasks were given to another. Under at-least-once
    /// nothing fences it, so an old value may come after a newer one, as in Kafka Streams.
    pub fn makes_zombies(&self) -> bool {
        let is_pause = |strike: &Strike| matches!(strike.kind, StrikeKind::Pause { .. });
        let rates = &self.rates;
        rates.deaf_member + rates.late_request + rates.straggler > 0 || self.strikes.iter().any(is_pause)
    }

    /// The same plan without any fault.
    #[must_use]
    pub fn calm(self) -> Self {
        Self { rates: FaultRates::default(), disk_failures: 0, strikes: Vec::new(), ..self }
    }
}

/// A random half of the faults at random rates.
fn rates(random: &mut Random) -> FaultRates {
    let mut some = |most: u64| if random.coin() { random.between(1, most) as u32 } else { 0 };
    FaultRates {
        late_reply: some(300),
        late_request: some(300),
        lost_reply: some(30),
        lost_request: some(30),
        straggler: some(30),
        retriable: some(60),
        duplicate: some(60),
        append_failure: some(4),
        stalled_reader: some(60),
        short_read: some(200),
        deaf_member: some(3),
        delay_ms_max: 60,
        deaf_ms: SESSION_TIMEOUT_MS * 2,
    }
}

fn inputs(random: &mut Random, scenario: ScenarioKind, partitions: i32) -> Vec<PlannedRecord> {
    let count = random.between(30, 150);
    let keys = random.between(1, 7);
    let topics = scenario.input_topics();
    let mut inputs: Vec<PlannedRecord> = (0..count)
        .map(|number| {
            let at_ms = random.below(INPUT_MS);
            let key = format!("k{}", random.below(keys));
            let topic = random.pick(topics).copied().unwrap_or("in");
            // Mostly in order of time, with some that come late.
            let late = if random.per_mille(200) { random.below(400) } else { 0 };
            PlannedRecord {
                at_ms,
                topic,
                partition: partition_for_key(key.as_bytes(), partitions),
                key,
                value: format!("v{number}"),
                timestamp: Timestamp((1000 + at_ms - late) as i64),
            }
        })
        .collect();
    inputs.sort_by_key(|record| record.at_ms);
    inputs
}

fn strikes(random: &mut Random, instances: usize) -> Vec<Strike> {
    let mut kinds: Vec<fn(&mut Random) -> StrikeKind> = Vec::new();
    let all: [fn(&mut Random) -> StrikeKind; 6] = [
        |random| StrikeKind::Kill { down_ms: random.between(1, 500) },
        |random| StrikeKind::Close { down_ms: random.between(1, 300) },
        |random| StrikeKind::Pause { ms: random.between(50, SESSION_TIMEOUT_MS * 3) },
        |random| StrikeKind::LoseDisk { down_ms: random.between(1, 300) },
        |_| StrikeKind::Fence,
        |random| StrikeKind::WallJump { by_ms: random.below(200_000) as i64 - 100_000 },
    ];
    kinds.extend(all.iter().filter(|_| random.coin()));
    let count = random.below(14);
    let mut strikes = Vec::new();
    for _ in 0..count {
        let at_ms = random.between(50, INPUT_MS + 500);
        let instance = random.below(instances as u64) as usize;
        if let Some(kind) = random.pick(&kinds).copied() {
            strikes.push(Strike { at_ms, instance, kind: kind(random) });
        }
    }
    strikes.sort_by_key(|strike| strike.at_ms);
    strikes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_plan_and_seeds_differ() {
        assert_eq!(Plan::new(5), Plan::new(5));
        assert_ne!(Plan::new(5).inputs, Plan::new(6).inputs);
    }

    #[test]
    fn every_fault_is_off_in_some_plans_and_on_in_others() {
        let plans: Vec<Plan> = (0..64).map(Plan::new).collect();
        let share = |is_on: fn(&Plan) -> bool| plans.iter().filter(|plan| is_on(plan)).count();
        assert!((10..54).contains(&share(|plan| plan.rates.lost_reply > 0)));
        assert!((10..54).contains(&share(|plan| plan.disk_failures > 0)));
        assert!((10..64).contains(&share(Plan::is_exactly_once)));
        let kill = |strike: &Strike| matches!(strike.kind, StrikeKind::Kill { .. });
        assert!(plans.iter().any(|plan| plan.strikes.iter().any(kill)));
    }
}
