//! The store that both sides of a left or outer stream-stream join share: records that have found
//! no partner yet, in the order in which they come out when their windows close.
//!
//! ```text
//! row key   timestamp (8) | side (1): 1 left, 0 right | key
//! value     01 | count (4) | { length (4) | side (1) | value }, one for each record of that key and time
//! ```
//!
//! Key and value are what Kafka Streams' `TimestampedKeyAndJoinSide`, `LeftOrRightValue` and
//! `ListValueStore` write; the changelog has the same bytes.

use millstream_types::{CodecError, Headers, Result, Serde, Timestamp};

use crate::bytes::{ByteRange, Cell, Write};
use crate::typed::{Core, Decoder, state_store};
use crate::{StoreEnv, StoreFacts, StoreIterator};

/// One of the two streams of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinSide {
    /// The stream the join was called on.
    Left,
    /// The stream it was given.
    Right,
}

/// A value of either stream of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOrRight<L, R> {
    /// Of the stream the join was called on.
    Left(L),
    /// Of the stream it was given.
    Right(R),
}

/// What both sides of a join have seen of time. Starts anew with the store, as in Kafka Streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinProgress {
    /// Largest timestamp of either side; -1 before the first record.
    pub stream_time: Timestamp,
    /// No record in the store is known to be older; the smallest time there is until somebody has
    /// looked, the largest when the store was found empty.
    pub oldest: Timestamp,
    /// Wall clock (ms) before which nobody looks again.
    pub next_look_ms: i64,
}

/// Records of a left or outer stream-stream join that have found no partner yet.
pub struct OuterJoinStore<K, L, R> {
    /// Its value serde is the left one.
    core: Core<K, L>,
    rights: Serde<R>,
    row_key: Vec<u8>,
    list: Vec<u8>,
    progress: JoinProgress,
}

state_store!(OuterJoinStore<K, L, R>, core);

/// The records of one key, side and time.
pub struct OuterJoinRow<K, L, R> {
    row_key: Vec<u8>,
    list: Vec<u8>,
    time: Timestamp,
    side: JoinSide,
    keys: Serde<K>,
    lefts: Decoder<L>,
    rights: Serde<R>,
}

/// Timestamp and side in front of the key.
const HEAD_LEN: usize = 9;

/// `ListSerde`'s form for elements that each have a length.
const LIST_OF_LENGTHS: u8 = 1;

/// Where the first element of a list begins.
const LIST_HEAD_LEN: usize = 5;

impl JoinSide {
    fn code(self) -> u8 {
        match self {
            Self::Left => 1,
            Self::Right => 0,
        }
    }

    fn of(code: u8) -> Self {
        if code == 1 { Self::Left } else { Self::Right }
    }
}

impl<K, L, R> OuterJoinStore<K, L, R>
where
    K: Clone + Send + 'static,
    L: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    /// A store over an opened engine.
    pub(crate) fn new(
        facts: StoreFacts,
        env: StoreEnv,
        keys: Serde<K>,
        lefts: Serde<L>,
        rights: Serde<R>,
    ) -> Result<Self> {
        let progress =
            JoinProgress { stream_time: Timestamp::UNKNOWN, oldest: Timestamp(i64::MIN), next_look_ms: i64::MIN };
        let core = Core::new(facts, env, keys, lefts)?;
        Ok(Self { core, rights, row_key: Vec::new(), list: Vec::new(), progress })
    }

    /// What the sides have seen of time.
    pub fn progress(&mut self) -> &mut JoinProgress {
        &mut self.progress
    }

    /// Adds a record to those of its key, side and time.
    pub fn put(&mut self, key: &K, time: Timestamp, value: LeftOrRight<&L, &R>) -> Result<()> {
        let side = match value {
            LeftOrRight::Left(_) => JoinSide::Left,
            LeftOrRight::Right(_) => JoinSide::Right,
        };
        self.point_at(key, time, side)?;
        let list = &mut self.list;
        list.clear();
        self.core.below.read(&self.row_key, |row| list.extend_from_slice(row.unwrap_or_default()))?;
        let decoder = &self.core.decoder;
        append(list, |out| {
            out.push(side.code());
            match value {
                LeftOrRight::Left(value) => decoder.values.encode(value, out),
                LeftOrRight::Right(value) => self.rights.encode(value, out),
            }
        })
        .map_err(|error| decoder.unwritable("value", error))?;
        self.write(true);
        Ok(())
    }

    /// Removes the records of a key, side and time, if there are any: they have found a partner.
    pub fn remove_if_present(&mut self, key: &K, time: Timestamp, side: JoinSide) -> Result<()> {
        self.point_at(key, time, side)?;
        if self.core.below.read(&self.row_key, |row| row.is_some())? {
            self.write(false);
        }
        Ok(())
    }

    /// Removes a row that was read.
    pub fn remove(&mut self, row: &OuterJoinRow<K, L, R>) {
        self.row_key.clone_from(&row.row_key);
        self.write(false);
    }

    /// All rows, by time, then right before left, then by key bytes.
    pub fn rows(&mut self) -> Result<StoreIterator<OuterJoinRow<K, L, R>>> {
        let rows = self.core.rows(&ByteRange::all(), false)?;
        let (keys, lefts, rights) = (self.core.keys.clone(), self.core.decoder.clone(), self.rights.clone());
        Ok(StoreIterator::new(rows.map(move |row| {
            let (row_key, cell) = row?;
            let list = match cell {
                Cell::Bytes(list) => list,
                // There is no record cache, so nothing typed comes up.
                Cell::Typed(..) => Vec::new(),
            };
            let Some((time, [side, ..])) = row_key.split_first_chunk::<8>() else {
                return Err(lefts.unreadable(&CodecError::Length { expected: HEAD_LEN, found: row_key.len() }));
            };
            let (time, side) = (Timestamp(i64::from_be_bytes(*time)), JoinSide::of(*side));
            let (keys, lefts, rights) = (keys.clone(), lefts.clone(), rights.clone());
            Ok(OuterJoinRow { row_key, list, time, side, keys, lefts, rights })
        })))
    }

    fn point_at(&mut self, key: &K, time: Timestamp, side: JoinSide) -> Result<()> {
        self.row_key.clear();
        self.row_key.extend_from_slice(&time.0.to_be_bytes());
        self.row_key.push(side.code());
        self.core.encode_key(key, &mut self.row_key)
    }

    /// Writes the list under the row key, or deletes what is there.
    fn write(&mut self, is_kept: bool) {
        let timestamp = self.core.origin.timestamp;
        let value = is_kept.then_some(&self.list[..]);
        self.core.below.write(&Write { key: &self.row_key, value, timestamp, headers: &Headers::new() });
    }
}

