//! Settings of a group, which the brokers keep.

use std::sync::Arc;

use millstream_log::Failure;

use super::operation::{Asked, Step};
use crate::client::{Client, CoordinatorKind};
use crate::failure::{refused, retriable};
use crate::protocol::ErrorCode;
use crate::protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use crate::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

/// `ConfigResource.Type.GROUP`.
const GROUP: i8 = 32;
/// `AlterConfigOp.OpType.SET`.
const SET: i8 = 0;
/// Pause before the coordinator is asked again whether it has heard of what was written, in ms.
const NEWS_PAUSE_MS: i64 = 10;

/// Writes settings of a group, unless they are in effect. Over when the group's coordinator tells them: who joins
/// before that is treated by the old ones.
pub(super) struct ConfigureGroup {
    group: Arc<str>,
    settings: Vec<(String, String)>,
    state: State,
    describe: Asked<DescribeConfigsRequest>,
    alter: Asked<IncrementalAlterConfigsRequest>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Asks what is in effect.
    Looking,
    Writing,
    /// Has written, and looks again at this time, in ms.
    Waiting(i64),
}

impl ConfigureGroup {
    pub(super) fn new(group: &str, settings: &[(String, String)]) -> Self {
        Self {
            group: group.into(),
            settings: settings.to_vec(),
            state: State::Looking,
            describe: Asked::default(),
            alter: Asked::default(),
        }
    }

    /// Whether the coordinator tells all settings as they are to be.
    fn are_in_effect(&mut self, client: &mut Client) -> Option<Result<bool, Failure>> {
        let (group, settings) = (&self.group, &self.settings);
        let what = format!("asking for the settings of group {group}");
        let request = || DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: GROUP,
                resource_name: group.to_string(),
                configuration_keys: Some(settings.iter().map(|(name, _)| name.clone()).collect()),
            }],
            ..DescribeConfigsRequest::default()
        };
        let coordinator = |client: &mut Client| client.coordinator(CoordinatorKind::Group, group);
        let answer = match self.describe.answer(client, &what, false, coordinator, request) {
            None => return client.coordinator_failure(CoordinatorKind::Group, group).map(Err),
            Some(Ok(answer)) => answer,
            Some(Err(failure)) => {
                client.forget_coordinator(CoordinatorKind::Group, group);
                return Some(Err(failure));
            }
        };
        let Some(result) = answer.results.first().filter(|result| *result.resource_name == **group) else {
            return Some(Err(retriable(format!("{what}: the broker's answer leaves it out"))));
        };
        if let Err(code) = ErrorCode::check(result.error_code) {
            return Some(Err(refused(&what, code, result.error_message.as_deref())));
        }
        let is_told = |name: &str, value: &str| {
            result.configs.iter().any(|config| config.name == name && config.value.as_deref() == Some(value))
        };
        Some(Ok(settings.iter().all(|(name, value)| is_told(name, value))))
    }

    fn write(&mut self, client: &mut Client) -> Option<Result<(), Failure>> {
        let (group, settings) = (&self.group, &self.settings);
        let what = format!("setting {} of group {group}", shown(settings));
        let request = || IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: GROUP,
                resource_name: group.to_string(),
                configs: settings
                    .iter()
                    .map(|(name, value)| AlterableConfig {
                        name: name.clone(),
                        config_operation: SET,
                        value: Some(value.clone()),
                    })
                    .collect(),
            }],
            validate_only: false,
        };
        let any = |client: &mut Client| Some(client.any_node());
        // Writing it again would change nothing: it may be asked for again.
        let answer = match self.alter.answer(client, &what, false, any, request)? {
            Ok(answer) => answer,
            Err(failure) => return Some(Err(failure)),
        };
        let Some(result) = answer.responses.first().filter(|result| *result.resource_name == **group) else {
            return Some(Err(retriable(format!("{what}: the broker's answer leaves it out"))));
        };
        let checked = ErrorCode::check(result.error_code);
        Some(checked.map_err(|code| refused(&what, code, result.error_message.as_deref())))
    }
}

impl Step<()> for ConfigureGroup {
    fn turn(&mut self, client: &mut Client) -> Option<Result<(), Failure>> {
        loop {
            match self.state {
                State::Waiting(until) if client.now().mono_ms() < until => return None,
                State::Looking | State::Waiting(_) => match self.are_in_effect(client)? {
                    Ok(true) => return Some(Ok(())),
                    Ok(false) if self.state == State::Looking => self.state = State::Writing,
                    Ok(false) => self.state = State::Waiting(client.now().mono_ms() + NEWS_PAUSE_MS),
                    Err(failure) => return Some(Err(failure)),
                },
                State::Writing => match self.write(client)? {
                    Ok(()) => self.state = State::Waiting(i64::MIN),
                    Err(failure) => return Some(Err(failure)),
                },
            }
        }
    }

    fn restart(&mut self) {
        (self.describe, self.alter, self.state) = (Asked::default(), Asked::default(), State::Looking);
    }

    fn due_ms(&self) -> i64 {
        if let State::Waiting(until) = self.state { until } else { i64::MAX }
    }
}

/// Settings for people.
fn shown(settings: &[(String, String)]) -> String {
    settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}
