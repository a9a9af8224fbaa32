//! Joins of two streams.

use millstream_state::StoreType;
use millstream_topology::{JoinWindows, StreamJoined};

use super::options::ms;
use super::{Build, Node, Types, as_stream};
use crate::functions::{Join, join, want};
use crate::op::Op;
use crate::stop::{Stop, bad, refused, unsupported};
use crate::value::Val;

impl Build {
    pub(super) fn join_streams(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (left, types) = as_stream(self.input_at(op, 0)?)?;
        let (right, other) = as_stream(self.input_at(op, 1)?)?;
        want(types.key == other.key, "joinSS")?;
        let Join { out, apply } = join(op.text("fn")?, &types.value, &other.value)?;
        let windows = windows(op)?;
        let how = joined(op, &types, &other)?;
        let result = match op.text("kind")? {
            "inner" => left.join_stream_with(&right, move |key, one, two| apply(key, one, two), windows, how),
            "left" => left.left_join_stream_with(
                &right,
                move |key, one, two| apply(key, one, two.unwrap_or(&Val::Null)),
                windows,
                how,
            ),
            "outer" => left.outer_join_with(
                &right,
                move |key, one, two| apply(key, one.unwrap_or(&Val::Null), two.unwrap_or(&Val::Null)),
                windows,
                how,
            ),
            kind => return Err(bad(format!("join kind {kind}"))),
        };
        self.put(op, Node::Stream(result, Types::new(types.key, out)))
    }
}

fn windows(op: Op<'_>) -> Result<JoinWindows, Stop> {
    let window = Op(op.field("window").ok_or_else(|| bad("a join needs a window"))?);
    let (difference, grace) = (window.number("diff", 0), window.number("grace", 0));
    if difference < 0 || grace < 0 {
        return Err(unsupported("a negative duration"));
    }
    let windows = JoinWindows::of_time_difference_and_grace(ms(difference), ms(grace)).map_err(refused)?;
    let (before, after) = (window.number("before", difference), window.number("after", difference));
    windows.with_bounds_ms(before, after).map_err(refused)
}

fn joined(op: Op<'_>, left: &Types, right: &Types) -> Result<StreamJoined<Val, Val, Val>, Stop> {
    let mut joined = StreamJoined::with(left.key.serde(), left.value.serde(), right.value.serde());
    if let Some(name) = op.optional("name") {
        joined = joined.with_name(name);
    }
    if let Some(name) = op.optional("storeName") {
        joined = joined.with_store_name(name);
    }
    joined = match op.optional("store") {
        None => joined,
        Some("memory") => joined.with_dsl_store_suppliers(StoreType::InMemory),
        Some("rocks") => joined.with_dsl_store_suppliers(StoreType::Persistent),
        Some(store) => return Err(unsupported(format!("store {store}"))),
    };
    Ok(match op.flag("logging") {
        None => joined,
        Some(true) => joined.with_logging_enabled([]),
        Some(false) => joined.with_logging_disabled(),
    })
}
