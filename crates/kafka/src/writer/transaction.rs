//! The producer's identity and its transactions: version 2 (KIP-890) where the brokers have it, in
//! which writing adds a partition and every end gives a new epoch; version 1 elsewhere.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream_log::{CommittedOffset, Failure, FailureKind, GroupMetadata};
use millstream_types::{Error, ErrorKind, TopicPartition};

use super::lane::PartitionLane;
use super::settling::Settling;
use super::{ProduceOptions, Shared, lock};
use crate::by_topic::by_topic;
use crate::client::{Client, CoordinatorKind, TRANSACTION_VERSION};
use crate::protocol::ErrorCode;
use crate::protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use crate::protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use crate::protocol::messages::end_txn::EndTxnRequest;
use crate::protocol::messages::init_producer_id::InitProducerIdRequest;
use crate::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use crate::tries::{At, Tries, Verdict};

/// Highest versions that do not claim KIP-890.
const END_TXN_V1: i16 = 4;
const OFFSET_COMMIT_V1: i16 = 4;
/// The feature whose level says which version the cluster speaks, and the level of KIP-890.
const FEATURE_V2: i16 = 2;

/// Who the producer is, and whether a transaction is open.
pub(super) struct Transaction {
    id: Option<Arc<str>>,
    /// Producer id and epoch.
    pub(super) producer: Option<(i64, i16)>,
    is_v2: bool,
    /// Since when the broker knows of an open transaction, or may, in ms.
    open_ms: Option<i64>,
    /// The last one, until it is over for the brokers, too.
    settling: Option<Settling>,
    init: Tries<InitProducerIdRequest>,
    add: Tries<AddPartitionsToTxnRequest>,
    /// Handles that the request under way adds.
    adding: Vec<usize>,
    due_ms: i64,
}

/// The end of a transaction, step by step.
pub(super) struct Ending {
    offsets: Vec<(TopicPartition, CommittedOffset)>,
    group: Option<GroupMetadata>,
    pub(super) is_commit: bool,
    are_offsets_added: bool,
    are_offsets_committed: bool,
    add_offsets: Tries<AddOffsetsToTxnRequest>,
    commit_offsets: Tries<TxnOffsetCommitRequest>,
    end: Tries<EndTxnRequest>,
}

impl Ending {
    pub(super) fn commit(offsets: Vec<(TopicPartition, CommittedOffset)>, group: GroupMetadata) -> Self {
        Self { offsets, group: Some(group), is_commit: true, ..Self::abort() }
    }

    pub(super) fn abort() -> Self {
        Self {
            offsets: Vec::new(),
            group: None,
            is_commit: false,
            are_offsets_added: false,
            are_offsets_committed: false,
            add_offsets: Tries::default(),
            commit_offsets: Tries::default(),
            end: Tries::default(),
        }
    }
}

impl Transaction {
    pub(super) fn new(id: Option<Arc<str>>) -> Self {
        Self {
            id,
            producer: None,
            is_v2: true,
            open_ms: None,
            settling: None,
            init: Tries::default(),
            add: Tries::default(),
            adding: Vec::new(),
            due_ms: i64::MAX,
        }
    }

