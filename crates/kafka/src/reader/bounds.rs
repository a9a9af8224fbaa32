//! Where a partition's log begins and ends, asked when a position lies outside of it.

use millstream_log::Failure;
use millstream_types::{Partition, TopicPartition};

use crate::client::{Client, Lane, Node, Ticket};
use crate::failure::refused;
use crate::protocol::ErrorCode;
use crate::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

/// `ListOffsetsRequest`: the first offset and the end.
const EARLIEST: i64 = -2;
const LATEST: i64 = -1;

/// So long a position may be refused that lies within the log, in ms: perhaps by a broker that has not heard yet that it
/// is the leader no more, and does not know the epoch of what another one has written since.
const REFUSED_MS: i64 = 5_000;

/// First offset and end of a partition, as far as they are known.
pub(super) struct Bounds {
    pub(super) position: i64,
    /// Since when the position is known to lie within, in ms.
    within_ms: Option<i64>,
    asked: Option<[Ticket<ListOffsetsRequest>; 2]>,
    found: [Option<i64>; 2],
    retry_at: i64,
}

/// How far the question is.
pub(super) enum BoundsTurn {
    /// Until then, in ms.
    Waiting(i64),
    Failed(Failure),
    /// First offset and end.
    Found(i64, i64),
}

impl Bounds {
    /// The bounds around a position that is in neither.
    pub(super) fn around(position: i64) -> Self {
        Self { position, within_ms: None, asked: None, found: [None; 2], retry_at: 0 }
    }

    /// Goes on asking.
    pub(super) fn turn(&mut self, client: &mut Client, partition: &TopicPartition) -> BoundsTurn {
        let now_ms = client.now().mono_ms();
        if now_ms < self.retry_at {
            return BoundsTurn::Waiting(self.retry_at);
        }
        let Some(tickets) = &self.asked else {
            let Partition(number) = partition.partition;
            let leader = client.cluster().leader(&partition.topic, number).and_then(|leader| leader.broker);
            let Some(leader) = leader else {
                client.refresh_metadata();
                self.retry_at = now_ms + client.options().retry_backoff_ms;
                return BoundsTurn::Waiting(self.retry_at);
            };
            let ask = |timestamp: i64| ListOffsetsRequest {
                replica_id: -1,
                topics: vec![ListOffsetsTopic {
                    name: partition.topic.to_string(),
                    partitions: vec![ListOffsetsPartition {
                        partition_index: number,
                        timestamp,
                        ..ListOffsetsPartition::default()
                    }],
                }],
                ..ListOffsetsRequest::default()
            };
            let node = Node::Broker(leader, Lane::CONTROL);
            self.asked = Some([client.send(node, ask(EARLIEST)), client.send(node, ask(LATEST))]);
            return BoundsTurn::Waiting(i64::MAX);
        };
        let mut has_failed = false;
        for (ticket, found) in tickets.iter().zip(&mut self.found) {
            let Some(answer) = ticket.take() else { continue };
            let answered =
                answer.ok().and_then(|answer| answer.topics.into_iter().next()?.partitions.into_iter().next());
            *found = match answered.map(|partition| (partition.offset, ErrorCode(partition.error_code))) {
                Some((offset, ErrorCode::NONE)) if offset >= 0 => Some(offset),
                Some((_, code)) if code != ErrorCode::NONE && !may_pass(code) => {
                    let what = format!("asking for the first and last offset of {partition}");
                    return BoundsTurn::Failed(refused(&what, code, None));
                }
                _ => None,
            };
            has_failed |= found.is_none();
        }
        let mut is_final =
            |within: bool| !within || now_ms >= self.within_ms.get_or_insert(now_ms).saturating_add(REFUSED_MS);
        match self.found {
            [Some(start), Some(end)] if is_final((start..=end).contains(&self.position)) => {
                BoundsTurn::Found(start, end)
            }
            found if has_failed || !found.contains(&None) => {
                client.refresh_metadata();
                (self.asked, self.found) = (None, [None; 2]);
                self.retry_at = now_ms + client.options().retry_backoff_ms;
                BoundsTurn::Waiting(self.retry_at)
            }
            _ => BoundsTurn::Waiting(i64::MAX),
        }
    }
}

/// Whether the same question to a log may succeed later. A broker that does not know what went wrong is asked again,
/// as Java does: reading has no effect.
pub(super) fn may_pass(code: ErrorCode) -> bool {
    code.is_retriable() || code == ErrorCode::UNKNOWN_SERVER_ERROR
}
