//! Topics and offsets of the embedded log.

use std::sync::Arc;

use millstream_types::{Offset, TopicPartition};

use super::Shared;
use super::failure::call;
use crate::seam::{Admin, Call, CommittedOffset, NewTopic, OffsetSpec, OpenTransaction, TopicMetadata};

/// Every request is done when its call returns.
pub(super) struct EmbeddedAdmin {
    shared: Arc<Shared>,
}

impl EmbeddedAdmin {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Admin for EmbeddedAdmin {
    fn topics(&mut self, names: &[Arc<str>]) -> Call<Vec<Option<TopicMetadata>>> {
        Call::done(self.shared.request(|broker| names.iter().map(|name| broker.metadata(name)).collect()))
    }

    fn list_topics(&mut self) -> Call<Vec<TopicMetadata>> {
        Call::done(self.shared.request(|broker| broker.list_topics()))
    }

    fn create_topics(&mut self, topics: &[NewTopic]) -> Call<()> {
        call(self.shared.request(|broker| broker.create_topics(topics)))
    }

    fn delete_topics(&mut self, names: &[Arc<str>]) -> Call<()> {
        call(self.shared.request(|broker| broker.delete_topics(names)))
    }

    fn delete_records(&mut self, before: &[(TopicPartition, Offset)]) -> Call<()> {
        let before: Vec<_> = before.iter().map(|(partition, offset)| (partition.clone(), offset.0)).collect();
        call(self.shared.request(|broker| broker.delete_records(&before)))
    }

    fn offsets(&mut self, partitions: &[TopicPartition], spec: OffsetSpec) -> Call<Vec<Offset>> {
        call(
            self.shared.request(|broker| {
                partitions.iter().map(|partition| broker.offset(partition, spec).map(Offset)).collect()
            }),
        )
    }

    fn open_transactions(&mut self, partitions: &[TopicPartition]) -> Call<Vec<Vec<OpenTransaction>>> {
        Call::done(
            self.shared
                .request(|broker| partitions.iter().map(|partition| broker.open_transactions(partition)).collect()),
        )
    }

    /// A transaction's offsets are applied when it commits, so what is there is always stable.
    fn committed(&mut self, group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        Call::done(self.shared.request(|broker| {
            let group = broker.groups.get(group);
            partitions.iter().map(|partition| group?.offsets.get(partition).cloned()).collect()
        }))
    }

    /// The newest member's topology counts here, so there is nothing to forget.
    fn renew_group(&mut self, group: &str) -> Call<usize> {
        Call::done(self.shared.request(|broker| broker.groups.get(group).map_or(0, |group| group.offsets.len())))
    }
}
