//! Bytes against those that Kafka 4.3.0's serializers gave.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use bytes::Bytes;
use uuid::Uuid;

use crate::{Codec, CodecError, Serde, SerdeRegistry, Serdes, Timestamp, Window, Windowed};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The value has these bytes, comes back from them, and its length is told right.
#[track_caller]
fn check<T: PartialEq + Debug>(serde: &Serde<T>, value: &T, bytes: &str) {
    let mut out = vec![0xaa];
    assert!(serde.encode(value, &mut out).unwrap(), "not null");
    assert_eq!(hex(&out), format!("aa{bytes}"), "appends and keeps what was there");
    assert_eq!(serde.decode(Some(&unhex(bytes))).unwrap(), *value);
    assert_eq!(serde.encoded_len(value), bytes.len() / 2);
    if let Some(len) = serde.fixed_len() {
        assert_eq!(len, bytes.len() / 2);
    }
}

#[track_caller]
fn refuses<T: Debug>(serde: &Serde<T>, bytes: &str, message: &str) {
    let error = serde.decode(Some(&unhex(bytes))).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
}

#[track_caller]
fn is_null<T: PartialEq + Debug>(serde: &Serde<T>, value: &T) {
    let mut out = Vec::new();
    assert!(serde.is_null(value));
    assert!(!serde.encode(value, &mut out).unwrap());
    assert!(out.is_empty());
    assert_eq!(serde.encoded_len(value), 0);
}

#[test]
fn plain_types_have_kafkas_bytes() {
    check(&Serdes::string(), &"ключ".to_owned(), "d0bad0bbd18ed187");
    check(&Serdes::string(), &String::new(), "");
    check(&Serdes::short(), &-2, "fffe");
    check(&Serdes::integer(), &258, "00000102");
    check(&Serdes::long(), &i64::MIN, "8000000000000000");
    check(&Serdes::float(), &1.5, "3fc00000");
    check(&Serdes::double(), &-0.1, "bfb999999999999a");
    check(&Serdes::boolean(), &true, "01");
    check(&Serdes::boolean(), &false, "00");
    check(&Serdes::byte_array(), &vec![0, 255], "00ff");
    check(&Serdes::bytes(), &Bytes::from_static(&[0, 255]), "00ff");
    let uuid = Uuid::parse_str("123E4567-e89b-12d3-a456-426614174000").unwrap();
    check(&Serdes::uuid(), &uuid, &hex(b"123e4567-e89b-12d3-a456-426614174000"));
}

#[test]
fn not_a_number_is_javas() {
    let mut out = Vec::new();
    Serdes::double().encode(&f64::from_bits(0xfff8_0000_0000_0001), &mut out).unwrap();
    Serdes::float().encode(&f32::from_bits(0xffc0_0001), &mut out).unwrap();
    assert_eq!(hex(&out), "7ff8000000000000ffc00001");
}

#[test]
fn bytes_that_do_not_fit_are_refused() {
    refuses(&Serdes::long(), "", "8 bytes expected, 0 found");
    refuses(&Serdes::long(), "00000000000000000000", "8 bytes expected, 10 found");
    refuses(&Serdes::integer(), "0000", "4 bytes expected");
    refuses(&Serdes::short(), "00", "2 bytes expected");
    refuses(&Serdes::float(), "00", "4 bytes expected");
    refuses(&Serdes::double(), "00", "8 bytes expected");
    refuses(&Serdes::boolean(), "02", "a boolean is the byte 0 or 1");
    refuses(&Serdes::boolean(), "", "1 bytes expected");
    refuses(&Serdes::string(), "6161ff61", "not UTF-8 after 2 bytes");
    refuses(&Serdes::void(), "", "always null");
    refuses(&Serdes::uuid(), &hex(b"123e4567e89b12d3a456426614174000"), "36 bytes expected, 32 found");
    refuses(&Serdes::uuid(), &hex(b"123e4567-e89b-12d3-a456-42661417400z"), "not a UUID");
}

