use std::sync::{Arc, Mutex};

use millstream_log::batch::Batch;
use millstream_log::{CommittedOffset, FailureKind, GroupMetadata, Outcome, PartitionHandle, Writer};
use millstream_types::{Headers, Offset, Timestamp, TopicPartition};

use super::{KafkaWriter, ProduceOptions};
use crate::fake::{Fake, FakeTransport, Reply, coordinator, metadata, read};
use crate::net::Address;
use crate::protocol::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use crate::protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use crate::protocol::messages::find_coordinator::FindCoordinatorRequest;
use crate::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use crate::protocol::messages::metadata::MetadataRequest;
use crate::protocol::messages::produce::{
    PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse,
};
use crate::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use crate::protocol::{ErrorCode, Request, RequestHeader};

/// What the script was asked, in words.
type Seen = Arc<Mutex<Vec<String>>>;

/// What happens to a request that is asked for the `n`th time.
#[derive(Clone, Copy)]
enum Fate {
    Code(ErrorCode),
    /// Done, but the answer is lost.
    Lost,
}

struct Script {
    seen: Seen,
    /// API, which time (from 0), and what happens then.
    fates: Vec<(i16, usize, Fate)>,
    counts: std::collections::BTreeMap<i16, usize>,
    next_offset: i64,
    epoch: i16,
}

impl Script {
    fn answer(&mut self, address: &Address, header: &RequestHeader, body: crate::protocol::Reader) -> Reply {
        let count = self.counts.entry(header.key).or_default();
        let fate = self.fates.iter().find(|(key, at, _)| *key == header.key && *at == *count).map(|(.., fate)| *fate);
        *count += 1;
        let code = match fate {
            Some(Fate::Code(code)) => code.0,
            _ => 0,
        };
        let reply = self.reply(address, header, body, code);
        if matches!(fate, Some(Fate::Lost)) { Reply::HangUp } else { reply }
    }

    fn see(&self, what: impl Into<String>) {
        self.seen.lock().unwrap().push(what.into());
    }

