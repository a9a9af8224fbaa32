mod anew;
mod for_a_member;
mod timed_out;

use std::sync::{Arc, Mutex};

use millstream_log::batch::Batch;
use millstream_log::{Call, CommittedOffset, FailureKind, GroupMetadata, Outcome, PartitionHandle, Writer};
use millstream_types::{ErrorKind, Headers, Now, Offset, Timestamp, TopicPartition};

use super::{KafkaWriter, ProduceOptions};
use crate::fake::{Fake, FakeTransport, Obliging, Place, Reply, read, transaction_state};
use crate::net::Address;
use crate::protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use crate::protocol::messages::add_partitions_to_txn::AddPartitionsToTxnRequest;
use crate::protocol::messages::describe_transactions::DescribeTransactionsRequest;
use crate::protocol::messages::end_txn::EndTxnRequest;
use crate::protocol::messages::init_producer_id::InitProducerIdRequest;
use crate::protocol::messages::produce::{PartitionProduceData, ProduceRequest};
use crate::protocol::messages::txn_offset_commit::TxnOffsetCommitRequest;
use crate::protocol::{ErrorCode, Reader, Request, RequestHeader};

/// What the brokers were asked, in words.
type Seen = Arc<Mutex<Vec<String>>>;

/// What happens to a request that is asked for the `n`th time.
#[derive(Clone, Copy)]
enum Fate {
    Code(ErrorCode),
    /// Done, but the answer is lost.
    Lost,
}

/// A request in words, of those a producer makes.
fn words_of(address: &Address, header: &RequestHeader, body: Reader) -> Vec<String> {
    match header.key {
        InitProducerIdRequest::KEY => vec!["init".to_owned()],
        AddPartitionsToTxnRequest::KEY => vec!["add partitions".to_owned()],
        AddOffsetsToTxnRequest::KEY => vec!["add offsets".to_owned()],
        TxnOffsetCommitRequest::KEY => {
            let request = read::<TxnOffsetCommitRequest>(header, body);
            vec![format!("offsets v{} epoch {}", header.version, request.generation_id)]
        }
        EndTxnRequest::KEY => {
            let request = read::<EndTxnRequest>(header, body);
            let word = if request.committed { "commit" } else { "abort" };
            vec![format!("{word} v{} epoch {}", header.version, request.producer_epoch)]
        }
        ProduceRequest::KEY => {
            let request = read::<ProduceRequest>(header, body);
            let write = |data: &PartitionProduceData| {
                let (batch, _) = Batch::parse(data.records.clone().unwrap()).unwrap();
                format!(
                    "write v{} {} {} sequence {} epoch {} count {}",
                    header.version,
                    address.host,
                    data.index,
                    batch.base_sequence(),
                    batch.producer_epoch(),
                    batch.count()
                )
            };
            request.topic_data.iter().flat_map(|topic| &topic.partition_data).map(write).collect()
        }
        _ => Vec::new(),
    }
}

struct Rig {
    fake: Fake,
    writer: KafkaWriter,
    seen: Seen,
    handle: PartitionHandle,
    /// How often the coordinator answers from now on that a transaction is not over.
    unsettled: Arc<Mutex<usize>>,
}

impl Rig {
    fn new(transactional_id: Option<&str>, version: i16, fates: &[(i16, usize, Fate)]) -> Self {
        let transactional_id = transactional_id.map(Into::into);
        Self::with(
            ProduceOptions { transactional_id, commits_often: true, ..ProduceOptions::default() },
            version,
            fates,
        )
    }

