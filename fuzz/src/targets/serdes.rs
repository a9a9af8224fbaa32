//! Keys and values as serdes read them. The first byte chooses the serde.

use std::fmt::Debug;

use bytes::Bytes;
use millstream_types::{Serde, Serdes, Timestamp, Window, Windowed};

use super::Target;

const MEMORY_MAX: u64 = 24 << 20;

pub(super) fn values() -> Target {
    let mut right = Vec::new();
    add(&mut right, 0, &Serdes::string(), "text".to_owned());
    add(&mut right, 1, &Serdes::short(), 7);
    add(&mut right, 2, &Serdes::integer(), 7);
    add(&mut right, 3, &Serdes::long(), 7);
    add(&mut right, 4, &Serdes::float(), 7.5);
    add(&mut right, 5, &Serdes::double(), f64::NAN);
    add(&mut right, 6, &Serdes::boolean(), true);
    right.push([&[7][..], b"123e4567-e89b-12d3-a456-426614174000"].concat());
    add(&mut right, 8, &Serdes::bytes(), Bytes::from_static(b"raw"));
    add(&mut right, 9, &Serdes::list(Serdes::string()), vec!["a".to_owned(), String::new()]);
    add(&mut right, 10, &Serdes::list(Serdes::long()), vec![1, 2, 3]);
    add(&mut right, 11, &Serdes::list(Serdes::string().optional()), vec![None, Some("b".to_owned())]);
    add(&mut right, 12, &Serdes::json(), serde_json::json!({"a": [1, null, "x"], "b": {"c": 0.5}}));
    Target { name: "values", right, run: run_value, memory_max: MEMORY_MAX }
}

fn run_value(bytes: &[u8]) -> bool {
    let Some((chosen, bytes)) = bytes.split_first() else { return false };
    match chosen {
        0 => round(&Serdes::string(), bytes),
        1 => round(&Serdes::short(), bytes),
        2 => round(&Serdes::integer(), bytes),
        3 => round(&Serdes::long(), bytes),
        4 => Serdes::float().decode(Some(bytes)).is_ok(),
        5 => Serdes::double().decode(Some(bytes)).is_ok(),
        6 => round(&Serdes::boolean(), bytes),
        7 => round(&Serdes::uuid(), bytes),
        8 => round(&Serdes::bytes(), bytes),
        9 => round(&Serdes::list(Serdes::string()), bytes),
        10 => round(&Serdes::list(Serdes::long()), bytes),
        11 => round(&Serdes::list(Serdes::string().optional()), bytes),
        // Digits beyond what a number can hold are not kept.
        12 => Serde::<serde_json::Value>::json().decode(Some(bytes)).is_ok(),
        13 => round(&Serdes::list(Serdes::list(Serdes::integer())), bytes),
        _ => Serdes::void().decode(Some(bytes)).is_ok(),
    }
}

pub(super) fn keys() -> Target {
    let mut right = Vec::new();
    let window = Window { start: Timestamp(5), end: Timestamp(15) };
    let windowed = || Windowed { key: "key".to_owned(), window };
    add(&mut right, 0, &Serde::time_windowed(Serdes::string(), 10), windowed());
    add(&mut right, 1, &Serde::session_windowed(Serdes::string()), windowed());
    Target { name: "windowed-keys", right, run: run_key, memory_max: MEMORY_MAX }
}

fn run_key(bytes: &[u8]) -> bool {
    let Some((chosen, bytes)) = bytes.split_first() else { return false };
    match chosen {
        0 => round(&Serde::time_windowed(Serdes::string(), 10), bytes),
        1 => round(&Serde::session_windowed(Serdes::string()), bytes),
        2 => round(&Serde::time_windowed(Serdes::long(), i64::MAX), bytes),
        _ => round(&Serde::session_windowed(Serdes::list(Serdes::string())), bytes),
    }
}

fn add<T>(right: &mut Vec<Vec<u8>>, chosen: u8, serde: &Serde<T>, value: T) {
    let mut bytes = vec![chosen];
    assert!(serde.encode(&value, &mut bytes).is_ok());
    right.push(bytes);
}

/// What is read is written so that the same is read.
fn round<T: Debug + PartialEq>(serde: &Serde<T>, bytes: &[u8]) -> bool {
    let Ok(value) = serde.decode(Some(bytes)) else { return false };
    let mut out = Vec::new();
    let is_some = serde.encode(&value, &mut out);
    assert!(matches!(is_some, Ok(true)));
    assert_eq!(serde.decode(Some(&out)).ok().as_ref(), Some(&value));
    true
}
