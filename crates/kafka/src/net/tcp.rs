//! Plain TCP: all connections of a process on one thread, which sleeps until one of them or a waker
//! has something to say.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

use super::resolver::Resolver;
use super::{Address, ConnectionId, FrameBuffer, Transport, TransportEvent};

const WAKER: Token = Token(0);
/// Most bytes that one connection takes from the socket before the others have their turn.
const READ_TURN_BYTES: usize = 4 * 1024 * 1024;

/// Sockets.
pub(crate) struct TcpTransport {
    poll: Poll,
    waker: Arc<mio::Waker>,
    resolver: Resolver,
    ready: Events,
    sockets: BTreeMap<ConnectionId, Socket>,
    /// By name, the address that was given up last because nobody answered: the next connection begins with the one after.
    silent: BTreeMap<Address, SocketAddr>,
    next: u64,
    frame_bytes_max: usize,
    /// Connections that failed outside of a poll.
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
    /// `None` while the name is looked up.
    stream: Option<TcpStream>,
    name: Address,
    /// Whether the name is looked up.
    awaits_name: bool,
    /// Addresses of the name that were not tried yet (`client.dns.lookup=use_all_dns_ips`).
    candidates: VecDeque<SocketAddr>,
    /// The one that is tried, or was of use.
    tried: Option<SocketAddr>,
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
        let resolver = Resolver::new(Arc::clone(&waker));
        Ok(Self {
            poll,
            waker,
            resolver,
            ready: Events::with_capacity(64),
            sockets: BTreeMap::new(),
            silent: BTreeMap::new(),
            next: 1,
            frame_bytes_max,
            stillborn: Vec::new(),
        })
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.waker))
    }

    fn drop_socket(&mut self, connection: ConnectionId) {
        if let Some(mut socket) = self.sockets.remove(&connection) {
            socket.drop_stream(self.poll.registry());
        }
    }

    /// Connects those that wait for a name.
    fn found(&mut self, name: &Address, found: &Result<Vec<SocketAddr>, String>, events: &mut Vec<TransportEvent>) {
        let mut failed = Vec::new();
        for (connection, socket) in &mut self.sockets {
            if !socket.awaits_name || socket.name != *name {
                continue;
            }
            socket.awaits_name = false;
            let result = found.clone().and_then(|addresses| {
                socket.candidates = behind(addresses, self.silent.get(name));
                socket.connect(self.poll.registry(), token(*connection), "the name has no address")
            });
            if let Err(reason) = result {
                failed.push((*connection, reason));
            }
        }
        self.close_all(failed, events);
    }

    /// How long to wait for news: not at all where there is more to do.
    fn patience(&self, timeout: Duration, events: &[TransportEvent]) -> Duration {
        // A socket that had more to read than its turn allows makes no new event.
        let is_greedy = self.sockets.values().any(|socket| socket.frames.has_more);
        if is_greedy || !events.is_empty() { Duration::ZERO } else { timeout }
    }

    fn close_all(&mut self, failed: Vec<(ConnectionId, String)>, events: &mut Vec<TransportEvent>) {
        for (connection, reason) in failed {
            self.drop_socket(connection);
            events.push(TransportEvent::Closed(connection, reason));
        }
    }

    /// Lets a socket do what it is ready for.
    fn turn(&mut self, connection: ConnectionId, ready: (bool, bool), events: &mut Vec<TransportEvent>) {
        let Some(socket) = self.sockets.get_mut(&connection) else { return };
        let mut result = socket.turn(connection, ready, events);
        if let (Err(reason), false) = (&result, socket.is_connected) {
            let reason = reason.clone();
            result = socket.connect(self.poll.registry(), token(connection), &reason);
        }
        if let Err(reason) = result {
            self.close_all(vec![(connection, reason)], events);
        }
    }
}