    fn with(options: ProduceOptions, version: i16, fates: &[(i16, usize, Fate)]) -> Self {
        let seen = Seen::default();
        let codes = fates.iter().filter_map(|(key, number, fate)| match fate {
            Fate::Code(code) => {
                Some(crate::fake::Fate { key: *key, number: *number, place: Place::Partition, code: *code })
            }
            Fate::Lost => None,
        });
        let (mut brokers, counts) = Obliging::new(&codes.collect::<Vec<_>>());
        let lost = fates.iter().filter(|(.., fate)| matches!(fate, Fate::Lost));
        let lost: Vec<(i16, usize)> = lost.map(|(key, number, _)| (*key, number + 1)).collect();
        let (heard, unsettled) = (Arc::clone(&seen), Arc::new(Mutex::new(0)));
        let not_over = Arc::clone(&unsettled);
        let answer = move |address: &Address, header: &RequestHeader, body: Reader| {
            heard.lock().unwrap().extend(words_of(address, header, body.clone()));
            let mut not_over = not_over.lock().unwrap();
            if header.key == DescribeTransactionsRequest::KEY && *not_over > 0 {
                *not_over -= 1;
                heard.lock().unwrap().push("not over".to_owned());
                return transaction_state(header, body, 0, "PrepareCommit");
            }
            let reply = brokers.answer(address, header, body);
            let count = counts.lock().unwrap()[&header.key].0;
            if lost.contains(&(header.key, count)) { Reply::HangUp } else { reply }
        };
        let mut transport = FakeTransport::new(answer);
        transport.transaction_version = version;
        let fake = Fake::new(transport);
        let mut writer = KafkaWriter::new(fake.driver.clone(), options);
        let handle = writer.partition(&words());
        let mut rig = Self { fake, writer, seen, handle, unsettled };
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
        let call = self.start_commit();
        self.fake.wait(call).map_err(|failure| failure.kind)
    }

    fn start_commit(&mut self) -> Call<()> {
        let group = GroupMetadata { group: "g".into(), member_id: "m".into(), epoch: 3 };
        let offset = CommittedOffset { offset: Offset(5), leader_epoch: -1, metadata: String::new() };
        self.writer.commit(vec![(TopicPartition::new("in", 0), offset)], &group)
    }

    #[track_caller]
    fn check_seen(&self, expected: &[&str]) {
        assert_eq!(*self.seen.lock().unwrap(), expected);
    }
}