    fn reply(
        &mut self,
        address: &Address,
        header: &RequestHeader,
        body: crate::protocol::Reader,
        error_code: i16,
    ) -> Reply {
        match header.key {
            MetadataRequest::KEY => Reply::to::<MetadataRequest>(header, &metadata("words", 2)),
            FindCoordinatorRequest::KEY => coordinator(header),
            InitProducerIdRequest::KEY => {
                self.see("init");
                self.epoch += 1;
                let response = InitProducerIdResponse {
                    error_code,
                    producer_id: 9,
                    producer_epoch: self.epoch,
                    ..InitProducerIdResponse::default()
                };
                Reply::to::<InitProducerIdRequest>(header, &response)
            }
            AddPartitionsToTxnRequest::KEY => {
                self.see("add partitions");
                Reply::to::<AddPartitionsToTxnRequest>(header, &AddPartitionsToTxnResponse::default())
            }
            AddOffsetsToTxnRequest::KEY => {
                self.see("add offsets");
                Reply::to::<AddOffsetsToTxnRequest>(header, &AddOffsetsToTxnResponse::default())
            }
            TxnOffsetCommitRequest::KEY => {
                let request = read::<TxnOffsetCommitRequest>(header, body);
                self.see(format!("offsets v{} epoch {}", header.version, request.generation_id));
                let partition = TxnOffsetCommitResponsePartition { partition_index: 0, error_code };
                let topic = TxnOffsetCommitResponseTopic { name: "in".to_owned(), partitions: vec![partition] };
                let response = TxnOffsetCommitResponse { topics: vec![topic], ..Default::default() };
                Reply::to::<TxnOffsetCommitRequest>(header, &response)
            }
            EndTxnRequest::KEY => {
                let request = read::<EndTxnRequest>(header, body);
                let word = if request.committed { "commit" } else { "abort" };
                self.see(format!("{word} v{} epoch {}", header.version, request.producer_epoch));
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
            _ => self.produce(address, header, &read::<ProduceRequest>(header, body), error_code),
        }
    }

    fn produce(
        &mut self,
        address: &Address,
        header: &RequestHeader,
        request: &ProduceRequest,
        error_code: i16,
    ) -> Reply {
        let mut responses = Vec::new();
        for topic in &request.topic_data {
            for data in &topic.partition_data {
                let (batch, _) = Batch::parse(data.records.clone().unwrap()).unwrap();
                self.see(format!(
                    "write v{} {} {} sequence {} epoch {} count {}",
                    header.version,
                    address.host,
                    data.index,
                    batch.base_sequence(),
                    batch.producer_epoch(),
                    batch.count()
                ));
                let base_offset = self.next_offset;
                if error_code == 0 {
                    self.next_offset += batch.count() as i64;
                }
                let partition = PartitionProduceResponse {
                    index: data.index,
                    error_code,
                    base_offset,
                    ..PartitionProduceResponse::default()
                };
                let partition_responses = vec![partition];
                responses.push(TopicProduceResponse { name: topic.name.clone(), partition_responses });
            }
        }
        Reply::to::<ProduceRequest>(header, &ProduceResponse { responses, ..ProduceResponse::default() })
    }
}

struct Rig {
    fake: Fake,
    writer: KafkaWriter,
    seen: Seen,
    handle: PartitionHandle,
}

impl Rig {
    fn new(transactional_id: Option<&str>, version: i16, fates: &[(i16, usize, Fate)]) -> Self {
        let seen = Seen::default();
        let mut script = Script {
            seen: Arc::clone(&seen),
            fates: fates.to_vec(),
            counts: std::collections::BTreeMap::new(),
            next_offset: 100,
            epoch: 0,
        };
        let answer = move |address: &Address, header: &RequestHeader, body| script.answer(address, header, body);
        let mut transport = FakeTransport::new(answer);
        transport.transaction_version = version;
        let fake = Fake::new(transport);
        let options = ProduceOptions { transactional_id: transactional_id.map(Into::into), ..Default::default() };
        let mut writer = KafkaWriter::new(fake.driver.clone(), options);
        let handle = writer.partition(&words());
        let mut rig = Self { fake, writer, seen, handle };
        let init = rig.writer.init();
        rig.fake.wait(init).unwrap();
        rig
    }

    fn append(&mut self, records: usize) {
        for _ in 0..records {
            self.writer.append(self.handle, Timestamp(1), None, Some(b"x"), &Headers::new()).unwrap();
        }
    }

    #[track_caller]
    fn flush(&mut self) -> Result<Vec<(TopicPartition, Option<Offset>)>, FailureKind> {
        let call = self.writer.flush();
        self.fake.wait(call).map_err(|failure| failure.kind)
    }

    #[track_caller]
    fn commit(&mut self) -> Result<(), FailureKind> {
        let group = GroupMetadata { group: "g".into(), member_id: "m".into(), epoch: 3 };
        let offset = CommittedOffset { offset: Offset(5), leader_epoch: -1, metadata: String::new() };
        let call = self.writer.commit(vec![(TopicPartition::new("in", 0), offset)], &group);
        self.fake.wait(call).map_err(|failure| failure.kind)
    }

