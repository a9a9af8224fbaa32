//! Sessions: windows that go on as long as records come.

use std::sync::Arc;

use millstream_state::SessionStore;
use millstream_types::{Headers, Record, Timestamp, Window, Windowed};

use super::closing::{Told, no_end};
use super::{Arrival, Out, WindowKind, WindowTable};
use crate::dsl::SessionWindows;
use crate::flow::ProcessorError;

/// Makes one aggregate of two: of what was merged so far (`None` only where there is no initial
/// aggregate), and of one more session.
pub(crate) type Merge<K, A> = Arc<dyn Fn(&K, Option<A>, A) -> A + Send + Sync>;

/// Sessions, and how several become one.
pub(crate) struct Sessions<K, A> {
    pub(crate) windows: SessionWindows,
    pub(crate) merge: Merge<K, A>,
}

impl<K, A> Clone for Sessions<K, A> {
    fn clone(&self) -> Self {
        Self { windows: self.windows, merge: Arc::clone(&self.merge) }
    }
}

impl<K, A> WindowKind<K, A> for Sessions<K, A>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type Store = SessionStore<K, A>;

    fn grace_ms(&self) -> i64 {
        self.windows.closes_after_ms()
    }

    fn add<V: Clone + Send + 'static>(
        &self,
        table: &WindowTable<K, V, A, Self::Store>,
        ctx: &mut Out<'_, K, A>,
        (key, value): (K, V),
        at: &Arrival,
    ) -> Result<bool, ProcessorError> {
        let (time, output) = (at.time(), &table.output);
        let gap = self.windows.inactivity_gap_ms();
        // A session ends with its last record, but its store looks beyond it.
        if time.0.checked_add(gap.max(1)).is_none() {
            return Err(no_end(time));
        }
        let alone = Window { start: time, end: time };
        let (mut window, mut merged) = (alone, Vec::new());
        let mut aggregate = table.aggregation.initial();
        let reach = (Timestamp(time.0.saturating_sub(gap)), Timestamp(time.0.saturating_add(gap)));
        for session in output.session_rows(ctx, &key, reach)? {
            let (session, stored) = session?;
            window.start = window.start.min(session.window.start);
            window.end = window.end.max(session.window.end);
            let old = output.sends_old().then(|| stored.clone());
            aggregate = table.aggregation.known((self.merge)(&key, aggregate, stored));
            merged.push((session, old));
        }
        if window.end.0 < at.close_time {
            table.drop_late(ctx, window, at);
            return Ok(true);
        }
        // A cache keeps the headers for later; what goes on at once has none, as in Kafka Streams.
        let headers = if output.caches_headers() { at.rest.headers.clone() } else { Headers::new() };
        let row = |key: Windowed<K>| {
            let timestamp = key.window.end;
            Record { key, value: (), timestamp, headers: headers.clone() }
        };
        if window != alone {
            for (session, old) in merged {
                output.remove(ctx, row(session), old)?;
            }
        }
        let new = table.aggregation.add(&key, value, aggregate);
        output.put(ctx, row(Windowed { key, window }), new, None)?;
        Ok(true)
    }

    fn closed(&self, Told(told): Told, close_time: i64) -> Option<(i64, i64)> {
        let (from, to) = (told.unwrap_or(0).max(0), close_time.saturating_sub(1));
        (to >= from).then_some((from, to))
    }
}
