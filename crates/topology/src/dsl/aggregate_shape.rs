//! What an aggregate of a grouped stream depends on besides its functions: without windows, in
//! windows of a size, or in sessions. From it follow key, store and operator.

use std::sync::Arc;
use std::time::Duration;

use millstream_state::{
    DslSessionParams, DslWindowParams, SessionStore, Stores, TimestampedKeyValueStore, TimestampedWindowStore,
};
use millstream_types::{Serde, Windowed};

use super::draft::Draft;
use super::options::Materialized;
use super::windowing::{FixedWindows, SizedWindows};
use super::{EmitStrategy, SlidingWindows};
use crate::flow::NodeFactory;
use crate::operator::aggregate::{Aggregation, aggregate};
use crate::operator::table_output::{RowStore, TableOutput};
use crate::operator::windowed::{Sessions, windowed_aggregate};
use millstream_types::clock::millis;

/// How aggregates of type `A` by key `K` are kept and made.
pub(crate) trait Shape<K, A> {
    /// Key of the table.
    type Key: Clone + Send + 'static;
    /// Store of the table.
    type Store: RowStore<Self::Key, A>;

    fn key_serde(&self, key: Serde<K>) -> Serde<Self::Key>;

    /// Whether records with a null value are left out.
    fn skips_null_values(&self) -> bool;

    /// Whether a count into a store without a name takes a number that it does not use, as in Kafka
    /// Streams.
    fn burns_number(&self) -> bool;

    /// Whether a record cache may stand before the store.
    fn is_cacheable(&self) -> bool;

    /// How long after their end windows take records, in ms.
    fn grace_ms(&self) -> Option<i64>;

    /// Adds the store of the table.
    fn add_store(&self, draft: &mut Draft, store: &Arc<str>, kept: &Materialized<K, A>, serdes: (Serde<K>, Serde<A>));

    /// The operator over that store.
    fn operator(&self, output: TableOutput<Self::Key, A, Self::Store>) -> Operator<K, A>;
}

/// An operator that only lacks the functions of its input.
pub(crate) enum Operator<K, A> {
    Plain(TableOutput<K, A, TimestampedKeyValueStore<K, A>>),
    Fixed(FixedWindows, EmitStrategy, TableOutput<Windowed<K>, A, TimestampedWindowStore<K, A>>),
    Sliding(SlidingWindows, EmitStrategy, TableOutput<Windowed<K>, A, TimestampedWindowStore<K, A>>),
    Sessions(Sessions<K, A>, EmitStrategy, TableOutput<Windowed<K>, A, SessionStore<K, A>>),
}

impl<K, A> Operator<K, A>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    /// The code of the operator for an input of values `V`.
    pub(crate) fn code<V: Clone + Send + 'static>(self, aggregation: Aggregation<K, V, A>) -> NodeFactory {
        match self {
            Self::Plain(output) => aggregate(aggregation, output),
            Self::Fixed(windows, emit, output) => windowed_aggregate(windows, emit, aggregation, output),
            Self::Sliding(windows, emit, output) => windowed_aggregate(windows, emit, aggregation, output),
            Self::Sessions(windows, emit, output) => windowed_aggregate(windows, emit, aggregation, output),
        }
    }
}

/// Without windows.
pub(crate) struct Unwindowed;

/// In windows that are known by their start.
#[derive(Clone, Copy)]
pub(crate) struct SizedShape {
    pub(crate) windows: SizedWindows,
    pub(crate) emit: EmitStrategy,
}

/// In sessions.
pub(crate) struct SessionShape<K, A> {
    pub(crate) sessions: Sessions<K, A>,
    pub(crate) emit: EmitStrategy,
}

impl<K, A> Shape<K, A> for Unwindowed
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type Key = K;
    type Store = TimestampedKeyValueStore<K, A>;

    fn key_serde(&self, key: Serde<K>) -> Serde<K> {
        key
    }

    fn skips_null_values(&self) -> bool {
        true
    }

    fn burns_number(&self) -> bool {
        true
    }

    fn is_cacheable(&self) -> bool {
        true
    }

    fn grace_ms(&self) -> Option<i64> {
        None
    }

    fn add_store(&self, draft: &mut Draft, store: &Arc<str>, kept: &Materialized<K, A>, serdes: (Serde<K>, Serde<A>)) {
        draft.add_key_value_store(store, kept, serdes.0, serdes.1);
    }

    fn operator(&self, output: TableOutput<K, A, Self::Store>) -> Operator<K, A> {
        Operator::Plain(output)
    }
}