/// All addresses, those first that come behind the one that was silent.
fn behind(addresses: Vec<SocketAddr>, silent: Option<&SocketAddr>) -> VecDeque<SocketAddr> {
    let mut addresses = VecDeque::from(addresses);
    if let Some(at) = addresses.iter().position(|address| Some(address) == silent) {
        addresses.rotate_left(at + 1);
    }
    addresses
}

/// A connection's events.
fn token(connection: ConnectionId) -> Token {
    Token(usize::try_from(connection.0).unwrap_or(usize::MAX))
}

impl Transport for TcpTransport {
    fn connect(&mut self, address: &Address) -> ConnectionId {
        let connection = ConnectionId(self.next);
        self.next += 1;
        let mut socket = Socket {
            stream: None,
            name: address.clone(),
            awaits_name: false,
            candidates: VecDeque::new(),
            tried: None,
            is_connected: false,
            frames: FrameBuffer::new(self.frame_bytes_max),
            outgoing: Vec::new(),
            sent: 0,
        };
        if let Some(literal) = Resolver::literal(address) {
            socket.candidates.push_back(literal);
            if let Err(reason) = socket.connect(self.poll.registry(), token(connection), "no address") {
                self.stillborn.push((connection, reason));
            }
        } else {
            socket.awaits_name = true;
            self.resolver.start(address);
        }
        self.sockets.insert(connection, socket);
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
        if let Some(socket) = self.sockets.get(&connection).filter(|socket| !socket.is_connected)
            && let Some(tried) = socket.tried
        {
            self.silent.insert(socket.name.clone(), tried);
        }
        self.drop_socket(connection);
        self.stillborn.retain(|(other, _)| *other != connection);
    }

    fn poll(&mut self, timeout: Duration, events: &mut Vec<TransportEvent>) {
        let stillborn = std::mem::take(&mut self.stillborn);
        self.close_all(stillborn, events);
        let timeout = self.patience(timeout, events);
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
        for (name, found) in self.resolver.found() {
            self.found(&name, &found, events);
        }
        for (connection, is_readable, is_writable) in ready {
            self.turn(connection, (is_readable, is_writable), events);
        }
        let greedy: Vec<ConnectionId> =
            self.sockets.iter().filter(|(_, socket)| socket.frames.has_more).map(|(id, _)| *id).collect();
        for connection in greedy {
            self.turn(connection, (true, false), events);
        }
    }
}

