//! Brokers that do all they are asked, but where the test has other plans for a request.

mod groups;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use millstream_log::batch::{Batch, BatchBuilder, Compression, Stamp};
use millstream_types::{Headers, Timestamp};

use super::{FakeTransport, Reply, TOPIC_ID, metadata, read};
use crate::net::Address;
use crate::protocol::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopicResult,
};
use crate::protocol::messages::create_topics::{CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse};
use crate::protocol::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use crate::protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use crate::protocol::messages::delete_topics::{DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse};
use crate::protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
use crate::protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, TopicResponse,
};
use crate::protocol::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionState,
};
use crate::protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use crate::protocol::messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use crate::protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use crate::protocol::messages::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use crate::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use crate::protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use crate::protocol::messages::metadata::{MetadataRequest, MetadataResponse, MetadataResponseTopic};
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use crate::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopics, OffsetFetchResponse, OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use crate::protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use crate::protocol::messages::streams_group_describe::{StreamsGroupDescribeRequest, StreamsGroupDescribeResponse};
use crate::protocol::messages::streams_group_heartbeat::StreamsGroupHeartbeatRequest;
use crate::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::protocol::{ErrorCode, Reader, Request, RequestHeader};
use settings::Settings;

/// Where the one record is that can be fetched.
pub(crate) const FETCHED: i64 = 7;

/// Where in an answer a code stands: for all of it, for a topic or group, or for a partition. Where an
/// answer has one place only, all mean that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Top,
    Item,
    Partition,
    /// Nowhere: the answer says nothing at all.
    Nothing,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// The request.
    pub(crate) key: i16,
    /// Which of its kind, from 0.
    pub(crate) number: usize,
    pub(crate) place: Place,
    pub(crate) code: ErrorCode,
}

/// How often each request was seen, and at which host the last.
pub(crate) type Counts = Arc<Mutex<BTreeMap<i16, (usize, String)>>>;

/// The brokers.
pub(crate) struct Obliging {
    fates: Vec<Fate>,
    counts: Counts,
    next_offset: i64,
    epoch: i16,
    deleted: BTreeSet<String>,
    settings: Settings,
    /// Whether the one record that there is was fetched.
    is_fetched: bool,
    /// The broker that coordinates everything; others say that they do not.
    pub(crate) coordinator: Arc<AtomicI32>,
}

/// What only a coordinator answers, whoever asks.
const COORDINATED: [i16; 8] = [
    AddPartitionsToTxnRequest::KEY,
    AddOffsetsToTxnRequest::KEY,
    EndTxnRequest::KEY,
    TxnOffsetCommitRequest::KEY,
    OffsetCommitRequest::KEY,
    OffsetFetchRequest::KEY,
    StreamsGroupHeartbeatRequest::KEY,
    StreamsGroupDescribeRequest::KEY,
];

impl Obliging {
    /// Brokers with these fates, and what they saw.
    pub(crate) fn new(fates: &[Fate]) -> (Self, Counts) {
        let counts = Counts::default();
        let (fates, seen) = (fates.to_vec(), Arc::clone(&counts));
        let brokers = Self {
            fates,
            counts: seen,
            next_offset: 100,
            epoch: 0,
            deleted: BTreeSet::new(),
            settings: Settings::default(),
            is_fetched: false,
            coordinator: Arc::new(AtomicI32::new(1)),
        };
        (brokers, counts)
    }

    /// The same, as connections to them.
    pub(crate) fn transport(fates: &[Fate]) -> (FakeTransport, Counts) {
        let (mut brokers, counts) = Self::new(fates);
        (FakeTransport::new(move |address: &Address, header, body| brokers.answer(address, header, body)), counts)
    }

