//! Differences that are decided: `docs/differences.md` has each with its reason. They are counted
//! apart, so that whatever else differs is seen: a decision explains the members of a result that it
//! is about, and all others must be equal.

use serde_json::{Map, Value as Json};

use crate::{Verdict, compare};

/// Bytes below which a record cache holds so few entries that a scan decides which ones stay.
const TINY_CACHE: i64 = 4096;

/// A decision: its name, where it applies, and what it leaves of a result.
struct Decision {
    name: &'static str,
    applies: fn(&Both<'_>) -> bool,
    /// Takes out of a result what the decision is about.
    hide: fn(&Both<'_>, &mut Map<String, Json>),
}

/// A case with its two results.
struct Both<'a> {
    case: &'a Json,
    text: String,
    expected: &'a Json,
    actual: &'a Json,
}

const DECISIONS: &[Decision] = &[
    Decision {
        name: "a dead letter at a negative time is written at time 0",
        applies: |both| both.fails("Fatal user code error in deserialization error callback"),
        hide: |both, result| keep_steps_before(result, error_step(both.expected)),
    },
    Decision {
        name: "repartitions below merged streams are merged where that is right",
        applies: |both| both.fails("Found a null keyChangingChild node"),
        hide: |_, result| result.clear(),
    },
    Decision {
        name: "repartitions below merged streams are merged where that is right",
        applies: |both| both.has("\"op\":\"merge\"") && both.optimizes("merge.repartition.topics"),
        hide: |_, result| remove(result, &["describe", "internal"]),
    },
    Decision {
        name: "the test driver keeps dead letters of unreadable records under exactly-once",
        applies: |both| both.setting("processing.guarantee") == Some("exactly_once_v2"),
        hide: |both, result| {
            both.dead_letters(result, |letters| {
                letters.retain(|letter| !letter.to_string().contains("errors.SerializationException"));
            });
        },
    },
    Decision {
        name: "a dead letter has key and value, also after a sink has sent a result",
        applies: |both| both.setting("errors.dead.letter.queue.topic.name").is_some(),
        hide: |both, result| hide_content(both, both.expected, result),
    },
    Decision {
        name: "a dead letter of a row that leaves a record cache has no key and value",
        applies: |both| both.setting("errors.dead.letter.queue.topic.name").is_some(),
        hide: |both, result| hide_content(both, both.actual, result),
    },
    Decision {
        name: "sessions with headers are shown without their wrapper",
        applies: |both| both.expected.to_string().contains("?AggregationWithHeaders"),
        hide: |both, result| {
            let wrapped: Vec<bool> = answers(both.expected).map(|answer| answer.to_string().contains("\"?")).collect();
            let mut wrapped = wrapped.into_iter();
            if let Some(answers) = result.get_mut("queries").and_then(Json::as_array_mut) {
                answers.retain(|_| wrapped.next() != Some(true));
            }
        },
    },
    Decision {
        name: "windows and joins of the last time there is",
        applies: |both| both.has("9223372036854775807") && both.has("\"ts\":\"v"),
        hide: |_, result| result.clear(),
    },
    Decision {
        name: "global stores have no record cache",
        applies: |both| both.globals().any(|global| is_cached(global) && is_plain(global)),
        hide: |both, result| {
            both.globals().filter(|global| is_plain(global)).for_each(|op| hide_times(op, both, result));
        },
    },
    Decision {
        name: "global stores have no record cache",
        applies: |both| both.has_tiny_cache() && both.globals().any(is_cached),
        hide: |_, result| result.clear(),
    },
    Decision {
        name: "forwarding to a child that does not exist is fatal",
        applies: |both| both.actual.to_string().contains("unknown downstream node"),
        hide: |both, result| keep_steps_before(result, error_step(both.actual)),
    },
    Decision {
        name: "ranges of keys of sliding windows that are told on close come by time",
        applies: |both| {
            ["\"query\":\"windowRange\"", "\"emit\":\"final\"", "\"sliding\""].iter().all(|text| both.has(text))
        },
        hide: |_, result| {
            let answers = result.get_mut("queries").and_then(Json::as_array_mut).into_iter().flatten();
            for rows in answers.filter_map(|answer| answer.get_mut("r")?.as_array_mut()) {
                rows.sort_by_cached_key(Json::to_string);
            }
        },
    },
    Decision {
        name: "a scan of windows counts as use of what it gives, not of what lies beside",
        applies: |both| both.has_tiny_cache() && both.scans_cached_windows(),
        hide: |_, result| result.clear(),
    },
];

/// The decision that explains a difference, if one does.
pub(super) fn reason(case: &Json, expected: &Json, actual: &Json) -> Option<&'static str> {
    let both = Both { case, text: case.to_string(), expected, actual };
    let explains = |decision: &&Decision| {
        let visible = |result: &Json| {
            let mut result = result.clone();
            if let Some(members) = result.as_object_mut() {
                (decision.hide)(&both, members);
            }
            result
        };
        (decision.applies)(&both) && compare(&visible(expected), &visible(actual)) == Verdict::Equal
    };
    DECISIONS.iter().find(explains).map(|decision| decision.name)
}

