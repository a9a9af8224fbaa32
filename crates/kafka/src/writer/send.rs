//! Produce requests: what goes to which broker, and what comes back.

use std::collections::BTreeMap;

use bytes::Bytes;
use millstream_log::{Failure, FailureKind};
use millstream_types::{Error, ErrorKind, Partition, TopicPartition};

use super::lock;
use super::producer::Producer;
use crate::client::{Client, Lane, Leader, Node, Ticket};
use crate::failure::unanswered;
use crate::protocol::ErrorCode;
use crate::protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use crate::tries::failure_of;

/// All in-sync replicas.
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;
/// Before KIP-890 a producer must not claim to speak it.
const VERSION_V1: i16 = 11;
const VERSION_V2: i16 = 12;
/// Pause after the broker was still ending the last transaction, in ms.
const CONCURRENT_PAUSE_MS: i64 = 20;

/// A batch to send: the handle of its partition, its sequence, its partition, its bytes.
type Outgoing = (usize, i32, TopicPartition, Bytes);

/// Requests under way.
#[derive(Default)]
pub(super) struct Sends {
    lane: Option<Lane>,
    under_way: Vec<UnderWay>,
}

struct UnderWay {
    ticket: Ticket<ProduceRequest>,
    /// Handles of partitions and sequences of batches.
    batches: Vec<(usize, i32)>,
}

impl Sends {
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Gives up its connections.
    pub(super) fn close(&mut self, client: &mut Client) {
        if let Some(lane) = self.lane.take() {
            client.drop_lane(lane);
        }
    }

    /// Waits for no answer any more: the next batches may have the sequences of those that were asked about.
    pub(super) fn forget(&mut self) {
        self.under_way.clear();
    }
}

impl Producer {
    /// Sends what may go. Gives the next time something may, in ms. A failure ends the writer.
    pub(super) fn send(&mut self, client: &mut Client) -> Result<i64, Failure> {
        let Some(stamp) = self.stamp() else { return Ok(i64::MAX) };
        let now_ms = client.now().mono_ms();
        let mut due = i64::MAX;
        let shared = self.shared();
        if lock(&shared).member.as_ref().is_some_and(|member| !client.is_member(member)) {
            // Who takes the tasks over goes on from what was committed; older counts must not follow its own.
            return Ok(if self.is_drained() { i64::MAX } else { now_ms + client.options().retry_backoff_ms });
        }
        let must_be_added = self.transaction.must_add_partitions();
        let in_flight_max = self.options.in_flight_max;
        loop {
            let mut requests: BTreeMap<i32, Vec<Outgoing>> = BTreeMap::new();
            let mut shared = lock(&shared);
            for index in 0..self.lanes.len() {
                let Some(partition) = shared.partitions.get(index).cloned() else { continue };
                let Some(lane) = self.lanes.get_mut(index) else { continue };
                if !lane.is_ready(now_ms, in_flight_max) {
                    if !lane.is_empty() && lane.pause_until > now_ms {
                        due = due.min(lane.pause_until);
                    }
                    continue;
                }
                if must_be_added && !lane.is_added {
                    continue;
                }
                client.want_topic(&partition.topic);
                let leader = client.cluster().leader(&partition.topic, partition.partition.0);
                let Some(leader) = leader.and_then(|leader| leader.broker) else {
                    let timeout_ms = self.options.delivery_timeout_ms;
                    if lane.since().is_some_and(|since| now_ms - since >= timeout_ms) {
                        let message = format!("no broker leads {partition}: does it exist?");
                        return Err(undelivered(timeout_ms, Error::new(ErrorKind::Retriable, message)));
                    }
                    client.refresh_metadata();
                    due = due.min(now_ms + client.options().retry_backoff_ms);
                    continue;
                };
                if let Some(traffic) = shared.traffic.get_mut(index) {
                    traffic.broker = Some(leader);
                }
                let spare = &mut shared.spare;
                if let Some((sequence, bytes)) =
                    lane.next(stamp, self.options.compression, |builder| spare.push(builder))
                {
                    requests.entry(leader).or_default().push((index, sequence, partition, bytes));
                }
            }
            drop(shared);
            if requests.is_empty() {
                return Ok(due);
            }
            for (broker, batches) in requests {
                for batches in of_size(batches, self.options.request_bytes_max) {
                    self.send_to(client, broker, batches);
                }
            }
        }
    }

