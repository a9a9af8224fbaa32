//! The command line.

const HELP: &str = "\
options, each with a value:
  --workload    stateless | count       (both)
  --guarantee   at_least_once | exactly_once_v2   (both)
  --records     records of input        (4000000)
  --partitions  partitions of each topic, all on one thread   (4)
  --commit-ms   commit interval         (100)
  --engine      memory | fjall          (memory)
  --keys        different keys          (100000)";

/// What is done with the input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// `filter` to about a half, `map_values`, to a topic.
    Stateless,
    /// `group_by_key`, `count`, to a topic; record cache and changelog on.
    Count,
}

/// `processing.guarantee`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarantee {
    AtLeastOnce,
    ExactlyOnce,
}

/// Where the counts lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateEngine {
    Memory,
    Fjall,
}

impl Workload {
    pub(crate) const ALL: [Self; 2] = [Self::Stateless, Self::Count];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Count => "count",
        }
    }
}

impl Guarantee {
    pub(crate) const ALL: [Self; 2] = [Self::AtLeastOnce, Self::ExactlyOnce];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::ExactlyOnce => "exactly_once_v2",
        }
    }
}

impl StateEngine {
    const ALL: [Self; 2] = [Self::Memory, Self::Fjall];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Fjall => "fjall",
        }
    }
}

/// The command line, read.
pub(crate) struct Args {
    /// `None` runs all.
    pub(crate) workload: Option<Workload>,
    /// `None` runs all.
    pub(crate) guarantee: Option<Guarantee>,
    pub(crate) records: u64,
    pub(crate) partitions: i32,
    pub(crate) commit_ms: u64,
    pub(crate) engine: StateEngine,
    pub(crate) keys: u64,
}

impl Args {
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self {
            workload: None,
            guarantee: None,
            records: 4_000_000,
            partitions: 4,
            commit_ms: 100,
            engine: StateEngine::Memory,
            keys: 100_000,
        };
        while let Some(option) = given.next() {
            let value = given.next().ok_or(HELP)?;
            match option.as_str() {
                "--workload" => args.workload = Some(one_of(&Workload::ALL, Workload::name, &value)?),
                "--guarantee" => args.guarantee = Some(one_of(&Guarantee::ALL, Guarantee::name, &value)?),
                "--engine" => args.engine = one_of(&StateEngine::ALL, StateEngine::name, &value)?,
                "--records" => args.records = number(&value)?,
                "--partitions" => args.partitions = i32::try_from(number(&value)?).map_err(|_| HELP)?,
                "--commit-ms" => args.commit_ms = number(&value)?,
                "--keys" => args.keys = number(&value)?,
                _ => return Err(HELP.to_owned()),
            }
        }
        Ok(args)
    }

    /// The command line of one run with these options.
    pub(crate) fn of_run(&self, workload: Workload, guarantee: Guarantee) -> Vec<String> {
        let options = [
            ("--workload", workload.name().to_owned()),
            ("--guarantee", guarantee.name().to_owned()),
            ("--engine", self.engine.name().to_owned()),
            ("--records", self.records.to_string()),
            ("--partitions", self.partitions.to_string()),
            ("--commit-ms", self.commit_ms.to_string()),
            ("--keys", self.keys.to_string()),
        ];
        options.into_iter().flat_map(|(option, value)| [option.to_owned(), value]).collect()
    }
}

fn one_of<T: Copy>(all: &[T], name: fn(T) -> &'static str, value: &str) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == value).ok_or_else(|| HELP.to_owned())
}

fn number(value: &str) -> Result<u64, String> {
    value.parse().ok().filter(|number| *number > 0).ok_or_else(|| HELP.to_owned())
}
