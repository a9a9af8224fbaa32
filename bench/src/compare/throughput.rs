//! W1 to W5: figures by the application itself, the answers checked by a Java consumer.

use serde_json::Value;

use super::stage::Stage;
use super::{Case, Peer, Plan};
use crate::answer::{self, Answer};
use crate::generator::KEYS;
use crate::workload::{Guarantee, Workload};

/// Runs all cases, and each as often as asked: first all of them once, then all again.
pub(super) fn run(plan: &Plan, stage: &mut Stage, lines: &mut Vec<Value>) -> Result<(), String> {
    let workloads: Vec<Workload> = plan
        .cases
        .iter()
        .filter_map(|case| if let Case::Throughput(workload) = case { Some(*workload) } else { None })
        .collect();
    if workloads.contains(&Workload::W4) {
        stage.tool("load", &["--topic", "table", "--kind", "table"])?;
    }
    let mut loaded = Vec::new();
    for round in 1..=plan.repeat {
        for workload in &workloads {
            let records = plan.records_of(*workload);
            let input = format!("in-{records}");
            if !loaded.contains(&records) {
                stage.tool("load", &["--topic", &input, "--kind", "in", "--records", &records.to_string()])?;
                loaded.push(records);
            }
            let expected = answer::of(*workload, records, KEYS).ok_or("this workload has no known answer")?;
            for guarantee in &plan.guarantees {
                for peer in &plan.peers {
                    eprintln!("{} {} {} (round {round})", workload.name(), guarantee.name(), peer.name());
                    let line = one(stage, *peer, *workload, *guarantee, &input, records, expected)?;
                    stage.keep(line, lines)?;
                }
            }
        }
    }
    Ok(())
}

impl Plan {
    fn records_of(&self, workload: Workload) -> u64 {
        let all = if workload == Workload::W1 { 10_000_000 } else { 2_000_000 };
        self.records.unwrap_or(if self.is_quick { all / 10 } else { all })
    }
}

fn one(
    stage: &mut Stage,
    peer: Peer,
    workload: Workload,
    guarantee: Guarantee,
    input: &str,
    records: u64,
    expected: Answer,
) -> Result<Value, String> {
    let output = format!("out-{}", workload.name());
    let application = stage.application_id(workload.name());
    let state = stage.state()?;
    stage.tool("topics", &["--recreate", &output])?;
    let command = stage.application(
        peer,
        &[
            "--workload",
            workload.name(),
            "--guarantee",
            guarantee.name(),
            "--in",
            input,
            "--out",
            &output,
            "--records",
            &records.to_string(),
            "--app-id",
            &application,
            "--state-dir",
            &state,
            "--broker-pid",
            stage.broker(),
            "--timeout-s",
            "900",
        ],
    );
    let mut line = super::java::run(&command)?;
    let kind = if workload.is_stream() { "stream" } else { "table" };
    let found = stage.tool("verify", &["--topic", &output, "--kind", kind])?;
    let count = if workload.is_stream() { "count" } else { "distinct" };
    let checksum = format!("{:x}", expected.checksum);
    let is_right = found.get(count).and_then(Value::as_u64) == Some(expected.count)
        && found.get("checksum").and_then(Value::as_str) == Some(&checksum);
    if let Some(figures) = line.as_object_mut() {
        figures.insert("is_right".to_owned(), is_right.into());
        figures.insert("output_records".to_owned(), found.get("count").cloned().unwrap_or_default());
    }
    stage.clean(&application, &output)?;
    if !is_right {
        return Err(format!("wrong output: {found}, not {expected:?} (checksum {checksum}); {line}"));
    }
    Ok(line)
}
