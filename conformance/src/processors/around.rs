//! What a processor of the catalogue has around it, whether it may change keys or not.

use millstream_state::StateStore;
use millstream_topology::{Context, FixedKeyContext, FixedKeyRecord, ProcessorError, StoreHandle};
use millstream_types::{Record, RecordMetadata, Timestamp};

use crate::value::Val;

/// The part of both kinds of contexts that the catalogue uses.
pub(super) trait Around {
    fn send(&mut self, record: Record<Val, Val>);
    fn send_to(&mut self, child: &str, record: Record<Val, Val>) -> Result<(), ProcessorError>;
    fn store_handle<S: StateStore>(&mut self, name: &str) -> Result<StoreHandle<S>, ProcessorError>;
    fn store<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S;
    fn commit(&mut self);
    fn record_metadata(&self) -> RecordMetadata;
    fn stream_time(&self) -> Timestamp;
    fn wall_clock_time(&self) -> Timestamp;
}

/// The context of a processor that keeps the key, with the record it was given; `None` in `init`, where
/// nothing is sent.
pub(super) struct Fixed<'c, 'a> {
    pub(super) ctx: &'c mut FixedKeyContext<'a, Val, Val>,
    pub(super) record: Option<FixedKeyRecord<Val, Val>>,
}

impl Fixed<'_, '_> {
    /// What is sent, made of the record that came.
    fn made(&self, record: Record<Val, Val>) -> Option<FixedKeyRecord<Val, Val>> {
        let came = self.record.clone()?;
        Some(came.with_value(record.value).with_timestamp(record.timestamp).with_headers(record.headers))
    }
}

impl Around for Context<'_, Val, Val> {
    fn send(&mut self, record: Record<Val, Val>) {
        self.forward(record);
    }

    fn send_to(&mut self, child: &str, record: Record<Val, Val>) -> Result<(), ProcessorError> {
        Ok(self.forward_to(child, record)?)
    }

    fn store_handle<S: StateStore>(&mut self, name: &str) -> Result<StoreHandle<S>, ProcessorError> {
        Ok(Context::store_handle(self, name)?)
    }

    fn store<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        Context::store(self, handle)
    }

    fn commit(&mut self) {
        Context::commit(self);
    }

    fn record_metadata(&self) -> RecordMetadata {
        Context::record_metadata(self)
    }

    fn stream_time(&self) -> Timestamp {
        Context::stream_time(self)
    }

    fn wall_clock_time(&self) -> Timestamp {
        Context::wall_clock_time(self)
    }
}

impl Around for Fixed<'_, '_> {
    fn send(&mut self, record: Record<Val, Val>) {
        if let Some(record) = self.made(record) {
            self.ctx.forward(record);
        }
    }

    fn send_to(&mut self, child: &str, record: Record<Val, Val>) -> Result<(), ProcessorError> {
        match self.made(record) {
            Some(record) => Ok(self.ctx.forward_to(child, record)?),
            None => Ok(()),
        }
    }

    fn store_handle<S: StateStore>(&mut self, name: &str) -> Result<StoreHandle<S>, ProcessorError> {
        Ok(self.ctx.store_handle(name)?)
    }

    fn store<S: StateStore>(&mut self, handle: StoreHandle<S>) -> &mut S {
        self.ctx.store(handle)
    }

    fn commit(&mut self) {
        self.ctx.commit();
    }

    fn record_metadata(&self) -> RecordMetadata {
        self.ctx.record_metadata()
    }

    fn stream_time(&self) -> Timestamp {
        self.ctx.stream_time()
    }

    fn wall_clock_time(&self) -> Timestamp {
        self.ctx.wall_clock_time()
    }
}
