//! What can be read from a store, with the types that come of it. `T` is what a row becomes: the value
//! alone or, where the store keeps these, with its timestamp or with timestamp and headers.

use std::marker::PhantomData;

use millstream_types::{Timestamp, Windowed};

use super::Read;
use crate::{StoreIterator, VersionedRecord};

/// Stands for the type of a row, which a read does not hold.
pub(super) type Of<T> = PhantomData<fn() -> T>;

/// The row under a key of a key-value store.
pub struct GetRow<K, T> {
    /// The key.
    pub key: K,
    row: Of<T>,
}

/// Rows of a key-value store.
pub struct KeyRows<K, T> {
    /// First key; `None` is an open end.
    pub from: Option<K>,
    /// Last key, which belongs to them; `None` is an open end.
    pub to: Option<K>,
    /// Whether the last row comes first.
    pub is_reverse: bool,
    row: Of<(K, T)>,
}

/// Rows of a key-value store whose key bytes begin with some bytes, ascending.
pub struct PrefixRows<K, T> {
    /// The bytes.
    pub prefix: Vec<u8>,
    row: Of<(K, T)>,
}

/// The value of a key's window.
pub struct WindowValue<K, T> {
    /// The key.
    pub key: K,
    /// Start of the window.
    pub start: Timestamp,
    row: Of<T>,
}

/// The windows of a key that start in a span of time.
pub struct WindowsOfKey<K, T> {
    /// The key.
    pub key: K,
    /// First and last start, both inclusive.
    pub starts: (Timestamp, Timestamp),
    /// Whether the newest comes first.
    pub is_reverse: bool,
    row: Of<T>,
}

/// The windows of several keys that start in a span of time.
pub struct WindowRows<K, T> {
    /// First and last key, both inclusive; `None` is an open end.
    pub keys: (Option<K>, Option<K>),
    /// First and last start, both inclusive.
    pub starts: (Timestamp, Timestamp),
    /// Whether the last row comes first.
    pub is_reverse: bool,
    row: Of<(K, T)>,
}

/// The value of exactly one session.
pub struct SessionValue<K, T> {
    /// The key.
    pub key: K,
    /// Start and end.
    pub session: (Timestamp, Timestamp),
    row: Of<T>,
}

/// Which keys are meant.
#[derive(Clone, Debug)]
pub enum KeySpan<K> {
    /// One.
    One(K),
    /// From one to another, both inclusive by their bytes; `None` is an open end.
    Range(Option<K>, Option<K>),
}

/// Sessions that end at a time or later and start at a time or earlier.
pub struct SessionRows<K, T> {
    /// Of these keys.
    pub keys: KeySpan<K>,
    /// The earliest end.
    pub earliest_end: Timestamp,
    /// The latest start.
    pub latest_start: Timestamp,
    /// Whether the last row comes first.
    pub is_reverse: bool,
    row: Of<(K, T)>,
}

/// The version of a key that was valid at a time.
pub struct VersionAsOf<K, V> {
    /// The key.
    pub key: K,
    /// The time; `None` is now.
    pub time: Option<Timestamp>,
    row: Of<V>,
}

/// The versions of a key that were valid at some time in a span, newest first.
pub struct VersionsBetween<K, V> {
    /// The key.
    pub key: K,
    /// The span, both ends inclusive.
    pub times: (Timestamp, Timestamp),
    /// Whether the oldest comes first.
    pub is_ascending: bool,
    row: Of<V>,
}

/// Constructors by fields, and the answers.
macro_rules! reads {
    ($($read:ident($($field:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(
            impl<K, T> $read<K, T> {
                /// The read.
                pub fn new($($field: $type),*) -> Self {
                    Self { $($field,)* row: PhantomData }
                }
            }

            // By hand: `T` need not be either, there is none in a read.
            impl<K: Clone, T> Clone for $read<K, T> {
                fn clone(&self) -> Self {
                    Self::new($(self.$field.clone()),*)
                }
            }

            impl<K: std::fmt::Debug, T> std::fmt::Debug for $read<K, T> {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.debug_struct(stringify!($read))$(.field(stringify!($field), &self.$field))*.finish()
                }
            }

            impl<K: Send + 'static, T: Send + 'static> Read for $read<K, T> {
                type Answer = $answer;
            }
        )+
    };
}

reads! {
    GetRow(key: K) -> Option<T>;
    KeyRows(from: Option<K>, to: Option<K>, is_reverse: bool) -> StoreIterator<(K, T)>;
    PrefixRows(prefix: Vec<u8>) -> StoreIterator<(K, T)>;
    WindowValue(key: K, start: Timestamp) -> Option<T>;
    WindowsOfKey(key: K, starts: (Timestamp, Timestamp), is_reverse: bool) -> StoreIterator<(Timestamp, T)>;
    WindowRows(keys: (Option<K>, Option<K>), starts: (Timestamp, Timestamp), is_reverse: bool)
        -> StoreIterator<(Windowed<K>, T)>;
    SessionValue(key: K, session: (Timestamp, Timestamp)) -> Option<T>;
    SessionRows(keys: KeySpan<K>, earliest_end: Timestamp, latest_start: Timestamp, is_reverse: bool)
        -> StoreIterator<(Windowed<K>, T)>;
    VersionAsOf(key: K, time: Option<Timestamp>) -> Option<VersionedRecord<T>>;
    VersionsBetween(key: K, times: (Timestamp, Timestamp), is_ascending: bool) -> StoreIterator<VersionedRecord<T>>;
}
