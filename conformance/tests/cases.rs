//! All recorded cases give what Kafka Streams gave, `describe()` included.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use millstream_conformance::{Verdict, compare, run};
use serde_json::Value as Json;

/// A family of cases: its name, the cases and what Kafka Streams gave, line for line.
macro_rules! families {
    ($($name:ident),+) => {
        const FAMILIES: &[&str] = &[$(stringify!($name)),+];
        $(
            #[test]
            fn $name() {
                check(
                    include_str!(concat!("../cases/", stringify!($name), ".jsonl")),
                    include_str!(concat!("../cases/", stringify!($name), ".expect.jsonl")),
                );
            }
        )+
    };
}

families!(
    found, generated, aggregate, cogroup, sessions, driver, errors, joins, mixed, naming, optimise, processors, query,
    stateless, suppress, tables, time, versioned, windows
);

#[track_caller]
fn check(cases: &str, expected: &str) {
    silence_functions();
    assert_eq!(cases.lines().count(), expected.lines().count(), "every case has its expectation");
    let differences: Vec<String> =
        cases.lines().zip(expected.lines()).filter_map(|(case, expected)| difference(case, expected)).collect();
    assert!(differences.is_empty(), "{} cases differ:\n\n{}", differences.len(), differences.join("\n\n"));
}

/// Functions of the catalogue that throw do so by panicking with a text that says so: no news here.
fn silence_functions() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<String>();
            if !text.is_some_and(|text| text.starts_with("Boom")) {
                hook(panic);
            }
        }));
    });
}

fn difference(case: &str, expected: &str) -> Option<String> {
    let expected: Json = serde_json::from_str(expected).unwrap();
    let result = run(case);
    assert_eq!(result["id"], expected["id"]);
    let text = match compare(&expected, &result) {
        Verdict::Equal => return None,
        Verdict::Differs(text) => text,
        Verdict::Unsupported(what) => format!("no longer supported: {what}"),
        Verdict::Quirk(what) | Verdict::Invalid(what) => format!("no case to record: {what}"),
    };
    let case: Json = serde_json::from_str(case).unwrap();
    let why = case["why"].as_str().unwrap_or("generated");
    Some(format!("{} ({why})\n  {text}", case["id"].as_str().unwrap_or_default()))
}

#[test]
fn every_recorded_family_is_run() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    #[expect(clippy::disallowed_methods, reason = "a test looks at which files there are")]
    let files = std::fs::read_dir(folder).unwrap();
    for file in files {
        let name = file.unwrap().file_name().into_string().unwrap();
        let family = name.split('.').next().unwrap();
        assert!(FAMILIES.contains(&family), "{name} is in no test");
    }
}

#[test]
fn a_wrong_result_is_told() {
    let case = include_str!("../cases/stateless.jsonl").lines().next().unwrap();
    let mut wrong: Json =
        serde_json::from_str(include_str!("../cases/stateless.expect.jsonl").lines().next().unwrap()).unwrap();
    wrong["outputs"]["nowhere"] = serde_json::json!([{"s": 0, "k": "a", "v": 1, "t": 0}]);
    let verdict = compare(&wrong, &run(case));
    assert!(matches!(&verdict, Verdict::Differs(text) if text.contains("nowhere")), "{verdict:?}");
}

#[test]
fn what_is_not_known_is_unsupported() {
    let case = r#"{"id":"x","config":{},"topics":{},"topology":[{"op":"teleport"}],"steps":[]}"#;
    assert_eq!(run(case), serde_json::json!({"id": "x", "unsupported": "teleport"}));
    assert!(run("{").get("bad").is_some());
}
