//! The fetcher: keeps fetches under way at each broker that leads partitions of which not enough is read ahead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream_log::{Failure, FailureKind, Fetched, Isolation, ReaderEvent};
use millstream_types::{Error, ErrorKind, Offset, TopicPartition};

use super::batches::{Sorted, sort};
use super::bounds::{Bounds, BoundsTurn, may_pass};
use super::broker::{Broker, Want, Wants};
use super::session::Position;
use super::{Feed, FetchOptions, Shared, lock};
use crate::client::{Client, Lane, Leader, TopicState};
use crate::driver::{Actor, Turn};
use crate::failure::{refused, unanswered};
use crate::protocol::ErrorCode;
use crate::protocol::messages::fetch::{FetchRequest, FetchResponse, PartitionData};

/// How long brokers do not know a topic that is read before it counts as deleted, in ms: those that hear late of a new topic
/// do not know it either.
const MISSING_MS: i64 = 5_000;

/// Reads ahead for one reader.
pub(super) struct Fetcher {
    shared: Arc<Mutex<Shared>>,
    isolation: Isolation,
    options: FetchOptions,
    /// For fetches that wait and for those that take.
    lanes: Option<[Lane; 2]>,
    brokers: BTreeMap<i32, Broker>,
    /// Partitions out of range, whose bounds are asked for.
    lost: BTreeMap<TopicPartition, Bounds>,
}

impl Fetcher {
    pub(super) fn new(shared: Arc<Mutex<Shared>>, isolation: Isolation, options: FetchOptions) -> Self {
        Self { shared, isolation, options, lanes: None, brokers: BTreeMap::new(), lost: BTreeMap::new() }
    }

    /// Starts the fetches that are not under way.
    fn start(&mut self, client: &mut Client, plan: BTreeMap<i32, Wants>) -> i64 {
        let now_ms = client.now().mono_ms();
        let mut due = i64::MAX;
        for (id, wants) in plan {
            let lanes = *self.lanes.get_or_insert_with(|| [client.new_lane(), client.new_lane()]);
            let broker = self.brokers.entry(id).or_insert_with(|| Broker::new(lanes, self.options.apart_ms));
            let start_ms = broker.start_ms(&wants);
            if now_ms < start_ms {
                due = due.min(start_ms);
                continue;
            }
            let request = FetchRequest {
                max_wait_ms: self.options.wait_max_ms,
                min_bytes: self.options.bytes_min,
                max_bytes: self.options.bytes_max,
                isolation_level: i8::from(self.isolation == Isolation::ReadCommitted),
                rack_id: self.options.rack.clone(),
                ..FetchRequest::default()
            };
            broker.start(id, client, wants, &request, self.options.partition_bytes_max);
        }
        due
    }

    /// Takes the fetches that are over.
    fn take(&mut self, client: &mut Client) {
        let shared = Arc::clone(&self.shared);
        let pause_until = client.now().mono_ms() + client.options().retry_backoff_ms;
        let mut over = Vec::new();
        let mut answers = Vec::new();
        for broker in self.brokers.values_mut() {
            broker.take(&mut over);
            for (wants, answer) in over.drain(..) {
                let failure = match answer {
                    Ok(response) => match ErrorCode(response.error_code) {
                        ErrorCode::NONE => {
                            answers.push((wants, response));
                            continue;
                        }
                        ErrorCode::FETCH_SESSION_ID_NOT_FOUND => continue,
                        code => (!may_pass(code)).then(|| refused("fetching", code, None)),
                    },
                    Err(error) => {
                        let mut shared = lock(&shared);
                        for want in wants.values() {
                            if let Some(feed) = shared.feeds.get_mut(&want.partition) {
                                feed.replica = None;
                            }
                        }
                        Some(unanswered("fetching", error, false)).filter(|failure| failure.kind == FailureKind::Fatal)
                    }
                };
                broker.pause_until = pause_until;
                client.refresh_metadata();
                lock(&shared).failures.extend(failure.map(ReaderEvent::Failed));
            }
        }
        for (wants, response) in answers {
            self.read(client, &wants, response);
        }
    }

