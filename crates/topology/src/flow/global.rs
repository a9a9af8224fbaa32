//! Global stores as the nodes of a flow see them: shared by all tasks, read under one guard a batch.

use std::sync::Arc;

use millstream_state::{CommitMark, Engine, StoreFacts, StoreFormat};
use millstream_types::{Error, ErrorKind, Result, Timestamp};
use parking_lot::lock_api::ArcRwLockReadGuard;
use parking_lot::{RawRwLock, RwLock};

/// The global stores of an application: one engine each.
#[derive(Default)]
pub struct GlobalState {
    stores: Vec<(StoreFacts, Box<dyn Engine>)>,
    /// Moves with every write, so that readers may keep what they decoded.
    version: u64,
    /// Whether rows may be missing that the topics have.
    is_filling: bool,
}

impl GlobalState {
    /// Adds a store over its engine.
    pub fn add(&mut self, facts: StoreFacts, engine: Box<dyn Engine>) {
        self.stores.push((facts, engine));
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
        let format = self.find(store)?.0.format;
        for (key, value, timestamp) in records {
            let timestamp = timestamp.0.to_be_bytes();
            let time: &[u8] = if format == StoreFormat::Plain { &[] } else { &timestamp };
            last.insert(key, value.map(|value| [time, &value].concat()));
        }
        let engine = self.engine_mut(store)?;
        engine.apply(&mut last.iter().map(|(key, value)| (key.as_slice(), value.as_deref())), mark)
    }

    /// The mark of a store: its changelog offset is the last offset of the source topic applied.
    pub fn mark(&self, store: &str) -> Result<Option<CommitMark>> {
        self.find(store)?.1.mark()
    }

    /// Deletes a store's content, for a source topic that was recreated. No flow sees the stores before they are
    /// [filled](Self::set_filling) again.
    pub fn wipe(&mut self, store: &str) -> Result<()> {
        self.is_filling = true;
        self.engine_mut(store)?.wipe()
    }

    /// Says whether rows may be missing that the topics have. No flow sees the stores then.
    pub fn set_filling(&mut self, is_filling: bool) {
        self.is_filling = is_filling;
    }

    /// Whether rows may be missing that the topics have.
    pub fn is_filling(&self) -> bool {
        self.is_filling
    }

    /// What is known of a store.
    pub fn facts(&self, store: &str) -> Option<&StoreFacts> {
        self.find(store).ok().map(|(facts, _)| facts)
    }

    /// The engine of a store, for queries and the test driver.
    pub fn engine(&self, store: &str) -> Option<&dyn Engine> {
        self.find(store).ok().map(|(_, engine)| &**engine)
    }

    /// Splits a stored row into its timestamp (-1 where the store keeps none) and its value.
    ///
    /// # Errors
    /// `State` when there is no such store, `Corrupted` when the row is shorter than a timestamp.
    pub fn split<'a>(&self, store: &str, row: &'a [u8]) -> Result<(Timestamp, &'a [u8])> {
        let (facts, _) = self.find(store)?;
        if facts.format == StoreFormat::Plain {
            return Ok((Timestamp::UNKNOWN, row));
        }
        let (timestamp, value) = row.split_first_chunk::<8>().ok_or_else(|| {
            Error::new(ErrorKind::Corrupted, format!("a row of global store {store} has no timestamp"))
        })?;
        Ok((Timestamp(i64::from_be_bytes(*timestamp)), value))
    }

    fn find(&self, store: &str) -> Result<&(StoreFacts, Box<dyn Engine>)> {
        self.stores.iter().find(|(facts, _)| *facts.name == *store).ok_or_else(|| unknown(store))
    }

    /// The engine of a store, to be written.
    pub(crate) fn engine_mut(&mut self, store: &str) -> Result<&mut Box<dyn Engine>> {
        self.version += 1;
        let found = self.stores.iter_mut().find(|(facts, _)| *facts.name == *store);
        found.map(|(_, engine)| engine).ok_or_else(|| unknown(store))
    }
}

pub(super) fn unknown(store: &str) -> Error {
    Error::new(ErrorKind::State, format!("there is no global store {store}"))
}

/// A flow's sight of the global state: present only between lock and unlock.
#[derive(Default)]
pub(crate) struct GlobalView(Option<ArcRwLockReadGuard<RawRwLock, GlobalState>>);

impl GlobalView {
    /// # Errors
    /// `Retriable` while the stores are being filled.
    pub(crate) fn lock(&mut self, state: &Arc<RwLock<GlobalState>>) -> Result<()> {
        if self.0.is_none() {
            let guard = RwLock::read_arc(state);
            if guard.is_filling {
                return Err(Error::new(
                    ErrorKind::Retriable,
                    "a global store is being filled anew; tasks go on from the last commit when it is",
                ));
            }
            self.0 = Some(guard);
        }
        Ok(())
    }

    pub(crate) fn unlock(&mut self) {
        self.0 = None;
    }

    /// What `read` makes of the value under a key.
    pub(crate) fn get<T>(&self, store: &str, key: &[u8], read: impl FnOnce(&[u8]) -> Result<T>) -> Result<Option<T>> {
        let Some(state) = &self.0 else {
            return Err(Error::new(ErrorKind::State, "global stores are not open to this task now"));
        };
        let (_, engine) = state.find(store)?;
        let Some(row) = engine.get(key)? else { return Ok(None) };
        let (_, value) = state.split(store, &row)?;
        read(value).map(Some)
    }

    pub(crate) fn version(&self) -> u64 {
        self.0.as_ref().map_or(0, |state| state.version)
    }
}
