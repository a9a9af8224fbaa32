//! The same workloads on the embedded log in memory: no broker, no network, nothing but the engine.
//!
//! Input lies in memory before the clock starts, and output goes there. Each run is a process of its
//! own, so that its peak memory is its own; input and output are part of that. Every run checks its
//! output before it prints a figure.

mod input;
mod output;

use std::process::Command;

use millstream::Streams;
use serde_json::Value;

use crate::job::Job;
use crate::options::Options;
use crate::workload::{Guarantee, Workload};

const HELP: &str = "\
options of `embedded`, each with a value:
  --workloads   of W1, W2, W2n, W3, W4, W5, with commas between   (W1,W2)
  --guarantee   alo, eos or both                                  (alo,eos)
  --records     records of input                                  (4000000)
  --keys        different keys                                    (100000)
  --partitions  partitions of each topic, all on one thread       (4)
  --commit-ms   commit interval                                   (1000)
  --engine      in_memory | persistent                            (in_memory)";

/// Runs workloads, each in a process of its own.
pub(crate) fn run_all(given: &[String]) -> Result<(), String> {
    let known = ["workloads", "guarantee", "records", "keys", "partitions", "commit-ms", "engine"];
    let options = Options::parse(given, &known).map_err(|_| HELP.to_owned())?;
    let or = |name: &str, default: &str| options.text(name).unwrap_or(default).to_owned();
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    for workload in options.list::<Workload>("workloads", "W1,W2")? {
        for guarantee in options.list::<Guarantee>("guarantee", "alo,eos")? {
            let state = tempfile::tempdir().map_err(|error| format!("no place for state: {error}"))?;
            let output = Command::new(&program)
                .args(["app", "--bootstrap", "memory:", "--workload", workload.name(), "--guarantee", guarantee.name()])
                .args(["--records", &or("records", "4000000"), "--keys", &or("keys", "100000")])
                .args(["--partitions", &or("partitions", "4"), "--commit-ms", &or("commit-ms", "1000")])
                .args(["--config", &format!("dsl.store.suppliers.class={}", or("engine", "in_memory"))])
                .arg("--state-dir")
                .arg(state.path())
                .stderr(std::process::Stdio::inherit())
                .output()
                .map_err(|error| format!("cannot start a run: {error}"))?;
            if !output.status.success() {
                return Err(format!("a run ended with {}", output.status));
            }
            println!("{}", line(&String::from_utf8_lossy(&output.stdout))?);
        }
    }
    Ok(())
}

/// A run's figures as a line for people.
fn line(printed: &str) -> Result<String, String> {
    let last = printed.lines().last().unwrap_or_default();
    let figures: Value = serde_json::from_str(last).map_err(|error| format!("a run printed {last:?}: {error}"))?;
    let number = |name: &str| figures.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let text = |name: &str| figures.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(format!(
        "{:<3} {} commit {:>5} ms: {:.3} CPU-s/M (user {:.3}, system {:.3}), {:>9.0} records/s, {} commits, peak {:.0} MB",
        text("workload"),
        text("guarantee"),
        number("commit_ms"),
        number("cpu_s_per_M"),
        number("cpu_user_s") / number("records") * 1e6,
        number("cpu_sys_s") / number("records") * 1e6,
        number("rec_per_s"),
        number("commits"),
        number("rss_peak_mb"),
    ))
}

/// One run of the program under test on the embedded log: loads its input, measures, checks.
pub(crate) fn run(
    job: &Job,
    streams: &Streams,
    measure: impl FnOnce(u64) -> Result<Value, String>,
) -> Result<(), String> {
    let records = job.records.ok_or("--records is missing")?;
    let log = streams.log();
    input::load(&*log, job, records)?;
    let figures = measure(records)?;
    output::check(&*log, job, records)?;
    println!("{figures}");
    Ok(())
}
