//! The flow of a global store that a processor of the user's keeps: its source and its processor,
//! run by whoever reads the store's topic, not by a task.

use std::sync::Arc;

use millstream_state::{CommitMark, Engine, Origin, Scan, StateStore};
use millstream_types::{Error, ErrorKind, RawRecord, Result, Timestamp, TopicPartition};
use parking_lot::RwLock;

use super::global::{GlobalState, unknown};
use super::{Flow, FlowEnv, Head, NodeIndex, SinkRecord};

/// A global store's processor with its store. Writes are seen by tasks from [`commit`](Self::commit)
/// on.
pub struct GlobalFlow {
    flow: Flow,
    source: NodeIndex,
}

impl GlobalFlow {
    /// Starts the processor of a flow of one source.
    ///
    /// # Errors
    /// What the processor's `init` fails with.
    pub(crate) fn new(mut flow: Flow, source: &str, wall_ms: i64) -> Result<Self> {
        let unknown = || Error::new(ErrorKind::Topology, format!("the flow has no source {source}"));
        let source = flow.source(source).ok_or_else(unknown)?;
        flow.init(&mut GlobalEnv { wall_ms, source: None }, Timestamp::UNKNOWN)?;
        Ok(Self { flow, source })
    }

    /// Gives the record that `head` has decoded to the processor.
    ///
    /// # Errors
    /// What no handler continued from; the flow is of no use afterwards.
    pub fn process(
        &mut self,
        head: &mut dyn Head,
        partition: &TopicPartition,
        raw: &RawRecord,
        wall_ms: i64,
    ) -> Result<()> {
        let origin = Origin {
            topic: Some(Arc::clone(&partition.topic)),
            partition: partition.partition,
            offset: raw.offset,
            timestamp: raw.timestamp,
            ..Origin::NONE
        };
        let mut env = GlobalEnv { wall_ms, source: Some(raw) };
        self.flow.process(&mut env, self.source, head, &origin, &raw.headers)
    }

    /// Writes what the processor has put into the store to the global state, with the mark.
    ///
    /// # Errors
    /// What flushing and the engine give.
    pub fn commit(&mut self, mark: &CommitMark, wall_ms: i64) -> Result<()> {
        self.flow.flush(&mut GlobalEnv { wall_ms, source: None })?;
        for store in self.flow.stores_mut() {
            // The topic that feeds the store is its changelog: what it logs itself goes nowhere.
            store.drain_changelog(&mut |_| Ok(()))?;
            store.seal();
            store.apply(mark)?;
        }
        Ok(())
    }

    /// Deletes what the store holds, its caches too.
    ///
    /// # Errors
    /// What the engine gives.
    pub fn wipe(&mut self) -> Result<()> {
        self.flow.stores_mut().iter_mut().try_for_each(|store| store.wipe())
    }

    /// Records dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        self.flow.take_dropped()
    }

    /// The typed store.
    pub fn store_mut(&mut self) -> Option<&mut dyn StateStore> {
        self.flow.stores_mut().first_mut().map(|store| &mut **store)
    }
}

/// The world around a global store's processor: it has no outputs.
struct GlobalEnv<'a> {
    wall_ms: i64,
    source: Option<&'a RawRecord>,
}

impl FlowEnv for GlobalEnv<'_> {
    fn send(&mut self, record: SinkRecord<'_>) -> Result<()> {
        // As in Kafka Streams 4.3: nothing writes here, not even dead letters.
        tracing::warn!(topic = %record.topic, "a global store's processor cannot send; the record is not written");
        Ok(())
    }

    fn partition_count(&mut self, topic: &Arc<str>) -> Result<i32> {
        Err(Error::new(ErrorKind::State, format!("a global store's processor cannot send to topic {topic}")))
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms
    }

    fn request_commit(&mut self) {}

    fn source_record(&self) -> Option<RawRecord> {
        self.source.cloned()
    }
}

/// The engine below a global store's typed store: the one in the global state, where tasks read it.
pub(crate) struct GlobalEngine {
    pub(crate) state: Arc<RwLock<GlobalState>>,
    pub(crate) store: Arc<str>,
    /// Whether this may be read by a thread that holds the state open for a flow.
    pub(crate) is_nested: bool,
}

impl GlobalEngine {
    fn read<T>(&self, read: impl FnOnce(&dyn Engine) -> Result<T>) -> Result<T> {
        // A writer that waits for a thread to give the state free keeps other readers out, so that they do not keep it
        // waiting for ever. That thread must not wait in turn.
        let state = if self.is_nested { self.state.read_recursive() } else { self.state.read() };
        read(state.engine(&self.store).ok_or_else(|| unknown(&self.store))?)
    }
}

impl Engine for GlobalEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.read(|engine| engine.get(key))
    }

    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        self.read(|engine| engine.scan(from, to, is_reverse))
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        self.state.write().engine_mut(&self.store)?.apply(writes, mark)
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.read(|engine| engine.mark())
    }

    fn wipe(&mut self) -> Result<()> {
        self.state.write().wipe(&self.store)
    }

    fn is_persistent(&self) -> bool {
        self.read(|engine| Ok(engine.is_persistent())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use millstream_state::{EngineProvider, MemoryEngines, Stores};
    use millstream_types::Serdes;

    use super::super::global::GlobalView;
    use super::*;

    fn state_of_names() -> Arc<RwLock<GlobalState>> {
        let factory = Stores::key_value_store_builder("names", Serdes::string(), Serdes::string()).into_factory();
        let engine = MemoryEngines::simulated_disk("p").open(None, factory.facts()).unwrap();
        let mut state = GlobalState::default();
        state.add(factory.facts().clone(), engine);
        Arc::new(RwLock::new(state))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "two threads meet here")]
    fn who_holds_the_state_reads_a_store_while_a_writer_waits() {
        let state = state_of_names();
        let (tell, heard) = mpsc::channel();
        thread::spawn(move || {
            let mut view = GlobalView::default();
            view.lock(&state).unwrap();
            let writer = {
                let state = Arc::clone(&state);
                thread::spawn(move || drop(state.write()))
            };
            while state.try_read().is_some() {
                thread::yield_now();
            }
            let engine = GlobalEngine { state, store: "names".into(), is_nested: true };
            tell.send(engine.get(b"k").unwrap()).unwrap();
            view.unlock();
            writer.join().unwrap();
        });
        assert_eq!(heard.recv_timeout(Duration::from_secs(60)), Ok(None));
    }

    #[test]
    fn no_flow_sees_stores_that_are_being_filled() {
        let state = state_of_names();
        let lock = || GlobalView::default().lock(&state).map_err(|error| error.kind());
        assert_eq!(lock(), Ok(()));
        state.write().wipe("names").unwrap();
        assert_eq!(lock(), Err(ErrorKind::Retriable));
        state.write().set_filling(false);
        assert_eq!(lock(), Ok(()));
    }
}
