//! Names to addresses beside the network thread: the system's resolver may block for many seconds, and
//! no other connection must wait for it.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::Address;

/// Looks names up, each on a thread of its own that ends with the answer. There is at most one a name.
pub(super) struct Resolver {
    waker: Arc<mio::Waker>,
    sender: Sender<Resolved>,
    results: Receiver<Resolved>,
    under_way: BTreeSet<Address>,
}

/// A name and its addresses, or why there are none.
pub(super) type Resolved = (Address, Result<Vec<SocketAddr>, String>);

impl Resolver {
    /// Every answer ends a poll with the waker.
    pub(super) fn new(waker: Arc<mio::Waker>) -> Self {
        let (sender, results) = channel();
        Self { waker, sender, results, under_way: BTreeSet::new() }
    }

    /// The address, if the host is one and no name.
    pub(super) fn literal(address: &Address) -> Option<SocketAddr> {
        address.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, address.port))
    }

    /// Starts to look a name up, unless that is under way.
    #[expect(clippy::disallowed_methods, reason = "the one home of threads that wait for the system's resolver")]
    pub(super) fn start(&mut self, address: &Address) {
        if !self.under_way.insert(address.clone()) {
            return;
        }
        let (name, sender, waker) = (address.clone(), self.sender.clone(), Arc::clone(&self.waker));
        let look_up = move || {
            let found = (name.host.as_str(), name.port).to_socket_addrs();
            let found = found.map(Iterator::collect).map_err(|error| error.to_string());
            // Who asked is gone when these fail.
            let _ = sender.send((name, found));
            let _ = waker.wake();
        };
        let started = std::thread::Builder::new().name("millstream-resolver".to_owned()).spawn(look_up);
        if let Err(error) = started {
            let _ = self.sender.send((address.clone(), Err(failure(&error))));
            let _ = self.waker.wake();
        }
    }

    /// What was found since the last call.
    pub(super) fn found(&mut self) -> Vec<Resolved> {
        let found: Vec<Resolved> = self.results.try_iter().collect();
        for (address, _) in &found {
            self.under_way.remove(address);
        }
        found
    }
}

fn failure(error: &io::Error) -> String {
    format!("no thread to look the name up: {error}")
}
