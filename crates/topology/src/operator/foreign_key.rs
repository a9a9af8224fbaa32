//! Foreign-key joins: rows of one table joined with the rows of another that they refer to.
//!
//! ```text
//! left table  --SubscriptionSend-->  registration topic, by foreign key
//!             --SubscriptionReceive--> subscription store --SubscriptionJoin--+
//! right table --ForeignJoin (prefix scan of the subscription store)-----------+
//!             -->  response topic, by primary key  --ResponseJoin--> result
//! ```
//!
//! An answer carries the hash of the left value that asked for it; one whose value has changed
//! meanwhile is stale and dropped. The bytes on both topics are Kafka Streams'.

mod answer;
mod ask;
mod right;
mod wire;

pub(crate) use answer::{ResponseJoinSpec, response_join};
pub(crate) use ask::{SubscriptionSendSpec, subscription_send};
pub(crate) use right::{ForeignJoinSpec, foreign_join, subscription_join, subscription_receive};
pub(crate) use wire::{Response, ResponseCodec, Subscription, SubscriptionCodec};

use millstream_types::{CodecError, Error, ErrorKind, Serde, murmur3_128};

/// Hash of a value's bytes.
type Hash = [u8; 16];

/// The hash by which a left row's value is known; `None` for no value.
fn hash_of<V>(serde: &Serde<V>, value: Option<&V>, bytes: &mut Vec<u8>) -> Result<Option<Hash>, Error> {
    let Some(value) = value else { return Ok(None) };
    bytes.clear();
    match serde.encode(value, bytes) {
        Ok(true) => Ok(Some(murmur3_128(bytes))),
        Ok(false) => Ok(None),
        Err(error) => Err(unwritable("value of a left row", error)),
    }
}

#[cold]
fn unwritable(what: &str, error: CodecError) -> Error {
    Error::new(ErrorKind::Processing, format!("the {what} cannot be serialised for a foreign-key join"))
        .with_source(error)
}
