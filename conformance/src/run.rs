//! Runs one case: builds its topology, feeds the steps to the driver, collects the result.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use millstream_testkit::TopologyTestDriver;
use millstream_topology::Topology;
use millstream_types::{Config, Headers, RawRecord, Timestamp};
use serde_json::{Map, Value as Json, json};

use crate::build::{Build, Types};
use crate::errors;
use crate::op::Op;
use crate::stop::{Stop, bad, unsupported};
use crate::stores::Dumped;
use crate::value::{Type, Val, hex, unhex};

/// Runs one case, given as JSON text.
#[must_use]
pub fn run(case: &str) -> Json {
    let case: Json = match serde_json::from_str(case) {
        Ok(case) => case,
        Err(error) => return json!({"bad": format!("not JSON: {error}")}),
    };
    // A panic of ours must not take the cases after this one along.
    let outcome = catch_unwind(AssertUnwindSafe(|| outcome(Op(&case))));
    let mut result = match outcome.unwrap_or_else(|_| Err(bad("the runner panicked"))) {
        Ok(result) => result,
        Err(Stop::Unsupported(what)) => Map::from_iter([("unsupported".to_owned(), json!(what))]),
        Err(Stop::Bad(what)) => Map::from_iter([("bad".to_owned(), json!(what))]),
        Err(Stop::Refused { class, error }) => {
            Map::from_iter([("error".to_owned(), errors::of_refusal(class, &error))])
        }
    };
    if let Some(id) = case.get("id") {
        result.insert("id".to_owned(), id.clone());
    }
    Json::Object(result)
}

fn outcome(case: Op<'_>) -> Result<Map<String, Json>, Stop> {
    let settings = Op(case.field("config").unwrap_or(&Json::Null));
    let config = config(settings)?;
    let mut build = Build::new(&config, case.items("topology"));
    for op in case.items("topology") {
        build.add(Op(op))?;
    }
    let topology = match build.builder.build() {
        Ok(topology) => topology,
        Err(error) => return Err(Stop::Refused { class: errors::of_build(&error), error }),
    };
    if let Some(topic) = settings.optional("errors.dead.letter.queue.topic.name") {
        build.sinks.insert(topic.to_owned(), Types::new(Type::Bytes, Type::Bytes));
    }
    let mut result = Map::new();
    result.insert("describe".to_owned(), json!(canonical(&topology.describe().to_string())));
    if !build.branches.is_empty() {
        result.insert("branches".to_owned(), json!(build.branches));
    }
    let wall = Timestamp(settings.number("wall0", 0));
    match start(&topology, &config, wall) {
        Ok(driver) => {
            let run = Run {
                case,
                build: &build,
                topology: &topology,
                driver,
                prefix: format!("{}-", config.application_id()),
                dead_letters: settings.optional("errors.dead.letter.queue.topic.name"),
                outputs: BTreeMap::new(),
                internal: BTreeMap::new(),
                queries: Vec::new(),
            };
            run.steps(&mut result)?;
        }
        Err(error) => {
            result.insert("error".to_owned(), errors::of_running("driver", &error));
        }
    }
    Ok(result)
}

fn start(topology: &Topology, config: &Config, wall: Timestamp) -> millstream_types::Result<TopologyTestDriver> {
    TopologyTestDriver::with_start(topology, config, wall)
}

/// The configuration of a case; a setting that Millstream does not know yet ends it.
fn config(settings: Op<'_>) -> Result<Config, Stop> {
    let mut builder = Config::builder().application_id("app").bootstrap_servers("memory:");
    for (key, value) in settings.0.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match (key.as_str(), text.as_str()) {
            ("wall0", _) | ("default.dsl.store", "rocks") => {}
            ("default.dsl.store", "memory") => builder = builder.set("dsl.store.suppliers.class", "in_memory"),
            ("default.timestamp.extractor", "logskip") => builder = builder.set(key, "LogAndSkipOnInvalidTimestamp"),
            ("default.timestamp.extractor", "usepart") => {
                builder = builder.set(key, "UsePartitionTimeOnInvalidTimestamp");
            }
            (
                "application.id"
                | "statestore.cache.max.bytes"
                | "processing.guarantee"
                | "default.timestamp.extractor"
                | "deserialization.exception.handler"
                | "processing.exception.handler"
                | "errors.dead.letter.queue.topic.name"
                | "max.task.idle.ms"
                | "topology.optimization"
                | "dsl.store.format"
                | "ensure.explicit.internal.resource.naming",
                text,
            ) => builder = builder.set(key, text),
            (key, text) => return Err(unsupported(format!("config {key}={text}"))),
        }
    }
    builder.build().map_err(|error| bad(format!("configuration: {error}")))
}

