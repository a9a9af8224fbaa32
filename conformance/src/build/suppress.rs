//! Holding a table's updates back.

use millstream_topology::{BufferConfig, StrictBufferConfig, Suppressed};
use millstream_types::{Error, ErrorKind};

use super::options::ms;
use super::table::Cell;
use super::{Build, as_table};
use crate::errors::TOPOLOGY;
use crate::op::Op;
use crate::stop::{Stop, bad};

impl Build {
    pub(super) fn suppress(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let result = as_table(self.input(op)?)?.suppress(op)?;
        self.put(op, result)
    }

    pub(super) fn transform_values(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let result = as_table(self.input(op)?)?.transform_values(op)?;
        self.put(op, result)
    }
}

/// What the operator's fields say.
pub(super) fn suppressed<K: Cell>(op: Op<'_>) -> Result<Suppressed<K>, Stop> {
    let (buffer, is_strict) = buffer(op);
    let suppressed = match op.field("until").and_then(serde_json::Value::as_i64) {
        Some(limit) if is_strict => Suppressed::until_time_limit(ms(limit), buffer),
        Some(limit) => Suppressed::until_time_limit(ms(limit), buffer.emit_early_when_full()),
        None if op.optional("until") != Some("close") => return Err(bad(format!("field until of {}", op.0))),
        None if !is_strict => return Err(bad("a suppression until the window closes needs a strict buffer")),
        None => K::until_window_closes(buffer).ok_or_else(no_windows)?,
    };
    Ok(match op.optional("name") {
        Some(name) => suppressed.with_name(name),
        None => suppressed,
    })
}

/// The buffer, and whether it is strict.
fn buffer(op: Op<'_>) -> (StrictBufferConfig, bool) {
    let Some(spec) = op.field("buffer").map(Op) else { return (BufferConfig::unbounded(), true) };
    let mut buffer = BufferConfig::unbounded();
    let limit = |name| spec.field(name).and_then(serde_json::Value::as_u64);
    if let Some(records) = limit("records") {
        buffer = buffer.with_max_records(records);
    }
    if let Some(bytes) = limit("bytes") {
        buffer = buffer.with_max_bytes(bytes);
    }
    if spec.flag("logging") == Some(false) {
        buffer = buffer.with_logging_disabled();
    }
    let is_bounded = spec.has("records") || spec.has("bytes");
    (buffer, !(is_bounded && spec.optional("full") == Some("emit")))
}

/// Millstream's types refuse, before anything runs, what Kafka Streams refuses when it is built.
fn no_windows() -> Stop {
    let error = Error::new(ErrorKind::Topology, "keys without windows have no window that closes");
    Stop::Refused { class: TOPOLOGY, error }
}
