//! Buffers ordered by time: records that wait before they go on. [`ChangeBuffer`] holds a table's
//! updates back (`suppress`), [`StreamBuffer`] a stream's records (a join with grace). Both keep,
//! with each record, where it came from, in the same bytes (`value.rs`).

mod change_buffer;
mod legacy;
mod serdes;
mod stream_buffer;
mod value;

use millstream_types::{Headers, Timestamp};

use crate::Origin;

pub use change_buffer::ChangeBuffer;
pub use stream_buffer::{Due, StreamBuffer};

/// A record that comes out of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released<K, V> {
    /// Key.
    pub key: K,
    /// Value: of a [`ChangeBuffer`] the row before and after.
    pub value: V,
    /// Where the record came from, with its timestamp.
    pub origin: Origin,
    /// Its headers.
    pub headers: Headers,
}

/// Buffers' changelog records carry the time at which they are written, as in Kafka Streams: the
/// task puts it in the place of this one.
const WALL_CLOCK: Timestamp = Timestamp::UNKNOWN;