/// A running case.
struct Run<'a> {
    case: Op<'a>,
    build: &'a Build,
    topology: &'a Topology,
    driver: TopologyTestDriver,
    /// Prefix of internal topics.
    prefix: String,
    dead_letters: Option<&'a str>,
    outputs: BTreeMap<String, Vec<Json>>,
    internal: BTreeMap<String, u64>,
    queries: Vec<Json>,
}

impl Run<'_> {
    fn steps(mut self, result: &mut Map<String, Json>) -> Result<(), Stop> {
        let mut failure = None;
        self.drain(-1);
        for (step, number) in self.case.items("steps").iter().map(Op).zip(0i64..) {
            self.build.peeked.set_step(number);
            if let Err(error) = self.step(step, number)? {
                failure = Some(errors::of_running(&format!("step:{number}"), &error));
                break;
            }
            self.drain(number);
        }
        if failure.is_none() {
            result.insert("stores".to_owned(), self.stores().all()?);
        }
        result.insert("dropped".to_owned(), json!(self.driver.dropped_records()));
        result.insert("outputs".to_owned(), json!(self.outputs));
        result.insert("internal".to_owned(), json!(self.internal));
        let peeked = self.build.peeked.take();
        if !peeked.is_empty() {
            result.insert("peeked".to_owned(), Json::Array(peeked));
        }
        if !self.queries.is_empty() {
            result.insert("queries".to_owned(), json!(self.queries));
        }
        match self.close() {
            Ok(written) if failure.is_none() && !written.is_empty() => {
                result.insert("closeOutputs".to_owned(), json!(written));
            }
            Ok(_) => {}
            Err(error) => failure = failure.or_else(|| Some(errors::of_running("close", &error))),
        }
        if let Some(failure) = failure {
            result.insert("error".to_owned(), failure);
        }
        Ok(())
    }

    /// Closes the driver; what that has written to the topics of sinks.
    fn close(self) -> millstream_types::Result<BTreeMap<String, Vec<Json>>> {
        let handle = |topic: &String, types: &Types| {
            self.driver.create_output_topic(topic, types.key.serde(), types.value.serde())
        };
        let topics: Vec<_> = self.build.sinks.iter().map(|(name, types)| (name, handle(name, types))).collect();
        self.driver.close()?;
        let mut written = BTreeMap::new();
        for (name, topic) in topics {
            let mut records = Vec::new();
            while !topic.is_empty() {
                let record = topic.read_record()?;
                records.push(json!({
                    "s": -1,
                    "k": record.key.json(),
                    "v": record.value.json(),
                    "t": record.timestamp.map(|time| time.0),
                }));
            }
            if !records.is_empty() {
                written.insert(name.clone(), records);
            }
        }
        Ok(written)
    }

    fn stores(&self) -> Dumped<'_> {
        Dumped {
            driver: &self.driver,
            topology: self.topology,
            globals: &self.build.globals,
            unlisted: &self.build.unlisted,
        }
    }

    fn step(&mut self, step: Op<'_>, number: i64) -> Result<millstream_types::Result<()>, Stop> {
        if let Some(topic) = step.optional("pipe") {
            return self.pipe(topic, step);
        }
        if step.has("wall") {
            let by = u64::try_from(step.number("wall", 0)).map_err(|_| bad("the wall clock goes backwards"))?;
            return Ok(self.driver.advance_wall_clock_time(Duration::from_millis(by)));
        }
        if step.has("query") {
            // A query that fails is recorded and does not stop the case.
            self.queries.push(match self.stores().query(step)? {
                Ok(answer) => json!({"s": number, "r": answer}),
                Err(error) => json!({"s": number, "error": error.to_string()}),
            });
            return Ok(Ok(()));
        }
        Err(bad(format!("step {}", step.0)))
    }

    fn pipe(&mut self, topic: &str, step: Op<'_>) -> Result<millstream_types::Result<()>, Stop> {
        let declared = self.case.field("topics").and_then(|topics| topics.get(topic));
        let declared = Op(declared.ok_or_else(|| bad(format!("topic {topic} is not declared")))?);
        let bytes = |raw: &str, typed: &str, kind: &str| {
            if let Some(text) = step.optional(raw) {
                return unhex(text).map(Some).ok_or_else(|| bad(format!("hex {text}")));
            }
            let of = Type::parse(declared.text(kind)?)?;
            let mut bytes = Vec::new();
            let value = of.read(step.field(typed))?;
            let has_bytes = of.serde().encode(&value, &mut bytes).map_err(|error| bad(error.to_string()))?;
            Ok(has_bytes.then_some(bytes))
        };
        let (key, value) = (bytes("kx", "k", "key")?, bytes("vx", "v", "value")?);
        let mut headers = Headers::new();
        for header in step.items("h") {
            let name = header.get(0).and_then(Json::as_str).ok_or_else(|| bad("a header without name"))?;
            let text = header.get(1).and_then(Json::as_str);
            headers.add(name, text.map(|text| Bytes::copy_from_slice(text.as_bytes())));
        }
        let time = Timestamp(step.number("t", 0));
        Ok(self.driver.pipe_raw(topic, key.as_deref(), value.as_deref(), time, headers))
    }

    /// Takes what was written since the last step.
    fn drain(&mut self, step: i64) {
        for topic in self.driver.produced_topic_names() {
            while let Some(record) = self.driver.read_raw(&topic) {
                let extracted = self.build.extracted.as_ref().filter(|_| !topic.starts_with(&self.prefix));
                let Some(types) = self.build.sinks.get(&topic).or(extracted) else {
                    *self.internal.entry(topic.clone()).or_default() += 1;
                    continue;
                };
                let is_dead_letter = self.dead_letters == Some(topic.as_str());
                self.outputs.entry(topic.clone()).or_default().push(output(step, types, &record, is_dead_letter));
            }
        }
    }
}

