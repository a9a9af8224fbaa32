//! Calls about topics.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::{Failure, FailureKind, NewTopic, OffsetSpec, TopicMetadata};
use millstream_types::TopicPartition;

use super::agreement::{Agreement, Expected};
use super::offsets::ListOffsets;
use super::operation::{Asked, Step};
use crate::client::Client;
use crate::failure::{fatal, refused, retriable};
use crate::protocol::ErrorCode;
use crate::protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use crate::protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use crate::protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use crate::protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};

/// `ConfigResource.Type.TOPIC`.
const TOPIC: i8 = 2;
/// `DescribeConfigsResponse.ConfigSource.TOPIC_CONFIG`: given for this topic.
const TOPIC_CONFIG: i8 = 1;
/// Settings that say how long records last: told as they are in effect, wherever they come from.
const EFFECTIVE: [&str; 5] =
    ["cleanup.policy", "delete.retention.ms", "min.compaction.lag.ms", "retention.bytes", "retention.ms"];
/// How long there may be fewer brokers than replicas: one that is restarted is missing for so long, in ms.
const REPLICAS_PATIENCE_MS: i64 = 30_000;
/// Pause before the leaders of new partitions are asked again, in ms: they make them within that order.
const LEADERS_PAUSE_MS: i64 = 10;
/// How long a broker may take to create or delete, in ms.
const CREATE_TIMEOUT_MS: i32 = 30_000;

/// Metadata and settings of some topics.
pub(super) struct Topics {
    names: Vec<Arc<str>>,
    metadata: Asked<MetadataRequest>,
    configs: Asked<DescribeConfigsRequest>,
    found: Option<Vec<Option<TopicMetadata>>>,
}

impl Topics {
    pub(super) fn new(names: Vec<Arc<str>>) -> Self {
        Self { names, metadata: Asked::default(), configs: Asked::default(), found: None }
    }

    fn find(&mut self, client: &mut Client) -> Option<Result<Vec<Option<TopicMetadata>>, Failure>> {
        let names = &self.names;
        let topic = |name: &Arc<str>| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
        let request = || MetadataRequest {
            topics: Some(names.iter().map(topic).collect()),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let any = |client: &mut Client| Some(client.any_node());
        let answer = self.metadata.answer(client, "asking for topics", false, any, request)?;
        let answer = match answer.and_then(|answer| whole(client, "asking for topics", answer)) {
            Ok(answer) => answer,
            Err(failure) => return Some(Err(failure)),
        };
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let topic = answer.topics.iter().find(|topic| topic.name.as_deref() == Some(&**name));
            match topic.map(|topic| (topic, ErrorCode(topic.error_code))) {
                Some((topic, ErrorCode::NONE)) => found.push(Some(described(topic))),
                Some((_, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID)) => found.push(None),
                None => {
                    let message = format!("asking for topic {name}: the broker's answer leaves it out");
                    return Some(Err(retriable(message)));
                }
                Some((_, code)) => return Some(Err(refused(&format!("asking for topic {name}"), code, None))),
            }
        }
        Some(Ok(found))
    }

