//! Brokers as a log.

use std::sync::Arc;
use std::time::Duration;

use millstream_log::{Admin, Isolation, Log, Member, MemberConfig, Reader, Writer};
use millstream_types::config::{GroupProtocol, HostPort};
use millstream_types::{Clock, Config, Error, ErrorKind, Result};

use crate::admin::KafkaAdmin;
use crate::driver::Driver;
use crate::member::{KafkaMember, RefusedMember};
use crate::reader::KafkaReader;
use crate::renewal::Renewals;
use crate::settings::Settings;
use crate::writer::KafkaWriter;

/// A Kafka cluster. One network thread serves all that is made from it; the thread ends with the last
/// of them.
pub struct KafkaLog {
    driver: Driver,
    settings: Settings,
    /// Why no group can be joined.
    no_groups: Option<Error>,
    renewals: Renewals,
}

impl KafkaLog {
    /// A client for the brokers at these addresses (`host:port`). Nothing is connected before it is
    /// needed; brokers that are down are tried again and again. `seed` spreads the pauses between tries.
    ///
    /// # Errors
    /// `Configuration` for bad addresses or client settings, all told together; `Storage` when the
    /// system has no more threads or sockets.
    pub fn connect(config: &Config, bootstrap: &[HostPort], clock: Arc<dyn Clock>, seed: u64) -> Result<Self> {
        let settings = Settings::of(config, bootstrap, seed)?;
        let driver = Driver::start(settings.client.clone(), clock)?;
        Ok(Self { driver, settings, no_groups: no_groups(config), renewals: Renewals::default() })
    }

    /// Whether the configured groups can be joined, for those who want to know before they start. What
    /// reads and writes topics needs none.
    ///
    /// # Errors
    /// `Configuration` for classic groups, with what to set.
    pub fn check_groups(&self) -> Result<()> {
        self.no_groups.clone().map_or(Ok(()), Err)
    }
}

impl Log for KafkaLog {
    fn admin(&self) -> Box<dyn Admin> {
        Box::new(KafkaAdmin::new(self.driver.clone()))
    }

    fn reader(&self, isolation: Isolation) -> Box<dyn Reader> {
        Box::new(KafkaReader::new(self.driver.clone(), isolation, self.settings.fetch.clone()))
    }

    fn writer(&self, transactional_id: Option<&str>) -> Box<dyn Writer> {
        Box::new(KafkaWriter::new(self.driver.clone(), self.settings.writer(transactional_id)))
    }

    fn member(&self, config: MemberConfig) -> Box<dyn Member> {
        if config.standby_replicas > 0 && !config.process_members.is_empty() {
            tracing::warn!(
                "num.standby.replicas means nothing to brokers that assign tasks: group.streams.num.standby.replicas is the \
                 setting of group {}",
                config.group
            );
        }
        match &self.no_groups {
            None => {
                let rack = Some(self.settings.fetch.rack.clone()).filter(|rack| !rack.is_empty());
                Box::new(KafkaMember::new(self.driver.clone(), config, rack, self.renewals.clone()))
            }
            Some(error) => Box::new(RefusedMember::new(config, error.clone())),
        }
    }

    fn wait(&self, timeout: Duration) {
        self.driver.signal().wait(timeout);
    }

    fn wake(&self) {
        self.driver.signal().notify();
    }
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("bootstrap", &self.settings.client.bootstrap).finish_non_exhaustive()
    }
}

fn no_groups(config: &Config) -> Option<Error> {
    let message =
        "group.protocol: classic groups are not there yet; set group.protocol=streams (KIP-1071, Kafka 4.2 or newer)";
    (config.group_protocol() != GroupProtocol::Streams).then(|| Error::new(ErrorKind::Configuration, message))
}