    pub(crate) fn answer(&mut self, address: &Address, header: &RequestHeader, body: Reader) -> Reply {
        let number = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, host) = counts.entry(header.key).or_default();
            *count += 1;
            host.clone_from(&address.host);
            *count - 1
        };
        let fate = self.fates.iter().find(|fate| (fate.key, fate.number) == (header.key, number)).copied();
        let coordinator = self.coordinator.load(Ordering::SeqCst);
        let is_misled = COORDINATED.contains(&header.key) && address.host != format!("broker-{coordinator}");
        let code = |place| match fate.filter(|fate| fate.place == place) {
            Some(fate) => fate.code.0,
            None if is_misled => ErrorCode::NOT_COORDINATOR.0,
            None => 0,
        };
        let any = match fate {
            Some(fate) => fate.code.0,
            None => code(Place::Top),
        };
        match header.key {
            _ if fate.is_some_and(|fate| fate.place == Place::Nothing) => nothing(header),
            MetadataRequest::KEY => self.metadata(header, body, code),
            FindCoordinatorRequest::KEY if any == 0 => super::coordinator_at(header, coordinator),
            FindCoordinatorRequest::KEY => {
                let refused =
                    crate::protocol::messages::find_coordinator::Coordinator { error_code: any, ..Default::default() };
                let response = FindCoordinatorResponse { coordinators: vec![refused], ..Default::default() };
                Reply::to::<FindCoordinatorRequest>(header, &response)
            }
            ProduceRequest::KEY => self.produce(header, body, any),
            FetchRequest::KEY => self.fetch(header, code),
            InitProducerIdRequest::KEY | EndTxnRequest::KEY => self.producer(header, body, any),
            AddPartitionsToTxnRequest::KEY
            | AddOffsetsToTxnRequest::KEY
            | TxnOffsetCommitRequest::KEY
            | DescribeTransactionsRequest::KEY => transaction(header, body, any),
            CreateTopicsRequest::KEY => Self::create_topics(header, body, any),
            DeleteTopicsRequest::KEY => self.delete_topics(header, body, any),
            DescribeConfigsRequest::KEY | IncrementalAlterConfigsRequest::KEY => {
                self.settings.answer(header, body, any)
            }
            key if groups::is_of_group(key) => groups::answer(header, body, code),
            _ => offsets(header, body, code),
        }
    }

    fn metadata(&self, header: &RequestHeader, body: Reader, code: impl Fn(Place) -> i16) -> Reply {
        let request = read::<MetadataRequest>(header, body);
        let names = match request.topics {
            Some(topics) => topics.into_iter().filter_map(|topic| topic.name).collect(),
            None => vec!["words".to_owned()],
        };
        let topic = |name: String| {
            let mut topic = metadata(&name, 2).topics.remove(0);
            topic.error_code = code(Place::Item);
            if self.deleted.contains(&name) {
                topic.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
            }
            if code(Place::Partition) != 0 {
                for partition in &mut topic.partitions {
                    (partition.error_code, partition.leader_id) = (code(Place::Partition), -1);
                }
            }
            if topic.error_code == 0 {
                topic
            } else {
                MetadataResponseTopic { partitions: Vec::new(), topic_id: 0, ..topic }
            }
        };
        let topics = if code(Place::Top) == 0 { names.into_iter().map(topic).collect() } else { Vec::new() };
        let response = MetadataResponse { topics, error_code: code(Place::Top), ..metadata("", 0) };
        Reply::to::<MetadataRequest>(header, &response)
    }

    fn producer(&mut self, header: &RequestHeader, body: Reader, error_code: i16) -> Reply {
        if header.key == InitProducerIdRequest::KEY {
            self.epoch += 1;
            let response = InitProducerIdResponse {
                error_code,
                producer_id: 9,
                producer_epoch: self.epoch,
                ..InitProducerIdResponse::default()
            };
            return Reply::to::<InitProducerIdRequest>(header, &response);
        }
        let request = read::<EndTxnRequest>(header, body);
        if header.version >= 5 && error_code == 0 {
            self.epoch = request.producer_epoch + 1;
        }
        let response = EndTxnResponse {
            error_code,
            producer_id: if header.version >= 5 { 9 } else { -1 },
            producer_epoch: self.epoch,
            ..EndTxnResponse::default()
        };
        Reply::to::<EndTxnRequest>(header, &response)
    }

    fn produce(&mut self, header: &RequestHeader, body: Reader, error_code: i16) -> Reply {
        let request = read::<ProduceRequest>(header, body);
        let mut responses = Vec::new();
        for topic in request.topic_data {
            for data in topic.partition_data {
                let (batch, _) = Batch::parse(data.records.unwrap_or_default()).expect("a batch");
                let base_offset = self.next_offset;
                self.next_offset += if error_code == 0 { batch.count() as i64 } else { 0 };
                let partition = PartitionProduceResponse {
                    index: data.index,
                    error_code,
                    base_offset,
                    ..PartitionProduceResponse::default()
                };
                let name = topic.name.clone();
                responses.push(TopicProduceResponse { name, partition_responses: vec![partition] });
            }
        }
        Reply::to::<ProduceRequest>(header, &ProduceResponse { responses, ..ProduceResponse::default() })
    }

    /// One record at [`FETCHED`], once; afterwards nothing comes.
    fn fetch(&mut self, header: &RequestHeader, code: impl Fn(Place) -> i16) -> Reply {
        let (error_code, partition_code) = (code(Place::Top), code(Place::Partition));
        if self.is_fetched {
            return Reply::Silence;
        }
        self.is_fetched = (error_code, partition_code) == (0, 0);
        let responses = if error_code == 0 { vec![one(FETCHED, partition_code)] } else { Vec::new() };
        let response = FetchResponse { error_code, session_id: 5, responses, ..FetchResponse::default() };
        Reply::to::<FetchRequest>(header, &response)
    }

    fn create_topics(header: &RequestHeader, body: Reader, error_code: i16) -> Reply {
        let topic = |name| CreatableTopicResult { name, error_code, ..Default::default() };
        let names = read::<CreateTopicsRequest>(header, body).topics.into_iter().map(|topic| topic.name);
        let topics = names.map(topic).collect();
        Reply::to::<CreateTopicsRequest>(header, &CreateTopicsResponse { topics, ..Default::default() })
    }

    fn delete_topics(&mut self, header: &RequestHeader, body: Reader, error_code: i16) -> Reply {
        let names = read::<DeleteTopicsRequest>(header, body).topics.into_iter().filter_map(|topic| topic.name);
        let names: Vec<String> = names.collect();
        if error_code == 0 {
            self.deleted.extend(names.iter().cloned());
        }
        let topic =
            |name| DeletableTopicResult { name: Some(name), topic_id: TOPIC_ID, error_code, ..Default::default() };
        let responses = names.into_iter().map(topic).collect();
        Reply::to::<DeleteTopicsRequest>(header, &DeleteTopicsResponse { responses, ..Default::default() })
    }
}

