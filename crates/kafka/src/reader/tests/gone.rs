//! Topics that are deleted, and connections of readers that are.

use super::*;

#[test]
fn a_topic_that_was_created_again_is_gone() {
    let ids = Arc::new(Mutex::new(TOPIC_ID));
    let id = Arc::clone(&ids);
    let script = move |_: &Address, header: &RequestHeader, _| {
        if header.key == MetadataRequest::KEY {
            let mut answer: MetadataResponse = metadata("words", 1);
            answer.topics[0].topic_id = *id.lock().unwrap();
            return Reply::to::<MetadataRequest>(header, &answer);
        }
        // The old id is not known any more.
        let error_code = ErrorCode::UNKNOWN_TOPIC_ID.0;
        *id.lock().unwrap() = 78;
        Reply::to::<FetchRequest>(header, &fetched(PartitionData { error_code, ..PartitionData::default() }))
    };
    let mut fake = Fake::new(FakeTransport::new(script));
    let mut reader = KafkaReader::new(fake.driver.clone(), Isolation::ReadCommitted, FetchOptions::default());
    reader.assign(&[(words(), Offset(0).into())]);
    let events = events(&mut fake, &mut reader);
    assert!(matches!(events.as_slice(), [ReaderEvent::Gone { .. }]), "{events:?}");
}

/// What is read of a topic that is not known to the brokers for so long.
fn missing_for(ms: i64) -> Vec<ReaderEvent> {
    let until = Arc::new(Mutex::new(None::<bool>));
    let is_missing = Arc::clone(&until);
    let script = move |_: &Address, header: &RequestHeader, _| {
        let mut missing = is_missing.lock().unwrap();
        if header.key == MetadataRequest::KEY {
            let mut answer: MetadataResponse = metadata("words", 1);
            if *missing == Some(true) {
                answer.topics[0].error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
            }
            return Reply::to::<MetadataRequest>(header, &answer);
        }
        if *missing == Some(false) {
            return Reply::Silence;
        }
        *missing = Some(true);
        let error_code = ErrorCode::UNKNOWN_TOPIC_ID.0;
        Reply::to::<FetchRequest>(header, &fetched(PartitionData { error_code, ..PartitionData::default() }))
    };
    let mut fake = Fake::new(FakeTransport::new(script));
    let mut reader = KafkaReader::new(fake.driver.clone(), Isolation::ReadCommitted, FetchOptions::default());
    reader.assign(&[(words(), Offset(0).into())]);
    let mut found = Vec::new();
    for _ in 0..ms / 1000 {
        found.extend(events(&mut fake, &mut reader));
    }
    *until.lock().unwrap() = Some(false);
    for _ in 0..20 {
        found.extend(events(&mut fake, &mut reader));
    }
    found
}

#[test]
fn a_topic_that_brokers_do_not_know_yet_is_not_gone() {
    assert!(missing_for(2_000).is_empty());
    let events = missing_for(20_000);
    assert!(matches!(events.as_slice(), [ReaderEvent::Gone { .. }]), "{events:?}");
}

#[test]
fn connections_of_readers_that_are_gone_are_closed() {
    let (mut fake, reader, fetches) = reading(Isolation::ReadUncommitted, |_, _| None);
    drop(reader);
    let mut open = Vec::new();
    for number in 0..4 {
        let mut reader = KafkaReader::new(fake.driver.clone(), Isolation::ReadUncommitted, FetchOptions::default());
        reader.assign(&[(words(), Offset(7).into())]);
        fake.advance(500);
        assert!(fetches.lock().unwrap().len() > number, "it reads");
        drop(reader);
        fake.advance(500);
        open.push(fake.engine.transport.open_count());
    }
    assert_eq!(open[3], open[1], "{open:?}");
}
