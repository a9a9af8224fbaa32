//! Stream-stream joins: one operator with two sides.
//!
//! Each stream goes through a node that keeps its records in a window store
//! (`KSTREAM-WINDOWED-`) and then through its side of the join, which looks up the other stream's
//! store. In left and outer joins a record without a partner waits in a store that both sides share
//! until its window has closed.

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_state::{
    JoinSide, LeftOrRight, OuterJoinRow, OuterJoinStore, TimestampedWindowStoreWithHeaders, ValueTimestampHeaders,
};
use millstream_types::{Record, Result, Serde, Timestamp};

use super::nulls::Nulls;
use crate::dsl::JoinWindows;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError, StoreHandle};

/// Joins the values of a key; a missing one has no record on its side.
pub(crate) type PairJoiner<K, L, R, O> = Arc<dyn Fn(&K, Option<&L>, Option<&R>) -> O + Send + Sync>;

/// `KSTREAM-WINDOWED`: lends each record to the join, then keeps it, so that a record does not join
/// itself.
struct JoinWindow<K, V> {
    key: Serde<K>,
    store: Arc<str>,
    handle: Option<StoreHandle<TimestampedWindowStoreWithHeaders<K, V>>>,
}

pub(crate) fn join_window<K, V>(store: &Arc<str>, key: Serde<K>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    let store = Arc::clone(store);
    NodeFactory::processor(move || JoinWindow::<K, V> { key: key.clone(), store: Arc::clone(&store), handle: None })
}

impl<K, V> Processor for JoinWindow<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = K;
    type ValueOut = V;

    fn init(&mut self, ctx: &mut Context<'_, K, V>) -> Result<(), ProcessorError> {
        self.handle = Some(ctx.store_handle(&self.store)?);
        Ok(())
    }

    fn process(&mut self, ctx: &mut Context<'_, K, V>, record: Incoming<'_, K, V>) -> Result<(), ProcessorError> {
        let record = record.into_record();
        ctx.lend(&record);
        if let Some(handle) = self.handle.filter(|_| !self.key.is_null(&record.key)) {
            let Record { key, value, timestamp, headers } = record;
            ctx.store(handle).add(&key, ValueTimestampHeaders { value, timestamp, headers })?;
        }
        Ok(())
    }
}

/// Finds a key's records from `before_ms` before to `after_ms` after a time, both inclusive, by time
/// and then in the order in which they came.
pub(crate) fn partners<K, V>(
    store: &mut TimestampedWindowStoreWithHeaders<K, V>,
    key: &K,
    time: Timestamp,
    (before_ms, after_ms): (i64, i64),
    found: &mut Vec<(Timestamp, V)>,
) -> Result<()>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    let from = Timestamp(time.0.saturating_sub(before_ms).max(0));
    let to = Timestamp(time.0.saturating_add(after_ms).max(0));
    found.clear();
    for row in store.fetch_range(key, from, to)? {
        let (time, row) = row?;
        found.push((time, row.value));
    }
    Ok(())
}

/// What a side is, at compile time: which of the two value types is its own.
pub(crate) trait Side<L, R>: Send + Sync + 'static {
    type This: Clone + Send + 'static;
    type Other: Clone + Send + 'static;
    const SIDE: JoinSide;
    /// A value of this side with what it meets, as the joiner takes them.
    fn pair<'a>(this: &'a Self::This, other: Option<&'a Self::Other>) -> (Option<&'a L>, Option<&'a R>);
    /// A value of this side as the shared store takes it.
    fn tagged(this: &Self::This) -> LeftOrRight<&L, &R>;
}

pub(crate) struct LeftSide;
pub(crate) struct RightSide;

impl<L: Clone + Send + 'static, R: Clone + Send + 'static> Side<L, R> for LeftSide {
    type This = L;
    type Other = R;
    const SIDE: JoinSide = JoinSide::Left;

    fn pair<'a>(this: &'a L, other: Option<&'a R>) -> (Option<&'a L>, Option<&'a R>) {
        (Some(this), other)
    }

    fn tagged(this: &L) -> LeftOrRight<&L, &R> {
        LeftOrRight::Left(this)
    }
}

impl<L: Clone + Send + 'static, R: Clone + Send + 'static> Side<L, R> for RightSide {
    type This = R;
    type Other = L;
    const SIDE: JoinSide = JoinSide::Right;

    fn pair<'a>(this: &'a R, other: Option<&'a L>) -> (Option<&'a L>, Option<&'a R>) {
        (other, Some(this))
    }

    fn tagged(this: &R) -> LeftOrRight<&L, &R> {
        LeftOrRight::Right(this)
    }
}