fn at(ms: u64) -> Now {
    Now { mono_ns: ms * 1_000_000, wall_ms: 0 }
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

#[test]
fn batches_that_do_not_fill_are_sent_so_far_apart_and_the_first_after_a_pause_at_once() {
    let mut rig = Rig::new(None, 2, &[]);
    assert_eq!(rig.writer.send_lingering(at(5)), None);
    rig.append(1);
    assert_eq!(rig.writer.send_lingering(at(10)), None);
    rig.fake.settle();
    rig.append(2);
    assert_eq!(rig.writer.send_lingering(at(11)), Some(at(110).mono_ns));
    rig.append(1);
    assert_eq!(rig.writer.send_lingering(at(109)), Some(at(110).mono_ns));
    rig.check_seen(&["init", "write v12 broker-0 0 sequence 0 epoch 1 count 1"]);
    assert_eq!(rig.writer.send_lingering(at(110)), None);
    assert_eq!(rig.flush(), Ok(vec![(words(), Some(Offset(103)))]));
    rig.check_seen(&[
        "init",
        "write v12 broker-0 0 sequence 0 epoch 1 count 1",
        "write v12 broker-0 0 sequence 1 epoch 1 count 3",
    ]);
}

#[test]
fn a_flush_counts_as_sent() {
    let mut rig = Rig::new(None, 2, &[]);
    rig.append(1);
    rig.flush().unwrap();
    assert_eq!(rig.writer.send_lingering(at(50)), None);
    rig.append(1);
    assert_eq!(rig.writer.send_lingering(at(60)), Some(at(150).mono_ns));
    assert_eq!(rig.writer.send_lingering(at(150)), None);
}

/// Partitions 0 and 2 are led by one broker, 1 by another: what is sent once so many records are written to each.
fn check_ready(records: &[(usize, usize)], expected: &[&str]) {
    let options = ProduceOptions { batch_bytes: 1000, batch_bytes_max: 4000, ..ProduceOptions::default() };
    let mut rig = Rig::with(options, 2, &[]);
    rig.seen.lock().unwrap().clear();
    let partitions = [("words", 0), ("words", 1), ("more", 0)];
    let handles = partitions.map(|(topic, number)| rig.writer.partition(&TopicPartition::new(topic, number)));
    let value = [7; 100];
    let append = |rig: &mut Rig, at: usize, count| {
        for _ in 0..count {
            rig.writer.append(handles[at], Timestamp(1), None, Some(&value), &Headers::new()).unwrap();
        }
    };
    // Who leads them is known from the first batches.
    for handle in 0..3 {
        append(&mut rig, handle, 1);
    }
    rig.writer.send_lingering(at(1));
    rig.fake.settle();
    rig.seen.lock().unwrap().clear();
    for (handle, count) in records {
        append(&mut rig, *handle, *count);
    }
    rig.writer.send_lingering(at(2));
    rig.fake.settle();
    rig.check_seen(expected);
}

#[test]
fn a_batch_of_its_size_takes_along_what_waits_for_its_broker() {
    let first = "write v12 broker-0 0 sequence 1 epoch 1 count 10";
    let third = "write v12 broker-0 0 sequence 1 epoch 1 count 2";
    check_ready(&[(0, 10), (1, 3), (2, 2)], &[first, third]);
    check_ready(&[(0, 8), (1, 3), (2, 2)], &[]);
    let second = "write v12 broker-1 1 sequence 1 epoch 1 count 10";
    check_ready(&[(0, 8), (1, 10), (2, 2)], &[second]);
}

#[test]
fn a_batch_grows_while_an_earlier_one_of_its_partition_is_under_way() {
    let options = ProduceOptions { batch_bytes: 0, ..ProduceOptions::default() };
    let mut rig = Rig::with(options, 2, &[]);
    rig.append(1);
    rig.writer.send_lingering(at(1));
    rig.append(2);
    rig.writer.send_lingering(at(2));
    rig.append(3);
    rig.fake.settle();
    rig.writer.send_lingering(at(3));
    rig.fake.settle();
    let [first, second] = ["sequence 0 epoch 1 count 1", "sequence 1 epoch 1 count 5"];
    rig.check_seen(&["init", &format!("write v12 broker-0 0 {first}"), &format!("write v12 broker-0 0 {second}")]);
}

#[test]
fn what_waits_for_a_leader_holds_up_no_other_partition() {
    let mut rig = Rig::with(ProduceOptions { batch_bytes: 1000, ..ProduceOptions::default() }, 2, &[]);
    let leaderless = rig.writer.partition(&TopicPartition::new("words", 7));
    rig.writer.append(leaderless, Timestamp(1), None, Some(b"x"), &Headers::new()).unwrap();
    rig.writer.send_lingering(at(1));
    rig.fake.settle();
    rig.seen.lock().unwrap().clear();
    rig.append(2);
    rig.writer.append(leaderless, Timestamp(1), None, Some(b"x"), &Headers::new()).unwrap();
    assert_eq!(rig.writer.send_lingering(at(102)), None, "the other one grows as long as it takes");
    rig.fake.settle();
    rig.append(200);
    rig.writer.send_lingering(at(103));
    rig.fake.settle();
    let [first, second] = ["sequence 0 epoch 1 count 2", "sequence 2 epoch 1 count 200"];
    rig.check_seen(&[&format!("write v12 broker-0 0 {first}"), &format!("write v12 broker-0 0 {second}")]);
}

#[test]
fn a_writer_that_failed_is_of_no_use_until_it_is_initialised_again() {
    for code in [ErrorCode::PRODUCER_FENCED, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode::INVALID_RECORD] {
        let mut rig = Rig::new(None, 2, &[(WRITE, 0, Fate::Code(code))]);
        rig.append(1);
        let kind = rig.flush().unwrap_err();
        assert_eq!(rig.flush(), Err(kind), "{code}");
        let init = rig.writer.init();
        rig.fake.wait(init).unwrap();
        rig.append(1);
        assert_eq!(rig.flush(), Ok(vec![(words(), Some(Offset(100)))]), "{code}");
    }
}

#[test]
fn who_writes_on_while_a_writer_fails_is_told_what_to_do() {
    let cases = [
        (ErrorCode::PRODUCER_FENCED, ErrorKind::Fenced),
        (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorKind::Retriable),
        (ErrorCode::INVALID_TXN_STATE, ErrorKind::Retriable),
        (ErrorCode::INVALID_RECORD, ErrorKind::Fatal),
    ];
    for (code, kind) in cases {
        let mut rig = Rig::new(Some("tx"), 2, &[(WRITE, 0, Fate::Code(code))]);
        rig.append(1);
        rig.flush().unwrap_err();
        // Two of them are more than a batch takes.
        let value = vec![b'x'; 40_000];
        let mut append = || rig.writer.append(rig.handle, Timestamp(1), None, Some(&value), &Headers::new());
        append().unwrap();
        assert_eq!(append().unwrap_err().kind(), kind, "{code}");
    }
}

#[test]
fn a_batch_that_the_broker_finds_too_large_is_split() {
    let too_large = |at| (WRITE, at, Fate::Code(ErrorCode::MESSAGE_TOO_LARGE));
    let mut rig = Rig::new(None, 2, &[too_large(0), too_large(1)]);
    rig.append(5);
    assert_eq!(rig.flush(), Ok(vec![(words(), Some(Offset(104)))]));
    rig.append(1);
    rig.flush().unwrap();
    rig.check_seen(&[
        "init",
        "write v12 broker-0 0 sequence 0 epoch 1 count 5",
        "write v12 broker-0 0 sequence 0 epoch 1 count 2",
        "write v12 broker-0 0 sequence 0 epoch 1 count 1",
        "write v12 broker-0 0 sequence 1 epoch 1 count 1",
        "write v12 broker-0 0 sequence 2 epoch 1 count 3",
        "write v12 broker-0 0 sequence 5 epoch 1 count 1",
    ]);
}

/// A transaction whose last write's answer is lost; whether another write was answered before.
fn check_offsets(is_known: bool, expected: &[&str]) {
    let mut rig = Rig::new(Some("tx"), 2, &[(WRITE, usize::from(is_known), Fate::Lost)]);
    if is_known {
        rig.append(1);
        rig.flush().unwrap();
    }
    rig.append(1);
    let (flush, commit) = (rig.writer.flush(), rig.start_commit());
    rig.fake.wait(flush).unwrap();
    rig.fake.wait(commit).unwrap();
    rig.check_seen(expected);
}

#[test]
fn offsets_go_with_the_last_batches_but_not_with_the_first() {
    let known = [
        "init",
        "write v12 broker-0 0 sequence 0 epoch 1 count 1",
        "write v12 broker-0 0 sequence 1 epoch 1 count 1",
        "offsets v5 epoch 3",
        "write v12 broker-0 0 sequence 1 epoch 1 count 1",
        "commit v5 epoch 1",
    ];
    check_offsets(true, &known);
    let unknown = [
        "init",
        "write v12 broker-0 0 sequence 0 epoch 1 count 1",
        "write v12 broker-0 0 sequence 0 epoch 1 count 1",
        "offsets v5 epoch 3",
        "commit v5 epoch 1",
    ];
    check_offsets(false, &unknown);
}

#[test]
fn a_transaction_whose_offsets_are_refused_fails_with_batches_under_way() {
    let refused = (TxnOffsetCommitRequest::KEY, 0, Fate::Code(ErrorCode::PRODUCER_FENCED));
    let mut rig = Rig::new(Some("tx"), 2, &[(WRITE, 1, Fate::Lost), refused]);
    rig.append(1);
    rig.flush().unwrap();
    rig.append(1);
    let (flush, commit) = (rig.writer.flush(), rig.start_commit());
    assert_eq!(rig.fake.wait(flush).map_err(|failure| failure.kind), Err(FailureKind::Fenced));
    assert_eq!(rig.fake.wait(commit).map_err(|failure| failure.kind), Err(FailureKind::Fenced));
    assert!(!rig.seen.lock().unwrap().iter().any(|seen| seen.starts_with("commit")));
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
fn the_first_records_of_a_transaction_are_sent_once_the_last_one_is_over() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    rig.append(1);
    let mut commit = rig.start_commit();
    rig.append(1);
    assert_eq!(rig.writer.send_lingering(at(1)), None, "its end is under way");
    rig.append(1);
    rig.fake.settle();
    assert!(matches!(commit.poll(rig.fake.now()), Outcome::Done(())));
    let first = ["init", "write v12 broker-0 0 sequence 0 epoch 1 count 1", "offsets v5 epoch 3", "commit v5 epoch 1"];
    rig.check_seen(&first);
    assert_eq!(rig.writer.send_lingering(at(2)), None, "brokers are not asked yet whether it is over");
    rig.fake.advance(1);
    assert_eq!(rig.writer.send_lingering(at(3)), None);
    rig.fake.settle();
    rig.append(1);
    assert_eq!(rig.writer.send_lingering(at(4)), Some(at(103).mono_ns));
    rig.check_seen(&[&first[..], &["write v12 broker-0 0 sequence 0 epoch 2 count 2"]].concat());
}

#[test]
fn the_first_records_of_a_transaction_as_long_as_linger_ms_wait_like_others() {
    let options = ProduceOptions { transactional_id: Some("tx".into()), ..ProduceOptions::default() };
    let mut rig = Rig::with(options, 2, &[]);
    rig.append(1);
    assert_eq!(rig.writer.send_lingering(at(1)), None);
    let mut commit = rig.start_commit();
    rig.fake.settle();
    rig.fake.advance(1);
    assert!(matches!(commit.poll(rig.fake.now()), Outcome::Done(())));
    rig.append(1);
    assert_eq!(rig.writer.send_lingering(at(9)), Some(at(109).mono_ns));
}

#[test]
fn what_is_written_next_waits_until_the_last_transaction_is_over() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    rig.append(1);
    *rig.unsettled.lock().unwrap() = 2;
    rig.commit().unwrap();
    rig.append(1);
    let mut flush = rig.writer.flush();
    rig.fake.settle();
    let first = ["init", "write v12 broker-0 0 sequence 0 epoch 1 count 1", "offsets v5 epoch 3", "commit v5 epoch 1"];
    rig.check_seen(&first);
    rig.fake.advance(1);
    rig.check_seen(&[&first[..], &["not over"]].concat());
    rig.fake.advance(1);
    assert!(matches!(flush.poll(rig.fake.now()), Outcome::Pending));
    rig.fake.advance(1);
    let next = ["not over", "not over", "write v12 broker-0 0 sequence 0 epoch 2 count 1"];
    rig.check_seen(&[&first[..], &next].concat());
}

