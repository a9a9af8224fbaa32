//! Topics and offsets: calls that ask a broker, wait, and ask again where that may help.

mod agreement;
mod group_settings;
mod offsets;
mod operation;
mod producers;
mod topics;

use std::sync::Arc;

use millstream_log::{Admin, Call, CommittedOffset, Failure, NewTopic, OffsetSpec, OpenTransaction, TopicMetadata};
use millstream_types::{Offset, TopicPartition};

use crate::client::Client;
use crate::driver::Driver;
use crate::renewal::{Renewal, saved_group};
use group_settings::ConfigureGroup;
use offsets::{Committed, DeleteRecords, ListOffsets};
use operation::{Operation, Step};
use producers::OpenTransactions;
use topics::{CreateTopics, DeleteTopics, ListTopics, Topics};

/// The admin client. Its calls are over, with success or not, after `default.api.timeout.ms`.
pub(crate) struct KafkaAdmin {
    driver: Driver,
}

impl KafkaAdmin {
    pub(crate) fn new(driver: Driver) -> Self {
        Self { driver }
    }

    fn start<T: Send + 'static>(&self, step: impl Step<T> + 'static) -> Call<T> {
        let (call, slot) = self.driver.call();
        self.driver.add(Operation::new(Box::new(step), slot));
        call
    }
}

impl Admin for KafkaAdmin {
    fn topics(&mut self, names: &[Arc<str>]) -> Call<Vec<Option<TopicMetadata>>> {
        self.start(Topics::new(names.to_vec()))
    }

    fn list_topics(&mut self) -> Call<Vec<TopicMetadata>> {
        self.start(ListTopics::default())
    }

    fn create_topics(&mut self, topics: &[NewTopic]) -> Call<()> {
        self.start(CreateTopics::new(topics.to_vec()))
    }

    fn delete_topics(&mut self, names: &[Arc<str>]) -> Call<()> {
        self.start(DeleteTopics::new(names.to_vec()))
    }

    fn delete_records(&mut self, before: &[(TopicPartition, Offset)]) -> Call<()> {
        self.start(DeleteRecords::new(before.to_vec()))
    }

    fn offsets(&mut self, partitions: &[TopicPartition], spec: OffsetSpec) -> Call<Vec<Offset>> {
        self.start(ListOffsets::new(partitions.to_vec(), spec))
    }

    fn committed(&mut self, group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        self.start(Committed::new(group.into(), partitions.to_vec()))
    }

    fn open_transactions(&mut self, partitions: &[TopicPartition]) -> Call<Vec<Vec<OpenTransaction>>> {
        self.start(OpenTransactions::new(partitions.to_vec()))
    }

    fn configure_group(&mut self, group: &str, settings: &[(String, String)]) -> Call<()> {
        self.start(ConfigureGroup::new(group, settings))
    }

    fn set_aside(&mut self, group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        self.start(Committed::set_aside(saved_group(group), partitions.to_vec()))
    }

    fn renew_group(&mut self, group: &str) -> Call<usize> {
        self.start(Renewal::new(group.into(), None))
    }
}

impl Step<usize> for Renewal {
    fn turn(&mut self, client: &mut Client) -> Option<Result<usize, Failure>> {
        self.turn(client)
    }

    fn restart(&mut self) {
        self.restart();
    }

    fn due_ms(&self) -> i64 {
        self.due_ms()
    }
}
