//! Settings and names as people write them.

use millstream_topology::graph::TopicPattern;
use millstream_types::config::{Bootstrap, HostPort};
use millstream_types::{Config, ConfigBuilder, TaskId};

use super::Target;

const RIGHT: &str = "application.id = app\n# so\nbootstrap.servers=a:1, [::1]:2 \\\n ,c:3\nbootstrap.servers:memory:\n\
                     processing.guarantee exactly_once_v2\nmain.consumer.fetch.min.bytes=5\ncommit.interval.ms=\\u0031\n";

/// What is committed with an offset: any member of the group may have written it.
pub(super) fn commit_metadata() -> Target {
    let run = |bytes: &[u8]| millstream_runtime::fuzzing::commit_metadata(&String::from_utf8_lossy(bytes));
    let texts = ["AgAAAAAAAAfQ", "AgAAAAAAAOpgAAAAAQAAAA53aW5jbG9zZS1jb3VudAAAAAAAAOpg", "AQAAAAAAAAfQ"];
    let right = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    Target { name: "commit-metadata", right, run, memory_max: 4 << 20 }
}

pub(super) fn settings() -> Target {
    let run = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let is_name =
            text.parse::<TaskId>().is_ok() || text.parse::<HostPort>().is_ok() || text.parse::<Bootstrap>().is_ok();
        let is_pattern = TopicPattern::parse(&text).is_ok();
        let properties = Config::from_properties_str(&text);
        let config = properties.and_then(ConfigBuilder::build).map(|config| config.to_properties());
        config.is_ok() || is_name || is_pattern
    };
    let right = vec![RIGHT.as_bytes().to_vec(), b"0_1".to_vec(), b"embedded:dir".to_vec(), b"a.*|b[0-9]{1,3}".to_vec()];
    Target { name: "settings", right, run, memory_max: 64 << 20 }
}
