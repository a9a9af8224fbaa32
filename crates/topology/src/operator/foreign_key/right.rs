//! The right side: subscriptions are kept and answered, and right rows' updates answer those that
//! are kept.

use std::sync::Arc;

use bytes::Bytes;
use millstream_state::{TimestampedKeyValueStoreWithHeaders, ValueTimestampHeaders};
use millstream_types::{Result, Serde};

use super::unwritable;
use super::wire::{Instruction, Response, Subscription};
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError, StoreHandle};
use crate::operator::change::Change;
use crate::operator::table_view::{TableView, ViewSupplier};

/// Subscriptions by `length of the foreign key (4) | foreign key | primary key`.
pub(crate) type SubscriptionStore<K> = TimestampedKeyValueStoreWithHeaders<Bytes, Subscription<K>>;

/// The bytes that all subscriptions of a foreign key begin with.
fn prefix<KO>(serde: &Serde<KO>, key: &KO) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde.encode(key, &mut bytes).map_err(|error| unwritable("foreign key", error))?;
    let len = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
    if let Some(head) = bytes.first_chunk_mut::<4>() {
        *head = len.to_be_bytes();
    }
    Ok(bytes)
}

/// `KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR`, the first: keeps subscriptions and passes them on.
struct SubscriptionReceive<K, KO> {
    store: Arc<str>,
    key: Serde<K>,
    foreign_key: Serde<KO>,
    handle: Option<StoreHandle<SubscriptionStore<K>>>,
}

pub(crate) fn subscription_receive<K, KO>(store: &Arc<str>, key: Serde<K>, foreign_key: Serde<KO>) -> NodeFactory
where
    K: Clone + Send + 'static,
    KO: Clone + Send + 'static,
{
    let store = Arc::clone(store);
    NodeFactory::processor(move || SubscriptionReceive {
        store: Arc::clone(&store),
        key: key.clone(),
        foreign_key: foreign_key.clone(),
        handle: None,
    })
}