/// An answer without anything in it.
fn nothing(header: &RequestHeader) -> Reply {
    match header.key {
        MetadataRequest::KEY => Reply::to::<MetadataRequest>(header, &MetadataResponse::default()),
        FindCoordinatorRequest::KEY => Reply::to::<FindCoordinatorRequest>(header, &FindCoordinatorResponse::default()),
        ProduceRequest::KEY => Reply::to::<ProduceRequest>(header, &ProduceResponse::default()),
        AddPartitionsToTxnRequest::KEY => {
            Reply::to::<AddPartitionsToTxnRequest>(header, &AddPartitionsToTxnResponse::default())
        }
        TxnOffsetCommitRequest::KEY => Reply::to::<TxnOffsetCommitRequest>(header, &TxnOffsetCommitResponse::default()),
        CreateTopicsRequest::KEY => Reply::to::<CreateTopicsRequest>(header, &CreateTopicsResponse::default()),
        DeleteTopicsRequest::KEY => Reply::to::<DeleteTopicsRequest>(header, &DeleteTopicsResponse::default()),
        DescribeConfigsRequest::KEY => Reply::to::<DescribeConfigsRequest>(header, &DescribeConfigsResponse::default()),
        IncrementalAlterConfigsRequest::KEY => {
            Reply::to::<IncrementalAlterConfigsRequest>(header, &IncrementalAlterConfigsResponse::default())
        }
        ListOffsetsRequest::KEY => Reply::to::<ListOffsetsRequest>(header, &ListOffsetsResponse::default()),
        DeleteRecordsRequest::KEY => Reply::to::<DeleteRecordsRequest>(header, &DeleteRecordsResponse::default()),
        OffsetCommitRequest::KEY => Reply::to::<OffsetCommitRequest>(header, &OffsetCommitResponse::default()),
        DeleteGroupsRequest::KEY => Reply::to::<DeleteGroupsRequest>(header, &DeleteGroupsResponse::default()),
        DescribeProducersRequest::KEY => {
            Reply::to::<DescribeProducersRequest>(header, &DescribeProducersResponse::default())
        }
        StreamsGroupDescribeRequest::KEY => {
            Reply::to::<StreamsGroupDescribeRequest>(header, &StreamsGroupDescribeResponse::default())
        }
        _ => Reply::to::<OffsetFetchRequest>(header, &OffsetFetchResponse::default()),
    }
}

