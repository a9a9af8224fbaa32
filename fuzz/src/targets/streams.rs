//! Records of an application's own topics: the two of a foreign-key join, repartition topics with both
//! sides of a change, and inputs. A topology that has them all reads them.
//!
//! ```text
//! input   record*
//! record  topic (1) | key, value: length (1), 255 for null, bytes | timestamp (8)
//! ```

use std::time::Duration;

use millstream_testkit::TopologyTestDriver;
use millstream_topology::{BufferConfig, StreamsBuilder, Suppressed, TimeWindows, Topology};
use millstream_types::{Config, Headers, Result, Timestamp};

use super::Target;
use crate::input::{Input, put};

pub(super) fn topics() -> Target {
    Target { name: "topics", right: vec![right()], run, memory_max: 48 << 20 }
}

fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let orders = builder.table::<String, i64>("orders");
    let customers = builder.table::<i64, String>("customers");
    let bills = orders.left_join_on_foreign_key(
        &customers,
        |id| *id,
        |_, name: Option<&String>| name.cloned().unwrap_or_default(),
    );
    bills.to_stream().to("bills");
    let sums = orders.group_by(|key, id| (*id, key.clone())).count();
    sums.to_stream().to("sums");
    let minutes = TimeWindows::of_size_and_grace(Duration::from_secs(60), Duration::from_secs(5))?;
    let counted = builder.stream::<String, i64>("clicks").group_by(|_, id| *id).windowed_by(minutes).count();
    counted.suppress(Suppressed::until_window_closes(BufferConfig::unbounded())).to_stream().to("counts");
    builder.build()
}

fn driver() -> Result<TopologyTestDriver> {
    let config = Config::builder()
        .application_id("app")
        .bootstrap_servers("memory:")
        .set("deserialization.exception.handler", "LogAndContinueExceptionHandler");
    TopologyTestDriver::with_start(topology()?, config.build()?, Timestamp(0))
}

/// Every topic that the topology reads, by its full name.
fn names() -> Vec<String> {
    let described = topology().map(|topology| topology.describe().to_string()).unwrap_or_default();
    let sources = described.split("topics: [").skip(1).filter_map(|rest| rest.split(']').next());
    let full = |name: &str| if name.contains('-') { format!("app-{name}") } else { name.to_owned() };
    sources.flat_map(|names| names.split(", ")).map(full).collect()
}

fn right() -> Vec<u8> {
    let names = names();
    let mut out = Vec::new();
    let mut add = |topic: &str, key: &[u8], value: Option<&[u8]>, time: i64| {
        let at = names.iter().position(|name| name.contains(topic)).unwrap_or_default();
        out.push(at as u8);
        put(&mut out, Some(key));
        put(&mut out, value);
        out.extend_from_slice(&time.to_be_bytes());
    };
    let seven = 7_i64.to_be_bytes();
    add("orders", b"key", Some(&seven), 5);
    add("customers", &seven, Some(b"Ada"), 6);
    add("clicks", b"key", Some(&seven), 7);
    // As these topics have them: a subscription, a response, both sides of a change.
    add("SUBSCRIPTION-REGISTRATION", &seven, Some(b"\x01\x020123456789abcdefkey\0\0\0\0"), 8);
    add("SUBSCRIPTION-RESPONSE", b"key", Some(b"\x000123456789abcdefAda"), 9);
    add("-repartition", &seven, Some(b"\0\0\0\x03key\x01"), 10);
    add("orders", b"key", None, 11);
    add("clicks", b"key", Some(&seven), 200_000);
    out
}

fn run(bytes: &[u8]) -> bool {
    let Ok(driver) = driver() else { return false };
    let names = names();
    let mut input = Input(bytes);
    while !input.is_empty() {
        let at = usize::from(input.byte()) % names.len().max(1);
        let (key, value) = (input.bytes(), input.bytes());
        let time = Timestamp(input.i64());
        let Some(topic) = names.get(at) else { return false };
        if driver.pipe_raw(topic, key, value, time, Headers::new()).is_err() {
            return false;
        }
    }
    // Of the right input all outputs know.
    let is_read = ["bills", "sums", "counts"].iter().all(|topic| driver.read_raw(topic).is_some());
    driver.close().is_ok() && is_read
}