    #[track_caller]
    fn check_seen(&self, expected: &[&str]) {
        assert_eq!(*self.seen.lock().unwrap(), expected);
    }
}

fn words() -> TopicPartition {
    TopicPartition::new("words", 0)
}

const WRITE: i16 = ProduceRequest::KEY;
const END: i16 = EndTxnRequest::KEY;

#[test]
fn a_batch_is_written_once_and_its_offset_comes_back() {
    let mut rig = Rig::new(None, 2, &[]);
    rig.append(3);
    assert_eq!(rig.flush(), Ok(vec![(words(), Some(Offset(102)))]));
    assert_eq!(rig.flush(), Ok(vec![]));
    rig.append(1);
    assert_eq!(rig.flush(), Ok(vec![(words(), Some(Offset(103)))]));
    rig.check_seen(&[
        "init",
        "write v12 broker-0 0 sequence 0 epoch 1 count 3",
        "write v12 broker-0 0 sequence 3 epoch 1 count 1",
    ]);
}

#[test]
fn a_lost_answer_is_asked_for_with_the_same_sequence_and_a_duplicate_counts_as_written() {
    let fates = [(WRITE, 0, Fate::Lost), (WRITE, 1, Fate::Code(ErrorCode::DUPLICATE_SEQUENCE_NUMBER))];
    let mut rig = Rig::new(None, 2, &fates);
    rig.append(2);
    assert_eq!(rig.flush(), Ok(vec![(words(), None)]));
    rig.append(1);
    rig.flush().unwrap();
    rig.check_seen(&[
        "init",
        "write v12 broker-0 0 sequence 0 epoch 1 count 2",
        "write v12 broker-0 0 sequence 0 epoch 1 count 2",
        "write v12 broker-0 0 sequence 2 epoch 1 count 1",
    ]);
}

/// What each error of a write means.
#[test]
fn errors_that_pass_are_tried_again_and_others_end_the_writer() {
    let retriable = [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::LEADER_NOT_AVAILABLE,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode::NOT_ENOUGH_REPLICAS,
        ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ErrorCode::REQUEST_TIMED_OUT,
        ErrorCode::NETWORK_EXCEPTION,
        ErrorCode::KAFKA_STORAGE_ERROR,
        ErrorCode::CONCURRENT_TRANSACTIONS,
    ];
    for code in retriable {
        let mut rig = Rig::new(None, 2, &[(WRITE, 0, Fate::Code(code))]);
        rig.append(1);
        assert_eq!(rig.flush(), Ok(vec![(words(), Some(Offset(100)))]), "{code}");
    }
    let final_ones = [
        (ErrorCode::INVALID_PRODUCER_EPOCH, FailureKind::Fenced),
        (ErrorCode::PRODUCER_FENCED, FailureKind::Fenced),
        (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, FailureKind::Unknown),
        (ErrorCode::UNKNOWN_PRODUCER_ID, FailureKind::Unknown),
        (ErrorCode::TRANSACTION_ABORTABLE, FailureKind::Unknown),
        (ErrorCode::MESSAGE_TOO_LARGE, FailureKind::Fatal),
        (ErrorCode::TOPIC_AUTHORIZATION_FAILED, FailureKind::Fatal),
        (ErrorCode::INVALID_RECORD, FailureKind::Fatal),
    ];
    for (code, kind) in final_ones {
        let mut rig = Rig::new(None, 2, &[(WRITE, 0, Fate::Code(code))]);
        rig.append(1);
        assert_eq!(rig.flush(), Err(kind), "{code}");
        // Of no use until it is initialised again; then sequences begin anew.
        assert_eq!(rig.flush(), Err(kind), "{code}");
        let init = rig.writer.init();
        rig.fake.wait(init).unwrap();
        rig.append(1);
        assert_eq!(rig.flush(), Ok(vec![(words(), Some(Offset(100)))]), "{code}");
    }
}

#[test]
fn a_transaction_of_version_2_needs_no_adding_and_gives_a_new_epoch() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    rig.append(2);
    rig.commit().unwrap();
    rig.append(1);
    rig.commit().unwrap();
    rig.check_seen(&[
        "init",
        "write v12 broker-0 0 sequence 0 epoch 1 count 2",
        "offsets v5 epoch 3",
        "commit v5 epoch 1",
        "write v12 broker-0 0 sequence 0 epoch 2 count 1",
        "offsets v5 epoch 3",
        "commit v5 epoch 2",
    ]);
}

#[test]
fn a_transaction_of_version_1_adds_partitions_and_offsets_first() {
    let mut rig = Rig::new(Some("tx"), 0, &[]);
    rig.append(2);
    rig.commit().unwrap();
    rig.append(1);
    rig.commit().unwrap();
    rig.check_seen(&[
        "init",
        "add partitions",
        "write v11 broker-0 0 sequence 0 epoch 1 count 2",
        "add offsets",
        "offsets v4 epoch 3",
        "commit v4 epoch 1",
        "add partitions",
        "write v11 broker-0 0 sequence 2 epoch 1 count 1",
        "add offsets",
        "offsets v4 epoch 3",
        "commit v4 epoch 1",
    ]);
}