fn one(offset: i64, error_code: i16) -> FetchableTopicResponse {
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(1), None, Some(b"x"), &Headers::new());
    let mut bytes = builder.finish(Stamp::NONE, Compression::None).to_vec();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    let data = PartitionData {
        error_code,
        records: Some(if error_code == 0 { Bytes::from(bytes) } else { Bytes::new() }),
        high_watermark: offset + 1,
        last_stable_offset: offset + 1,
        ..PartitionData::default()
    };
    FetchableTopicResponse { topic_id: TOPIC_ID, partitions: vec![data] }
}

fn transaction(header: &RequestHeader, body: Reader, error_code: i16) -> Reply {
    match header.key {
        AddPartitionsToTxnRequest::KEY => {
            let partition = |partition_index| AddPartitionsToTxnPartitionResult {
                partition_index,
                partition_error_code: error_code,
            };
            let topics = read::<AddPartitionsToTxnRequest>(header, body).v3_and_below_topics.into_iter();
            let results = topics.map(|topic| AddPartitionsToTxnTopicResult {
                name: topic.name,
                results_by_partition: topic.partitions.into_iter().map(partition).collect(),
            });
            let results_by_topic_v3_and_below = results.collect();
            let response = AddPartitionsToTxnResponse { results_by_topic_v3_and_below, ..Default::default() };
            Reply::to::<AddPartitionsToTxnRequest>(header, &response)
        }
        AddOffsetsToTxnRequest::KEY => {
            let response = AddOffsetsToTxnResponse { error_code, ..Default::default() };
            Reply::to::<AddOffsetsToTxnRequest>(header, &response)
        }
        DescribeTransactionsRequest::KEY => transaction_state(header, body, error_code, "CompleteCommit"),
        _ => {
            let topics = read::<TxnOffsetCommitRequest>(header, body).topics.into_iter();
            let topics = topics.map(|topic| {
                let partition = |partition_index| TxnOffsetCommitResponsePartition { partition_index, error_code };
                let partitions = topic.partitions.iter().map(|asked| partition(asked.partition_index)).collect();
                TxnOffsetCommitResponseTopic { name: topic.name, partitions }
            });
            let response = TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() };
            Reply::to::<TxnOffsetCommitRequest>(header, &response)
        }
    }
}

/// How all transactions that are asked for stand.
pub(crate) fn transaction_state(header: &RequestHeader, body: Reader, error_code: i16, state: &str) -> Reply {
    let ids = read::<DescribeTransactionsRequest>(header, body).transactional_ids.into_iter();
    let state = |transactional_id| TransactionState {
        error_code,
        transactional_id,
        transaction_state: state.to_owned(),
        ..Default::default()
    };
    let response = DescribeTransactionsResponse { transaction_states: ids.map(state).collect(), throttle_time_ms: 0 };
    Reply::to::<DescribeTransactionsRequest>(header, &response)
}