impl Both<'_> {
    fn has(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// Whether Kafka Streams fails with such a message.
    fn fails(&self, text: &str) -> bool {
        self.expected.pointer("/error/msg").and_then(Json::as_str).is_some_and(|message| message.contains(text))
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.case.get("config")?.get(name)?.as_str()
    }

    fn optimizes(&self, what: &str) -> bool {
        self.setting("topology.optimization").is_some_and(|how| how == "all" || how.contains(what))
    }

    fn has_tiny_cache(&self) -> bool {
        let bytes = self.case.get("config").and_then(|config| config.get("statestore.cache.max.bytes"));
        bytes.and_then(Json::as_i64).is_some_and(|bytes| (2..TINY_CACHE).contains(&bytes))
    }

    fn operators(&self) -> impl Iterator<Item = &Json> {
        self.case.get("topology").and_then(Json::as_array).into_iter().flatten()
    }

    fn globals(&self) -> impl Iterator<Item = &Json> {
        self.operators().filter(|op| text(op, "/op") == Some("globalTable"))
    }

    /// Whether a store of windows or sessions that may have a record cache is scanned. Tumbling and
    /// hopping windows that are told with each update are not, unless a query does.
    fn scans_cached_windows(&self) -> bool {
        let is_asked = ["\"query\":\"window", "\"query\":\"session", "\"query\":\"findSessions"];
        let is_asked = is_asked.iter().any(|query| self.has(query));
        self.operators().any(|op| match text(op, "/op") {
            Some("windowedBy") => {
                let is_scanned = matches!(text(op, "/window/type"), Some("sliding" | "session"));
                is_asked || is_scanned || text(op, "/emit") == Some("final")
            }
            Some("store") => {
                matches!(text(op, "/kind"), Some("window" | "session")) && op.get("caching") == Some(&Json::Bool(true))
            }
            _ => false,
        })
    }

    fn dead_letters(&self, result: &mut Map<String, Json>, change: impl FnOnce(&mut Vec<Json>)) {
        let topic = self.setting("errors.dead.letter.queue.topic.name").unwrap_or_default();
        let letters = result.get_mut("outputs").and_then(|outputs| outputs.get_mut(topic));
        if let Some(letters) = letters.and_then(Json::as_array_mut) {
            change(letters);
        }
    }
}

fn text<'a>(op: &'a Json, member: &str) -> Option<&'a str> {
    op.pointer(member).and_then(Json::as_str)
}

fn is_plain(global: &Json) -> bool {
    text(global, "/mat/store") == Some("supplierPlain")
}

fn is_cached(global: &Json) -> bool {
    global.pointer("/mat/caching").and_then(Json::as_bool) != Some(false)
}

/// Takes key and value out of the dead letters that have none in one of the results.
fn hide_content(both: &Both<'_>, side: &Json, result: &mut Map<String, Json>) {
    let mut without = Vec::new();
    both.dead_letters(&mut side.as_object().cloned().unwrap_or_default(), |letters| {
        let is_empty = |letter: &Json| letter.get("k") == Some(&Json::Null) && letter.get("v") == Some(&Json::Null);
        without = letters.iter().map(is_empty).collect();
    });
    both.dead_letters(result, |letters| {
        let hidden = letters.iter_mut().zip(&without).filter_map(|(letter, is_empty)| is_empty.then_some(letter));
        for letter in hidden.filter_map(Json::as_object_mut) {
            remove(letter, &["k", "v"]);
        }
    });
}

fn answers(result: &Json) -> impl Iterator<Item = &Json> {
    result.get("queries").and_then(Json::as_array).into_iter().flatten()
}

/// The step at which a result's error came.
fn error_step(result: &Json) -> Option<i64> {
    result.pointer("/error/at")?.as_str()?.strip_prefix("step:")?.parse().ok()
}

/// Leaves of a result what was there before a step.
fn keep_steps_before(result: &mut Map<String, Json>, step: Option<i64>) {
    remove(result, &["error", "stores", "dropped", "internal"]);
    let is_before = |entry: &Json| entry.get("s").and_then(Json::as_i64) < step;
    for list in ["queries", "peeked"] {
        if let Some(entries) = result.get_mut(list).and_then(Json::as_array_mut) {
            entries.retain(is_before);
        }
    }
    let outputs = result.get_mut("outputs").and_then(Json::as_object_mut).into_iter().flatten();
    outputs.filter_map(|(_, topic)| topic.as_array_mut()).for_each(|entries| entries.retain(is_before));
}

fn remove(members: &mut Map<String, Json>, names: &[&str]) {
    for name in names {
        members.remove(*name);
    }
}

/// Takes the times of a global store's rows out of a result.
fn hide_times(global: &Json, both: &Both<'_>, result: &mut Map<String, Json>) {
    let (name, topic) = (text(global, "/mat/name"), text(global, "/topic").unwrap_or_default());
    let is_store = |store: &str| name.map_or_else(|| store.starts_with(&format!("{topic}-")), |name| name == store);
    let stores = result.get_mut("stores").and_then(Json::as_object_mut).into_iter().flatten();
    for (_, store) in stores.filter(|(store, _)| is_store(store)) {
        store.get_mut("entries").into_iter().for_each(without_times);
    }
    let asked = |step: Option<&Json>| {
        let steps = both.case.get("steps")?.as_array()?;
        steps.get(usize::try_from(step?.as_i64()?).ok()?)?.get("store")?.as_str()
    };
    for answer in result.get_mut("queries").and_then(Json::as_array_mut).into_iter().flatten() {
        if asked(answer.get("s")).is_some_and(is_store) {
            answer.get_mut("r").into_iter().for_each(without_times);
        }
    }
}

/// Rows, or one, without their times.
fn without_times(rows: &mut Json) {
    match rows {
        Json::Array(rows) => rows.iter_mut().for_each(without_times),
        Json::Object(row) => remove(row, &["t"]),
        _ => {}
    }
}
