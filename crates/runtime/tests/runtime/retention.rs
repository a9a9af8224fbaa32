//! Old events are processed into stores whose changelogs forget old records.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_topology::{StreamsBuilder, TimeWindows};
use millstream_types::ProcessingGuarantee;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::*;

/// Keeps the warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
        write!(self.0, "{value:?} ").unwrap();
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// What is warned of while records of this age are counted in windows.
fn warnings(age_ms: i64, additional_retention_ms: &str) -> Vec<String> {
    let builder = StreamsBuilder::new();
    let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(10)).unwrap();
    builder.stream::<String, String>("in").group_by_key().windowed_by(windows).count();
    let config = config(ProcessingGuarantee::ExactlyOnceV2)
        .set("windowstore.changelog.additional.retention.ms", additional_retention_ms)
        .build()
        .unwrap();
    let warnings = Warnings::default();
    tracing::subscriber::with_default(warnings.clone(), || {
        let mut world = World::new(&[("in", 1)]);
        let mut app = App::new(&world, &builder.build().unwrap(), &config, disk());
        let time = world.now.wall_ms - age_ms;
        world.produce("in", 0, &[("k", "x", time), ("j", "x", time + 1)]);
        world.settle(&mut [&mut app]);
        world.produce("in", 0, &[("k", "x", time + 2)]);
        world.settle(&mut [&mut app]);
        app.assert_running();
        app.close(&mut world);
    });
    let warnings = warnings.0.lock().unwrap();
    warnings.iter().filter(|line| line.contains("retention")).cloned().collect()
}

#[test]
fn old_windows_in_a_changelog_that_forgets_them_are_warned_of_once() {
    const DAY_MS: i64 = 86_400_000;
    let told = warnings(9 * DAY_MS, "86400000");
    assert_eq!(told.len(), 1, "{told:?}");
    for part in ["app-KSTREAM-AGGREGATE-STATE-STORE-0000000001-changelog", "9 days", "windowstore.changelog.additional"]
    {
        assert!(told[0].contains(part), "{told:?}");
    }
    assert_eq!(warnings(9 * DAY_MS, "864000000"), [""; 0]);
    assert_eq!(warnings(DAY_MS / 2, "86400000"), [""; 0]);
}
