//! What follows the end of a transaction. The coordinator answers `EndTxn` when the decision is written, and then has
//! markers written to all partitions. A broker that is given a write of the next transaction before that is done
//! holds it back for a fixed time (`add.partitions.to.txn.retry.backoff.ms`, 20 ms) and looks again. So it is asked how far
//! the coordinator is, and written when it is done: after 1 to 3 ms, mostly while there is nothing to write yet.

use std::sync::Arc;

use crate::client::{Client, CoordinatorKind, Ticket};
use crate::protocol::messages::describe_transactions::DescribeTransactionsRequest;

/// Time before it is asked first, in ms: hardly any transaction is over sooner.
const FIRST_MS: i64 = 1;
/// Longest wait, in ms. After that a broker that holds a write back costs little more.
const LONGEST_MS: i64 = 40;

/// A transaction whose end is decided, and may not be written yet.
pub(super) struct Settling {
    since_ms: i64,
    next_ms: i64,
    /// How often it was asked.
    times: i64,
    asked: Option<Ticket<DescribeTransactionsRequest>>,
}

impl Settling {
    pub(super) fn new(now_ms: i64) -> Self {
        Self { since_ms: now_ms, next_ms: now_ms + FIRST_MS, times: 0, asked: None }
    }

    /// Whether the next transaction may begin: the last one is over, or nobody can tell.
    pub(super) fn is_over(&mut self, client: &mut Client, transactional_id: &Arc<str>) -> bool {
        let now_ms = client.now().mono_ms();
        if now_ms >= self.since_ms + LONGEST_MS {
            return true;
        }
        if let Some(answer) = self.asked.as_ref().and_then(Ticket::take) {
            self.asked = None;
            let Ok(response) = answer else { return true };
            let state = response.transaction_states.iter().find(|state| *state.transactional_id == **transactional_id);
            if !state.is_some_and(|state| state.error_code == 0 && state.transaction_state.starts_with("Prepare")) {
                return true;
            }
            // Ever longer pauses. They do not grow with the time that brokers stand still.
            self.next_ms = now_ms + (self.times * 2 / 3).max(1);
        }
        if self.asked.is_none() && now_ms >= self.next_ms {
            let Some(node) = client.coordinator(CoordinatorKind::Transaction, transactional_id) else { return true };
            let request = DescribeTransactionsRequest { transactional_ids: vec![transactional_id.to_string()] };
            self.times += 1;
            self.asked = Some(client.send(node, request));
        }
        false
    }

    /// When to look again at the latest, in ms.
    pub(super) fn due_ms(&self) -> i64 {
        let longest = self.since_ms + LONGEST_MS;
        if self.asked.is_some() { longest } else { self.next_ms.min(longest) }
    }
}