#[test]
fn a_transaction_that_takes_long_to_end_holds_the_next_one_up_for_a_while_only() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    rig.append(1);
    *rig.unsettled.lock().unwrap() = 1000;
    rig.commit().unwrap();
    rig.append(1);
    let _flush = rig.writer.flush();
    let writes = |rig: &Rig| rig.seen.lock().unwrap().iter().filter(|seen| seen.starts_with("write")).count();
    for _ in 0..39 {
        rig.fake.advance(1);
        assert_eq!(writes(&rig), 1);
    }
    rig.fake.advance(1);
    assert_eq!(writes(&rig), 2);
    assert!(rig.seen.lock().unwrap().iter().filter(|seen| *seen == "not over").count() <= 12);
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
fn an_abort_ends_the_transaction_though_the_writer_goes_before_it_is_answered() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    rig.append(2);
    rig.flush().unwrap();
    rig.append(2);
    rig.fake.engine.transport.is_held = true;
    // Sent, and not acknowledged.
    drop(rig.writer.flush());
    rig.fake.advance(50);
    drop(rig.writer.abort());
    let Rig { writer, mut fake, seen, .. } = rig;
    drop(writer);
    fake.advance(50);
    fake.engine.transport.is_held = false;
    fake.advance(50);
    assert_eq!(seen.lock().unwrap().last().unwrap(), "abort v5 epoch 1");
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
    let is_silent = Arc::new(Mutex::new(true));
    let (mut brokers, _) = Obliging::new(&[]);
    let silent = Arc::clone(&is_silent);
    let transport = FakeTransport::new(move |address: &Address, header: &RequestHeader, body| {
        if header.key == WRITE && *silent.lock().unwrap() {
            return Reply::HangUp;
        }
        brokers.answer(address, header, body)
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
    assert_eq!(fake.wait(flush).unwrap(), [(words(), Some(Offset(129)))]);
    assert!(!writer.is_full());
}