    fn send_to(&mut self, client: &mut Client, broker: i32, batches: Vec<Outgoing>) {
        let mut request = ProduceRequest {
            transactional_id: self.options.transactional_id.as_deref().map(str::to_owned),
            acks: ACKS_ALL,
            timeout_ms: TIMEOUT_MS,
            topic_data: Vec::new(),
        };
        let mut sent = Vec::with_capacity(batches.len());
        for (index, sequence, partition, bytes) in batches {
            sent.push((index, sequence));
            let Partition(number) = partition.partition;
            let data = PartitionProduceData { index: number, records: Some(bytes) };
            match request.topic_data.iter_mut().find(|topic| *topic.name == *partition.topic) {
                Some(topic) => topic.partition_data.push(data),
                None => request
                    .topic_data
                    .push(TopicProduceData { name: partition.topic.to_string(), partition_data: vec![data] }),
            }
        }
        let lane = *self.sends.lane.get_or_insert_with(|| client.new_lane());
        let version = if self.transaction.must_add_partitions() { VERSION_V1 } else { VERSION_V2 };
        let ticket = client.send_up_to(Node::Broker(broker, lane), request, version);
        self.transaction.has_begun(client.now().mono_ms());
        self.sends.under_way.push(UnderWay { ticket, batches: sent });
    }

    /// Takes answers. A failure ends the writer.
    pub(super) fn take_answers(&mut self, client: &mut Client) -> Result<(), Failure> {
        let mut over = Vec::new();
        self.sends.under_way.retain_mut(|under_way| match under_way.ticket.take() {
            None => true,
            Some(answer) => {
                over.push((std::mem::take(&mut under_way.batches), answer));
                false
            }
        });
        let mut result = Ok(());
        for (batches, answer) in over {
            match answer {
                Err(error) => {
                    client.refresh_metadata();
                    let failure = unanswered("writing", error, true);
                    if failure.kind == FailureKind::Fatal {
                        result = Err(failure);
                        continue;
                    }
                    // The sequence tells the broker what it has already.
                    for (index, sequence) in batches {
                        result = result.and(self.again(client, index, sequence, &failure));
                    }
                }
                Ok(response) => {
                    let responses: BTreeMap<(String, i32), PartitionProduceResponse> = response
                        .responses
                        .into_iter()
                        .flat_map(|topic| {
                            let name = topic.name;
                            topic
                                .partition_responses
                                .into_iter()
                                .map(move |partition| ((name.clone(), partition.index), partition))
                        })
                        .collect();
                    for (index, sequence) in batches {
                        let partition = lock(&self.shared()).partitions.get(index).cloned();
                        let Some(partition) = partition else { continue };
                        let found = responses.get(&(partition.topic.to_string(), partition.partition.0));
                        result = result.and(self.answered(client, index, sequence, &partition, found));
                    }
                }
            }
        }
        result
    }

