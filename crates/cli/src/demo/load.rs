//! `millstream demo load`: the topics, and the year in those that are the input.

use std::io::{self, Write};

use millstream::log::{Log, NewTopic};
use millstream::types::{Error, ErrorKind, Result, TopicPartition};
use millstream::{answer, open_log};

use super::place::on_kafka;
use super::progress::{Progress, grouped};
use super::replay::replay;
use super::scan::end_offsets;
use super::topics::{FLIGHTS, FLIGHTS_TOTAL, INPUTS, KEEP_FOR_EVER, OUTPUTS, PARTITIONS};
use crate::args::LoadArgs;

/// Loads the inputs to Kafka.
pub(crate) fn load(args: &LoadArgs) -> Result<()> {
    let log = open_log(&on_kafka(&args.bootstrap).build()?)?;
    let Loaded { before, flights } = load_into(&*log, args.flights)?;
    let done = match before {
        0 => "loaded",
        before if before < flights => "loaded, which an earlier load had begun",
        _ => "there already, nothing was written",
    };
    let part = if flights < FLIGHTS_TOTAL { format!(" --flights {flights}") } else { String::new() };
    let _ = writeln!(
        io::stdout(),
        "{} flights are {done}. Start as many instances as you like, each with a --dir of its own:\n  \
         millstream demo run --bootstrap {}{part} --dir demo-1",
        grouped(flights),
        args.bootstrap
    );
    Ok(())
}

/// What is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Flights that were there before.
    before: u64,
    /// Flights that are there now.
    pub(super) flights: u64,
}

/// Creates the topics and writes the inputs, as far as an earlier load has not: all flights, or the first
/// of the year.
pub(super) fn load_into(log: &dyn Log, wanted: Option<u64>) -> Result<Loaded> {
    let (key, value) = KEEP_FOR_EVER;
    let topic = |name: &&str| NewTopic {
        name: (*name).into(),
        partitions: PARTITIONS,
        replication_factor: -1,
        configs: vec![(key.to_owned(), value.to_owned())],
    };
    let topics: Vec<NewTopic> = INPUTS.iter().chain(&OUTPUTS).map(topic).collect();
    answer(log, log.admin().create_topics(&topics))?;
    let (before, wanted) = (flights_loaded(log)?, wanted_flights(wanted));
    if before >= wanted && before <= FLIGHTS_TOTAL {
        // The flights come last, so nothing is left to write.
        return Ok(Loaded { before, flights: before });
    }
    let mut progress = Progress::new("loading", wanted, before);
    replay(log, wanted, |written| progress.show(written.max(before)))?;
    progress.finish(wanted);
    Ok(Loaded { before, flights: wanted })
}

fn wanted_flights(wanted: Option<u64>) -> u64 {
    wanted.map_or(FLIGHTS_TOTAL, |wanted| wanted.min(FLIGHTS_TOTAL))
}

/// What is loaded. Fails unless it is what is wanted, with what to do.
pub(super) fn check_loaded(log: &dyn Log, wanted: Option<u64>, bootstrap: &str) -> Result<Loaded> {
    let names = INPUTS.iter().chain(&OUTPUTS).map(|name| (*name).into()).collect::<Vec<_>>();
    let found = answer(log, log.admin().topics(&names))?;
    let missing: Vec<&str> =
        names.iter().zip(&found).filter(|(_, topic)| topic.is_none()).map(|(name, _)| &**name).collect();
    let problem = if missing.len() == names.len() {
        "the demo's topics are not there".to_owned()
    } else if !missing.is_empty() {
        format!("of the demo's topics some are missing: {}", missing.join(", "))
    } else {
        let (loaded, wanted) = (flights_loaded(log)?, wanted_flights(wanted));
        if loaded >= wanted {
            return Ok(Loaded { before: loaded, flights: loaded });
        }
        format!("only {} of {} flights are loaded", grouped(loaded), grouped(wanted))
    };
    let message = format!("{problem}: run `millstream demo load --bootstrap {bootstrap}` first");
    Err(Error::new(ErrorKind::Configuration, message))
}

fn flights_loaded(log: &dyn Log) -> Result<u64> {
    let partitions: Vec<_> = (0..PARTITIONS).map(|number| TopicPartition::new(FLIGHTS, number)).collect();
    let loaded: i64 = end_offsets(log, &partitions)?.iter().map(|end| end.0).sum();
    Ok(u64::try_from(loaded).unwrap_or(0))
}
