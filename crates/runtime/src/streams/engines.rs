//! The engines of an application's stores, as configured, and the id of its process.

use std::sync::Arc;
use std::time::Duration;

use millstream_state::{EngineProvider, MemoryEngines};
use millstream_topology::graph::Topology;
use millstream_types::config::Bootstrap;
use millstream_types::{Config, Now, Result, open_patiently};

/// How long a state directory is waited for where nothing but a process id lies: another instance may use it for good.
const PATIENCE_FOR_ID: Duration = Duration::from_millis(100);

/// Opens the state directory if the topology has persistent stores, or where a process id that is kept spares the
/// next start a wait: on brokers. Nothing is touched otherwise.
pub(super) fn open(topology: &Topology, config: &Config, now: Now) -> Result<Arc<dyn EngineProvider>> {
    let locals = topology.facts().stores.iter();
    let globals = topology.global_stores().iter().map(|global| &global.store);
    let fresh_id = || process_id(now);
    match locals.chain(globals).find(|store| store.is_persistent) {
        Some(store) => persistent(config, &store.name, fresh_id),
        None => Ok(Arc::new(in_memory(config, fresh_id))),
    }
}

/// Several instances may share a state directory that none of them needs: only the first one's id is kept there.
fn in_memory(config: &Config, fresh_id: impl Fn() -> String) -> MemoryEngines {
    if !matches!(config.bootstrap(), Bootstrap::Brokers(_)) {
        return MemoryEngines::new(fresh_id());
    }
    let kept = || MemoryEngines::with_kept_id(config.state_dir(), config.application_id(), &fresh_id);
    open_patiently(PATIENCE_FOR_ID, kept).unwrap_or_else(|error| {
        tracing::info!(%error, "the process id is not kept: after a crash the group waits for the session's end");
        MemoryEngines::new(fresh_id())
    })
}

#[cfg(feature = "fjall")]
fn persistent(config: &Config, _: &str, fresh_id: impl Fn() -> String) -> Result<Arc<dyn EngineProvider>> {
    if config.state_dir().starts_with(std::env::temp_dir()) {
        let dir = config.state_dir().display().to_string();
        tracing::warn!(dir, "local state lies where the system may delete it: set state.dir to a place that is kept");
    }
    let open = || millstream_state::FjallEngines::open(config.state_dir(), config.application_id(), &fresh_id);
    Ok(Arc::new(open_patiently(super::PATIENCE, open)?))
}

#[cfg(not(feature = "fjall"))]
fn persistent(_: &Config, store: &str, _: impl Fn() -> String) -> Result<Arc<dyn EngineProvider>> {
    let message = format!(
        "store {store} is persistent, and this build has no engine for that (feature fjall); keep it in memory, for \
         the DSL's stores by dsl.store.suppliers.class=in_memory"
    );
    Err(millstream_types::Error::new(millstream_types::ErrorKind::Configuration, message))
}

/// An id that no other process has, in a UUID's form: made from the time and the process's number.
fn process_id(now: Now) -> String {
    let mut state = (now.wall_ms as u64) ^ now.mono_ns.rotate_left(32) ^ u64::from(std::process::id()).rotate_left(48);
    let mut next = || {
        // SplitMix64: spreads a few bits over all.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let (high, low) = (next(), next());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}
