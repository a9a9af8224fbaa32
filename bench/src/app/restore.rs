//! Restoring: from the start until every task runs.

use millstream::{State, Streams};
use serde_json::{Value, json};

use crate::job::{Job, LOOK, check_error, text};
use crate::usage;

/// Bytes of a record of the restored store: key and value.
const RECORD_BYTES: u64 = 13 + 200;

/// Starts the application, waits until it runs and stops it; gives its figures.
pub(super) fn run(job: &Job, streams: &Streams) -> Result<Value, String> {
    let metrics = streams.metrics();
    let start = job.sample()?;
    let deadline_ns = start.ns + job.timeout.as_nanos() as u64;
    streams.start().map_err(text)?;
    let mut restore_from_ns = None;
    while !streams.wait_for(&[State::Running, State::Error, State::NotRunning], LOOK) {
        let is_restoring = || streams.threads_metadata().iter().any(|thread| !thread.restoring.is_empty());
        if restore_from_ns.is_none() && (metrics.restored() > 0 || is_restoring()) {
            restore_from_ns = Some(job.now_ns());
        }
        if job.now_ns() > deadline_ns {
            return Err(format!("it does not run after {:?}", job.timeout));
        }
    }
    check_error(streams)?;
    let end = job.sample()?;
    let restored = metrics.restored();
    let has_closed = job.close(streams);
    let closed_ns = job.now_ns();

    let restore_s = restore_from_ns.map_or(0.0, |from| (end.ns - from) as f64 / 1e9);
    let megabytes = (restored * RECORD_BYTES) as f64 / 1e6;
    let workload = match (job.is_warm, job.leaves) {
        (true, _) => "R1-warm",
        (false, true) => "R1-leave",
        (false, false) => "R1",
    };
    let (cpu, broker) = (end.cpu() - start.cpu(), end.broker - start.broker);
    Ok(json!({
        "impl": "millstream",
        "workload": workload,
        "guarantee": job.guarantee.name(),
        "protocol": "streams",
        "threads": job.config.num_stream_threads(),
        "ok": has_closed,
        "restored_records": restored,
        "restored_mb": megabytes,
        "start_to_running_s": (end.ns - start.ns) as f64 / 1e9,
        "restore_s": restore_s,
        "mb_per_s": megabytes / restore_s,
        "rec_per_s": restored as f64 / restore_s,
        "cpu_s": cpu,
        "cpu_s_per_M": cpu / restored as f64 * 1e6,
        "broker_cpu_s": broker,
        "other_cpu_s": end.machine - start.machine - cpu - broker,
        "rss_peak_mb": usage::peak_rss_mb()?,
        "close_s": (closed_ns - end.ns) as f64 / 1e9,
    }))
}