    fn read(&mut self, client: &mut Client, wants: &Wants, response: FetchResponse) {
        for topic in response.responses {
            for data in topic.partitions {
                let Some(want) = wants.get(&(topic.topic_id, data.partition_index)) else { continue };
                let Want { partition, position, .. } = want;
                // Parsing and checking take no lock; who was assigned anew meanwhile is left out below.
                let event = self.sorted(partition, *position, &data);
                let mut shared = lock(&self.shared);
                let feed = shared.feeds.get_mut(partition);
                let Some(feed) = feed.filter(|feed| !feed.is_over && feed.position == position.offset) else {
                    continue;
                };
                let now_ms = client.now().mono_ms();
                if data.preferred_read_replica >= 0 {
                    let until = now_ms + client.options().metadata_max_age_ms;
                    feed.replica = Some((data.preferred_read_replica, until));
                }
                match event {
                    Ok(fetched) => {
                        self.lost.remove(partition);
                        shared.push(partition, fetched);
                    }
                    Err(Trouble::Code(code)) => {
                        let was_replica = feed.replica.take().is_some();
                        if was_replica && code == ErrorCode::OFFSET_OUT_OF_RANGE {
                            // The replica may be behind; what the leader says counts.
                            continue;
                        }
                        if data.current_leader.leader_id < 0 {
                            feed.retry_at_ms = now_ms + client.options().retry_backoff_ms;
                        }
                        if let Some(event) = trouble(&mut self.lost, client, partition, *position, &data, code) {
                            shared.end(partition, event);
                        }
                    }
                    // The replica may not know yet; what the leader says counts.
                    Err(Trouble::Diverged { .. }) if feed.replica.take().is_some() => {}
                    // An epoch that the log does not know: that of a record which was not read yet, as Kafka Streams commits
                    // it, or whose records were all compacted away. It departs from what was read behind the position only.
                    Err(Trouble::Diverged { epoch, log_end, .. }) if log_end.0 >= position.offset => {
                        feed.last_epoch = epoch.min(position.last_epoch - 1).max(-1);
                    }
                    Err(Trouble::Diverged { log_start, log_end, .. }) => {
                        let position = Offset(position.offset);
                        let event =
                            ReaderEvent::OutOfRange { partition: partition.clone(), position, log_start, log_end };
                        shared.end(partition, event);
                    }
                    Err(Trouble::Failure(failure)) => shared.end(partition, ReaderEvent::Failed(failure)),
                }
            }
        }
    }

    /// What was fetched.
    fn sorted(&self, partition: &TopicPartition, position: Position, data: &PartitionData) -> Result<Fetched, Trouble> {
        ErrorCode::check(data.error_code).map_err(Trouble::Code)?;
        let log_start = Offset(data.log_start_offset.max(0));
        let diverging = &data.diverging_epoch;
        if diverging.end_offset >= 0 {
            let log_end = Offset(diverging.end_offset);
            return Err(Trouble::Diverged { epoch: diverging.epoch, log_start, log_end });
        }
        let aborted = match self.isolation {
            Isolation::ReadCommitted => Some(data.aborted_transactions.as_deref().unwrap_or_default()),
            Isolation::ReadUncommitted => None,
        };
        let records = data.records.clone().unwrap_or_default();
        let Sorted { batches, next, leader_epoch } =
            sort(records, position.offset, aborted).map_err(|(offset, error)| {
                let message =
                    "what was fetched is no record batch: the topic's log is damaged, or is not of Kafka 0.11 or newer";
                Trouble::Failure(damaged(
                    partition,
                    offset,
                    Error::new(ErrorKind::Corrupted, message).with_source(error),
                ))
            })?;
        let end = match self.isolation {
            Isolation::ReadCommitted => data.last_stable_offset,
            Isolation::ReadUncommitted => data.high_watermark,
        };
        let leader_epoch = if next > position.offset { leader_epoch } else { position.last_epoch };
        let (from, next, end) = (Offset(position.offset), Offset(next), Offset(end.max(next)));
        Ok(Fetched { partition: partition.clone(), batches, from, next, leader_epoch, end, log_start })
    }

    /// Goes on with partitions out of range: their bounds belong to the report.
    fn find_bounds(&mut self, client: &mut Client) -> i64 {
        let mut due = i64::MAX;
        let shared = Arc::clone(&self.shared);
        self.lost.retain(|partition, bounds| {
            let asks = |feed: &Feed| !feed.is_over && feed.position == bounds.position;
            // Who was assigned anew meanwhile, or goes on, did not ask.
            if !lock(&shared).feeds.get(partition).is_some_and(asks) {
                return false;
            }
            let event = match bounds.turn(client, partition) {
                BoundsTurn::Waiting(until) => {
                    due = due.min(until);
                    return true;
                }
                BoundsTurn::Failed(failure) => ReaderEvent::Failed(failure),
                BoundsTurn::Found(log_start, log_end) => ReaderEvent::OutOfRange {
                    partition: partition.clone(),
                    position: Offset(bounds.position),
                    log_start: Offset(log_start),
                    log_end: Offset(log_end),
                },
            };
            lock(&shared).end(partition, event);
            false
        });
        due
    }
}

impl Actor for Fetcher {
    fn turn(&mut self, client: &mut Client) -> Turn {
        self.take(client);
        let bounds_due = self.find_bounds(client);
        let shared = Arc::clone(&self.shared);
        let mut shared = lock(&shared);
        if shared.is_closed {
            self.lanes.take().into_iter().flatten().for_each(|lane| client.drop_lane(lane));
            return Turn::Finished;
        }
        let (plan, due) = plan(client, &mut shared);
        drop(shared);
        Turn::Until(self.start(client, plan).min(bounds_due).min(due))
    }
}