    fn answered(
        &mut self,
        client: &mut Client,
        index: usize,
        sequence: i32,
        partition: &TopicPartition,
        response: Option<&PartitionProduceResponse>,
    ) -> Result<(), Failure> {
        let what = format!("writing to {partition}");
        let Some(response) = response else {
            let message = format!("{what}: the broker's answer leaves the partition out");
            let failure = Failure { kind: FailureKind::Unknown, error: Error::new(ErrorKind::Retriable, message) };
            return self.again(client, index, sequence, &failure);
        };
        let code = ErrorCode(response.error_code);
        let offset = match code {
            ErrorCode::NONE => Some(response.base_offset).filter(|offset| *offset >= 0),
            // The broker has it already, from a try whose answer was lost.
            ErrorCode::DUPLICATE_SEQUENCE_NUMBER => None,
            code => {
                let failure = failure_of(&what, code, response.error_message.as_deref());
                if response.current_leader.leader_id >= 0 {
                    let hint = &response.current_leader;
                    let leader = Leader { broker: Some(hint.leader_id), epoch: hint.leader_epoch };
                    client.set_leader(&partition.topic, partition.partition.0, leader);
                }
                if code.is_moved() {
                    client.refresh_metadata();
                }
                let is_oldest = self.lanes.get(index).is_some_and(|lane| lane.is_oldest(sequence));
                let is_behind = code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER && !is_oldest;
                let is_split = code == ErrorCode::MESSAGE_TOO_LARGE
                    && self.lanes.get_mut(index).is_some_and(|lane| lane.split(sequence));
                if code.is_retriable() || is_behind || is_split {
                    return self.again(client, index, sequence, &failure);
                }
                let error = failure.error.with_context(|context| {
                    context.topic = Some(partition.topic.clone());
                    context.partition = Some(partition.partition);
                });
                return Err(Failure { kind: failure.kind, error });
            }
        };
        let bytes = self.lanes.get_mut(index).map_or(0, |lane| lane.acknowledged(sequence, offset));
        lock(&self.shared()).arrived(index, bytes);
        Ok(())
    }

    /// Sends a batch again after a pause, unless it was tried for too long.
    fn again(&mut self, client: &Client, index: usize, sequence: i32, failure: &Failure) -> Result<(), Failure> {
        let now_ms = client.now().mono_ms();
        let Some(lane) = self.lanes.get_mut(index) else { return Ok(()) };
        let (_, tried_ms) = lane.refused(sequence, now_ms);
        let is_concurrent = failure.error.to_string().contains(ErrorCode::CONCURRENT_TRANSACTIONS.name());
        let pause_ms = if is_concurrent { CONCURRENT_PAUSE_MS } else { client.options().retry_backoff_ms };
        lane.pause_until = now_ms + pause_ms;
        if tried_ms < self.options.delivery_timeout_ms {
            return Ok(());
        }
        Err(undelivered(self.options.delivery_timeout_ms, failure.error.clone()))
    }
}

/// A batch is given up. It may have been written nevertheless.
fn undelivered(timeout_ms: i64, why: Error) -> Failure {
    let message = format!("a batch was not acknowledged within delivery.timeout.ms ({timeout_ms} ms)");
    let error = Error::new(ErrorKind::Retriable, message).with_source(why);
    Failure { kind: FailureKind::Unknown, error }
}

/// Batches for one broker, in requests of `bytes_max` at most. A larger batch goes alone.
fn of_size(batches: Vec<Outgoing>, bytes_max: usize) -> Vec<Vec<Outgoing>> {
    let mut requests: Vec<Vec<Outgoing>> = Vec::new();
    let mut len = 0;
    for batch in batches {
        match requests.last_mut() {
            Some(last) if len + batch.3.len() <= bytes_max => {
                len += batch.3.len();
                last.push(batch);
            }
            _ => {
                len = batch.3.len();
                requests.push(vec![batch]);
            }
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lens: &[usize], requests: &[&[usize]]) {
        let batch = |len: &usize| (0, 0, TopicPartition::new("t", 0), Bytes::from(vec![0; *len]));
        let split = of_size(lens.iter().map(batch).collect(), 10);
        let lens = |request: &Vec<Outgoing>| request.iter().map(|batch| batch.3.len()).collect::<Vec<_>>();
        assert_eq!(split.iter().map(lens).collect::<Vec<_>>(), requests);
    }

    #[test]
    fn requests_are_as_large_as_they_may_be() {
        check(&[], &[]);
        check(&[4, 6], &[&[4, 6]]);
        check(&[4, 7, 3, 1], &[&[4], &[7, 3], &[1]]);
        check(&[1, 11, 1], &[&[1], &[11], &[1]]);
    }
}
