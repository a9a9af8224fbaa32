mod cut;
mod gone;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use millstream_log::batch::{BatchBuilder, Compression, Marker, Stamp};
use millstream_log::{FailureKind, Isolation, ReadPosition, Reader, ReaderEvent};
use millstream_types::{Headers, Offset, Timestamp, TopicPartition};

use super::session::NO_SESSION;
use super::{FetchOptions, KafkaReader};
use crate::fake::{Fake, FakeTransport, Reply, TOPIC_ID, metadata, read};
use crate::net::Address;
use crate::protocol::messages::fetch::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch,
    PartitionData,
};
use crate::protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use crate::protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use crate::protocol::{ErrorCode, Request, RequestHeader};

/// A batch of one record at an offset.
fn batch(offset: i64, value: &[u8], producer: Option<i64>) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    builder.append(Timestamp(offset), None, Some(value), &Headers::new());
    let stamp = producer.map_or(Stamp::NONE, |producer_id| Stamp {
        producer_id,
        producer_epoch: 0,
        base_sequence: 0,
        is_transactional: true,
    });
    at(offset, &builder.finish(stamp, Compression::None))
}

fn at(offset: i64, batch: &Bytes) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes
}

fn data(records: Vec<u8>, end: i64) -> PartitionData {
    data_of(0, records, end)
}

fn data_of(partition_index: i32, records: Vec<u8>, end: i64) -> PartitionData {
    PartitionData {
        partition_index,
        records: Some(records.into()),
        high_watermark: end,
        last_stable_offset: end,
        ..PartitionData::default()
    }
}

fn fetched(data: PartitionData) -> FetchResponse {
    fetched_all(vec![data])
}

fn fetched_all(partitions: Vec<PartitionData>) -> FetchResponse {
    let topic = FetchableTopicResponse { topic_id: TOPIC_ID, partitions };
    FetchResponse { responses: vec![topic], session_id: 5, ..FetchResponse::default() }
}

type Fetches = Arc<Mutex<Vec<(String, FetchRequest)>>>;

/// Brokers that answer fetches of a partition by a function of the fetch's number; afterwards they stay silent.
fn reading(
    isolation: Isolation,
    answer: impl FnMut(usize, &FetchRequest) -> Option<FetchResponse> + Send + 'static,
) -> (Fake, KafkaReader, Fetches) {
    let (fake, mut reader, fetches) = reading_with(isolation, FetchOptions::default(), answer);
    reader.assign(&[(words(), Offset(7).into())]);
    (fake, reader, fetches)
}

fn reading_with(
    isolation: Isolation,
    options: FetchOptions,
    mut answer: impl FnMut(usize, &FetchRequest) -> Option<FetchResponse> + Send + 'static,
) -> (Fake, KafkaReader, Fetches) {
    let fetches = Fetches::default();
    let seen = Arc::clone(&fetches);
    let script = move |address: &Address, header: &RequestHeader, body| match header.key {
        MetadataRequest::KEY => Reply::to::<MetadataRequest>(header, &metadata("words", 4)),
        ListOffsetsRequest::KEY => {
            let request = read::<ListOffsetsRequest>(header, body);
            let offset = if request.topics[0].partitions[0].timestamp == -2 { 40 } else { 90 };
            let partition = ListOffsetsPartitionResponse { offset, ..ListOffsetsPartitionResponse::default() };
            let topic = ListOffsetsTopicResponse { name: "words".to_owned(), partitions: vec![partition] };
            Reply::to::<ListOffsetsRequest>(
                header,
                &ListOffsetsResponse { topics: vec![topic], ..ListOffsetsResponse::default() },
            )
        }
        _ => {
            let request = read::<FetchRequest>(header, body);
            let number = seen.lock().unwrap().len();
            let response = answer(number, &request);
            seen.lock().unwrap().push((address.host.clone(), request));
            response.map_or(Reply::Silence, |response| Reply::to::<FetchRequest>(header, &response))
        }
    };
    let fake = Fake::new(FakeTransport::new(script));
    let reader = KafkaReader::new(fake.driver.clone(), isolation, options);
    (fake, reader, fetches)
}

fn words() -> TopicPartition {
    TopicPartition::new("words", 0)
}

/// Moves the clock for a second, reading all the while.
fn events(fake: &mut Fake, reader: &mut KafkaReader) -> Vec<ReaderEvent> {
    let mut events = Vec::new();
    for _ in 0..20 {
        fake.advance(50);
        reader.poll(fake.now(), 1 << 20, &mut events);
    }
    events
}