/// What is to be fetched, by broker, and when there may be more, in ms; reports topics that are gone.
fn plan(client: &mut Client, shared: &mut Shared) -> (BTreeMap<i32, Wants>, i64) {
    let mut plan: BTreeMap<i32, Wants> = BTreeMap::new();
    let mut gone = Vec::new();
    let mut due = i64::MAX;
    let limits = shared.limits;
    // What is fetched now will be ahead, too.
    let mut ahead_bytes = shared.ahead_bytes;
    let now_ms = client.now().mono_ms();
    for (partition, feed) in &mut shared.feeds {
        if !feed.wants_more(ahead_bytes, limits) {
            continue;
        }
        if now_ms < feed.retry_at_ms {
            due = due.min(feed.retry_at_ms);
            continue;
        }
        client.want_topic(&partition.topic);
        let id = match client.cluster().topic(&partition.topic) {
            Some(TopicState::Known { id, .. }) => *id,
            Some(TopicState::Missing(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) if feed.topic_id.is_some() => {
                let gone_ms = *feed.missing_ms.get_or_insert(now_ms) + MISSING_MS;
                if now_ms < gone_ms {
                    due = due.min(gone_ms);
                } else if client.cluster().is_newer_than(gone_ms) {
                    gone.push(partition.clone());
                } else {
                    client.refresh_metadata();
                }
                continue;
            }
            Some(TopicState::Missing(_)) | None => continue,
        };
        feed.missing_ms = None;
        if *feed.topic_id.get_or_insert(id) != id {
            gone.push(partition.clone());
            continue;
        }
        let number = partition.partition.0;
        let Some(Leader { broker: Some(leader), epoch }) = client.cluster().leader(&partition.topic, number) else {
            client.refresh_metadata();
            continue;
        };
        // Where a replica is gone, or was good for long enough, the leader says which one is next.
        feed.replica =
            feed.replica.filter(|(replica, until)| now_ms < *until && client.cluster().brokers().contains_key(replica));
        let position = Position { offset: feed.position, leader_epoch: epoch, last_epoch: feed.last_epoch };
        let broker = feed.replica.map_or(leader, |(replica, _)| replica);
        if !feed.is_at_end {
            ahead_bytes += limits.partition;
        }
        let want = Want { partition: partition.clone(), position, is_at_end: feed.is_at_end };
        plan.entry(broker).or_default().insert((id, number), want);
    }
    for partition in gone {
        shared.end(&partition, ReaderEvent::Gone { partition: partition.clone() });
    }
    (plan, due)
}

/// Why a partition gave no records.
enum Trouble {
    Code(ErrorCode),
    /// From this end on the log has other records than one where the epoch of the last record read was known: a broker that
    /// lacked some was made the leader (`unclean.leader.election.enable`). The log may be longer again. `epoch`: the
    /// last one before.
    Diverged {
        epoch: i32,
        log_start: Offset,
        log_end: Offset,
    },
    Failure(Failure),
}

/// What an error of one partition means; an event ends its story.
fn trouble(
    lost: &mut BTreeMap<TopicPartition, Bounds>,
    client: &mut Client,
    partition: &TopicPartition,
    position: Position,
    data: &PartitionData,
    code: ErrorCode,
) -> Option<ReaderEvent> {
    match code {
        ErrorCode::OFFSET_OUT_OF_RANGE => {
            lost.entry(partition.clone()).or_insert_with(|| Bounds::around(position.offset));
            None
        }
        ErrorCode::CORRUPT_MESSAGE => {
            let message = "the broker finds the log damaged here: restore the partition from another replica";
            Some(ReaderEvent::Failed(damaged(partition, position.offset, Error::new(ErrorKind::Corrupted, message))))
        }
        code => {
            let hint = &data.current_leader;
            if hint.leader_id >= 0 {
                let leader = Leader { broker: Some(hint.leader_id), epoch: hint.leader_epoch };
                client.set_leader(&partition.topic, partition.partition.0, leader);
            }
            client.refresh_metadata();
            if may_pass(code) {
                None
            } else {
                Some(ReaderEvent::Failed(refused(&format!("fetching {partition}"), code, None)))
            }
        }
    }
}

/// A log that cannot be read at an offset.
fn damaged(partition: &TopicPartition, offset: i64, error: Error) -> Failure {
    let error = error.with_context(|context| {
        context.topic = Some(Arc::clone(&partition.topic));
        context.partition = Some(partition.partition);
        context.offset = Some(Offset(offset));
    });
    Failure { kind: FailureKind::Fatal, error }
}
