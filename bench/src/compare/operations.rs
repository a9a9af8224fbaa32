//! Latency, start-up, restore and fail-over: figures by the drivers.

use serde_json::Value;

use super::stage::Stage;
use super::{Peer, Plan};

/// Cases of L1: label, guarantee, and what is set besides.
const LATENCY: [(&str, &str, &[&str]); 6] = [
    ("alo-default", "alo", &[]),
    ("alo-linger0", "alo", &["--linger-ms", "0"]),
    ("eos-100", "eos", &["--commit-ms", "100"]),
    ("eos-10", "eos", &["--commit-ms", "10"]),
    ("eos-100-linger0", "eos", &["--commit-ms", "100", "--linger-ms", "0"]),
    ("eos-10-linger0", "eos", &["--commit-ms", "10", "--linger-ms", "0"]),
];

/// Cases of F1: label, the longest wait in seconds, and what is set besides. With `restart` the killed instance is
/// started again at once.
const FAIL_OVER: [(&str, &str, &[&str]); 6] = [
    ("6s", "100", &["--session-ms", "6000"]),
    ("6s-eos", "100", &["--session-ms", "6000", "--guarantee", "eos"]),
    ("default", "150", &[]),
    ("6s-restart", "100", &["--session-ms", "6000"]),
    ("6s-restart-eos", "100", &["--session-ms", "6000", "--guarantee", "eos"]),
    ("6s-standby1", "100", &["--session-ms", "6000", "--standby", "1"]),
];

/// A driver around an application, or alone.
fn drive(
    stage: &Stage,
    driver: &str,
    label: &str,
    peer: Option<Peer>,
    options: &[&str],
    application: &[&str],
) -> Result<Value, String> {
    let mut all = vec!["--label", label];
    all.extend_from_slice(options);
    let command = peer.map(|peer| stage.application(peer, application)).unwrap_or_default();
    if let Some(peer) = peer {
        all.extend_from_slice(&["--impl", peer.name(), "--"]);
        all.extend(command.iter().map(String::as_str));
    }
    eprintln!("{driver} {label} {}", peer.map_or("without an application", Peer::name));
    stage.tool(driver, &all)
}

/// L1: 10,000 records a second pass through.
pub(super) fn latency(plan: &Plan, stage: &mut Stage, lines: &mut Vec<Value>) -> Result<(), String> {
    let broker = stage.broker().to_owned();
    let mut options = vec!["--broker-pid", broker.as_str()];
    if plan.is_quick {
        options.extend_from_slice(&["--warmup-s", "3", "--seconds", "5"]);
    }
    stage.tool("topics", &["--recreate", "lat-in,lat-out"])?;
    let floor = drive(stage, "latency", "floor", None, &options, &[])?;
    stage.keep(floor, lines)?;
    for (label, guarantee, more) in LATENCY {
        for peer in &plan.peers {
            let (application, state) = (stage.application_id("L1"), stage.state()?);
            stage.tool("topics", &["--recreate", "lat-in,lat-out"])?;
            let mut given = vec!["--workload", "L1", "--guarantee", guarantee, "--in", "lat-in", "--out", "lat-out"];
            given.extend_from_slice(&["--app-id", &application, "--state-dir", &state]);
            given.extend_from_slice(more);
            let line = drive(stage, "latency", label, Some(*peer), &options, &given)?;
            stage.keep(line, lines)?;
            stage.clean(&application, "lat-in,lat-out")?;
        }
    }
    Ok(())
}

/// S1: from the start of the process to the first record of its output; then it idles.
pub(super) fn start(plan: &Plan, stage: &mut Stage, lines: &mut Vec<Value>) -> Result<(), String> {
    for workload in ["L1", "W2"] {
        for peer in &plan.peers {
            let (application, state) = (stage.application_id("S1"), stage.state()?);
            stage.tool("topics", &["--recreate", "out-S1,s1-in"])?;
            stage.tool("load", &["--topic", "s1-in", "--kind", "in", "--records", "1000"])?;
            let mut given = vec!["--workload", workload, "--in", "s1-in", "--out", "out-S1"];
            given.extend_from_slice(&["--app-id", &application, "--state-dir", &state]);
            if workload == "W2" {
                given.extend_from_slice(&["--commit-ms", "100"]);
            }
            let line = drive(stage, "startup", workload, Some(*peer), &["--out", "out-S1"], &given)?;
            stage.keep(line, lines)?;
            stage.clean(&application, "out-S1,s1-in")?;
        }
    }
    Ok(())
}

/// R1: a store of a gigabyte is built, lost and restored.
pub(super) fn restore(plan: &Plan, stage: &mut Stage, lines: &mut Vec<Value>) -> Result<(), String> {
    let records = plan.records.unwrap_or(if plan.is_quick { 500_000 } else { 5_000_000 }).to_string();
    stage.tool("load", &["--topic", "restore-in", "--kind", "restore", "--records", &records])?;
    for peer in &plan.peers {
        let application = stage.application_id("R1");
        let run = |state: &str, more: &[&str]| {
            let mut given = vec!["--workload", "R1", "--in", "restore-in", "--app-id", &application];
            given.extend_from_slice(&["--state-dir", state, "--broker-pid", stage.broker(), "--timeout-s", "600"]);
            given.extend_from_slice(more);
            eprintln!("restore {} {}", peer.name(), more.join(" "));
            super::java::run(&stage.application(*peer, &given))
        };
        let mut found = Vec::new();
        let mut built = run(&stage.state()?, &["--records", &records, "--leave"])?;
        if let Some(figures) = built.as_object_mut() {
            figures.insert("workload".to_owned(), "R1-build".into());
        }
        found.push(built);
        // Stopped in the implementation's own manner, and so that it leaves its group.
        found.push(run(&stage.state()?, &["--restore-only", "--leave"])?);
        let state = stage.state()?;
        found.push(run(&state, &["--restore-only"])?);
        found.push(run(&state, &["--restore-only", "--warm"])?);
        found.into_iter().try_for_each(|line| stage.keep(line, lines))?;
        stage.clean(&application, "no-topic")?;
    }
    Ok(())
}

/// F1: two instances, one of which is killed.
pub(super) fn fail_over(plan: &Plan, stage: &mut Stage, lines: &mut Vec<Value>) -> Result<(), String> {
    let keys = if plan.is_quick { "100000" } else { "1000000" };
    for (label, wait_s, more) in FAIL_OVER {
        for peer in &plan.peers {
            let (application, state) = (stage.application_id("F1"), stage.state()?);
            stage.tool("topics", &["--recreate", "f1-in,f1-out"])?;
            let state = format!("{state}/{{i}}");
            let mut given = vec!["--workload", "F1", "--in", "f1-in", "--out", "f1-out"];
            given.extend_from_slice(&["--app-id", &application, "--state-dir", &state]);
            given.extend_from_slice(more);
            let mut options = vec!["--preload", keys, "--max-wait-s", wait_s];
            if label.contains("restart") {
                options.push("--restart");
            }
            let line = drive(stage, "failover", label, Some(*peer), &options, &given)?;
            stage.keep(line, lines)?;
            stage.clean(&application, "f1-in,f1-out")?;
        }
    }
    Ok(())
}