    /// Forgets who the producer was.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.id.take());
    }

    /// Whether partitions are added by a request of their own.
    pub(super) fn must_add_partitions(&self) -> bool {
        self.id.is_some() && !self.is_v2
    }

    /// Something was written, or is to be part of the transaction.
    pub(super) fn has_begun(&mut self, now_ms: i64) {
        if self.id.is_some() {
            self.open_ms.get_or_insert(now_ms);
        }
    }

    /// What a failure means: brokers end a transaction that is open for too long, and fence its producer, just as they
    /// do where another one begins with its id.
    pub(super) fn explained(&self, failure: Failure, timeout_ms: i32, now_ms: i64) -> Failure {
        let open_ms = self.open_ms.map_or(0, |since| now_ms - since);
        let text = failure.error.message();
        let mut fenced = [ErrorCode::PRODUCER_FENCED, ErrorCode::INVALID_PRODUCER_EPOCH].into_iter();
        let Some(code) = fenced.find(|code| text.contains(code.name())) else { return failure };
        if failure.kind != FailureKind::Fenced || open_ms < i64::from(timeout_ms) {
            return failure;
        }
        let message = format!(
            "the transaction was open for {open_ms} ms, longer than transaction.timeout.ms ({timeout_ms} ms), and the brokers \
             have aborted it ({code}): raise transaction.timeout.ms, or let less be done between two commits; a record \
             that takes so long to process is processed again and again"
        );
        let context = failure.error.context().clone();
        let error = Error::new(ErrorKind::Fenced, message).with_context(|known| *known = context);
        Failure { kind: FailureKind::Fenced, error }
    }

    /// When a step is due again, in ms.
    pub(super) fn due_ms(&self) -> i64 {
        let settling = self.settling.as_ref().map_or(i64::MAX, Settling::due_ms);
        self.due_ms.min(self.init.due_ms()).min(self.add.due_ms()).min(settling)
    }

    /// Whether brokers take writes: the last transaction is over.
    pub(super) fn may_write(&mut self, client: &mut Client) -> bool {
        let (Some(settling), Some(id)) = (&mut self.settling, &self.id) else { return true };
        if settling.is_over(client, id) {
            self.settling = None;
        }
        self.settling.is_none()
    }

    /// Gets id and epoch; with a transactional id, earlier producers of it are fenced and their open
    /// transaction is aborted.
    pub(super) fn init(&mut self, client: &mut Client, options: &ProduceOptions) -> Option<Result<(), Failure>> {
        let id = self.id.clone();
        let at = id.as_ref().map_or(At::Anyone, |id| At::Coordinator(CoordinatorKind::Transaction, id));
        let request = || InitProducerIdRequest {
            transactional_id: id.as_deref().map(str::to_owned),
            transaction_timeout_ms: options.transaction_timeout_ms,
            ..InitProducerIdRequest::default()
        };
        let answer =
            self.init.turn(client, "initialising the producer", at, i16::MAX, request, |answer| answer.error_code)?;
        Some(answer.map(|answer| {
            self.producer = Some((answer.producer_id, answer.producer_epoch));
            self.is_v2 = client.feature(TRANSACTION_VERSION) >= FEATURE_V2;
        }))
    }

    /// Adds partitions that have something to send, where that takes a request.
    pub(super) fn add_partitions(
        &mut self,
        client: &mut Client,
        shared: &Mutex<Shared>,
        lanes: &mut [PartitionLane],
    ) -> Result<(), Failure> {
        let (Some(id), Some((producer_id, producer_epoch)), true) =
            (self.id.clone(), self.producer, self.must_add_partitions())
        else {
            return Ok(());
        };
        if self.adding.is_empty() {
            let wanted = lanes.iter().enumerate().filter(|(_, lane)| !lane.is_empty() && !lane.is_added);
            self.adding = wanted.map(|(index, _)| index).collect();
        }
        if self.adding.is_empty() {
            return Ok(());
        }
        let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
        {
            let shared = lock(shared);
            for partition in self.adding.iter().filter_map(|index| shared.partitions.get(*index)) {
                topics.entry(Arc::clone(&partition.topic)).or_default().push(partition.partition.0);
            }
        }
        let request = || AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id.to_string(),
            v3_and_below_producer_id: producer_id,
            v3_and_below_producer_epoch: producer_epoch,
            v3_and_below_topics: topics
                .into_iter()
                .map(|(name, partitions)| AddPartitionsToTxnTopic { name: name.to_string(), partitions })
                .collect(),
        };
        let at = At::Coordinator(CoordinatorKind::Transaction, &id);
        let what = "adding partitions to the transaction";
        let adding = self.adding.len();
        let answer = self.add.turn(client, what, at, i16::MAX, request, |answer| {
            let codes = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| {
                let found = topic.results_by_partition.iter();
                found.map(|found| (topic.name.as_str(), found.partition_index, found.partition_error_code))
            });
            Verdict::of(adding, codes)
        });
        match answer {
            None => Ok(()),
            Some(Err(failure)) => {
                self.adding.clear();
                Err(failure)
            }
            Some(Ok(_)) => {
                self.has_begun(client.now().mono_ms());
                for index in self.adding.drain(..) {
                    if let Some(lane) = lanes.get_mut(index) {
                        lane.is_added = true;
                    }
                }
                Ok(())
            }
        }
    }

    /// Ends the transaction, or commits its offsets only as long as batches are under way. Done with whether the
    /// producer has a new epoch.
    pub(super) fn end(
        &mut self,
        client: &mut Client,
        ending: &mut Ending,
        is_drained: bool,
    ) -> Option<Result<bool, Failure>> {
        self.due_ms = i64::MAX;
        let result = self.end_step(client, ending, is_drained);
        if result.is_none() {
            let due = [ending.add_offsets.due_ms(), ending.commit_offsets.due_ms(), ending.end.due_ms()];
            self.due_ms = due.into_iter().min().unwrap_or(i64::MAX);
        }
        result
    }

    fn end_step(
        &mut self,
        client: &mut Client,
        ending: &mut Ending,
        is_drained: bool,
    ) -> Option<Result<bool, Failure>> {
        let (Some(id), Some((producer_id, producer_epoch))) = (self.id.clone(), self.producer) else {
            return Some(Ok(false));
        };
        let at = At::Coordinator(CoordinatorKind::Transaction, &id);
        if let (Some(group), false) = (&ending.group, ending.offsets.is_empty()) {
            if !self.may_write(client) {
                return None;
            }
            if !self.is_v2 && !ending.are_offsets_added {
                let request = || AddOffsetsToTxnRequest {
                    transactional_id: id.to_string(),
                    producer_id,
                    producer_epoch,
                    group_id: group.group.to_string(),
                };
                let what = "adding offsets to the transaction";
                let answer =
                    ending.add_offsets.turn(client, what, at, i16::MAX, request, |answer| answer.error_code)?;
                if let Err(failure) = answer {
                    return Some(Err(failure));
                }
                self.has_begun(client.now().mono_ms());
                ending.are_offsets_added = true;
            }
            if !ending.are_offsets_committed {
                let version_max = if self.is_v2 { i16::MAX } else { OFFSET_COMMIT_V1 };
                let epoch = client.member_epoch(&group.member_id, group.epoch);
                let request = || offsets_request(&id, (producer_id, producer_epoch), group, epoch, &ending.offsets);
                let at = At::Coordinator(CoordinatorKind::Group, &group.group);
                let what = "committing offsets in the transaction";
                let answer = ending.commit_offsets.turn(client, what, at, version_max, request, |answer| {
                    let codes = answer.topics.iter().flat_map(|topic| {
                        let found = topic.partitions.iter();
                        found.map(|found| (topic.name.as_str(), found.partition_index, found.error_code))
                    });
                    Verdict::of(ending.offsets.len(), codes)
                })?;
                if let Err(failure) = answer {
                    return Some(Err(failure));
                }
                self.has_begun(client.now().mono_ms());
                ending.are_offsets_committed = true;
            }
        }
        if !is_drained {
            return None;
        }
        if self.open_ms.is_none() {
            return Some(Ok(false));
        }
        let request = || EndTxnRequest {
            transactional_id: id.to_string(),
            producer_id,
            producer_epoch,
            committed: ending.is_commit,
        };
        let version_max = if self.is_v2 { i16::MAX } else { END_TXN_V1 };
        let what = if ending.is_commit { "committing the transaction" } else { "aborting the transaction" };
        let answer = ending.end.turn(client, what, at, version_max, request, |answer| answer.error_code)?;
        Some(answer.map(|answer| {
            self.open_ms = None;
            self.settling = Some(Settling::new(client.now().mono_ms()));
            let is_new = self.is_v2 && answer.producer_id >= 0;
            if is_new {
                self.producer = Some((answer.producer_id, answer.producer_epoch));
            }
            is_new
        }))
    }
}

fn offsets_request(
    id: &Arc<str>,
    (producer_id, producer_epoch): (i64, i16),
    group: &GroupMetadata,
    epoch: i32,
    offsets: &[(TopicPartition, CommittedOffset)],
) -> TxnOffsetCommitRequest {
    let partition = |(partition_index, committed): (i32, CommittedOffset)| TxnOffsetCommitRequestPartition {
        partition_index,
        committed_offset: committed.offset.0,
        committed_leader_epoch: committed.leader_epoch,
        committed_metadata: Some(committed.metadata),
    };
    let topic = |(name, partitions): (Arc<str>, Vec<_>)| TxnOffsetCommitRequestTopic {
        name: name.to_string(),
        partitions: partitions.into_iter().map(partition).collect(),
    };
    TxnOffsetCommitRequest {
        transactional_id: id.to_string(),
        group_id: group.group.to_string(),
        producer_id,
        producer_epoch,
        generation_id: epoch,
        member_id: group.member_id.to_string(),
        group_instance_id: None,
        topics: by_topic(offsets.to_vec()).into_iter().map(topic).collect(),
    }
}
