//! Plain TCP: all connections of a process on one thread, which sleeps until one of them or a waker
//! has something to say.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::{Address, ConnectionId, FrameBuffer, Transport, TransportEvent};

const WAKER: Token = Token(0);
/// Most bytes that one connection takes from the socket before the others have their turn.
const READ_TURN_BYTES: usize = 4 * 1024 * 1024;

/// Sockets.
pub(crate) struct TcpTransport {
    poll: Poll,
    waker: Arc<mio::Waker>,
    ready: Events,
    sockets: BTreeMap<ConnectionId, Socket>,
    next: u64,
    frame_bytes_max: usize,
    /// Connections that could not even be begun.
    stillborn: Vec<(ConnectionId, String)>,
}

/// Ends a [`Transport::poll`] from another thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Ends the wait under way, or the next one.
    pub(crate) fn wake(&self) {
        // The thread that is to be woken is gone when this fails.
        let _ = self.0.wake();
    }
}

struct Socket {
    stream: TcpStream,
    is_connected: bool,
    frames: FrameBuffer,
    outgoing: Vec<u8>,
    /// How much of `outgoing` is sent.
    sent: usize,
}

impl TcpTransport {
    pub(crate) fn new(frame_bytes_max: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            waker,
            ready: Events::with_capacity(64),
            sockets: BTreeMap::new(),
            next: 1,
            frame_bytes_max,
            stillborn: Vec::new(),
        })
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.waker))
    }

    fn open(&self, address: &Address, token: Token) -> io::Result<TcpStream> {
        let found = (address.host.as_str(), address.port).to_socket_addrs()?;
        let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for address in found {
            match TcpStream::connect(address) {
                Ok(mut stream) => {
                    self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                    return Ok(stream);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn drop_socket(&mut self, connection: ConnectionId) {
        if let Some(mut socket) = self.sockets.remove(&connection) {
            let _ = self.poll.registry().deregister(&mut socket.stream);
        }
    }
}

impl Transport for TcpTransport {
    fn connect(&mut self, address: &Address) -> ConnectionId {
        let connection = ConnectionId(self.next);
        let token = Token(usize::try_from(self.next).unwrap_or(usize::MAX));
        self.next += 1;
        match self.open(address, token) {
            Ok(stream) => {
                let frames = FrameBuffer::new(self.frame_bytes_max);
                let socket = Socket { stream, is_connected: false, frames, outgoing: Vec::new(), sent: 0 };
                self.sockets.insert(connection, socket);
            }
            Err(error) => self.stillborn.push((connection, error.to_string())),
        }
        connection
    }

    fn send(&mut self, connection: ConnectionId, bytes: Vec<u8>) {
        let Some(socket) = self.sockets.get_mut(&connection) else { return };
        if socket.outgoing.is_empty() {
            socket.outgoing = bytes;
        } else {
            socket.outgoing.extend_from_slice(&bytes);
        }
        if socket.is_connected
            && let Err(error) = socket.flush()
        {
            self.stillborn.push((connection, error.to_string()));
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        self.drop_socket(connection);
        self.stillborn.retain(|(other, _)| *other != connection);
    }

    fn poll(&mut self, timeout: Duration, events: &mut Vec<TransportEvent>) {
        for (connection, reason) in std::mem::take(&mut self.stillborn) {
            self.drop_socket(connection);
            events.push(TransportEvent::Closed(connection, reason));
        }
        let timeout = if events.is_empty() { timeout } else { Duration::ZERO };
        if let Err(error) = self.poll.poll(&mut self.ready, Some(timeout)) {
            // A signal is no news; anything else would only repeat itself.
            tracing::debug!(%error, "waiting for sockets was interrupted");
            return;
        }
        let ready: Vec<(ConnectionId, bool, bool)> = self
            .ready
            .iter()
            .filter(|event| event.token() != WAKER)
            .map(|event| (ConnectionId(event.token().0 as u64), event.is_readable(), event.is_writable()))
            .collect();
        for (connection, is_readable, is_writable) in ready {
            let Some(socket) = self.sockets.get_mut(&connection) else { continue };
            if let Err(reason) = socket.turn(connection, is_readable, is_writable, events) {
                self.drop_socket(connection);
                events.push(TransportEvent::Closed(connection, reason));
            }
        }
        // A socket that had more to read than its turn allows makes no new event: go on at once.
        let greedy: Vec<ConnectionId> =
            self.sockets.iter().filter(|(_, socket)| socket.frames.has_more).map(|(id, _)| *id).collect();
        for connection in greedy {
            let Some(socket) = self.sockets.get_mut(&connection) else { continue };
            if let Err(reason) = socket.turn(connection, true, false, events) {
                self.drop_socket(connection);
                events.push(TransportEvent::Closed(connection, reason));
            }
        }
    }
}

impl Socket {
    /// Does what the socket is ready for.
    fn turn(
        &mut self,
        connection: ConnectionId,
        is_readable: bool,
        is_writable: bool,
        events: &mut Vec<TransportEvent>,
    ) -> Result<(), String> {
        if is_writable {
            if !self.is_connected {
                if let Some(error) = self.stream.take_error().map_err(|error| error.to_string())? {
                    return Err(error.to_string());
                }
                match self.stream.peer_addr() {
                    Ok(_) => {
                        self.is_connected = true;
                        // Requests are small and waited for.
                        let _ = self.stream.set_nodelay(true);
                        events.push(TransportEvent::Connected(connection));
                    }
                    Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                    Err(error) => return Err(error.to_string()),
                }
            }
            self.flush().map_err(|error| error.to_string())?;
        }
        if is_readable { self.fill(connection, events) } else { Ok(()) }
    }

    /// Sends until the socket takes no more.
    fn flush(&mut self) -> io::Result<()> {
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::Error::new(ErrorKind::WriteZero, "the socket takes nothing")),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads until the socket has no more or the turn is over.
    fn fill(&mut self, connection: ConnectionId, events: &mut Vec<TransportEvent>) -> Result<(), String> {
        self.frames.has_more = false;
        let mut read = 0;
        loop {
            match self.frames.read_from(&mut self.stream) {
                Ok(0) => return Err("the broker closed the connection".to_owned()),
                Ok(count) => read += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
            while let Some(frame) = self.frames.next().map_err(|error| error.to_string())? {
                events.push(TransportEvent::Frame(connection, frame));
            }
            if read >= READ_TURN_BYTES {
                self.frames.has_more = true;
                return Ok(());
            }
        }
    }
}