fn values(events: &[ReaderEvent]) -> Vec<String> {
    let mut values = Vec::new();
    for event in events {
        let ReaderEvent::Fetched(fetched) = event else { panic!("{event:?}") };
        for batch in &fetched.batches {
            let mut records = batch.cursor(fetched.from).unwrap();
            while let Some(record) = records.next_record().unwrap() {
                values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
    }
    values
}

#[test]
fn records_come_in_order_and_the_session_names_only_what_changed() {
    let (mut fake, mut reader, fetches) = reading(Isolation::ReadUncommitted, |number, _| match number {
        0 => Some(fetched(data([batch(7, b"a", None), batch(8, b"b", None)].concat(), 9))),
        1 => Some(fetched(data(batch(9, b"c", None), 10))),
        _ => None,
    });
    let events = events(&mut fake, &mut reader);
    assert_eq!(values(&events), ["a", "b", "c"]);
    let fetches = fetches.lock().unwrap();
    let told = |(_, request): &(String, FetchRequest)| {
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        (request.session_epoch, partitions.map(|partition| partition.fetch_offset).collect::<Vec<_>>())
    };
    let told: Vec<_> = fetches.iter().map(told).collect();
    assert_eq!(told, [(NO_SESSION, vec![7]), (0, vec![9]), (1, vec![10])]);
}

#[test]
fn records_of_aborted_transactions_and_markers_are_left_out() {
    let marker = |offset, producer| at(offset, &Marker::Abort.batch(producer, 0, Timestamp(0)));
    let (mut fake, mut reader, _) = reading(Isolation::ReadCommitted, move |number, _| {
        let records =
            [batch(7, b"a", Some(1)), batch(8, b"lost", Some(2)), marker(9, 2), batch(10, b"b", Some(2))].concat();
        let aborted = AbortedTransaction { producer_id: 2, first_offset: 8 };
        let data = PartitionData { aborted_transactions: Some(vec![aborted]), ..data(records, 11) };
        (number == 0).then(|| fetched(data))
    });
    let events = events(&mut fake, &mut reader);
    assert_eq!(values(&events), ["a", "b"]);
    let Some(ReaderEvent::Fetched(last)) = events.last() else { panic!("{events:?}") };
    assert_eq!((last.next, last.end), (Offset(11), Offset(11)));
}

#[test]
fn a_control_batch_that_is_no_marker_is_an_error_and_one_of_another_kind_is_left_out() {
    // Version and kind of its record's key; nothing of what follows a marker that cannot be read may be given.
    let cases: [(&[u8], bool); 5] = [
        (&[0, 0, 0, 0], true),
        (&[0, 0, 0, 9], true),
        (&[0, 1, 0, 0, 7], true),
        (&[0, 0, 0], false),
        (&[0xff; 4], false),
    ];
    for (key, is_marker) in cases {
        let mut builder = BatchBuilder::new();
        builder.append(Timestamp(0), Some(key), Some(&[0; 6]), &Headers::new());
        let stamp = Stamp { producer_id: 2, producer_epoch: 0, base_sequence: -1, is_transactional: true };
        let mut control = at(8, &builder.finish(stamp, Compression::None));
        control[22] |= 1 << 5;
        let crc = crc32c::crc32c(&control[21..]);
        control[17..21].copy_from_slice(&crc.to_be_bytes());
        let (mut fake, mut reader, _) = reading(Isolation::ReadCommitted, move |number, _| {
            let records = [batch(7, b"a", None), control.clone(), batch(9, b"b", None)].concat();
            (number == 0).then(|| fetched(data(records, 10)))
        });
        let events = events(&mut fake, &mut reader);
        if is_marker {
            assert_eq!(values(&events), ["a", "b"], "{key:?}");
            continue;
        }
        let [ReaderEvent::Failed(failure)] = &events[..] else { panic!("{key:?}: {events:?}") };
        assert_eq!(failure.kind, FailureKind::Fatal);
        assert_eq!(failure.error.context().offset, Some(Offset(8)), "{failure}");
    }
}

#[test]
fn a_batch_cut_at_the_limit_is_fetched_again() {
    let (mut fake, mut reader, fetches) = reading(Isolation::ReadUncommitted, |number, _| match number {
        0 => {
            let mut bytes = [batch(7, b"a", None), batch(8, b"b", None)].concat();
            bytes.truncate(bytes.len() - 3);
            Some(fetched(data(bytes, 9)))
        }
        1 => Some(fetched(data(batch(8, b"b", None), 9))),
        _ => None,
    });
    assert_eq!(values(&events(&mut fake, &mut reader)), ["a", "b"]);
    assert_eq!(fetches.lock().unwrap()[1].1.topics[0].partitions[0].fetch_offset, 8);
}

#[test]
fn a_leader_that_moved_is_followed_by_its_hint() {
    let (mut fake, mut reader, fetches) = reading(Isolation::ReadUncommitted, |number, _| match number {
        0 => {
            let current_leader = LeaderIdAndEpoch { leader_id: 1, leader_epoch: 9 };
            let error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER.0;
            Some(fetched(PartitionData { error_code, current_leader, ..PartitionData::default() }))
        }
        1 => Some(fetched(data(batch(7, b"a", None), 8))),
        _ => None,
    });
    let events = events(&mut fake, &mut reader);
    assert_eq!(values(&events), ["a"]);
    let fetches = fetches.lock().unwrap();
    assert_eq!((fetches[0].0.as_str(), fetches[1].0.as_str()), ("broker-0", "broker-1"));
}

#[test]
fn a_session_the_broker_forgot_begins_anew() {
    let (mut fake, mut reader, fetches) = reading(Isolation::ReadUncommitted, |number, _| match number {
        0 => Some(fetched(data(batch(7, b"a", None), 8))),
        1 => {
            let error_code = ErrorCode::FETCH_SESSION_ID_NOT_FOUND.0;
            Some(FetchResponse { error_code, ..FetchResponse::default() })
        }
        2 => Some(fetched(data(batch(8, b"b", None), 9))),
        _ => None,
    });
    assert_eq!(values(&events(&mut fake, &mut reader)), ["a", "b"]);
    let fetches = fetches.lock().unwrap();
    assert_eq!((fetches[2].1.session_id, fetches[2].1.session_epoch), (0, 0));
}

#[test]
fn an_offset_out_of_range_is_told_with_the_bounds() {
    let (mut fake, mut reader, _) = reading(Isolation::ReadUncommitted, |_, _| {
        let error_code = ErrorCode::OFFSET_OUT_OF_RANGE.0;
        Some(fetched(PartitionData { error_code, ..PartitionData::default() }))
    });
    let events = events(&mut fake, &mut reader);
    let [ReaderEvent::OutOfRange { position, log_start, log_end, .. }] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((*position, *log_start, *log_end), (Offset(7), Offset(40), Offset(90)));
}

#[test]
fn bounds_that_were_asked_for_another_position_are_not_told() {
    let (mut fake, mut reader, _) = reading(Isolation::ReadUncommitted, |_, request| {
        let offset = request.topics.first()?.partitions.first()?.fetch_offset;
        let error_code = ErrorCode::OFFSET_OUT_OF_RANGE.0;
        match offset {
            7 => Some(fetched(PartitionData { error_code, ..PartitionData::default() })),
            50 => Some(fetched(data(batch(50, b"a", None), 51))),
            _ => None,
        }
    });
    fake.engine.transport.late_key = Some(ListOffsetsRequest::KEY);
    fake.advance(500);
    reader.assign(&[(words(), Offset(50).into())]);
    fake.advance(500);
    fake.engine.transport.late_key = None;
    assert_eq!(values(&events(&mut fake, &mut reader)), ["a"]);
}

#[test]
fn bytes_that_are_no_batch_are_a_failure_with_their_place() {
    let (mut fake, mut reader, _) = reading(Isolation::ReadUncommitted, |_, _| {
        let mut bytes = batch(7, b"a", None);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        Some(fetched(data(bytes, 8)))
    });
    let events = events(&mut fake, &mut reader);
    let [ReaderEvent::Failed(failure)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(failure.kind, FailureKind::Fatal);
    assert_eq!(failure.error.context().offset, Some(Offset(7)));
}

#[test]
fn what_was_paused_is_kept_back() {
    let (mut fake, mut reader, _) =
        reading(Isolation::ReadUncommitted, |number, _| (number == 0).then(|| fetched(data(batch(7, b"a", None), 8))));
    fake.advance(500);
    reader.pause(&words());
    assert!(events(&mut fake, &mut reader).is_empty());
    reader.resume(&words());
    assert_eq!(values(&events(&mut fake, &mut reader)), ["a"]);
}

/// A broker with a batch at every offset of partition 0 before `end`: gives one at a time, and waits for news at the end.
fn one_by_one(end: i64) -> impl FnMut(usize, &FetchRequest) -> Option<FetchResponse> + Send + 'static {
    move |_, request| {
        let offset = request.topics.first()?.partitions.first()?.fetch_offset;
        let value = offset.to_string();
        (offset < end).then(|| fetched(data(batch(offset, value.as_bytes(), None), end)))
    }
}

/// Reads ahead so many batches of [`one_by_one`] at least.
fn ahead(batches: usize) -> FetchOptions {
    let bytes = batches * batch(7, b"7", None).len();
    FetchOptions { partition_bytes_max: i32::try_from(bytes).unwrap(), ..FetchOptions::default() }
}

fn offsets(fetches: &Fetches) -> Vec<i64> {
    let fetches = fetches.lock().unwrap();
    let partitions = |(_, request): &(String, FetchRequest)| {
        request.topics.iter().flat_map(|topic| &topic.partitions).map(|at| at.fetch_offset).collect::<Vec<_>>()
    };
    fetches.iter().flat_map(partitions).collect()
}

#[test]
fn fetching_goes_on_while_records_wait_to_be_polled_up_to_the_limit() {
    let (mut fake, mut reader, fetches) = reading_with(Isolation::ReadUncommitted, ahead(3), one_by_one(20));
    reader.assign(&[(words(), Offset(7).into())]);
    fake.advance(1000);
    assert_eq!(offsets(&fetches), [7, 8, 9]);
    let mut events = Vec::new();
    reader.poll(fake.now(), 1, &mut events);
    fake.advance(1000);
    assert_eq!((values(&events), offsets(&fetches)), (vec!["7".to_owned()], vec![7, 8, 9, 10]));
    reader.poll(fake.now(), 1 << 20, &mut events);
    assert_eq!(values(&events), ["7", "8", "9", "10"]);
}

#[test]
fn what_is_paused_is_read_ahead_within_the_limit_and_kept_back() {
    let (mut fake, mut reader, fetches) = reading_with(Isolation::ReadUncommitted, ahead(2), one_by_one(9));
    reader.assign(&[(words(), Offset(7).into())]);
    reader.pause(&words());
    assert!(events(&mut fake, &mut reader).is_empty());
    assert_eq!(offsets(&fetches), [7, 8]);
    reader.resume(&words());
    assert_eq!(values(&events(&mut fake, &mut reader)), ["7", "8"]);
    assert_eq!(offsets(&fetches), [7, 8, 9]);
}

#[test]
fn what_was_read_ahead_for_another_position_is_dropped() {
    let (mut fake, mut reader, _) = reading_with(Isolation::ReadUncommitted, ahead(2), one_by_one(20));
    reader.assign(&[(words(), Offset(7).into())]);
    fake.advance(1000);
    reader.assign(&[(words(), Offset(18).into())]);
    assert_eq!(values(&events(&mut fake, &mut reader)), ["18", "19"]);
    reader.assign(&[]);
    assert!(events(&mut fake, &mut reader).is_empty());
}

#[test]
fn fetches_of_what_is_read_to_its_end_are_apart() {
    // Offsets up to 11 are there at once, each one after them is the newest.
    let answer = |_, request: &FetchRequest| {
        let offset = request.topics.first()?.partitions.first()?.fetch_offset;
        let value = offset.to_string();
        Some(fetched(data(batch(offset, value.as_bytes(), None), (offset + 1).max(12))))
    };
    let options = FetchOptions { apart_ms: 4, ..FetchOptions::default() };
    let (mut fake, mut reader, fetches) = reading_with(Isolation::ReadUncommitted, options, answer);
    reader.assign(&[(words(), Offset(7).into())]);
    fake.settle();
    assert_eq!(offsets(&fetches), [7, 8, 9, 10, 11]);
    let counts = (0..9).map(|_| {
        fake.advance(1);
        fetches.lock().unwrap().len()
    });
    assert_eq!(counts.collect::<Vec<_>>(), [5, 5, 5, 6, 6, 6, 6, 7, 7]);
    fake.engine.transport.is_held = true;
    fake.advance(30);
    assert_eq!(offsets(&fetches).len(), 8, "one that is late");
    fake.engine.transport.is_held = false;
    let counts = (0..5).map(|_| {
        fake.advance(1);
        fetches.lock().unwrap().len()
    });
    assert_eq!(counts.collect::<Vec<_>>(), [10, 10, 10, 11, 11], "is followed by two at once");
}

/// Partitions 0 and 2 have the same leader, which never answers a fetch that waits.
#[test]
fn a_partition_where_nothing_happens_holds_no_other_up() {
    let busy = TopicPartition::new("words", 2);
    let answer = |_, request: &FetchRequest| {
        let partitions = &request.topics.first()?.partitions;
        if request.max_wait_ms == FetchOptions::default().wait_max_ms {
            return None;
        }
        let part = |asked: &FetchPartition| match (asked.partition, asked.fetch_offset) {
            (2, offset @ ..12) => data_of(2, batch(offset, offset.to_string().as_bytes(), None), 12),
            (partition, offset) => data_of(partition, Vec::new(), offset),
        };
        Some(fetched_all(partitions.iter().map(part).collect()))
    };
    let (mut fake, mut reader, fetches) = reading_with(Isolation::ReadUncommitted, FetchOptions::default(), answer);
    reader.assign(&[(words(), Offset(7).into()), (busy, Offset(7).into())]);
    let read: Vec<ReaderEvent> = events(&mut fake, &mut reader).into_iter().filter(has_batches).collect();
    assert_eq!(values(&read), ["7", "8", "9", "10", "11"]);
    let fetches = fetches.lock().unwrap();
    let told = |(_, request): &(String, FetchRequest)| {
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        (request.max_wait_ms, partitions.map(|at| (at.partition, at.fetch_offset)).collect::<Vec<_>>())
    };
    let told: Vec<_> = fetches.iter().map(told).collect();
    assert_eq!(told[0], (0, vec![(0, 7), (2, 7)]), "what is there is asked for at once");
    assert!(told.contains(&(500, vec![(0, 7)])), "one waits for news: {told:?}");
    assert!(told.contains(&(0, vec![(2, 8)])), "and the other goes on: {told:?}");
    // At its end it is asked for with short waits, as long as the other is waited for.
    assert_eq!(told.last(), Some(&(10, vec![(2, 12)])));
}

/// What a reader fetches where, when the leader names a replica to read from and the replica answers so.
#[test]
fn a_replica_that_the_leader_names_is_read_from_until_it_is_of_no_use() {
    type Answer = fn() -> Option<FetchResponse>;
    let from_leader = |offset| Some(fetched(data(batch(offset, b"leader", None), offset + 1)));
    let useless: [(&str, Answer); 2] = [
        ("out of range", || {
            let error_code = ErrorCode::OFFSET_OUT_OF_RANGE.0;
            Some(fetched(PartitionData { error_code, ..PartitionData::default() }))
        }),
        ("no replica", || {
            let error_code = ErrorCode::NOT_LEADER_OR_FOLLOWER.0;
            Some(fetched(PartitionData { error_code, ..PartitionData::default() }))
        }),
    ];
    for (name, answer) in useless {
        let (mut fake, mut reader, fetches) = reading(Isolation::ReadUncommitted, move |number, _| match number {
            // The leader sends a reader in its own rack elsewhere, and no records.
            0 => Some(fetched(PartitionData { preferred_read_replica: 1, ..data(Vec::new(), 9) })),
            1 => Some(fetched(data(batch(7, b"replica", None), 9))),
            2 => answer(),
            3 => from_leader(8),
            _ => None,
        });
        let events = events(&mut fake, &mut reader);
        let read: Vec<ReaderEvent> = events.into_iter().filter(has_batches).collect();
        assert_eq!(values(&read), ["replica", "leader"], "{name}");
        let hosts: Vec<String> = fetches.lock().unwrap().iter().map(|(host, _)| host.clone()).collect();
        assert_eq!(hosts[..4], ["broker-0", "broker-1", "broker-1", "broker-0"], "{name}");
    }
}

fn has_batches(event: &ReaderEvent) -> bool {
    !matches!(event, ReaderEvent::Fetched(fetched) if fetched.batches.is_empty())
}

#[test]
fn a_partition_that_answers_with_errors_is_asked_with_pauses() {
    let (mut fake, mut reader, fetches) = reading(Isolation::ReadUncommitted, |_, _| {
        let error_code = ErrorCode::REPLICA_NOT_AVAILABLE.0;
        Some(fetched(PartitionData { error_code, ..PartitionData::default() }))
    });
    assert!(events(&mut fake, &mut reader).is_empty());
    let count = fetches.lock().unwrap().len();
    assert!((5..=11).contains(&count), "{count} fetches in a second");
}
