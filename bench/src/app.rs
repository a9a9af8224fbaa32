//! The program under test: one workload on Millstream, from its options to one line of JSON. The same
//! options start Kafka Streams' side (`App.java`), so that the drivers need not know which they have.

mod restore;
mod throughput;

use millstream::{Clock, State, Streams, SystemClock};

use crate::job::{CLOSE, Job, OPTIONS, check_error, text};
use crate::options::Options;

/// Runs the program.
pub(crate) fn run(given: &[String]) -> Result<(), String> {
    let job = Job::read(&Options::parse(given, OPTIONS)?, SystemClock::new())?;
    let topology = job.workload.topology(&job.config, &job.topics).map_err(text)?;
    let streams = Streams::new(&topology, &job.config).map_err(text)?;
    if job.config.bootstrap() == &millstream::types::config::Bootstrap::Memory {
        return crate::embedded::run(&job, &streams, |records| throughput::run(&job, &streams, records));
    }
    let clock = job.clock;
    streams.set_state_listener(move |state, _| {
        if state == State::Running {
            let seconds = clock.now().mono_ns as f64 / 1e9;
            println!("{{\"event\":\"running\",\"since_process_start_s\":{seconds:.3}}}");
        }
    });
    if job.is_restore {
        println!("{}", restore::run(&job, &streams)?);
    } else if let Some(records) = job.records {
        println!("{}", throughput::run(&job, &streams, records)?);
    } else {
        streams.start().map_err(text)?;
        streams.close_on_signals(CLOSE).map_err(text)?;
        check_error(&streams)?;
    }
    Ok(())
}
