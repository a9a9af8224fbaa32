//! The administrative client, with faults.

use std::sync::Arc;

use millstream_log::{Admin, Call, CommittedOffset, NewTopic, OffsetSpec, TopicMetadata};
use millstream_types::{Offset, TopicPartition};

use super::connection::{Connection, Effects};

pub(super) struct FaultyAdmin(Connection<dyn Admin>);

impl FaultyAdmin {
    pub(super) fn new(connection: Connection<dyn Admin>) -> Self {
        Self(connection)
    }
}

impl Admin for FaultyAdmin {
    fn topics(&mut self, names: &[Arc<str>]) -> Call<Vec<Option<TopicMetadata>>> {
        let names = names.to_vec();
        self.0.request("topics", Effects::None, move |admin| admin.topics(&names))
    }

    fn list_topics(&mut self) -> Call<Vec<TopicMetadata>> {
        self.0.request("list_topics", Effects::None, Admin::list_topics)
    }

    fn create_topics(&mut self, topics: &[NewTopic]) -> Call<()> {
        let topics = topics.to_vec();
        self.0.request("create_topics", Effects::Idempotent, move |admin| admin.create_topics(&topics))
    }

    fn delete_topics(&mut self, names: &[Arc<str>]) -> Call<()> {
        let names = names.to_vec();
        self.0.request("delete_topics", Effects::Idempotent, move |admin| admin.delete_topics(&names))
    }

    fn delete_records(&mut self, before: &[(TopicPartition, Offset)]) -> Call<()> {
        let before = before.to_vec();
        let link = self.0.link.clone();
        self.0.request("delete_records", Effects::Idempotent, move |admin| {
            link.is_deleting();
            admin.delete_records(&before)
        })
    }

    fn offsets(&mut self, partitions: &[TopicPartition], spec: OffsetSpec) -> Call<Vec<Offset>> {
        let partitions = partitions.to_vec();
        self.0.request("offsets", Effects::None, move |admin| admin.offsets(&partitions, spec))
    }

    fn committed(&mut self, group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        let (group, partitions) = (group.to_owned(), partitions.to_vec());
        self.0.request("committed", Effects::None, move |admin| admin.committed(&group, &partitions))
    }

    fn renew_group(&mut self, group: &str) -> Call<usize> {
        let group = group.to_owned();
        self.0.request("renew_group", Effects::Idempotent, move |admin| admin.renew_group(&group))
    }
}