    fn configure(&mut self, client: &mut Client, found: &mut [Option<TopicMetadata>]) -> Option<Result<(), Failure>> {
        let existing: Vec<Arc<str>> = found.iter().flatten().map(|topic| Arc::clone(&topic.name)).collect();
        if existing.is_empty() {
            return Some(Ok(()));
        }
        let resource = |name: &Arc<str>| DescribeConfigsResource {
            resource_type: TOPIC,
            resource_name: name.to_string(),
            configuration_keys: None,
        };
        let request = || DescribeConfigsRequest {
            resources: existing.iter().map(resource).collect(),
            ..DescribeConfigsRequest::default()
        };
        let any = |client: &mut Client| Some(client.any_node());
        let answer = match self.configs.answer(client, "asking for settings of topics", false, any, request)? {
            Ok(answer) => answer,
            Err(failure) => return Some(Err(failure)),
        };
        let mut unread = Vec::new();
        for topic in found.iter_mut().flatten() {
            let what = format!("asking for settings of topic {}", topic.name);
            let Some(result) = answer.results.iter().find(|result| *result.resource_name == *topic.name) else {
                return Some(Err(retriable(format!("{what}: the broker's answer leaves it out"))));
            };
            match ErrorCode::check(result.error_code) {
                Ok(()) => {}
                // Kafka Streams does not ask, so the right may be missing where it ran.
                Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
                    unread.push(Arc::clone(&topic.name));
                    continue;
                }
                Err(code) => return Some(Err(refused(&what, code, result.error_message.as_deref()))),
            }
            let is_told = |name: &str, source: i8| source == TOPIC_CONFIG || EFFECTIVE.contains(&name);
            let given = result.configs.iter().filter(|config| is_told(&config.name, config.config_source));
            topic.configs =
                given.map(|config| (config.name.clone(), config.value.clone().unwrap_or_default())).collect();
            topic.configs.sort();
        }
        client.warn_of_unread_settings(unread);
        Some(Ok(()))
    }
}

impl Step<Vec<Option<TopicMetadata>>> for Topics {
    fn turn(&mut self, client: &mut Client) -> Option<Result<Vec<Option<TopicMetadata>>, Failure>> {
        let mut found = match self.found.take() {
            Some(found) => found,
            None => match self.find(client)? {
                Ok(found) => found,
                Err(failure) => return Some(Err(failure)),
            },
        };
        match self.configure(client, &mut found) {
            None => {
                self.found = Some(found);
                None
            }
            Some(result) => Some(result.map(|()| found)),
        }
    }

    fn restart(&mut self) {
        *self = Self::new(std::mem::take(&mut self.names));
    }
}

/// Metadata, unless the broker refuses to tell any: then it has no topics, which says nothing of them. The client
/// asks by itself whom to ask instead.
fn whole(client: &mut Client, what: &str, answer: MetadataResponse) -> Result<MetadataResponse, Failure> {
    let Err(code) = ErrorCode::check(answer.error_code) else { return Ok(answer) };
    client.refresh_metadata();
    Err(retriable(format!("{what}: the broker answers {code}")))
}

fn described(topic: &MetadataResponseTopic) -> TopicMetadata {
    TopicMetadata {
        name: topic.name.as_deref().unwrap_or_default().into(),
        id: topic.topic_id,
        partitions: topic.partitions.len() as i32,
        configs: Vec::new(),
    }
}

/// All topics, without their settings.
#[derive(Default)]
pub(super) struct ListTopics {
    metadata: Asked<MetadataRequest>,
}

impl Step<Vec<TopicMetadata>> for ListTopics {
    fn turn(&mut self, client: &mut Client) -> Option<Result<Vec<TopicMetadata>, Failure>> {
        let any = |client: &mut Client| Some(client.any_node());
        let request = || MetadataRequest { topics: None, allow_auto_topic_creation: false, ..Default::default() };
        let answer = self.metadata.answer(client, "listing topics", false, any, request)?;
        Some(answer.and_then(|answer| whole(client, "listing topics", answer)).map(|answer| {
            let existing = answer.topics.iter().filter(|topic| topic.error_code == 0 && !topic.is_internal);
            let mut topics: Vec<TopicMetadata> = existing.map(described).collect();
            topics.sort_by(|left, right| left.name.cmp(&right.name));
            topics
        }))
    }

    fn restart(&mut self) {
        *self = Self::default();
    }
}

/// Creates topics, and looks at those that exist already. Over when their leaders answer: who joins a group before
/// that may be told that its topics are missing, and then waits for the group's next assignment.
pub(super) struct CreateTopics {
    topics: Vec<NewTopic>,
    create: Asked<CreateTopicsRequest>,
    /// Once all were created or existed.
    agreement: Option<Agreement>,
    existing: Topics,
    /// What is asked of the leaders once all exist.
    leaders: Option<ListOffsets>,
    /// When to ask them again, in ms.
    again_ms: Option<i64>,
    /// Since when brokers are missing for the replicas, in ms.
    short_since: Option<i64>,
}

