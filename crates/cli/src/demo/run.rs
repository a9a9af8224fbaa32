//! `millstream demo run`: loads the year, lets the topology work, reports.

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millstream::log::{EmbeddedLog, Log, NewTopic};
use millstream::runtime::{State, Streams, log_options};
use millstream::types::{Config, Error, ErrorKind, ProcessingGuarantee, Result, TopicPartition};

use super::directory::Directory;
use super::dump::finish;
use super::lag::Lag;
use super::progress::Progress;
use super::replay::replay;
use super::report::Report;
use super::scan::{done, end_offsets};
use super::topics::{APPLICATION_ID, FLIGHTS, INPUTS, OUTPUTS, PARTITIONS};
use super::topology::topology;
use crate::args::{Guarantee, RunArgs};

/// Flights of the year.
const FLIGHTS_TOTAL: u64 = 336_776;
/// Between two commits, under either guarantee.
const COMMIT_INTERVAL_MS: u64 = 100;
/// Between two looks at how far the topology is.
const LOOK: Duration = Duration::from_millis(50);
/// How long a close may take.
const CLOSE: Duration = Duration::from_secs(30);

/// How a run ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All is processed and reported.
    Finished,
    /// Somebody asked it to stop.
    Interrupted,
}

/// Runs the demo.
pub(crate) fn run(args: &RunArgs) -> Result<Ending> {
    let directory = if args.keep { Directory::kept(&args.dir)? } else { Directory::fresh(&args.dir)? };
    let config = config(&directory, args)?;
    load(&EmbeddedLog::open(directory.log(), log_options(&config))?)?;

    let streams = Streams::new(&topology(observer(args.crash_after))?, &config)?;
    let interrupted = millstream::shutdown_flag()?;
    streams.start()?;
    let watched = watch(&streams, &interrupted);
    let is_closed = streams.close(CLOSE);
    if let Some(error) = streams.error() {
        return Err(error);
    }
    let ending = watched?;
    if !is_closed {
        let message = format!("the threads did not end within {} s", CLOSE.as_secs());
        return Err(Error::new(ErrorKind::State, message));
    }
    if ending == Ending::Interrupted {
        let _ = writeln!(io::stderr(), "Stopped; `--keep` continues here.");
        return Ok(ending);
    }
    let report = Report::read(&*streams.log())?;
    let mut out = BufWriter::new(io::stdout().lock());
    finish(write(&report, &directory, &args.dir, &mut out))?;
    Ok(ending)
}

/// Shows progress until all is processed, or somebody or something ends the run.
fn watch(streams: &Streams, interrupted: &AtomicBool) -> Result<Ending> {
    let lag = Lag::new(streams.log());
    let mut progress = Progress::new("processing", FLIGHTS_TOTAL, lag.flights_done()?);
    loop {
        let flights = lag.flights_done()?;
        if lag.is_over()? {
            progress.finish(flights);
            return Ok(Ending::Finished);
        }
        progress.show(flights);
        let is_interrupted = interrupted.load(Ordering::Relaxed);
        if is_interrupted || streams.wait_for(&[State::NotRunning, State::Error], LOOK) {
            progress.finish(flights);
            return Ok(Ending::Interrupted);
        }
    }
}

/// Called for each flight as it is read; ends the process at once when it is time to crash.
fn observer(crash_after: Option<u64>) -> impl Fn() + Send + Sync + 'static {
    let left = AtomicU64::new(crash_after.unwrap_or(u64::MAX));
    move || {
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }
}

/// Creates the topics and writes the inputs, as far as an earlier run has not.
fn load(log: &EmbeddedLog) -> Result<()> {
    let topic = |name: &&str| NewTopic {
        name: (*name).into(),
        partitions: PARTITIONS,
        replication_factor: -1,
        configs: Vec::new(),
    };
    let topics: Vec<NewTopic> = INPUTS.iter().chain(&OUTPUTS).map(topic).collect();
    done(log.admin().create_topics(&topics))?;
    let partitions: Vec<_> = (0..PARTITIONS).map(|number| TopicPartition::new(FLIGHTS, number)).collect();
    let loaded: i64 = end_offsets(log, &partitions)?.iter().map(|end| end.0).sum();
    let base = u64::try_from(loaded).unwrap_or(0);
    if base >= FLIGHTS_TOTAL {
        // The flights come last, so nothing is left to write.
        return Ok(());
    }
    let mut progress = Progress::new("loading", FLIGHTS_TOTAL, base);
    replay(log, |written| progress.show(written.max(base)))?;
    progress.finish(FLIGHTS_TOTAL);
    Ok(())
}

fn config(directory: &Directory, args: &RunArgs) -> Result<Config> {
    let guarantee = match args.guarantee {
        Guarantee::ExactlyOnceV2 => ProcessingGuarantee::ExactlyOnceV2,
        Guarantee::AtLeastOnce => ProcessingGuarantee::AtLeastOnce,
    };
    Config::builder()
        .application_id(APPLICATION_ID)
        .bootstrap_servers(&format!("embedded:{}", directory.log().display()))
        .state_dir(directory.state())
        .set("num.stream.threads", args.threads)
        .processing_guarantee(guarantee)
        .set("commit.interval.ms", COMMIT_INTERVAL_MS)
        // The year in JSON is 115 MB, compressed a fifth of it.
        .set("embedded.compression.type", "lz4")
        .build()
}

fn write(report: &Report, directory: &Directory, dir: &Path, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "The year 2013 at New York's airports")?;
    writeln!(out)?;
    report.write(out)?;
    writeln!(out)?;
    writeln!(out, "  Topics              {}", directory.log().display())?;
    writeln!(out, "  State               {}", directory.state().display())?;
    writeln!(out, "  Look into a topic   millstream demo dump traffic --json --dir {}", dir.display())?;
    out.flush()
}
