//! `millstream demo run`: loads the year, lets the topology work, reports.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millstream::open_log;
use millstream::runtime::{State, Streams};
use millstream::types::{Error, ErrorKind, Result};

use super::dump::finish;
use super::lag::Lag;
use super::load::{check_loaded, load_into};
use super::place::Place;
use super::progress::{Progress, grouped};
use super::report::Report;
use super::scan::Open;
use super::topology::topology;
use crate::args::RunArgs;

/// Between two looks at how far the topology is.
const LOOK: Duration = Duration::from_millis(100);
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
    let place = Place::open(args)?;
    let log = open_log(&place.config)?;
    let loaded = match &args.bootstrap {
        Some(bootstrap) => check_loaded(&*log, args.flights, bootstrap)?,
        None => load_into(&*log, args.flights)?,
    };
    drop(log);

    let streams = Streams::new(&topology(observer(args.crash_after))?, &place.config)?;
    let interrupted = millstream::shutdown_flag()?;
    streams.start()?;
    let watched = watch(&streams, &interrupted, loaded.flights, args.follow);
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
        let how = if args.bootstrap.is_some() { "the same command" } else { "`--keep`" };
        let _ = writeln!(io::stderr(), "Stopped; {how} continues here.");
        return Ok(ending);
    }
    let report = Report::read(&*streams.log(), Open::on(args.bootstrap.as_ref()))?;
    let mut out = BufWriter::new(io::stdout().lock());
    finish(write(&report, &place, args, &mut out))?;
    Ok(ending)
}

/// Shows progress until all is processed, or somebody or something ends the run. One that follows goes on
/// after all is processed.
fn watch(streams: &Streams, interrupted: &AtomicBool, total: u64, follow: bool) -> Result<Ending> {
    let is_asked =
        || interrupted.load(Ordering::Relaxed) || matches!(streams.state(), State::NotRunning | State::Error);
    let lag = Lag::new(streams.log(), &is_asked);
    let mut progress: Option<Progress> = None;
    let mut flights = 0;
    let mut is_over = false;
    loop {
        let look = lag.look();
        if is_asked() {
            if let Some(progress) = progress.filter(|_| !is_over) {
                progress.finish(flights);
            }
            return Ok(Ending::Interrupted);
        }
        match look {
            Ok(look) => {
                flights = look.flights_done;
                let progress = progress.get_or_insert_with(|| Progress::new("processing", total, flights));
                if look.is_over && !is_over {
                    progress.finish(flights);
                    if !follow {
                        return Ok(Ending::Finished);
                    }
                    is_over = true;
                    let _ = writeln!(
                        io::stderr(),
                        "All {} flights are processed; waiting for more until stopped.",
                        grouped(total)
                    );
                } else if !is_over {
                    progress.show(flights);
                }
            }
            // The streams wait for the brokers, too, and say so.
            Err(error) if error.kind() == ErrorKind::Retriable => {}
            Err(error) => return Err(error),
        }
        streams.wait_for(&[State::NotRunning, State::Error], LOOK);
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

fn write(report: &Report, place: &Place, args: &RunArgs, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "The year 2013 at New York's airports")?;
    writeln!(out)?;
    report.write(out)?;
    writeln!(out)?;
    let directory = &place.directory;
    let (topics, state, again) = match &args.bootstrap {
        Some(bootstrap) => (bootstrap.clone(), directory.kafka_state(), format!("--bootstrap {bootstrap}")),
        None => (directory.log().display().to_string(), directory.state(), format!("--dir {}", args.dir.display())),
    };
    writeln!(out, "  Topics              {topics}")?;
    writeln!(out, "  State               {}", state.display())?;
    writeln!(out, "  Look into a topic   millstream demo dump traffic --json {again}")?;
    out.flush()
}
