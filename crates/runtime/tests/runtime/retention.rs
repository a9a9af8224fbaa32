//! Old events are processed into stores whose changelogs forget old records.

use std::time::Duration;

use millstream_topology::{StreamsBuilder, TimeWindows};
use millstream_types::ProcessingGuarantee;

use crate::support::*;
use crate::warnings::warned;

/// What is warned of while records of this age are counted in windows.
fn warnings(age_ms: i64, additional_retention_ms: &str) -> Vec<String> {
    let builder = StreamsBuilder::new();
    let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(10)).unwrap();
    builder.stream::<String, String>("in").group_by_key().windowed_by(windows).count();
    let config = config(ProcessingGuarantee::ExactlyOnceV2)
        .set("windowstore.changelog.additional.retention.ms", additional_retention_ms)
        .build()
        .unwrap();
    let warnings = warned(|| {
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
    warnings.into_iter().filter(|line| line.contains("retention")).collect()
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