impl<K, A> Shape<K, A> for SizedShape
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type Key = Windowed<K>;
    type Store = TimestampedWindowStore<K, A>;

    fn key_serde(&self, key: Serde<K>) -> Serde<Windowed<K>> {
        Serde::time_windowed(key, self.windows.size_ms())
    }

    fn skips_null_values(&self) -> bool {
        matches!(self.windows, SizedWindows::Sliding(_))
    }

    fn burns_number(&self) -> bool {
        !matches!(self.windows, SizedWindows::Sliding(_))
    }

    fn is_cacheable(&self) -> bool {
        // Kafka Streams leaves the cache of other windows on, though nobody hears of what it holds.
        !(self.emit == EmitStrategy::OnWindowClose && matches!(self.windows, SizedWindows::Sliding(_)))
    }

    fn grace_ms(&self) -> Option<i64> {
        Some(self.windows.grace_period_ms())
    }

    fn add_store(&self, draft: &mut Draft, store: &Arc<str>, kept: &Materialized<K, A>, serdes: (Serde<K>, Serde<A>)) {
        let emits_on_close = self.emit == EmitStrategy::OnWindowClose;
        if emits_on_close && matches!(self.windows, SizedWindows::Fixed(FixedWindows::Unlimited(_))) {
            draft.problem(format!(
                "the results in store {store} can never come when the window closes: it is unlimited"
            ));
        }
        let retention = draft.retention(kept, store, self.windows.retention_ms());
        let size = Duration::from_millis(self.windows.size_ms().unsigned_abs());
        let params = DslWindowParams::new(Arc::clone(store), retention, size, draft.store_format);
        if let Some(supplier) = draft.window_supplier(kept, &params.emitting_on_close(emits_on_close)) {
            let (kept_ms, size_ms) = (supplier.retention().as_millis(), supplier.window_size().as_millis());
            if kept_ms < size_ms {
                draft.problem(format!(
                    "store {store} keeps its windows {kept_ms} ms, less than their size plus grace of {size_ms} ms"
                ));
            }
            let builder = Stores::timestamped_window_store_builder(supplier, serdes.0, serdes.1);
            draft.add_table_store(builder, kept);
        }
    }

    fn operator(&self, output: TableOutput<Windowed<K>, A, Self::Store>) -> Operator<K, A> {
        let output = output.silent(self.emit == EmitStrategy::OnWindowClose);
        match self.windows {
            SizedWindows::Fixed(windows) => Operator::Fixed(windows, self.emit, output),
            SizedWindows::Sliding(windows) => Operator::Sliding(windows, self.emit, output),
        }
    }
}

impl<K, A> Shape<K, A> for SessionShape<K, A>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type Key = Windowed<K>;
    type Store = SessionStore<K, A>;

    fn key_serde(&self, key: Serde<K>) -> Serde<Windowed<K>> {
        Serde::session_windowed(key)
    }

    fn skips_null_values(&self) -> bool {
        false
    }

    fn burns_number(&self) -> bool {
        true
    }

    fn is_cacheable(&self) -> bool {
        self.emit == EmitStrategy::OnWindowUpdate
    }

    fn grace_ms(&self) -> Option<i64> {
        Some(self.sessions.windows.closes_after_ms())
    }

    fn add_store(&self, draft: &mut Draft, store: &Arc<str>, kept: &Materialized<K, A>, serdes: (Serde<K>, Serde<A>)) {
        let emits_on_close = self.emit == EmitStrategy::OnWindowClose;
        let retention = draft.retention(kept, store, self.sessions.windows.closes_after_ms());
        let params = DslSessionParams::new(Arc::clone(store), retention, draft.store_format);
        if let Some(supplier) = draft.session_supplier(kept, &params.emitting_on_close(emits_on_close)) {
            let builder = Stores::session_store_builder(supplier, serdes.0, serdes.1);
            draft.add_table_store(builder, kept);
        }
    }

    fn operator(&self, output: TableOutput<Windowed<K>, A, Self::Store>) -> Operator<K, A> {
        Operator::Sessions(self.sessions.clone(), self.emit, output.silent(self.emit == EmitStrategy::OnWindowClose))
    }
}

impl Draft {
    /// How long a windowed table's store keeps its windows; too short a wish is a problem of the
    /// topology.
    fn retention<K, A>(&mut self, kept: &Materialized<K, A>, store: &str, least_ms: i64) -> Duration {
        let wish = kept.retention.map_or(least_ms, millis);
        if wish < least_ms {
            self.problem(format!(
                "store {store} keeps its windows {wish} ms, less than their size plus grace of {least_ms} ms"
            ));
        }
        Duration::from_millis(wish.max(least_ms).unsigned_abs())
    }
}