impl CreateTopics {
    pub(super) fn new(topics: Vec<NewTopic>) -> Self {
        let names = topics.iter().map(|topic| Arc::clone(&topic.name)).collect();
        Self {
            topics,
            create: Asked::default(),
            agreement: None,
            existing: Topics::new(names),
            leaders: None,
            again_ms: None,
            short_since: None,
        }
    }

    fn create(&mut self, client: &mut Client) -> Option<Result<(), Failure>> {
        let topics = &self.topics;
        let topic = |topic: &NewTopic| CreatableTopic {
            name: topic.name.to_string(),
            num_partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            configs: topic
                .configs
                .iter()
                .map(|(name, value)| CreatableTopicConfig { name: name.clone(), value: Some(value.clone()) })
                .collect(),
            ..CreatableTopic::default()
        };
        let request = || CreateTopicsRequest {
            topics: topics.iter().map(topic).collect(),
            timeout_ms: CREATE_TIMEOUT_MS,
            validate_only: false,
        };
        // Creating twice is harmless: what exists is looked at.
        let controller = |client: &mut Client| Some(client.controller());
        let answer = self.create.answer(client, "creating topics", false, controller, request)?;
        Some(answer.and_then(|answer| {
            let codes = answer.topics.iter().map(|topic| (&topic.name, topic.error_code, &topic.error_message));
            let outcome = check(client, "creating", codes, ErrorCode::TOPIC_ALREADY_EXISTS);
            let code = ErrorCode::INVALID_REPLICATION_FACTOR.0;
            let (now_ms, is_short) =
                (client.now().mono_ms(), answer.topics.iter().any(|topic| topic.error_code == code));
            if is_short && now_ms - *self.short_since.get_or_insert(now_ms) < REPLICAS_PATIENCE_MS {
                return outcome.map_err(|failure| retriable(failure.error.message()));
            }
            outcome?;
            complete("creating topics", topics.len(), answer.topics.len())
        }))
    }

    /// Compares what exists with what was to be created.
    fn compare(&self, found: &[Option<TopicMetadata>]) -> Result<(), Failure> {
        for (wanted, found) in self.topics.iter().zip(found) {
            let Some(found) = found else {
                return Err(retriable(format!("topic {} is being created", wanted.name)));
            };
            if found.partitions != wanted.partitions && wanted.partitions > 0 {
                return Err(fatal(format!(
                    "topic {} exists with {} partitions instead of {}",
                    wanted.name, found.partitions, wanted.partitions
                )));
            }
        }
        Ok(())
    }
}

impl Step<()> for CreateTopics {
    fn turn(&mut self, client: &mut Client) -> Option<Result<(), Failure>> {
        if self.topics.is_empty() {
            return Some(Ok(()));
        }
        if self.agreement.is_none() {
            if let Err(failure) = self.create(client)? {
                return Some(Err(failure));
            }
            let names = self.topics.iter().map(|topic| (Arc::clone(&topic.name), Expected::Exists));
            self.agreement = Some(Agreement::new(names.collect()));
        }
        if let Some(agreement) = &mut self.agreement
            && let Err(failure) = agreement.turn(client)?
        {
            return Some(Err(failure));
        }
        if self.leaders.is_none() {
            let found = self.existing.turn(client)?;
            match found.and_then(|found| self.compare(&found).map(|()| partitions(&found))) {
                Ok(partitions) => self.leaders = Some(ListOffsets::new(partitions, OffsetSpec::Start)),
                Err(failure) => return Some(Err(failure)),
            }
        }
        let leaders = self.leaders.as_mut()?;
        let now_ms = client.now().mono_ms();
        if self.again_ms.is_some_and(|again_ms| now_ms < again_ms) {
            return None;
        }
        self.again_ms = None;
        match leaders.turn(client)? {
            Err(failure) if failure.kind == FailureKind::Retriable => {
                leaders.restart();
                self.again_ms = Some(now_ms + LEADERS_PAUSE_MS);
                None
            }
            // Who may create and not ask is done, too.
            Ok(_) | Err(_) => Some(Ok(())),
        }
    }