fn offsets(header: &RequestHeader, body: Reader, code: impl Fn(Place) -> i16) -> Reply {
    let error_code = code(Place::Partition);
    match header.key {
        ListOffsetsRequest::KEY => {
            let topics = read::<ListOffsetsRequest>(header, body).topics.into_iter();
            let topics = topics.map(|topic| {
                let partition = |partition_index| ListOffsetsPartitionResponse {
                    partition_index,
                    error_code,
                    offset: if error_code == 0 { 40 } else { -1 },
                    ..Default::default()
                };
                let partitions = topic.partitions.iter().map(|asked| partition(asked.partition_index)).collect();
                ListOffsetsTopicResponse { name: topic.name, partitions }
            });
            let response = ListOffsetsResponse { topics: topics.collect(), ..Default::default() };
            Reply::to::<ListOffsetsRequest>(header, &response)
        }
        DeleteRecordsRequest::KEY => {
            let topics = read::<DeleteRecordsRequest>(header, body).topics.into_iter();
            let topics = topics.map(|topic| {
                let partition = |partition_index| DeleteRecordsPartitionResult {
                    partition_index,
                    error_code,
                    ..Default::default()
                };
                let partitions = topic.partitions.iter().map(|asked| partition(asked.partition_index)).collect();
                DeleteRecordsTopicResult { name: topic.name, partitions }
            });
            let response = DeleteRecordsResponse { topics: topics.collect(), ..Default::default() };
            Reply::to::<DeleteRecordsRequest>(header, &response)
        }
        DescribeProducersRequest::KEY => producers(header, body, error_code),
        OffsetCommitRequest::KEY => {
            let topics = read::<OffsetCommitRequest>(header, body).topics.into_iter();
            let topics = topics.map(|topic| {
                let partition = |partition_index| OffsetCommitResponsePartition { partition_index, error_code };
                let partitions = topic.partitions.iter().map(|asked| partition(asked.partition_index)).collect();
                OffsetCommitResponseTopic { name: topic.name, partitions }
            });
            let response = OffsetCommitResponse { topics: topics.collect(), ..Default::default() };
            Reply::to::<OffsetCommitRequest>(header, &response)
        }
        _ => {
            let groups = read::<OffsetFetchRequest>(header, body).groups.into_iter();
            let groups = groups.map(|group| {
                let partition = |partition_index| OffsetFetchResponsePartitions {
                    partition_index,
                    error_code,
                    committed_offset: if error_code == 0 { 3 } else { -1 },
                    ..Default::default()
                };
                let all = || vec![OffsetFetchRequestTopics { name: "words".to_owned(), partition_indexes: vec![0] }];
                let topics = group.topics.unwrap_or_else(all).into_iter().map(|topic| OffsetFetchResponseTopics {
                    name: topic.name,
                    partitions: topic.partition_indexes.into_iter().map(partition).collect(),
                });
                let group_code = code(Place::Item);
                let topics = if group_code == 0 { topics.collect() } else { Vec::new() };
                OffsetFetchResponseGroup { group_id: group.group_id, topics, error_code: group_code }
            });
            let response = OffsetFetchResponse { groups: groups.collect(), ..Default::default() };
            Reply::to::<OffsetFetchRequest>(header, &response)
        }
    }
}

fn producers(header: &RequestHeader, body: Reader, error_code: i16) -> Reply {
    let topics = read::<DescribeProducersRequest>(header, body).topics.into_iter();
    let topics = topics.map(|topic| {
        let partition = |partition_index: &i32| PartitionResponse {
            partition_index: *partition_index,
            error_code,
            ..Default::default()
        };
        let partitions = topic.partition_indexes.iter().map(partition).collect();
        TopicResponse { name: topic.name, partitions }
    });
    let response = DescribeProducersResponse { topics: topics.collect(), ..Default::default() };
    Reply::to::<DescribeProducersRequest>(header, &response)
}
