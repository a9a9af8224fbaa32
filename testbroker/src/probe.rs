//! Asking a broker who belongs to its cluster: one Metadata request (version 1), written by hand.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer answers are none to this question.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Size, API 3 version 1, correlation id 7, no client id, no topics.
const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0, 0, 0, 0];

/// How many brokers this one knows; `None` when it does not answer.
pub(crate) fn brokers(port: u16) -> Option<usize> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.write_all(&REQUEST).ok()?;
    let mut size = [0; 4];
    stream.read_exact(&mut size).ok()?;
    let size = usize::try_from(i32::from_be_bytes(size)).ok().filter(|size| *size <= ANSWER_BYTES_MAX)?;
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer).ok()?;
    // Behind the correlation id stands the array of brokers.
    let count = answer.get(4..8)?.try_into().ok()?;
    usize::try_from(i32::from_be_bytes(count)).ok()
}