/// What both sides of a join are told when the topology is built.
pub(crate) struct StreamJoin<K, L, R, O> {
    pub(crate) windows: JoinWindows,
    pub(crate) joiner: PairJoiner<K, L, R, O>,
    /// The shared store of a left or outer join.
    pub(crate) unmatched: Option<Arc<str>>,
}

impl<K, L, R, O> Clone for StreamJoin<K, L, R, O> {
    fn clone(&self) -> Self {
        Self { windows: self.windows, joiner: Arc::clone(&self.joiner), unmatched: self.unmatched.clone() }
    }
}

/// `KSTREAM-JOINTHIS`, `KSTREAM-JOINOTHER` and their outer forms.
struct JoinNode<K, L, R, O, S: Side<L, R>> {
    join: StreamJoin<K, L, R, O>,
    nulls: Nulls<K, S::This>,
    /// Whether a record of this side is emitted without a partner.
    is_outer: bool,
    other_store: Arc<str>,
    other: Option<StoreHandle<TimestampedWindowStoreWithHeaders<K, S::Other>>>,
    unmatched: Option<StoreHandle<OuterJoinStore<K, L, R>>>,
    /// Room for the records found, used again.
    partners: Vec<(Timestamp, S::Other)>,
    side: PhantomData<S>,
}