#[test]
fn null_is_for_options_and_void_only() {
    is_null(&Serdes::void(), &());
    is_null(&Serdes::string().optional(), &None);
    is_null(&Serdes::void().optional(), &Some(()));
    assert_eq!(Serdes::long().optional().decode(None).unwrap(), None);
    assert!(Serdes::void().decode(None).is_ok());
    assert!(matches!(Serdes::string().decode(None), Err(CodecError::UnexpectedNull)));
    assert!(matches!(Serdes::long().decode(None), Err(CodecError::UnexpectedNull)));
    check(&Serdes::string().optional(), &Some(String::new()), "");
    check(&Serdes::long().optional(), &Some(1), "0000000000000001");
}

#[test]
fn lists_have_kafkas_bytes() {
    let long = Serdes::long();
    check(
        &Serde::list(long.clone().optional()),
        &vec![Some(1), None, Some(3)],
        "0000000001000000010000000300000000000000010000000000000003",
    );
    check(&Serde::list(long), &vec![], "000000000000000000");
    let uuid = Uuid::from_u64_pair(1, 2);
    let text = hex(b"00000000-0000-0001-0000-000000000002");
    check(&Serde::list(Serdes::uuid()), &vec![uuid], &format!("000000000000000001{text}"));
    check(&Serde::list(Serdes::boolean()), &vec![true, false], "010000000200000001010000000100");
    check(
        &Serde::list(Serdes::string().optional()),
        &vec![Some("a".to_owned()), None, Some(String::new())],
        "01000000030000000161ffffffff00000000",
    );
    check(&Serde::list(Serde::list(Serdes::short())), &vec![vec![7]], "01000000010000000b0000000000000000010007");
    check(&Serde::list(Serdes::byte_array()), &vec![vec![1, 2]], "0100000001000000020102");
}

#[test]
fn a_broken_list_is_refused() {
    let longs = Serde::list(Serdes::long().optional());
    refuses(&longs, "", "1 bytes expected");
    refuses(&longs, "02", "unknown list strategy 2");
    refuses(&longs, "00ffffffff", "negative length");
    refuses(&longs, "00000000007fffffff", "2147483647 elements");
    refuses(&longs, "017fffffff", "2147483647 elements");
    refuses(&longs, "010000000100000001", "1 bytes expected, 0 found");
    refuses(&longs, "0100000001fffffffe", "negative length -2");
    refuses(&longs, "00000000000000000000", "1 bytes after the end");
    refuses(&Serde::list(Serdes::string()), "000000000000000000", "of a type without size");
    refuses(&Serde::list(Serdes::string()), "0100000001ffffffff", "null for a type that has none");
    // A reader takes both forms, as Java's does.
    assert_eq!(longs.decode(Some(&unhex("0100000001ffffffff"))).unwrap(), vec![None]);
}

#[derive(Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
struct Flight {
    carrier: String,
    delay: Option<i32>,
}

