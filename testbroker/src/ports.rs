//! Ports that nobody uses.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Below the ports that systems give to outgoing connections (from 32768 on Linux). A broker that is
/// down must find its port free again; and a client that tries such a port while nobody listens may
/// get connected to itself.
const FIRST: u64 = 16_384;
const COUNT: u64 = 16_000;

/// Spreads the ports of clusters that start at the same time.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Ports that were free just now.
pub(crate) fn free(count: usize) -> Result<Vec<u16>, String> {
    let seed =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| u64::from(since.subsec_nanos()));
    let start = seed.wrapping_mul(0x9E37_79B9).wrapping_add(u64::from(std::process::id()).wrapping_mul(257));
    let mut found = Vec::new();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = (FIRST + start.wrapping_add(step) % COUNT) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && !found.contains(&port) {
            found.push(port);
        }
        if found.len() == count {
            return Ok(found);
        }
    }
    Err(format!("no {count} free ports from {FIRST} on"))
}