fn output(step: i64, types: &Types, record: &RawRecord, is_dead_letter: bool) -> Json {
    let mut output = Map::new();
    output.insert("s".to_owned(), json!(step));
    output.insert("k".to_owned(), decoded(&types.key, record.key.as_deref()));
    output.insert("v".to_owned(), decoded(&types.value, record.value.as_deref()));
    output.insert("t".to_owned(), json!(record.timestamp.0));
    let mut headers = Vec::new();
    let message = record.headers.last("__streams.errors.message").and_then(|header| header.value.as_deref());
    let message = String::from_utf8_lossy(message.unwrap_or_default());
    for header in &record.headers {
        if header.key.contains("message") || header.key.contains("stacktrace") {
            continue;
        }
        let text = header.value.as_ref().map(|value| match std::str::from_utf8(value) {
            Ok(kind) if is_dead_letter && &*header.key == "__streams.errors.exception" => {
                json!(errors::in_dead_letter(kind, &message))
            }
            Ok(text) => json!(text),
            Err(_) => json!({"hex": hex(value)}),
        });
        headers.push(json!([&*header.key, text]));
    }
    if !headers.is_empty() {
        output.insert("h".to_owned(), Json::Array(headers));
    }
    Json::Object(output)
}

fn decoded(of: &Type, bytes: Option<&[u8]>) -> Json {
    let Some(bytes) = bytes else { return Json::Null };
    of.serde().decode(Some(bytes)).as_ref().map_or_else(|_| json!({"hex": hex(bytes)}), Val::json)
}

/// `describe()` as results have it: what stands in brackets is sorted, extractors have no names.
fn canonical(describe: &str) -> String {
    let line = |line: &str| -> String {
        if let Some((before, _)) = line.split_once("(extractor class: ") {
            return format!("{before}(extractor class: *)");
        }
        let parts = line.split_once(": [").and_then(|(before, rest)| {
            let (inside, after) = rest.split_once(']')?;
            before.ends_with("(topics").then_some(()).or(before.ends_with("(stores").then_some(()))?;
            Some((before, inside, after))
        });
        let Some((before, inside, after)) = parts else { return line.to_owned() };
        let mut names: Vec<&str> = inside.split(", ").collect();
        names.sort_unstable();
        format!("{before}: [{}]{after}", names.join(", "))
    };
    describe.split('\n').map(line).collect::<Vec<_>>().join("\n")
}
