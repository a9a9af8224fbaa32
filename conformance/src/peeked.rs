//! What `peek` and `foreach` saw, with the step of the case it belongs to.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};

use crate::value::Val;

/// Shared between the topology and the runner.
#[derive(Clone)]
pub(crate) struct Peeked {
    step: Arc<AtomicI64>,
    seen: Arc<Mutex<Vec<Json>>>,
}

impl Default for Peeked {
    fn default() -> Self {
        Self { step: Arc::new(AtomicI64::new(-1)), seen: Arc::default() }
    }
}

impl Peeked {
    pub(crate) fn set_step(&self, step: i64) {
        self.step.store(step, Ordering::Relaxed);
    }

    pub(crate) fn see(&self, id: &str, key: &Val, value: &Val) {
        let seen = json!([id, self.step.load(Ordering::Relaxed), key.json(), value.json()]);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
    }

    pub(crate) fn take(&self) -> Vec<Json> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
