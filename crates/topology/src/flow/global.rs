//! Global stores as the nodes of a flow see them: shared by all tasks, read under one guard a batch.

use std::sync::Arc;

use millstream_state::{CommitMark, Engine};
use millstream_types::{Error, ErrorKind, Result, Timestamp};
use parking_lot::lock_api::ArcRwLockReadGuard;
use parking_lot::{RawRwLock, RwLock};

/// The global stores of an application: one engine each, holding `timestamp (8 bytes) | value`.
#[derive(Default)]
pub struct GlobalState {
    stores: Vec<(Arc<str>, Box<dyn Engine>)>,
    /// Moves with every write, so that readers may keep what they decoded.
    version: u64,
}

impl GlobalState {
    /// Adds a store over its engine.
    pub fn add(&mut self, name: Arc<str>, engine: Box<dyn Engine>) {
        self.stores.push((name, engine));
    }

    /// Applies one batch of the source topic to a store, last write of a key last.
    ///
    /// # Errors
    /// What the engine gives; nothing was applied then.
    pub fn apply(
        &mut self,
        store: &str,
        records: impl IntoIterator<Item = (Vec<u8>, Option<Vec<u8>>, Timestamp)>,
        mark: &CommitMark,
    ) -> Result<()> {
        let mut last = std::collections::BTreeMap::new();
        for (key, value, timestamp) in records {
            let bytes = value.map(|value| [timestamp.0.to_be_bytes().as_slice(), &value].concat());
            last.insert(key, bytes);
        }
        self.version += 1;
        let engine = self.engine_mut(store)?;
        engine.apply(&mut last.iter().map(|(key, value)| (key.as_slice(), value.as_deref())), mark)
    }

    /// The mark of a store: its changelog offset is the last offset of the source topic applied.
    pub fn mark(&self, store: &str) -> Result<Option<CommitMark>> {
        match self.stores.iter().find(|(name, _)| **name == *store) {
            Some((_, engine)) => engine.mark(),
            None => Err(unknown(store)),
        }
    }

    /// Deletes a store's content, for a source topic that was recreated.
    pub fn wipe(&mut self, store: &str) -> Result<()> {
        self.version += 1;
        self.engine_mut(store)?.wipe()
    }

    /// The engine of a store, for queries and the test driver.
    pub fn engine(&self, store: &str) -> Option<&dyn Engine> {
        self.stores.iter().find(|(name, _)| **name == *store).map(|(_, engine)| &**engine)
    }

    fn engine_mut(&mut self, store: &str) -> Result<&mut Box<dyn Engine>> {
        let found = self.stores.iter_mut().find(|(name, _)| **name == *store);
        found.map(|(_, engine)| engine).ok_or_else(|| unknown(store))
    }
}

fn unknown(store: &str) -> Error {
    Error::new(ErrorKind::State, format!("there is no global store {store}"))
}

/// A flow's sight of the global state: present only between lock and unlock.
#[derive(Default)]
pub(crate) struct GlobalView(Option<ArcRwLockReadGuard<RawRwLock, GlobalState>>);

impl GlobalView {
    pub(crate) fn lock(&mut self, state: &Arc<RwLock<GlobalState>>) {
        if self.0.is_none() {
            self.0 = Some(RwLock::read_arc(state));
        }
    }

    pub(crate) fn unlock(&mut self) {
        self.0 = None;
    }

    /// The bytes under a key, and the version they were read at.
    pub(crate) fn get(&self, store: &str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(state) = &self.0 else {
            return Err(Error::new(ErrorKind::State, "global stores are not open to this task now"));
        };
        match state.engine(store) {
            Some(engine) => engine.get(key),
            None => Err(unknown(store)),
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.0.as_ref().map_or(0, |state| state.version)
    }
}