#[test]
fn a_commit_whose_answer_is_lost_is_asked_for_again() {
    let mut rig = Rig::new(Some("tx"), 2, &[(END, 0, Fate::Lost), (END, 1, Fate::Code(ErrorCode::NOT_COORDINATOR))]);
    rig.append(1);
    rig.commit().unwrap();
    let seen = rig.seen.lock().unwrap();
    assert_eq!(seen.iter().filter(|seen| seen.starts_with("commit")).count(), 3, "{seen:?}");
}

#[test]
fn a_member_that_lost_its_tasks_cannot_commit() {
    for code in [ErrorCode::UNKNOWN_MEMBER_ID, ErrorCode::ILLEGAL_GENERATION, ErrorCode::STALE_MEMBER_EPOCH] {
        let mut rig = Rig::new(Some("tx"), 2, &[(TxnOffsetCommitRequest::KEY, 0, Fate::Code(code))]);
        rig.append(1);
        assert_eq!(rig.commit(), Err(FailureKind::Fenced), "{code}");
        let seen = rig.seen.lock().unwrap();
        assert!(!seen.iter().any(|seen| seen.starts_with("commit")), "{seen:?}");
    }
}

#[test]
fn a_transaction_without_anything_ends_without_a_request() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    let group = GroupMetadata { group: "g".into(), member_id: "m".into(), epoch: 3 };
    let call = rig.writer.commit(vec![], &group);
    rig.fake.wait(call).unwrap();
    let call = rig.writer.abort();
    rig.fake.wait(call).unwrap();
    rig.check_seen(&["init"]);
}

#[test]
fn an_abort_drops_what_was_not_sent_and_ends_what_was() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    rig.append(2);
    rig.flush().unwrap();
    rig.append(5);
    let call = rig.writer.abort();
    rig.fake.wait(call).unwrap();
    rig.append(1);
    rig.commit().unwrap();
    rig.check_seen(&[
        "init",
        "write v12 broker-0 0 sequence 0 epoch 1 count 2",
        "abort v5 epoch 1",
        "write v12 broker-0 0 sequence 0 epoch 2 count 1",
        "offsets v5 epoch 3",
        "commit v5 epoch 2",
    ]);
}

#[test]
fn records_too_large_are_refused_and_a_missing_topic_is_told_in_time() {
    let mut rig = Rig::new(None, 2, &[]);
    let value = vec![0; 2 << 20];
    let error = rig.writer.append(rig.handle, Timestamp(1), None, Some(&value), &Headers::new()).unwrap_err();
    assert!(error.to_string().contains("max.request.size"), "{error}");
    let now = rig.fake.now();
    assert!(matches!(rig.writer.partition_count("words", now), Outcome::Pending));
    rig.fake.advance(200);
    assert!(matches!(rig.writer.partition_count("words", now), Outcome::Done(2)));
}

#[test]
fn a_writer_is_full_until_its_batches_are_acknowledged() {
    let seen = Seen::default();
    let is_silent = Arc::new(Mutex::new(true));
    let mut script =
        Script { seen, fates: Vec::new(), counts: std::collections::BTreeMap::new(), next_offset: 0, epoch: 0 };
    let silent = Arc::clone(&is_silent);
    let transport = FakeTransport::new(move |address: &Address, header: &RequestHeader, body| {
        if header.key == WRITE && *silent.lock().unwrap() {
            return Reply::HangUp;
        }
        script.answer(address, header, body)
    });
    let mut fake = Fake::new(transport);
    let options = ProduceOptions { buffer_bytes_max: 10_000, batch_bytes_max: 1_000, ..ProduceOptions::default() };
    let mut writer = KafkaWriter::new(fake.driver.clone(), options);
    let handle = writer.partition(&words());
    let init = writer.init();
    fake.wait(init).unwrap();
    for _ in 0..30 {
        writer.append(handle, Timestamp(1), None, Some(&[7; 900]), &Headers::new()).unwrap();
        fake.settle();
    }
    assert!(writer.is_full());
    *is_silent.lock().unwrap() = false;
    let flush = writer.flush();
    assert_eq!(fake.wait(flush).unwrap(), [(words(), Some(Offset(29)))]);
    assert!(!writer.is_full());
}