/// A side of a join. `nulls` says which keys and values of this side are null.
pub(crate) fn join_side<K, L, R, O, S: Side<L, R>>(
    join: StreamJoin<K, L, R, O>,
    nulls: Nulls<K, S::This>,
    is_outer: bool,
    other_store: &Arc<str>,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    L: Clone + Send + 'static,
    R: Clone + Send + 'static,
    O: Clone + Send + 'static,
{
    let other_store = Arc::clone(other_store);
    NodeFactory::processor(move || JoinNode::<K, L, R, O, S> {
        join: join.clone(),
        nulls: nulls.clone(),
        is_outer,
        other_store: Arc::clone(&other_store),
        other: None,
        unmatched: None,
        partners: Vec::new(),
        side: PhantomData,
    })
}

impl<K, L, R, O, S> Processor for JoinNode<K, L, R, O, S>
where
    K: Clone + Send + 'static,
    L: Clone + Send + 'static,
    R: Clone + Send + 'static,
    O: Clone + Send + 'static,
    S: Side<L, R>,
{
    type KeyIn = K;
    type ValueIn = S::This;
    type KeyOut = K;
    type ValueOut = O;

    fn init(&mut self, ctx: &mut Context<'_, K, O>) -> Result<(), ProcessorError> {
        self.other = Some(ctx.store_handle(&self.other_store)?);
        if let Some(name) = &self.join.unmatched {
            self.unmatched = Some(ctx.store_handle(name)?);
        }
        Ok(())
    }

    fn process(&mut self, ctx: &mut Context<'_, K, O>, record: Incoming<'_, K, S::This>) -> Result<(), ProcessorError> {
        let time = record.timestamp;
        let stream_time = self.advance(ctx, time);
        let is_key_null = self.nulls.key(&record.key);
        let is_value_null = self.nulls.value(&record.value);
        if self.is_outer && is_key_null && !is_value_null {
            self.forward(ctx, &record, None, time);
            return Ok(());
        }
        if is_key_null || is_value_null {
            ctx.drop_record("a record with a null key or value is left out of the join");
            return Ok(());
        }
        if time == stream_time {
            self.emit_unmatched(ctx, &record)?;
        }
        let Some(other) = self.other else { return Ok(()) };
        let after_ms = self.after_ms(S::SIDE);
        let before_ms = self.join.windows.size_ms() - after_ms;
        let mut found = std::mem::take(&mut self.partners);
        partners(ctx.store(other), &record.key, time, (before_ms, after_ms), &mut found)?;
        let is_matched = !found.is_empty();
        for (partner_time, value) in found.drain(..) {
            if let Some(unmatched) = self.unmatched {
                let side = if S::SIDE == JoinSide::Left { JoinSide::Right } else { JoinSide::Left };
                ctx.store(unmatched).remove_if_present(&record.key, partner_time, side)?;
            }
            self.forward(ctx, &record, Some(&value), time.max(partner_time));
        }
        self.partners = found;
        if self.is_outer && !is_matched {
            let to = time.0.saturating_add(after_ms).max(0);
            self.keep_or_forward(ctx, &record, Timestamp(to), stream_time)?;
        }
        Ok(())
    }
}

impl<K, L, R, O, S> JoinNode<K, L, R, O, S>
where
    K: Clone + Send + 'static,
    L: Clone + Send + 'static,
    R: Clone + Send + 'static,
    O: Clone + Send + 'static,
    S: Side<L, R>,
{
    /// Lets the time that both sides share move on; gives it. An inner join needs none.
    fn advance(&self, ctx: &mut Context<'_, K, O>, time: Timestamp) -> Timestamp {
        let Some(handle) = self.unmatched else { return time };
        let progress = ctx.store(handle).progress();
        progress.stream_time = progress.stream_time.max(time);
        progress.stream_time
    }

    /// How much later than a record of that side its partner may be, in ms.
    fn after_ms(&self, side: JoinSide) -> i64 {
        match side {
            JoinSide::Left => self.join.windows.after_ms(),
            JoinSide::Right => self.join.windows.before_ms(),
        }
    }

    /// Whether a record of that time and side may still find a partner. It may exactly until stream
    /// time has passed its window's end and the grace period.
    fn is_open(&self, time: Timestamp, side: JoinSide, stream_time: Timestamp) -> bool {
        let end = time.0.saturating_add(self.after_ms(side)).saturating_add(self.join.windows.grace_period_ms());
        end >= stream_time.0
    }

    fn forward(
        &self,
        ctx: &mut Context<'_, K, O>,
        record: &Record<K, S::This>,
        other: Option<&S::Other>,
        timestamp: Timestamp,
    ) {
        let (left, right) = S::pair(&record.value, other);
        let value = (self.join.joiner)(&record.key, left, right);
        ctx.forward(Record { key: record.key.clone(), value, timestamp, headers: record.headers.clone() });
    }

    /// A record without a partner comes out at once when its window is over, else it waits.
    fn keep_or_forward(
        &self,
        ctx: &mut Context<'_, K, O>,
        record: &Record<K, S::This>,
        to: Timestamp,
        stream_time: Timestamp,
    ) -> Result<(), ProcessorError> {
        match self.unmatched {
            Some(handle) if to >= stream_time => {
                let store = ctx.store(handle);
                let progress = store.progress();
                progress.oldest = progress.oldest.min(record.timestamp);
                Ok(store.put(&record.key, record.timestamp, S::tagged(&record.value))?)
            }
            _ => {
                self.forward(ctx, record, None, record.timestamp);
                Ok(())
            }
        }
    }

    /// Emits the waiting records of both sides whose windows are over, with the headers of the
    /// record that moved time on. When it looks, and how far, is Kafka Streams' to the letter: it
    /// decides which record triggers which results.
    fn emit_unmatched(&self, ctx: &mut Context<'_, K, O>, record: &Record<K, S::This>) -> Result<(), ProcessorError> {
        let Some(handle) = self.unmatched else { return Ok(()) };
        let (now_ms, interval_ms) = (ctx.wall_clock_time().0, ctx.emit_interval_ms());
        let progress = ctx.store(handle).progress();
        let stream_time = progress.stream_time;
        if self.is_open(progress.oldest, S::SIDE, stream_time) || now_ms < progress.next_look_ms {
            return Ok(());
        }
        progress.next_look_ms = now_ms.saturating_add(interval_ms);
        progress.oldest = Timestamp(i64::MAX);
        let (mut is_left_open, mut is_right_open) = (false, false);
        let mut emitted: Option<OuterJoinRow<K, L, R>> = None;
        for row in ctx.store(handle).rows()? {
            let row = row?;
            ctx.store(handle).progress().oldest = row.time();
            if is_left_open && is_right_open {
                break;
            }
            if self.is_open(row.time(), row.side(), stream_time) {
                match row.side() {
                    JoinSide::Left => is_left_open = true,
                    JoinSide::Right => is_right_open = true,
                }
                continue;
            }
            self.forward_unmatched(ctx, record, &row)?;
            // Not sooner: a joiner that fails must find this row again.
            if let Some(before) = emitted.replace(row) {
                ctx.store(handle).remove(&before);
            }
        }
        if let Some(last) = emitted {
            ctx.store(handle).remove(&last);
        }
        Ok(())
    }

    fn forward_unmatched(
        &self,
        ctx: &mut Context<'_, K, O>,
        record: &Record<K, S::This>,
        row: &OuterJoinRow<K, L, R>,
    ) -> Result<(), ProcessorError> {
        let key = row.key()?;
        for value in row.values()? {
            let value = match &value {
                LeftOrRight::Left(left) => (self.join.joiner)(&key, Some(left), None),
                LeftOrRight::Right(right) => (self.join.joiner)(&key, None, Some(right)),
            };
            let headers = record.headers.clone();
            ctx.forward(Record { key: key.clone(), value, timestamp: row.time(), headers });
        }
        Ok(())
    }
}