impl Socket {
    /// Starts to connect to the next address; fails when none is left.
    fn connect(&mut self, registry: &Registry, token: Token, reason: &str) -> Result<(), String> {
        let mut reason = reason.to_owned();
        self.drop_stream(registry);
        while let Some(address) = self.candidates.pop_front() {
            self.tried = Some(address);
            let stream = TcpStream::connect(address).and_then(|mut stream| {
                registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                Ok(stream)
            });
            match stream {
                Ok(stream) => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason)
    }

    fn drop_stream(&mut self, registry: &Registry) {
        if let Some(mut stream) = self.stream.take() {
            let _ = registry.deregister(&mut stream);
        }
    }

    /// Does what the socket is ready for.
    fn turn(
        &mut self,
        connection: ConnectionId,
        (is_readable, is_writable): (bool, bool),
        events: &mut Vec<TransportEvent>,
    ) -> Result<(), String> {
        let Some(stream) = &self.stream else { return Ok(()) };
        if is_writable {
            if !self.is_connected {
                if let Some(error) = stream.take_error().map_err(|error| error.to_string())? {
                    return Err(error.to_string());
                }
                match stream.peer_addr() {
                    Ok(_) => {
                        self.is_connected = true;
                        // Requests are small and waited for.
                        let _ = stream.set_nodelay(true);
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
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while let Some(rest) = self.outgoing.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
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
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut read = 0;
        loop {
            match self.frames.read_from(stream) {
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    /// What happens next, with the frames' bytes.
    fn next(transport: &mut TcpTransport) -> (ConnectionId, String) {
        let mut events = Vec::new();
        while events.is_empty() {
            transport.poll(Duration::from_secs(60), &mut events);
        }
        match events.remove(0) {
            TransportEvent::Connected(id) => (id, "connected".to_owned()),
            TransportEvent::Frame(id, frame) => (id, String::from_utf8_lossy(&frame).into_owned()),
            TransportEvent::Closed(id, reason) => (id, format!("closed: {reason}")),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the other side of the test")]
    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn a_name_is_looked_up_and_all_its_addresses_are_tried() {
        let listener = listener();
        let port = listener.local_addr().unwrap().port();
        let mut transport = TcpTransport::new(1000).unwrap();
        let connection = transport.connect(&Address { host: "localhost".to_owned(), port });
        assert_eq!(next(&mut transport), (connection, "connected".to_owned()));
        transport.send(connection, b"asked".to_vec());
        let (mut peer, _) = listener.accept().unwrap();
        let mut asked = [0; 5];
        peer.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"asked");
        peer.write_all(b"\0\0\0\x08answered").unwrap();
        assert_eq!(next(&mut transport), (connection, "answered".to_owned()));
        drop(peer);
        assert_eq!(next(&mut transport), (connection, "closed: the broker closed the connection".to_owned()));
    }

    #[test]
    fn an_address_that_refuses_is_followed_by_the_next() {
        let listener = listener();
        let mut transport = TcpTransport::new(1000).unwrap();
        let connection = transport.connect(&Address { host: "127.0.0.1".to_owned(), port: 0 });
        let socket = transport.sockets.get_mut(&connection).unwrap();
        socket.candidates = VecDeque::from(["127.0.0.1:0".parse().unwrap(), listener.local_addr().unwrap()]);
        transport.stillborn.clear();
        let socket = transport.sockets.get_mut(&connection).unwrap();
        socket.connect(transport.poll.registry(), token(connection), "").unwrap();
        assert_eq!(next(&mut transport), (connection, "connected".to_owned()));
    }

    #[test]
    fn a_name_that_is_none_closes_the_connection() {
        let mut transport = TcpTransport::new(1000).unwrap();
        let connection = transport.connect(&Address { host: "not a name".to_owned(), port: 1 });
        let (closed, reason) = next(&mut transport);
        assert_eq!(closed, connection);
        assert!(reason.starts_with("closed: "), "{reason}");
    }

    #[test]
    fn an_address_that_says_nothing_is_not_the_first_to_be_tried_next() {
        let listeners = [listener(), listener(), listener()];
        let [first, second, third] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let mut transport = TcpTransport::new(1000).unwrap();
        let name = Address { host: "not a name".to_owned(), port: 1 };
        let mut connect = |addresses: &[SocketAddr]| {
            let connection = transport.connect(&name);
            transport.found(&name, &Ok(addresses.to_vec()), &mut Vec::new());
            let socket = &transport.sockets[&connection];
            let tried = socket.tried.into_iter().chain(socket.candidates.iter().copied()).collect::<Vec<_>>();
            transport.close(connection);
            tried
        };
        assert_eq!(connect(&[first, second, third]), [first, second, third]);
        assert_eq!(connect(&[first, second, third]), [second, third, first]);
        assert_eq!(connect(&[second, first]), [first, second], "the name has other addresses now");
        assert_eq!(connect(&[third, second]), [third, second]);
        assert_eq!(connect(&[third]), [third]);
    }

    #[test]
    fn nothing_is_waited_for_as_long_as_there_is_more_to_read() {
        let mut transport = TcpTransport::new(1000).unwrap();
        let connection = transport.connect(&Address { host: "127.0.0.1".to_owned(), port: 1 });
        let minute = Duration::from_secs(60);
        assert_eq!(transport.patience(minute, &[]), minute);
        transport.sockets.get_mut(&connection).unwrap().frames.has_more = true;
        assert_eq!(transport.patience(minute, &[]), Duration::ZERO);
    }
}
