//! Kafka's protocol: messages to bytes and back, and the frames they travel in.
//!
//! Only "flexible" versions are spoken (KIP-482), which every broker since 3.3 knows for every request
//! used here. Bytes from the network are bounded before they are believed: no length makes us
//! allocate more than has arrived.

use std::fmt::Debug;

mod error_code;
mod frame;
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the protocol's own documentation describes the fields"
)]
pub mod messages;
mod read;
mod write;

pub use error_code::ErrorCode;
pub use frame::{RequestHeader, decode_response, encode_request, encode_response, split_request};
pub use read::{Decode, DecodeError, Reader};
pub use write::{Encode, Tags, no_tags};

/// A request: which one it is, and in which versions it is spoken.
pub trait Request: Encode + Decode {
    /// What the broker answers with.
    type Response: Encode + Decode;
    /// The API's number.
    const KEY: i16;
    /// The API's name.
    const NAME: &'static str;
    /// Versions that Millstream can encode.
    const VERSIONS: std::ops::RangeInclusive<i16>;

    /// How long the broker will read nothing more from this connection, in ms (KIP-219).
    fn throttle_time_ms(response: &Self::Response) -> i32;
}

/// Does the same with every request that is spoken, see [`messages::each`].
pub trait Visitor {
    /// One request, with its response.
    fn visit<R>(&mut self)
    where
        R: Request<Response: Debug + PartialEq> + Debug + PartialEq;
}
