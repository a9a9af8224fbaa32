//! What aggregates in windows share: how far time is, which windows are closed, and when those that
//! closed are told, if they are told only then (KIP-825).

use std::sync::Arc;

use millstream_types::{Timestamp, Window};

use crate::dsl::EmitStrategy;
use crate::flow::{Context, ProcessorError};

/// The last time there is.
pub(crate) const LAST_TIME: i64 = i64::MAX;

/// The error of a record whose window would end after the last time there is. The processing
/// exception handler is asked about it, as in Kafka Streams.
#[cold]
pub(crate) fn no_end(time: Timestamp) -> ProcessorError {
    format!("the timestamp {time} is so late that its window would have no end").into()
}

/// The time of one operator with windows.
#[derive(Clone)]
pub(crate) struct Closing {
    emit: EmitStrategy,
    /// How long after its end a window takes records, in ms.
    grace_ms: i64,
    /// Names what is remembered across restarts.
    store: Arc<str>,
    /// Largest timestamp this operator has seen. Starts anew with the task, as in Kafka Streams.
    stream_time: Timestamp,
    /// Close time up to which windows were told; `None` before the first look.
    told: Option<i64>,
    /// Wall clock (ms) before which nobody looks again.
    next_look_ms: i64,
}

impl Closing {
    pub(crate) fn new(emit: EmitStrategy, grace_ms: i64, store: Arc<str>) -> Self {
        Self { emit, grace_ms, store, stream_time: Timestamp::UNKNOWN, told: None, next_look_ms: 0 }
    }

    /// Remembers what was told before a restart.
    pub(crate) fn init<K, V>(&mut self, ctx: &Context<'_, K, V>)
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        if self.emit == EmitStrategy::OnWindowClose {
            self.told = ctx.processor_metadata(&self.store);
        }
    }

    /// Lets time move on to a record; gives the time at or before which windows must end to be closed.
    pub(crate) fn observe(&mut self, time: Timestamp) -> i64 {
        self.stream_time = self.stream_time.max(time);
        self.stream_time.0.saturating_sub(self.grace_ms)
    }

    /// Counts a record that came after its window closed.
    #[cold]
    pub(crate) fn drop_late<K, V>(&self, ctx: &mut Context<'_, K, V>, time: Timestamp, window: Window, close_time: i64)
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        tracing::warn!(
            node = ctx.node_name(),
            timestamp = time.0,
            start = window.start.0,
            end = window.end.0,
            expiration = close_time,
            stream_time = self.stream_time.0,
            "a record is left out of a window that is closed"
        );
        ctx.count_dropped(1);
    }

    /// Whether closed windows are to be told now; then gives the close time of the last telling.
    /// At most one look in an interval of the wall clock.
    pub(crate) fn is_due<K, V>(&mut self, ctx: &Context<'_, K, V>, close_time: i64) -> Option<Told>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        if self.emit == EmitStrategy::OnWindowUpdate {
            return None;
        }
        let now = ctx.wall_clock_time().0;
        if now < self.next_look_ms {
            return None;
        }
        self.next_look_ms = now.saturating_add(ctx.emit_interval_ms());
        self.told.is_none_or(|told| told < close_time).then_some(Told(self.told))
    }

    /// Notes that all windows closed by then were told.
    pub(crate) fn told<K, V>(&mut self, ctx: &mut Context<'_, K, V>, close_time: i64)
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.told = Some(close_time);
        ctx.set_processor_metadata(&self.store, close_time);
    }
}

/// Close time up to which windows were told, if any were.
#[derive(Clone, Copy)]
pub(crate) struct Told(pub(crate) Option<i64>);
