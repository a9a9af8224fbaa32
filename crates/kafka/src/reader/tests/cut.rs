//! Logs that were cut and have grown again, and positions whose leader epoch a log does not know.

use super::*;
use crate::protocol::messages::fetch::EpochEndOffset;

/// A batch of one record that was written under this leader epoch.
fn under(epoch: i32, offset: i64) -> PartitionData {
    let mut bytes = batch(offset, b"a", None);
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    data(bytes, offset + 1)
}

/// The last epoch that a log has of those up to the one asked for, and where it ends.
fn diverging(epoch: i32, end_offset: i64) -> PartitionData {
    let diverging_epoch = EpochEndOffset { epoch, end_offset };
    PartitionData { diverging_epoch, log_start_offset: 1, ..data(Vec::new(), 20) }
}

fn refused() -> PartitionData {
    PartitionData { error_code: ErrorCode::OFFSET_OUT_OF_RANGE.0, ..PartitionData::default() }
}

/// Reads on from a position behind a record of this leader epoch.
fn reading_from(
    (offset, leader_epoch): (i64, i32),
    mut answer: impl FnMut(usize) -> Option<PartitionData> + Send + 'static,
) -> (Fake, KafkaReader, Fetches) {
    let answer = move |number, _: &FetchRequest| answer(number).map(fetched);
    let (fake, mut reader, fetches) = reading_with(Isolation::ReadCommitted, FetchOptions::default(), answer);
    reader.assign(&[(words(), ReadPosition { offset: Offset(offset), leader_epoch })]);
    (fake, reader, fetches)
}

/// Offset and last epoch of each fetch.
fn told(fetches: &Fetches) -> Vec<(i64, i32)> {
    let fetches = fetches.lock().unwrap();
    let partitions = fetches.iter().flat_map(|(_, request)| &request.topics).flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.fetch_offset, partition.last_fetched_epoch)).collect()
}

#[track_caller]
fn check_out_of_range(event: Option<&ReaderEvent>, expected: (i64, i64, i64)) {
    let Some(ReaderEvent::OutOfRange { position, log_start, log_end, .. }) = event else { panic!("{event:?}") };
    assert_eq!((position.0, log_start.0, log_end.0), expected);
}

#[test]
fn a_log_that_lost_what_was_read_is_out_of_range_however_long_it_is() {
    let (mut fake, mut reader, fetches) = reading_from((7, -1), |number| match number {
        0 => Some(under(3, 7)),
        1 => Some(diverging(2, 5)),
        _ => None,
    });
    let events = events(&mut fake, &mut reader);
    assert_eq!(events.len(), 2);
    check_out_of_range(events.get(1), (8, 1, 5));
    assert_eq!(told(&fetches), [(7, -1), (8, 3)], "each fetch tells what the one before gave");
}

#[test]
fn a_log_that_lost_what_others_have_read_is_out_of_range_from_the_first_fetch_on() {
    let (mut fake, mut reader, fetches) = reading_from((8, 3), |number| (number == 0).then(|| diverging(2, 5)));
    check_out_of_range(events(&mut fake, &mut reader).first(), (8, 1, 5));
    assert_eq!(told(&fetches), [(8, 3)]);
}

#[test]
fn an_epoch_without_records_before_the_position_takes_nothing_away() {
    let (mut fake, mut reader, fetches) = reading_from((8, 3), |number| match number {
        0 => Some(diverging(2, 8)),
        1 => Some(under(4, 8)),
        _ => None,
    });
    let events = events(&mut fake, &mut reader);
    let [ReaderEvent::Fetched(fetched)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(fetched.position(), ReadPosition { offset: Offset(9), leader_epoch: 4 });
    assert_eq!(told(&fetches), [(8, 3), (8, 2), (9, 4)]);
}

#[test]
fn a_position_tells_the_epoch_of_what_is_left_out_too() {
    let (mut fake, mut reader, _) = reading_from((7, 1), |number| match number {
        0 => {
            let mut bytes = at(7, &Marker::Abort.batch(9, 0, Timestamp(0)));
            bytes[12..16].copy_from_slice(&2i32.to_be_bytes());
            Some(data(bytes, 8))
        }
        // Nothing new, but another end.
        1 => Some(data(Vec::new(), 9)),
        _ => None,
    });
    let events = events(&mut fake, &mut reader);
    let epochs: Vec<_> = events
        .iter()
        .map(|event| {
            let ReaderEvent::Fetched(fetched) = event else { panic!("{event:?}") };
            (fetched.next.0, fetched.leader_epoch)
        })
        .collect();
    assert_eq!(epochs, [(8, 2), (8, 2)]);
}

#[test]
fn a_broker_that_does_not_know_the_epoch_yet_is_asked_again() {
    // The bounds that the broker tells are 40 and 90.
    let (mut fake, mut reader, fetches) = reading_from((50, 3), |number| match number {
        0..3 => Some(refused()),
        3 => Some(under(3, 50)),
        // Whoever was refused for a while may be so again.
        4.. => Some(data(Vec::new(), 51)),
    });
    let mut events = events(&mut fake, &mut reader);
    for _ in 0..10 {
        fake.advance(1_000);
        reader.poll(fake.now(), 1 << 20, &mut events);
    }
    assert!(matches!(events.as_slice(), [ReaderEvent::Fetched(_)]), "{events:?}");
    assert_eq!(told(&fetches)[3..5], [(50, 3), (51, 3)]);
}

#[test]
fn an_epoch_that_a_log_does_not_know_at_all_is_told() {
    let (mut fake, mut reader, _) = reading_from((50, 3), |_| Some(refused()));
    let mut events = Vec::new();
    for _ in 0..100 {
        fake.advance(100);
        reader.poll(fake.now(), 1 << 20, &mut events);
    }
    assert_eq!(events.len(), 1);
    check_out_of_range(events.first(), (50, 40, 90));
}
