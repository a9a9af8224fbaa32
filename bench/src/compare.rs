//! Side by side: every case on Kafka Streams and on Millstream, in turn, against one real broker, with the
//! drivers of `bench/java`, which look at topics and at `/proc` and do not know whom they measure.

mod java;
mod operations;
mod stage;
mod table;
mod throughput;

use std::str::FromStr;

use crate::options::Options;
use crate::usage;
use crate::workload::{Guarantee, Workload};
use java::Java;
use stage::Stage;

const HELP: &str = "\
options of `compare`:
  --workloads LIST  of W1, W2, W2n, W3, W4, W5, L1, S1, R1, F1, with commas between (all of them)
  --guarantee LIST  alo, eos or both, for W1 to W5 (alo,eos)
  --peers LIST      java, millstream or both, in this order (java,millstream)
  --records N       records of input (W1: 10000000, others: 2000000, R1: 5000000)
  --repeat N        runs of each case of W1 to W5, in turn (1)
  --quick           a tenth of the records, short latencies: whether all works, not figures
  --out FILE        where each run's line of JSON is appended (bench-results.jsonl beside the program)";

/// Names of all options.
const OPTIONS: &[&str] = &["workloads", "guarantee", "peers", "records", "repeat", "quick", "out"];

/// What is compared.
struct Plan {
    cases: Vec<Case>,
    guarantees: Vec<Guarantee>,
    peers: Vec<Peer>,
    records: Option<u64>,
    repeat: u32,
    is_quick: bool,
}

/// Something to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Throughput(Workload),
    Latency,
    Start,
    Restore,
    FailOver,
}

/// An implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Java,
    Millstream,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Java => "java-4.3.0",
            Self::Millstream => "millstream",
        }
    }
}

/// Runs what the command line asks for and prints the tables.
pub(crate) fn run(given: &[String]) -> Result<(), String> {
    let options = Options::parse(given, OPTIONS).map_err(|error| format!("{error}\n\n{HELP}"))?;
    let plan = Plan {
        cases: options.list("workloads", "W1,W2,W2n,W3,W4,W5,L1,S1,R1,F1")?,
        guarantees: options.list("guarantee", "alo,eos")?,
        peers: options.list("peers", "java,millstream")?,
        records: options.number("records")?,
        repeat: options.number("repeat")?.unwrap_or(1),
        is_quick: options.has("quick"),
    };
    let java = Java::build()?;
    let mut stage = Stage::start(java, options.text("out"))?;
    println!("broker {}, load of the machine {:.1}, results in {}", stage.bootstrap(), usage::load(), stage.results());
    let mut lines = Vec::new();
    throughput::run(&plan, &mut stage, &mut lines)?;
    for case in &plan.cases {
        match case {
            Case::Throughput(_) => {}
            Case::Latency => operations::latency(&plan, &mut stage, &mut lines)?,
            Case::Start => operations::start(&plan, &mut stage, &mut lines)?,
            Case::Restore => operations::restore(&plan, &mut stage, &mut lines)?,
            Case::FailOver => operations::fail_over(&plan, &mut stage, &mut lines)?,
        }
    }
    println!("\n{}", table::of(&lines));
    Ok(())
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "L1" => Ok(Self::Latency),
            "S1" => Ok(Self::Start),
            "R1" => Ok(Self::Restore),
            "F1" => Ok(Self::FailOver),
            _ => text.parse().map(Self::Throughput),
        }
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "java" => Ok(Self::Java),
            "millstream" => Ok(Self::Millstream),
            _ => Err(format!("{text}: a peer is java or millstream")),
        }
    }
}
