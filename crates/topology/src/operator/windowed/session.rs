//! Aggregates of a grouped stream in sessions: windows that go on as long as records come.

use std::sync::Arc;

use millstream_state::SessionStore;
use millstream_types::{Headers, Record, Timestamp, Window, Windowed};

use super::closing::{Closing, Told, no_end};
use crate::dsl::{EmitStrategy, SessionWindows};
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};
use crate::operator::aggregate::Aggregation;
use crate::operator::change::Change;
use crate::operator::table_output::TableOutput;

/// Makes one aggregate of two: of what was merged so far (`None` only where there is no initial
/// aggregate), and of one more session.
pub(crate) type Merge<K, A> = Arc<dyn Fn(&K, Option<A>, A) -> A + Send + Sync>;

/// `KSTREAM-AGGREGATE` over session windows.
struct SessionAggregate<K, V, A> {
    windows: SessionWindows,
    aggregation: Aggregation<K, V, A>,
    merge: Merge<K, A>,
    output: TableOutput<Windowed<K>, A, SessionStore<K, A>>,
    closing: Closing,
}

type Out<'a, K, A> = Context<'a, Windowed<K>, Change<A>>;

pub(crate) fn session_aggregate<K, V, A>(
    windows: SessionWindows,
    emit: EmitStrategy,
    aggregation: Aggregation<K, V, A>,
    merge: Merge<K, A>,
    output: TableOutput<Windowed<K>, A, SessionStore<K, A>>,
) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    let name = Arc::clone(output.name());
    let closing = Closing::new(emit, windows.closes_after_ms(), Arc::clone(&name));
    let make = move || SessionAggregate {
        windows,
        aggregation: aggregation.clone(),
        merge: Arc::clone(&merge),
        output: output.clone(),
        closing: closing.clone(),
    };
    NodeFactory::processor(make).flushing(&name)
}

impl<K, V, A> Processor for SessionAggregate<K, V, A>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = Windowed<K>;
    type ValueOut = Change<A>;

    fn init(&mut self, ctx: &mut Out<'_, K, A>) -> Result<(), ProcessorError> {
        self.closing.init(ctx);
        Ok(self.output.init(ctx)?)
    }

    fn process(&mut self, ctx: &mut Out<'_, K, A>, record: Incoming<'_, K, V>) -> Result<(), ProcessorError> {
        if self.aggregation.skips(ctx, &record) {
            return Ok(());
        }
        let time = record.timestamp;
        let close_time = self.closing.observe(time);
        let gap = self.windows.inactivity_gap_ms();
        // A session ends with its last record, but its store looks beyond it.
        if time.0.checked_add(gap.max(1)).is_none() {
            return Err(no_end(time));
        }
        let (key, value, rest) = record.into_record().into_parts();
        let alone = Window { start: time, end: time };
        let (mut window, mut merged) = (alone, Vec::new());
        let mut aggregate = self.aggregation.initial();
        let reach = (Timestamp(time.0.saturating_sub(gap)), Timestamp(time.0.saturating_add(gap)));
        for session in self.output.session_rows(ctx, &key, reach)? {
            let (session, stored) = session?;
            window.start = window.start.min(session.window.start);
            window.end = window.end.max(session.window.end);
            let old = self.output.sends_old().then(|| stored.clone());
            aggregate = self.aggregation.known((self.merge)(&key, aggregate, stored));
            merged.push((session, old));
        }
        if window.end.0 < close_time {
            self.closing.drop_late(ctx, time, (window.start.0, window.end.0), close_time);
        } else {
            // A cache keeps the headers for later; what goes on at once has none, as in Kafka Streams.
            let headers = if self.output.caches_headers() { rest.headers.clone() } else { Headers::new() };
            let row = |key: Windowed<K>| {
                let timestamp = key.window.end;
                Record { key, value: (), timestamp, headers: headers.clone() }
            };
            if window != alone {
                for (session, old) in merged {
                    self.output.remove(ctx, row(session), old)?;
                }
            }
            let new = self.aggregation.add(&key, value, aggregate);
            self.output.put(ctx, row(Windowed { key, window }), new, None)?;
        }
        if let Some(Told(told)) = self.closing.is_due(ctx, close_time) {
            let (from, to) = (told.unwrap_or(0).max(0), close_time.saturating_sub(1));
            if to >= from {
                self.output.forward_closed(ctx, (from, to), &rest.headers)?;
                self.closing.told(ctx, close_time);
            }
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Out<'_, K, A>) -> Result<(), ProcessorError> {
        self.output.flush(ctx)
    }
}
