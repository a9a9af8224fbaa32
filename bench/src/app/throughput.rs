//! Throughput: from the first record processed until all are, committed and closed.

use millstream::log::{Log, OffsetSpec, Outcome};
use millstream::{Clock, State, Streams, TopicPartition};
use serde_json::{Value, json};

use crate::job::{Job, LOOK, Sample, check_error, text};
use crate::usage;

/// How long it is asked for the offsets committed, in looks.
const ASKS_MAX: u32 = 2000;

/// Runs the application over so many records; gives its figures.
pub(crate) fn run(job: &Job, streams: &Streams, records: u64) -> Result<Value, String> {
    let steps = job.workload.steps(records);
    let inputs = job.workload.inputs(records);
    streams.start().map_err(text)?;
    let first = wait_for(job, streams, 1)?;
    let half = wait_for(job, streams, steps / 2)?;
    let at_half = streams.metrics().processed();
    let all = wait_for(job, streams, steps)?;
    let processed = streams.metrics().processed();
    let has_closed = job.close(streams);
    let end = job.sample()?;
    check_error(streams)?;
    let lag = lag(job, streams)?;

    let seconds = |from: &Sample, to: &Sample| (to.ns - from.ns) as f64 / 1e9;
    let millions = inputs as f64 / 1e6;
    let second_half = (steps - at_half.min(steps)) as f64 / steps as f64 * inputs as f64;
    let cpu = end.cpu() - first.cpu();
    let broker = end.broker - first.broker;
    Ok(json!({
        "impl": "millstream",
        "workload": job.workload.name(),
        "guarantee": job.guarantee.name(),
        "protocol": "streams",
        "threads": job.config.num_stream_threads(),
        "commit_ms": job.config.commit_interval().as_millis() as u64,
        "ok": has_closed && lag == 0,
        "records": inputs,
        "processed_total": processed,
        "commits": streams.metrics().commits(),
        "secs": seconds(&first, &end),
        "rec_per_s": inputs as f64 / seconds(&first, &end),
        "secs_processed": seconds(&first, &all),
        "cpu_s": cpu,
        "cpu_s_per_M": cpu / millions,
        "cpu_user_s": end.cpu.0 - first.cpu.0,
        "cpu_sys_s": end.cpu.1 - first.cpu.1,
        "cpu_from_start_s": end.cpu(),
        "half2_rec_per_s": second_half / seconds(&half, &all),
        "half2_cpu_s_per_M": (all.cpu() - half.cpu()) / second_half * 1e6,
        "broker_cpu_s": broker,
        "broker_cpu_s_per_M": broker / millions,
        "other_cpu_s": end.machine - first.machine - cpu - broker,
        "rss_peak_mb": usage::peak_rss_mb()?,
        "start_to_first_s": first.ns as f64 / 1e9,
        "lag_after": lag,
    }))
}

/// Waits until so many records are processed.
fn wait_for(job: &Job, streams: &Streams, processed: u64) -> Result<Sample, String> {
    let deadline_ns = job.now_ns() + job.timeout.as_nanos() as u64;
    while streams.metrics().processed() < processed {
        if streams.wait_for(&[State::Error, State::NotRunning], LOOK) {
            check_error(streams)?;
            return Err("the application stopped by itself".to_owned());
        }
        if job.now_ns() > deadline_ns {
            let done = streams.metrics().processed();
            return Err(format!("{done} of {processed} records were processed in {:?}", job.timeout));
        }
    }
    job.sample()
}

/// Records of the input that are not committed.
fn lag(job: &Job, streams: &Streams) -> Result<i64, String> {
    let inputs: Vec<_> =
        (0..job.partitions).map(|partition| TopicPartition::new(job.topics.input.as_str(), partition)).collect();
    let log = streams.log();
    let mut admin = log.admin();
    let group = job.config.application_id();
    let committed = answer(job, &*log, admin.committed(group, &inputs))?;
    let ends = answer(job, &*log, admin.offsets(&inputs, OffsetSpec::EndCommitted))?;
    let committed = committed.iter().map(|committed| committed.as_ref().map_or(0, |committed| committed.offset.0));
    Ok(ends.iter().map(|end| end.0).zip(committed).map(|(end, committed)| end - committed).sum())
}

/// What the log answers.
fn answer<T>(job: &Job, log: &dyn Log, mut call: millstream::log::Call<T>) -> Result<T, String> {
    for _ in 0..ASKS_MAX {
        match call.poll(job.clock.now()) {
            Outcome::Done(answer) => return Ok(answer),
            Outcome::Failed(failure) => return Err(failure.to_string()),
            Outcome::Pending => log.wait(LOOK),
        }
    }
    Err("the log does not answer".to_owned())
}