#[test]
fn json_is_compact_and_in_declared_order() {
    let flight = Flight { carrier: "UA".to_owned(), delay: None };
    check(&Serdes::json(), &flight, &hex(br#"{"carrier":"UA","delay":null}"#));
    refuses(&Serde::<Flight>::json(), &hex(b"{"), "not the JSON of this type");
    refuses(&Serde::<i32>::json(), &hex(b"1 2"), "trailing characters");
    assert!(matches!(Serde::<Flight>::json().decode(None), Err(CodecError::UnexpectedNull)));
}

#[test]
fn json_null_is_not_kafkas_null_unless_asked() {
    check(&Serde::<Option<i32>>::json(), &None, &hex(b"null"));
    is_null(&Serde::<i32>::json().optional(), &None);
}

#[test]
fn json_that_fails_leaves_nothing_behind() {
    // A map whose keys are lists has no JSON.
    let map = BTreeMap::from([(vec![1], 1)]);
    let mut out = vec![7];
    assert!(Serde::json().encode(&map, &mut out).is_err());
    assert_eq!(out, [7]);
}

fn windowed(key: &str, start: i64, end: i64) -> Windowed<String> {
    Windowed { key: key.to_owned(), window: Window { start: Timestamp(start), end: Timestamp(end) } }
}

#[test]
fn windowed_keys_have_kafkas_bytes() {
    let time = Serde::time_windowed(Serdes::string(), 1_000);
    let start = 0x01a1_fd3d_1080;
    check(&time, &windowed("k1", start, start + 1_000), "6b31000001a1fd3d1080");
    check(&time, &windowed("k1", i64::MAX - 15, i64::MAX), "6b317ffffffffffffff0");
    assert_eq!(time.partition_bytes(&unhex("6b31000001a1fd3d1080")), b"k1");
    refuses(&time, "6b", "at least 8 bytes");
    refuses(&time, "6b31fffffffffffffff0", "no window goes from -16");

    let changelog = Serde::time_windowed_changelog(Serdes::string(), 1_000);
    check(&changelog, &windowed("k1", start, start + 1_000), "6b31000001a1fd3d108000000000");
    // What stands in the sequence number does not matter.
    let numbered = changelog.decode(Some(b"k1\0\0\0\0\0\0\0\x05\0\0\0\x07")).unwrap();
    assert_eq!(numbered, windowed("k1", 5, 1_005));

    let session = Serde::session_windowed(Serdes::string());
    check(&session, &windowed("k1", 0x01a1_fd3d_1468, 0x01a1_fd3d_1850), "6b31000001a1fd3d1850000001a1fd3d1468");
    assert_eq!(session.partition_bytes(&unhex("6b31000001a1fd3d1850000001a1fd3d1468")), b"k1");
    refuses(&session, "6b3100000000000000010000000000000002", "no window goes from 2 to 1");
    refuses(&session, "0000000000000001", "at least 16 bytes");
}

#[test]
fn a_windowed_key_has_no_null_inside() {
    let serde = Serde::time_windowed(Serdes::string().optional(), 10);
    let key = Windowed { key: None, window: Window { start: Timestamp(0), end: Timestamp(10) } };
    assert!(serde.encode(&key, &mut Vec::new()).is_err());
}

#[test]
fn one_to_one_is_said_only_where_true() {
    assert!(Serdes::string().is_canonical());
    assert!(Serdes::long().optional().is_canonical());
    assert!(Serdes::byte_array().is_canonical());
    assert!(!Serde::<i64>::json().is_canonical());
    assert!(!Serdes::double().is_canonical());
    assert!(!Serdes::uuid().is_canonical());
}

#[test]
fn a_built_in_serde_is_one_instance() {
    assert!(Serdes::string().is_same(&Serde::string()));
    let registry = SerdeRegistry::with_builtin();
    assert!(registry.get::<i64>().unwrap().is_same(&Serdes::long()));
    assert!(!Serde::<i64>::json().is_same(&Serdes::long()));
}

#[test]
fn the_registry_knows_types_options_and_lists() {
    let registry = SerdeRegistry::with_builtin();
    assert!(registry.get::<String>().is_some());
    assert!(registry.get::<Option<Uuid>>().is_some());
    assert!(registry.get::<Vec<String>>().is_some());
    assert!(registry.get::<Vec<Option<f64>>>().is_some());
    assert!(registry.get::<Option<Vec<i64>>>().is_some());
    assert!(registry.get::<Option<()>>().is_some());
    assert!(registry.get::<Flight>().is_none());
    // Raw bytes are raw, not a list of numbers.
    let bytes = registry.get::<Vec<u8>>().unwrap();
    check(&bytes, &vec![1, 2], "0102");
}

struct Upper;

impl Codec<String> for Upper {
    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value.to_uppercase().as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
        Serdes::string().decode(Some(bytes))
    }
}

#[test]
fn a_registered_serde_replaces_the_default_and_its_option() {
    let mut registry = SerdeRegistry::with_builtin();
    let before = registry.clone();
    registry.register(Serde::new(Upper));
    for (registry, bytes) in [(&registry, b"A"), (&before, b"a")] {
        let mut out = Vec::new();
        registry.get::<Option<String>>().unwrap().encode(&Some("a".to_owned()), &mut out).unwrap();
        assert_eq!(out, bytes);
    }
    assert!(format!("{registry:?}").contains("uuid::Uuid"));
}

#[test]
fn serdes_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    crosses::<Serde<std::cell::Cell<u8>>>();
    crosses::<SerdeRegistry>();
}
