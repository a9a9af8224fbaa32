//! From the bytes of a fetch to batches: whole ones, data only, and of aborted transactions none where
//! only committed records count.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use millstream_log::batch::{Batch, BatchError, Marker};

use crate::protocol::messages::fetch::AbortedTransaction;

/// Batches of a fetch, and the position behind them.
pub(crate) struct Sorted {
    pub(crate) batches: Vec<Batch>,
    pub(crate) next: i64,
    /// Leader epoch of the last batch, left out or not; -1 where that is not known.
    pub(crate) leader_epoch: i32,
}

/// Sorts the bytes fetched from `position`. `aborted`: transactions whose records do not count; `None`
/// when all count.
///
/// # Errors
/// What cannot be a batch, with the offset it should have begun at.
pub(crate) fn sort(
    records: Bytes,
    position: i64,
    aborted: Option<&[AbortedTransaction]>,
) -> Result<Sorted, (i64, BatchError)> {
    let mut rest = records;
    let mut sorted = Sorted { batches: Vec::new(), next: position, leader_epoch: -1 };
    let mut ahead: Vec<&AbortedTransaction> = aborted.unwrap_or_default().iter().collect();
    ahead.sort_by_key(|transaction| transaction.first_offset);
    let mut ahead: VecDeque<&AbortedTransaction> = ahead.into();
    let mut aborting: BTreeSet<i64> = BTreeSet::new();
    while !rest.is_empty() {
        let (batch, length) = match Batch::parse(rest.clone()) {
            Ok(parsed) => parsed,
            // A broker cuts at its limit, through the middle of a batch.
            Err(BatchError::Truncated { .. }) if sorted.next > position => break,
            Err(error) => return Err((sorted.next, error)),
        };
        rest = rest.split_off(length);
        let last = batch.last_offset().0;
        if last < position {
            continue;
        }
        if sorted.next > position && batch.base_offset().0 < sorted.next {
            let delta = batch.header().last_offset_delta;
            return Err((sorted.next, BatchError::Offsets { base: batch.base_offset().0, delta }));
        }
        while let Some(transaction) = ahead.front().filter(|transaction| transaction.first_offset <= last) {
            aborting.insert(transaction.producer_id);
            ahead.pop_front();
        }
        (sorted.next, sorted.leader_epoch) = (last + 1, batch.header().leader_epoch);
        if batch.is_control() {
            let marker = Marker::read(&batch).map_err(|error| (batch.base_offset().0, error))?;
            if marker == Some(Marker::Abort) {
                aborting.remove(&batch.producer_id());
            }
            continue;
        }
        if batch.is_transactional() && aborting.contains(&batch.producer_id()) {
            continue;
        }
        sorted.batches.push(batch);
    }
    Ok(sorted)
}
