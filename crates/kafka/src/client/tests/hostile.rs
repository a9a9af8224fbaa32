//! Bytes that no broker sends: an error for who asked, and the end of the connection.

use super::*;

/// A frame as the transport gives it, with its length before it.
fn frame(bytes: &[u8]) -> Reply {
    let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(bytes);
    Reply::Answer(frame)
}

#[test]
fn an_answer_that_is_none_is_told_and_ends_the_connection() {
    type Junk = fn(i32) -> Vec<u8>;
    let junk: [(&str, Junk); 7] = [
        ("nothing", |_| Vec::new()),
        ("half a correlation id", |_| vec![0, 0]),
        ("eight bytes", |id| [&id.to_be_bytes()[..], &[0; 4]].concat()),
        ("another correlation id", |id| [&(id + 1).to_be_bytes()[..], &[0; 16]].concat()),
        ("endless tags", |id| [&id.to_be_bytes()[..], &[0xff; 9], &[1]].concat()),
        ("a tag of 2^31 bytes", |id| [&id.to_be_bytes()[..], &[1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat()),
        ("a megabyte too much", |id| [&id.to_be_bytes()[..], &vec![0; 1 << 20]].concat()),
    ];
    for (name, bytes) in junk {
        let mut is_first = true;
        let mut fake = Fake::new(FakeTransport::new(move |_: &Address, header: &RequestHeader, _: Reader| {
            if header.key == EndTxnRequest::KEY && std::mem::take(&mut is_first) {
                return frame(&bytes(header.correlation_id));
            }
            answer(header)
        }));
        let outcome = ender(&mut fake);
        fake.advance(200);
        let outcome = outcome.lock().unwrap().take();
        assert!(matches!(outcome, Some(Err(RequestError::Malformed { api: "EndTxn", .. }))), "{name}: {outcome:?}");
        assert!(!fake.engine.transport.is_open("broker-1"), "{name}");
        let again = ender(&mut fake);
        fake.advance(2_000);
        assert!(matches!(again.lock().unwrap().take(), Some(Ok(_))), "{name}");
    }
}

#[test]
fn versions_that_are_none_end_the_connection_and_say_so() {
    for code in [ErrorCode::UNSUPPORTED_VERSION, ErrorCode::INVALID_REQUEST, ErrorCode(999)] {
        let mut transport = FakeTransport::new(|_: &Address, header: &RequestHeader, _: Reader| answer(header));
        transport.versions_error = code;
        let mut fake = Fake::new(transport);
        let outcome = ender(&mut fake);
        fake.advance(2_000);
        assert_eq!(*outcome.lock().unwrap(), None);
        let failure = fake.engine.client().cluster().failure.clone().unwrap_or_default();
        assert!(failure.contains(&code.to_string()), "{failure}");
        fake.engine.transport.versions_error = ErrorCode::NONE;
        fake.advance(2_000);
        fake.advance(2_000);
        assert!(matches!(outcome.lock().unwrap().take(), Some(Ok(_))), "{code}");
    }
}

#[test]
fn an_answer_to_nothing_ends_the_connection() {
    let mut fake = Fake::new(FakeTransport::new(|_: &Address, header: &RequestHeader, _: Reader| answer(header)));
    let outcome = ender(&mut fake);
    fake.advance(200);
    assert!(matches!(outcome.lock().unwrap().take(), Some(Ok(_))));
    fake.engine.transport.whisper("broker-1", &[0; 40]);
    fake.settle();
    assert!(!fake.engine.transport.is_open("broker-1"));
}
