//! Bytes to and from brokers. [`Transport`] is the seam: TCP in production, a scripted broker in tests.

mod frames;
mod resolver;
mod tcp;

use std::time::Duration;

use bytes::Bytes;
pub(crate) use millstream_types::config::HostPort as Address;

pub(crate) use frames::FrameBuffer;
pub(crate) use tcp::{TcpTransport, Waker};

/// A connection of a transport; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// Carries bytes. No call blocks except [`poll`](Self::poll), which waits for at most its timeout.
pub(crate) trait Transport: Send {
    /// Starts to connect; ends in `Connected` or `Closed`.
    fn connect(&mut self, address: &Address) -> ConnectionId;

    /// Sends bytes after those given before. On a closed connection nothing happens.
    fn send(&mut self, connection: ConnectionId, bytes: Vec<u8>);

    /// Closes a connection; no event follows.
    fn close(&mut self, connection: ConnectionId);

    /// Appends what has happened, after waiting for something to happen.
    fn poll(&mut self, timeout: Duration, events: &mut Vec<TransportEvent>);
}

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum TransportEvent {
    /// It stands; what was sent before goes out now.
    Connected(ConnectionId),
    /// A whole frame came, without its length.
    Frame(ConnectionId, Bytes),
    /// It is over; the text says why.
    Closed(ConnectionId, String),
}
