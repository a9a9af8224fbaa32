//! Open transactions of partitions, as their leaders tell them.

use std::collections::BTreeMap;

use millstream_log::{Failure, OpenTransaction};
use millstream_types::{Offset, TopicPartition};

use super::offsets::{Leaders, partition_error};
use super::operation::Step;
use crate::by_topic::by_topic;
use crate::client::Client;
use crate::protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};

/// The open transactions of some partitions.
pub(super) struct OpenTransactions {
    partitions: Vec<(TopicPartition, ())>,
    found: BTreeMap<TopicPartition, Vec<OpenTransaction>>,
    asked: Leaders<DescribeProducersRequest>,
}

impl OpenTransactions {
    pub(super) fn new(partitions: Vec<TopicPartition>) -> Self {
        let partitions = partitions.into_iter().map(|partition| (partition, ())).collect();
        Self { partitions, found: BTreeMap::new(), asked: Leaders::default() }
    }
}

impl Step<Vec<Vec<OpenTransaction>>> for OpenTransactions {
    fn turn(&mut self, client: &mut Client) -> Option<Result<Vec<Vec<OpenTransaction>>, Failure>> {
        if self.partitions.is_empty() {
            return Some(Ok(Vec::new()));
        }
        let request = |partitions| DescribeProducersRequest {
            topics: by_topic(partitions)
                .into_iter()
                .map(|(name, partitions)| TopicRequest {
                    name: name.to_string(),
                    partition_indexes: partitions.into_iter().map(|(partition, ())| partition).collect(),
                })
                .collect(),
        };
        let found = &mut self.found;
        let answer = self.asked.turn(client, "asking for producers", &self.partitions, request, |client, answer| {
            let mut named = Vec::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    let at = partition.partition_index;
                    partition_error(client, "asking for producers of", &topic.name, at, partition.error_code)?;
                    let open =
                        partition.active_producers.iter().filter(|producer| producer.current_txn_start_offset >= 0);
                    let open = open.map(|producer| OpenTransaction {
                        producer_id: producer.producer_id,
                        producer_epoch: producer.producer_epoch,
                        start: Offset(producer.current_txn_start_offset),
                        last_timestamp_ms: producer.last_timestamp,
                    });
                    let name = TopicPartition::new(topic.name.as_str(), at);
                    found.insert(name.clone(), open.collect());
                    named.push(name);
                }
            }
            Ok(named)
        })?;
        let open = |(partition, ()): &(TopicPartition, ())| self.found.remove(partition).unwrap_or_default();
        Some(answer.map(|()| self.partitions.iter().map(open).collect()))
    }

    fn restart(&mut self) {
        self.found.clear();
        self.asked = Leaders::default();
    }
}
