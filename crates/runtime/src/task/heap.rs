//! The order of queues, ties included: Java's `java.util.PriorityQueue`, swap for swap.

use millstream_types::Timestamp;

/// A binary heap of queues by head timestamp. Not stable, but unstable in exactly the way of Kafka
/// Streams, so that equal timestamps are taken in the same order there and here.
#[derive(Debug, Default)]
pub(crate) struct HeadHeap(Vec<(Timestamp, usize)>);

impl HeadHeap {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `offer`: sifts up while strictly smaller than the parent.
    pub(crate) fn push(&mut self, timestamp: Timestamp, queue: usize) {
        let mut at = self.0.len();
        self.0.push((timestamp, queue));
        while at > 0 {
            let parent = (at - 1) / 2;
            if timestamp >= self.timestamp(parent) {
                break;
            }
            self.0.swap(at, parent);
            at = parent;
        }
    }

    /// `poll`: the last entry sifts down from the top, to the left unless the right child is
    /// strictly smaller.
    pub(crate) fn pop(&mut self) -> Option<usize> {
        let (_, queue) = *self.0.first()?;
        self.0.swap_remove(0);
        let len = self.0.len();
        let mut at = 0;
        while at < len / 2 {
            let left = 2 * at + 1;
            let right = left + 1;
            let child = if right < len && self.timestamp(left) > self.timestamp(right) { right } else { left };
            if self.timestamp(at) <= self.timestamp(child) {
                break;
            }
            self.0.swap(at, child);
            at = child;
        }
        Some(queue)
    }

    fn timestamp(&self, at: usize) -> Timestamp {
        self.0.get(at).map_or(Timestamp(i64::MAX), |(timestamp, _)| *timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(offers: &[(i64, usize)], polled: &[usize]) {
        let mut heap = HeadHeap::default();
        for (timestamp, queue) in offers {
            heap.push(Timestamp(*timestamp), *queue);
        }
        assert_eq!(std::iter::from_fn(|| heap.pop()).collect::<Vec<_>>(), polled);
    }

    #[test]
    fn the_lowest_timestamp_goes_first() {
        check(&[(3, 0), (1, 1), (2, 2)], &[1, 2, 0]);
    }

    #[test]
    fn ties_come_in_javas_order() {
        // As java.util.PriorityQueue gives them: the last entry moves to the top at every poll.
        check(&[(5, 0), (5, 1), (5, 2), (5, 3)], &[0, 3, 2, 1]);
        check(&[(5, 0), (5, 1), (5, 2), (1, 3)], &[3, 1, 2, 0]);
    }
}