impl<K, L, R> OuterJoinRow<K, L, R> {
    /// Event time of its records.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Their side.
    pub fn side(&self) -> JoinSide {
        self.side
    }

    /// Their key.
    pub fn key(&self) -> Result<K> {
        self.keys.decode(self.row_key.get(HEAD_LEN..)).map_err(|error| self.lefts.unreadable(&error))
    }

    /// Their values, in the order in which they came.
    pub fn values(&self) -> Result<Vec<LeftOrRight<L, R>>> {
        let read = || {
            let mut rest = self.list.get(LIST_HEAD_LEN..).unwrap_or_default();
            let mut values = Vec::with_capacity(1);
            while !rest.is_empty() {
                let short = CodecError::Length { expected: LIST_HEAD_LEN, found: rest.len() };
                let (len, after) = rest.split_first_chunk::<4>().ok_or_else(|| short.clone())?;
                let len = usize::try_from(i32::from_be_bytes(*len)).map_err(|_| short.clone())?;
                let (element, after) = after.split_at_checked(len).ok_or_else(|| short.clone())?;
                let (side, value) = element.split_first().ok_or(short)?;
                values.push(match JoinSide::of(*side) {
                    JoinSide::Left => LeftOrRight::Left(self.lefts.values.decode(Some(value))?),
                    JoinSide::Right => LeftOrRight::Right(self.rights.decode(Some(value))?),
                });
                rest = after;
            }
            Ok(values)
        };
        read().map_err(|error: CodecError| self.lefts.unreadable(&error))
    }
}

/// Adds an element to a list in `ListSerde`'s bytes, which may be empty so far.
fn append(
    list: &mut Vec<u8>,
    element: impl FnOnce(&mut Vec<u8>) -> std::result::Result<bool, CodecError>,
) -> std::result::Result<(), CodecError> {
    if list.is_empty() {
        list.extend_from_slice(&[LIST_OF_LENGTHS, 0, 0, 0, 0]);
    }
    let too_long = || CodecError::format("a list or element of more than 2^31 - 1");
    let count = list.get_mut(1..LIST_HEAD_LEN).and_then(|count| count.first_chunk_mut::<4>());
    let count = count.ok_or_else(|| CodecError::format("a list without a count"))?;
    *count = i32::from_be_bytes(*count).checked_add(1).ok_or_else(too_long)?.to_be_bytes();
    let start = list.len();
    list.extend_from_slice(&[0; 4]);
    if !element(list)? {
        return Err(CodecError::UnexpectedNull);
    }
    let len = i32::try_from(list.len() - start - 4).map_err(|_| too_long())?;
    if let Some(place) = list.get_mut(start..).and_then(|tail| tail.first_chunk_mut::<4>()) {
        *place = len.to_be_bytes();
    }
    Ok(())
}
