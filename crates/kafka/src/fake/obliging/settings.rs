//! Settings of topics, of which there are none, and of groups.

use super::{Reply, RequestHeader, read};
use crate::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
};
use crate::protocol::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};
use crate::protocol::{Reader, Request};

/// What was set, by type and name of whom it was set for.
#[derive(Default)]
pub(super) struct Settings {
    set: Vec<((i8, String), DescribeConfigsResourceResult)>,
}

impl Settings {
    pub(super) fn answer(&mut self, header: &RequestHeader, body: Reader, error_code: i16) -> Reply {
        if header.key == IncrementalAlterConfigsRequest::KEY {
            return self.alter(header, body, error_code);
        }
        let resources = read::<DescribeConfigsRequest>(header, body).resources.into_iter();
        let result = |resource_type, resource_name: String| DescribeConfigsResult {
            configs: self
                .set
                .iter()
                .filter(|((of_type, name), _)| *of_type == resource_type && *name == resource_name)
                .map(|(_, config)| config.clone())
                .collect(),
            resource_name,
            error_code,
            ..Default::default()
        };
        let results = resources.map(|resource| result(resource.resource_type, resource.resource_name)).collect();
        Reply::to::<DescribeConfigsRequest>(header, &DescribeConfigsResponse { results, ..Default::default() })
    }

    fn alter(&mut self, header: &RequestHeader, body: Reader, error_code: i16) -> Reply {
        let mut responses = Vec::new();
        for resource in read::<IncrementalAlterConfigsRequest>(header, body).resources {
            let of = (resource.resource_type, resource.resource_name);
            for config in resource.configs.into_iter().filter(|_| error_code == 0) {
                let told =
                    DescribeConfigsResourceResult { name: config.name, value: config.value, ..Default::default() };
                self.set.push((of.clone(), told));
            }
            let (resource_type, resource_name) = of;
            responses.push(AlterConfigsResourceResponse {
                error_code,
                resource_type,
                resource_name,
                ..Default::default()
            });
        }
        let response = IncrementalAlterConfigsResponse { responses, ..Default::default() };
        Reply::to::<IncrementalAlterConfigsRequest>(header, &response)
    }
}
