//! Every broker tells of topics what it has heard itself, some a moment later than others. A call that
//! creates or deletes topics is over when all agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::Failure;

use crate::client::{Client, Lane, Node, Ticket};
use crate::failure::retriable;
use crate::protocol::ErrorCode;
use crate::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};

/// How long one broker is waited for, in ms. One that is down misleads nobody.
const TIMEOUT_MS: i64 = 5_000;

/// What all brokers are to tell of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Exists,
    /// That it does not exist, or has another id.
    Gone(u128),
}

/// What is asked of all brokers.
#[derive(Default)]
pub(super) struct Agreement {
    expected: BTreeMap<Arc<str>, Expected>,
    asked: Vec<(i32, Ticket<MetadataRequest>)>,
    has_asked: bool,
    is_reached: bool,
}

impl Agreement {
    pub(super) fn new(expected: BTreeMap<Arc<str>, Expected>) -> Self {
        Self { expected, ..Self::default() }
    }

    /// Asks, waits, compares. A broker that tells otherwise is a retriable failure.
    pub(super) fn turn(&mut self, client: &mut Client) -> Option<Result<(), Failure>> {
        if self.is_reached || self.expected.is_empty() {
            return Some(Ok(()));
        }
        if !self.has_asked {
            self.ask(client);
        }
        if !self.has_asked {
            return None;
        }
        let mut result = Ok(());
        let expected = &self.expected;
        self.asked.retain(|(broker, ticket)| match ticket.take() {
            None => true,
            Some(Ok(answer)) => {
                if let Some(topic) = disagreement(expected, &answer) {
                    result =
                        Err(retriable(format!("broker {broker} has not heard of the change of topic {topic} yet")));
                }
                false
            }
            Some(Err(_)) => false,
        });
        if result.is_err() {
            self.restart();
            return Some(result);
        }
        self.is_reached = self.asked.is_empty();
        self.is_reached.then_some(result)
    }

    pub(super) fn restart(&mut self) {
        self.asked.clear();
        self.has_asked = false;
    }

    fn ask(&mut self, client: &mut Client) {
        let topic = |name: &Arc<str>| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
        let brokers: Vec<i32> = client.cluster().brokers().keys().copied().collect();
        self.has_asked = !brokers.is_empty();
        for broker in brokers {
            let topics = Some(self.expected.keys().map(topic).collect());
            let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
            let ticket = client.send_with_timeout(Node::Broker(broker, Lane::CONTROL), request, TIMEOUT_MS);
            self.asked.push((broker, ticket));
        }
    }
}

/// A topic of which a broker tells otherwise.
fn disagreement<'a>(expected: &'a BTreeMap<Arc<str>, Expected>, answer: &MetadataResponse) -> Option<&'a Arc<str>> {
    let told = |name: &str| answer.topics.iter().find(|topic| topic.name.as_deref() == Some(name));
    let is_met = |name: &Arc<str>, expected: Expected| match (expected, told(name)) {
        (Expected::Exists, topic) => topic.is_some_and(|topic| topic.error_code == ErrorCode::NONE.0),
        (Expected::Gone(_), None) => true,
        (Expected::Gone(id), Some(topic)) => topic.error_code != ErrorCode::NONE.0 || topic.topic_id != id,
    };
    expected.iter().find(|(name, expected)| !is_met(name, **expected)).map(|(name, _)| name)
}