impl<K, KO> Processor for SubscriptionReceive<K, KO>
where
    K: Clone + Send + 'static,
    KO: Clone + Send + 'static,
{
    type KeyIn = Option<KO>;
    type ValueIn = Subscription<K>;
    type KeyOut = Option<KO>;
    type ValueOut = Subscription<K>;

    fn init(&mut self, ctx: &mut Context<'_, Option<KO>, Subscription<K>>) -> Result<(), ProcessorError> {
        self.handle = Some(ctx.store_handle(&self.store)?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, Option<KO>, Subscription<K>>,
        record: Incoming<'_, Option<KO>, Subscription<K>>,
    ) -> Result<(), ProcessorError> {
        let subscription = &record.value;
        let Some(handle) = self.handle else { return Ok(()) };
        match &record.key {
            None if subscription.instruction != Instruction::Answer => {
                ctx.drop_record("a subscription without foreign key is dropped");
                return Ok(());
            }
            None => {}
            Some(foreign_key) => {
                let mut key = prefix(&self.foreign_key, foreign_key)?;
                self.key
                    .encode(&subscription.primary_key, &mut key)
                    .map_err(|error| unwritable("primary key", error))?;
                let row = ValueTimestampHeaders {
                    value: subscription.clone(),
                    timestamp: record.timestamp,
                    headers: record.headers.clone(),
                };
                ctx.store(handle).put(&key.into(), subscription.instruction.is_kept().then_some(row))?;
            }
        }
        ctx.forward_incoming(record);
        Ok(())
    }
}

/// `KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR`, the second: answers a subscription with the right row.
struct SubscriptionJoin<K, KO, VO> {
    rows: Box<dyn TableView<KO, VO>>,
    types: std::marker::PhantomData<fn() -> K>,
}

pub(crate) fn subscription_join<K, KO, VO>(rows: &ViewSupplier<KO, VO>) -> NodeFactory
where
    K: Clone + Send + 'static,
    KO: Clone + Send + 'static,
    VO: Clone + Send + 'static,
{
    let make = Arc::clone(&rows.make);
    NodeFactory::processor(move || SubscriptionJoin::<K, KO, VO> { rows: make(), types: std::marker::PhantomData })
}

impl<K, KO, VO> Processor for SubscriptionJoin<K, KO, VO>
where
    K: Clone + Send + 'static,
    KO: Clone + Send + 'static,
    VO: Clone + Send + 'static,
{
    type KeyIn = Option<KO>;
    type ValueIn = Subscription<K>;
    type KeyOut = K;
    type ValueOut = Response<VO>;

    fn init(&mut self, ctx: &mut Context<'_, K, Response<VO>>) -> Result<(), ProcessorError> {
        Ok(self.rows.init(&mut ctx.scope())?)
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Response<VO>>,
        record: Incoming<'_, Option<KO>, Subscription<K>>,
    ) -> Result<(), ProcessorError> {
        let row = match &record.key {
            Some(key) => self.rows.get(&mut ctx.scope(), key)?,
            None => None,
        };
        let timestamp = row.as_ref().map_or(record.timestamp, |row| row.timestamp.max(record.timestamp));
        let value = match record.value.instruction {
            Instruction::Delete => return Ok(()),
            Instruction::AnswerIfPresent if row.is_none() => return Ok(()),
            Instruction::DeleteAndAnswer => None,
            Instruction::Answer | Instruction::AnswerIfPresent => row.map(|row| row.value),
        };
        let (_, Subscription { hash, primary_key, partition, .. }, rest) = record.into_record().into_parts();
        let response = Response { hash, value, partition };
        ctx.forward(rest.with_key(primary_key).with_value(response).with_timestamp(timestamp));
        Ok(())
    }
}

/// What the operator is told when the topology is built.
pub(crate) struct ForeignJoinSpec<KO> {
    pub(crate) store: Arc<str>,
    pub(crate) foreign_key: Serde<KO>,
    /// The table is versioned, and the join holds its newest rows only.
    pub(crate) skips_late: bool,
}

/// `KTABLE-FK-JOIN-SUBSCRIPTION-PROCESSOR`, the third: tells all who subscribed of a right row's
/// update, in the order of their keys' bytes.
struct ForeignJoin<K, KO, VO> {
    store: Arc<str>,
    foreign_key: Serde<KO>,
    skips_late: bool,
    handle: Option<StoreHandle<SubscriptionStore<K>>>,
    types: std::marker::PhantomData<fn() -> VO>,
}

pub(crate) fn foreign_join<K, KO, VO>(spec: ForeignJoinSpec<KO>) -> NodeFactory
where
    K: Clone + Send + 'static,
    KO: Clone + Send + 'static,
    VO: Clone + Send + 'static,
{
    NodeFactory::processor(move || ForeignJoin::<K, KO, VO> {
        store: Arc::clone(&spec.store),
        foreign_key: spec.foreign_key.clone(),
        skips_late: spec.skips_late,
        handle: None,
        types: std::marker::PhantomData,
    })
}

impl<K, KO, VO> Processor for ForeignJoin<K, KO, VO>
where
    K: Clone + Send + 'static,
    KO: Clone + Send + 'static,
    VO: Clone + Send + 'static,
{
    type KeyIn = KO;
    type ValueIn = Change<VO>;
    type KeyOut = K;
    type ValueOut = Response<VO>;

    fn init(&mut self, ctx: &mut Context<'_, K, Response<VO>>) -> Result<(), ProcessorError> {
        self.handle = Some(ctx.store_handle(&self.store)?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Response<VO>>,
        record: Incoming<'_, KO, Change<VO>>,
    ) -> Result<(), ProcessorError> {
        if self.foreign_key.is_null(&record.key) || (self.skips_late && !record.value.is_latest) {
            ctx.drop_record("an update without key, or older than its row, is left out of the join");
            return Ok(());
        }
        let Some(handle) = self.handle else { return Ok(()) };
        let prefix = prefix(&self.foreign_key, &record.key)?;
        let (_, change, rest) = record.into_record().into_parts();
        for row in ctx.store(handle).prefix_scan(&prefix)? {
            let Subscription { hash, primary_key, partition, .. } = row?.1.value;
            let response = Response { hash, value: change.new.clone(), partition };
            ctx.forward(rest.clone().with_key(primary_key).with_value(response));
        }
        Ok(())
    }
}