    fn due_ms(&self) -> i64 {
        self.again_ms.unwrap_or(i64::MAX)
    }

    fn restart(&mut self) {
        // What was created once is not created again: it may be deleted meanwhile.
        self.create = Asked::default();
        self.existing.restart();
        if let Some(agreement) = &mut self.agreement {
            agreement.restart();
        }
    }
}

/// All partitions of topics.
fn partitions(topics: &[Option<TopicMetadata>]) -> Vec<TopicPartition> {
    let of = |topic: &TopicMetadata| {
        let name = Arc::clone(&topic.name);
        (0..topic.partitions).map(move |number| TopicPartition::new(Arc::clone(&name), number))
    };
    topics.iter().flatten().flat_map(of).collect()
}

/// The first topic with an error. `harmless`: what was to be done is done already.
fn check<'a>(
    client: &mut Client,
    doing: &str,
    topics: impl Iterator<Item = (&'a String, i16, &'a Option<String>)>,
    harmless: ErrorCode,
) -> Result<(), Failure> {
    for (name, code, message) in topics {
        let code = ErrorCode(code);
        if code == ErrorCode::NOT_CONTROLLER {
            client.refresh_metadata();
        }
        if code != ErrorCode::NONE && code != harmless {
            return Err(refused(&format!("{doing} topic {name}"), code, message.as_deref()));
        }
    }
    Ok(())
}

/// An answer that leaves topics out is no answer.
fn complete(what: &str, asked: usize, answered: usize) -> Result<(), Failure> {
    if answered >= asked { Ok(()) } else { Err(retriable(format!("{what}: the broker's answer leaves topics out"))) }
}

/// Deletes topics; one that does not exist counts as deleted.
pub(super) struct DeleteTopics {
    names: Vec<Arc<str>>,
    delete: Asked<DeleteTopicsRequest>,
    /// Once all are deleted.
    agreement: Option<Agreement>,
}

impl DeleteTopics {
    pub(super) fn new(names: Vec<Arc<str>>) -> Self {
        Self { names, delete: Asked::default(), agreement: None }
    }

    fn delete(&mut self, client: &mut Client) -> Option<Result<Agreement, Failure>> {
        let names = &self.names;
        let topic = |name: &Arc<str>| DeleteTopicState { name: Some(name.to_string()), topic_id: 0 };
        let request =
            || DeleteTopicsRequest { topics: names.iter().map(topic).collect(), timeout_ms: CREATE_TIMEOUT_MS };
        let controller = |client: &mut Client| Some(client.controller());
        let answer = self.delete.answer(client, "deleting topics", false, controller, request)?;
        Some(answer.and_then(|answer| {
            let unnamed = String::new();
            let codes = answer
                .responses
                .iter()
                .map(|topic| (topic.name.as_ref().unwrap_or(&unnamed), topic.error_code, &topic.error_message));
            check(client, "deleting", codes, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            complete("deleting topics", names.len(), answer.responses.len())?;
            let deleted = answer.responses.iter().filter(|topic| topic.error_code == ErrorCode::NONE.0);
            let gone =
                deleted.filter_map(|topic| Some((topic.name.as_deref()?.into(), Expected::Gone(topic.topic_id))));
            Ok(Agreement::new(gone.collect::<BTreeMap<Arc<str>, Expected>>()))
        }))
    }
}

impl Step<()> for DeleteTopics {
    fn turn(&mut self, client: &mut Client) -> Option<Result<(), Failure>> {
        if self.names.is_empty() {
            return Some(Ok(()));
        }
        let mut agreement = match self.agreement.take() {
            Some(agreement) => agreement,
            None => match self.delete(client)? {
                Ok(agreement) => agreement,
                Err(failure) => return Some(Err(failure)),
            },
        };
        let result = agreement.turn(client);
        self.agreement = Some(agreement);
        result
    }

    fn restart(&mut self) {
        // What was deleted once is not deleted again: it may be created anew meanwhile.
        self.delete = Asked::default();
        if let Some(agreement) = &mut self.agreement {
            agreement.restart();
        }
    }
}
