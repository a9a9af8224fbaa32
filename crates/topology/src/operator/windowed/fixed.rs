//! Windows that time alone defines: tumbling, hopping, unlimited.

use millstream_state::TimestampedWindowStore;
use millstream_types::{Timestamp, Window, Windowed};

use super::closing::{LAST_TIME, Told, no_end};
use super::{Arrival, Out, WindowKind, WindowTable};
use crate::dsl::FixedWindows;
use crate::flow::ProcessorError;

impl<K, A> WindowKind<K, A> for FixedWindows
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    type Store = TimestampedWindowStore<K, A>;

    fn grace_ms(&self) -> i64 {
        self.grace_period_ms()
    }

    fn add<V: Clone + Send + 'static>(
        &self,
        table: &WindowTable<K, V, A, Self::Store>,
        ctx: &mut Out<'_, K, A>,
        input: (K, V),
        at: &Arrival,
    ) -> Result<bool, ProcessorError> {
        let time = at.time();
        if time.0 > LAST_TIME.saturating_sub(self.size_ms()) && !self.end_in_time(time) {
            return Err(no_end(time));
        }
        let mut starts = self.starts_of(time).peekable();
        let mut input = Some(input);
        while let Some(start) = starts.next() {
            // The last window takes key and value themselves, the others a copy.
            let input = if starts.peek().is_some() { input.clone() } else { input.take() };
            let Some((key, value)) = input else { break };
            let window = Window { start, end: Timestamp(start.0.saturating_add(self.size_ms())) };
            if window.end.0 <= at.close_time {
                table.drop_late(ctx, window, at);
                continue;
            }
            let key = Windowed { key, window };
            let stored = table.output.row(ctx, &key)?;
            table.update(ctx, (key, value), stored, at)?;
        }
        Ok(true)
    }

    fn closed(&self, told: Told, close_time: i64) -> Option<(i64, i64)> {
        let to = close_time.saturating_sub(self.size_ms());
        if to < 0 {
            return None;
        }
        let Told(Some(told)) = told else { return Some((0, to)) };
        let before = told.saturating_sub(self.size_ms()).max(0);
        // No window starts in between: nothing has closed since.
        if self.starts_of(Timestamp(to)).eq(self.starts_of(Timestamp(before))) {
            return None;
        }
        Some((before.saturating_add(1), to))
    }
}
