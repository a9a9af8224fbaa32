//! Asking a broker who belongs to its cluster, and how its partitions are: Metadata requests (version 1), written by hand.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer answers are none to this question.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Size, API 3 version 1, correlation id 7, no client id, no topics.
const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];

/// The same for all topics.
const REQUEST_TOPICS: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/// How many brokers this one knows; `None` when it does not answer.
pub(crate) fn brokers(port: u16) -> Option<usize> {
    let answer = ask(port, &REQUEST)?;
    // Behind the correlation id stands the array of brokers.
    usize::try_from(Fields(answer.get(4..)?).int()?).ok()
}

/// What a broker answers, without its size.
fn ask(port: u16, request: &[u8]) -> Option<Vec<u8>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.write_all(request).ok()?;
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let size = usize::try_from(i32::from_be_bytes(size)).ok().filter(|size| *size <= ANSWER_BYTES_MAX)?;
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

/// Partitions that have no leader or not all replicas in sync, as one broker knows it; `None` when it does not answer.
pub(crate) fn partitions_behind(port: u16) -> Option<usize> {
    let answer = ask(port, &REQUEST_TOPICS)?;
    let mut fields = Fields(answer.get(4..)?);
    for _ in 0..fields.int()? {
        fields.int()?; // Node.
        fields.text()?; // Host.
        fields.int()?; // Port.
        fields.text()?; // Rack.
    }
    fields.int()?; // Controller.
    let mut behind = 0;
    for _ in 0..fields.int()? {
        fields.take(2)?; // Error.
        fields.text()?; // Name.
        fields.take(1)?; // Whether it is internal.
        for _ in 0..fields.int()? {
            fields.take(2)?; // Error.
            fields.int()?; // Number.
            let leader = fields.int()?;
            let (replicas, in_sync) = (fields.nodes()?, fields.nodes()?);
            behind += usize::from(leader < 0 || in_sync < replicas);
        }
    }
    Some(behind)
}

/// What is left of an answer.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn int(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    /// Skips a text, which may be null.
    fn text(&mut self) -> Option<()> {
        let length = self.take(2)?.try_into().ok().map(i16::from_be_bytes)?;
        self.take(usize::try_from(length).unwrap_or(0)).map(drop)
    }

    /// How many nodes an array holds.
    fn nodes(&mut self) -> Option<usize> {
        let count = usize::try_from(self.int()?).ok()?;
        self.take(count.checked_mul(4)?)?;
        Some(count)
    }
}
