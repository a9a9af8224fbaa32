//! A log that goes wrong on purpose: a decorator of the log seam.
//!
//! A [`FaultyLog`] stands between one instance and the log that all instances share. Requests and
//! replies are delayed and lost, outcomes stay unknown, reads stall, heartbeats are withheld. A
//! request that is under way when its instance is killed may still arrive. The requests of one
//! client arrive in their order, as on one connection; those of different clients in any order.

mod admin;
mod connection;
mod member;
mod network;
mod reader;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use millstream_log::{Admin, Isolation, Log, Member, MemberConfig, Reader, Writer};

pub use network::{FaultRates, Network};

use connection::Connection;
use network::Link;

/// The log as one instance sees it. See the [module](self).
pub struct FaultyLog {
    inner: Arc<dyn Log>,
    link: Link,
}

impl FaultyLog {
    /// The log as the instance of that name sees it, until the instance is killed.
    pub fn new(inner: Arc<dyn Log>, network: &Network, instance: &str) -> Self {
        Self { inner, link: network.link(instance) }
    }

    /// Makes the requests of this instance's clients vanish from now on, as SIGKILL does. What is
    /// under way may still arrive. The clients stay open on the log's side until it times out.
    pub fn cut(&self) {
        self.link.cut();
    }
}

impl Log for FaultyLog {
    fn admin(&self) -> Box<dyn Admin> {
        Box::new(admin::FaultyAdmin::new(Connection::open(self.inner.admin(), &self.link, "admin")))
    }

    fn reader(&self, isolation: Isolation) -> Box<dyn Reader> {
        Box::new(reader::FaultyReader::new(Connection::open(self.inner.reader(isolation), &self.link, "reader")))
    }

    fn writer(&self, transactional_id: Option<&str>) -> Box<dyn Writer> {
        if let Some(id) = transactional_id {
            self.link.saw_transactional_id(id);
        }
        Box::new(writer::FaultyWriter::new(Connection::open(self.inner.writer(transactional_id), &self.link, "writer")))
    }

    fn member(&self, config: MemberConfig) -> Box<dyn Member> {
        Box::new(member::FaultyMember::new(Connection::open(self.inner.member(config), &self.link, "member")))
    }

    /// Never blocks: time does not pass on its own in a simulation.
    fn wait(&self, _: Duration) {}

    fn wake(&self) {}
}
