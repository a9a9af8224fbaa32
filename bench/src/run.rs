//! One run: the topology, the application around it, and what it cost.

use std::sync::Arc;
use std::time::Duration;

use millstream_log::{EmbeddedLog, Options};
use millstream_runtime::{Components, Handlers, State, Streams};
use millstream_state::{EngineProvider, FjallEngines, MemoryEngines, StoreType};
use millstream_topology::{Materialized, StreamsBuilder, Topology};
use millstream_types::clock::SystemClock;
use millstream_types::config::ProcessingGuarantee;
use millstream_types::{Clock, Config, Error};

use crate::args::{Args, Guarantee, StateEngine, Workload};
use crate::generator::amount;
use crate::input::{self, AMOUNT_LIMIT, INPUT, OUTPUT};
use crate::{output, usage};

const APPLICATION: &str = "bench";
/// How often it is looked whether the input is processed.
const LOOK: Duration = Duration::from_millis(2);
const CLOSE: Duration = Duration::from_secs(60);

/// Runs a workload; gives a line with its figures.
pub(crate) fn run(workload: Workload, guarantee: Guarantee, args: &Args) -> Result<String, String> {
    let log = EmbeddedLog::memory(Options::default());
    let passing = input::load(&log, args)?;
    let state = tempfile::tempdir().map_err(|error| format!("no place for state: {error}"))?;
    let text = |error: Error| error.to_string();
    let topology = topology(workload, args.engine).map_err(text)?;
    let config = config(guarantee, args, state.path()).map_err(text)?;
    let engines: Arc<dyn EngineProvider> = match args.engine {
        StateEngine::Memory => Arc::new(MemoryEngines::new("bench")),
        StateEngine::Fjall => {
            Arc::new(FjallEngines::open(config.state_dir(), APPLICATION, || "bench".to_owned()).map_err(text)?)
        }
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let components =
        Components { log: Arc::new(log.clone()), engines, clock: Arc::clone(&clock), handlers: Handlers::default() };

    let before = (usage::cpu_seconds()?, clock.now().mono_ns);
    let streams = Streams::with_log(&topology, &config, components).map_err(text)?;
    streams.start().map_err(text)?;
    let metrics = streams.metrics();
    while metrics.processed() < args.records {
        if streams.wait_for(&[State::Error, State::NotRunning], LOOK) {
            return Err(streams.error().map_or_else(|| "it stopped by itself".to_owned(), text));
        }
    }
    if !streams.close(CLOSE) {
        return Err("it does not close".to_owned());
    }
    let after = (usage::cpu_seconds()?, clock.now().mono_ns);

    let peak_mb = usage::peak_rss_mb()?;
    output::check(&log, APPLICATION, workload, args, passing)?;
    let millions = args.records as f64 / 1e6;
    let (user, system) = (after.0.0 - before.0.0, after.0.1 - before.0.1);
    let seconds = (after.1 - before.1) as f64 / 1e9;
    Ok(format!(
        "{:<9} {:<15} {:<6} commit {:>5} ms: {:.3} CPU-s/M (user {:.3}, system {:.3}), {:>9.0} records/s, {} commits, peak {:.0} MB",
        workload.name(),
        guarantee.name(),
        args.engine.name(),
        args.commit_ms,
        (user + system) / millions,
        user / millions,
        system / millions,
        args.records as f64 / seconds,
        metrics.commits(),
        peak_mb,
    ))
}

fn topology(workload: Workload, engine: StateEngine) -> millstream_types::Result<Topology> {
    let builder = StreamsBuilder::new();
    let stream = builder.stream::<String, String>(INPUT);
    match workload {
        Workload::Stateless => stream
            .filter(|_, value| amount(value) < AMOUNT_LIMIT)
            .map_values(|value| ["v1:", &value].concat())
            .to(OUTPUT),
        Workload::Count => {
            let store = match engine {
                StateEngine::Memory => StoreType::InMemory,
                StateEngine::Fjall => StoreType::Persistent,
            };
            let counts = Materialized::named("counts").with_caching_enabled().with_store_type(store);
            stream.group_by_key().count_with(counts).to_stream().to(OUTPUT);
        }
    }
    builder.build()
}

fn config(guarantee: Guarantee, args: &Args, state: &std::path::Path) -> millstream_types::Result<Config> {
    let guarantee = match guarantee {
        Guarantee::AtLeastOnce => ProcessingGuarantee::AtLeastOnce,
        Guarantee::ExactlyOnce => ProcessingGuarantee::ExactlyOnceV2,
    };
    Config::builder()
        .application_id(APPLICATION)
        .bootstrap_servers("memory:")
        .state_dir(state)
        .processing_guarantee(guarantee)
        .commit_interval(Duration::from_millis(args.commit_ms))
        .build()
}
