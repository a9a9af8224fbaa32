//! Waiting for the parts of an answer, on a thread or in a future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Condvar, Mutex};

use super::StateQueryResult;

/// The parts of an answer that have come, and how many are still to come.
pub(super) struct Gather<T>(Arc<Shared<T>>);

struct Shared<T> {
    parts: Mutex<Parts<T>>,
    complete: Condvar,
}

struct Parts<T> {
    come: Vec<(usize, T)>,
    missing: usize,
    waker: Option<Waker>,
}

/// A promise of one part. Dropped without having been kept it is over, too.
pub(super) struct Promise<T> {
    shared: Arc<Shared<T>>,
    number: usize,
    part: Option<T>,
}

impl<T> Gather<T> {
    pub(super) fn new() -> Self {
        let parts = Parts { come: Vec::new(), missing: 0, waker: None };
        Self(Arc::new(Shared { parts: Mutex::new(parts), complete: Condvar::new() }))
    }

    /// One more part is to come.
    pub(super) fn promise(&self) -> Promise<T> {
        let mut parts = self.0.parts.lock();
        let number = parts.come.len() + parts.missing;
        parts.missing += 1;
        Promise { shared: Arc::clone(&self.0), number, part: None }
    }

    /// Blocks until all promises are kept or dropped; what has come, in the order of the promises.
    pub(super) fn wait(&self) -> Vec<T> {
        let mut parts = self.0.parts.lock();
        self.0.complete.wait_while(&mut parts, |parts| parts.missing > 0);
        parts.take()
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Vec<T>> {
        let mut parts = self.0.parts.lock();
        if parts.missing == 0 {
            return Poll::Ready(parts.take());
        }
        parts.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<T> Parts<T> {
    fn take(&mut self) -> Vec<T> {
        let mut come = std::mem::take(&mut self.come);
        come.sort_by_key(|(number, _)| *number);
        come.into_iter().map(|(_, part)| part).collect()
    }
}

impl<T> Promise<T> {
    pub(super) fn keep(mut self, part: T) {
        self.part = Some(part);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut parts = self.shared.parts.lock();
        if let Some(part) = self.part.take() {
            parts.come.push((self.number, part));
        }
        parts.missing -= 1;
        if parts.missing == 0 {
            self.shared.complete.notify_all();
            if let Some(waker) = parts.waker.take() {
                drop(parts);
                waker.wake();
            }
        }
    }
}

/// The result of a query, when the threads asked have answered. It needs no particular runtime; dropped,
/// the answers go nowhere.
#[must_use = "nobody hears of the answer otherwise"]
pub struct QueryFuture<R> {
    pub(super) gather: Gather<StateQueryResult<R>>,
    pub(super) finish: Option<Finish<R>>,
}

/// Makes the result of the answers.
pub(super) type Finish<R> = Box<dyn FnOnce(Vec<StateQueryResult<R>>) -> StateQueryResult<R> + Send>;

impl<R> QueryFuture<R> {
    /// Blocks until the result is there.
    pub(super) fn wait(self) -> StateQueryResult<R> {
        let parts = self.gather.wait();
        self.finish.map(|finish| finish(parts)).unwrap_or_default()
    }
}

impl<R> Future for QueryFuture<R> {
    type Output = StateQueryResult<R>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Poll::Ready(parts) = self.gather.poll(context) else { return Poll::Pending };
        Poll::Ready(self.finish.take().map(|finish| finish(parts)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_the_order_they_were_promised_and_dropped_ones_are_left_out() {
        let gather = Gather::new();
        let (first, second, third) = (gather.promise(), gather.promise(), gather.promise());
        third.keep(3);
        drop(second);
        first.keep(1);
        assert_eq!(gather.wait(), [1, 3]);
        assert_eq!(Gather::<i32>::new().wait(), [0; 0], "nothing was promised");
    }
}
