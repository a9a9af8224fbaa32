//! Windows of grouped and cogrouped streams, and cogroups.

use millstream_topology::{
    CogroupedKStream, EmitStrategy, KGroupedStream, SessionWindowedCogroupedKStream, SessionWindowedKStream,
    SessionWindows, SlidingWindows, TimeWindowedCogroupedKStream, TimeWindowedKStream, TimeWindows, UnlimitedWindows,
    Windowing,
};
use millstream_types::{Error, ErrorKind, Timestamp};

use super::options::ms;
use super::{Build, Node, Types};
use crate::functions::{Aggregate, aggregate};
use crate::op::Op;
use crate::stop::{Stop, bad, refused, unsupported};
use crate::value::{Type, Val};

/// What is known of windows beyond their Rust types; times in ms.
#[derive(Clone, Copy)]
pub(crate) struct Windows {
    pub(super) size: i64,
    /// How long a supplier's store keeps them unless the case says so.
    pub(super) floor: i64,
    pub(super) are_sessions: bool,
}

impl Windows {
    /// Type of the keys of results.
    pub(super) fn key(self, inner: &Type) -> Type {
        let inner = Box::new(inner.clone());
        if self.are_sessions { Type::Session(inner) } else { Type::Time(inner, self.size) }
    }
}

/// What is known of a cogroup: its key, and initializer, merger and result of its first aggregate.
#[derive(Clone)]
pub(crate) struct Cogroup {
    pub(super) key: Type,
    pub(super) how: Aggregate,
}

/// What can be cut into windows.
enum Cut {
    Grouped(KGroupedStream<Val, Val>, Types),
    Cogrouped(CogroupedKStream<Val, Val>, Cogroup),
}

impl Cut {
    fn sized<W>(self, kind: W, emit: Option<EmitStrategy>, windows: Windows) -> Node
    where
        W: Windowing<
                Windowed<Val, Val> = TimeWindowedKStream<Val, Val>,
                Cogrouped<Val, Val> = TimeWindowedCogroupedKStream<Val, Val>,
            >,
    {
        match self {
            Self::Grouped(grouped, types) => {
                let windowed = grouped.windowed_by(kind);
                let windowed = emit.map_or(windowed.clone(), |emit| windowed.emit_strategy(emit));
                Node::Windowed(windowed, types, windows)
            }
            Self::Cogrouped(cogrouped, cogroup) => Node::WindowedCogroup(cogrouped.windowed_by(kind), cogroup, windows),
        }
    }

    fn sessions(self, kind: SessionWindows, emit: Option<EmitStrategy>, windows: Windows) -> Node {
        match self {
            Self::Grouped(grouped, types) => {
                let windowed: SessionWindowedKStream<Val, Val> = grouped.windowed_by(kind);
                let windowed = emit.map_or(windowed.clone(), |emit| windowed.emit_strategy(emit));
                Node::Sessions(windowed, types, windows)
            }
            Self::Cogrouped(cogrouped, cogroup) => {
                let windowed: SessionWindowedCogroupedKStream<Val, Val> = cogrouped.windowed_by(kind);
                Node::SessionCogroup(windowed, cogroup, windows)
            }
        }
    }
}

impl Build {
    pub(super) fn windowed_by(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let cut = match self.input(op)? {
            Node::Grouped(grouped, types) => Cut::Grouped(grouped.clone(), types.clone()),
            Node::Cogrouped(cogrouped, cogroup) => Cut::Cogrouped(cogrouped.clone(), cogroup.clone()),
            _ => return Err(bad("a grouped stream is needed")),
        };
        let emit = match op.optional("emit") {
            Some("final") => Some(EmitStrategy::OnWindowClose),
            Some(_) => Some(EmitStrategy::OnWindowUpdate),
            None => None,
        };
        let window = op.field("window").map(Op).ok_or_else(|| bad("windowedBy without window"))?;
        let number = |name| window.number(name, 0);
        if ["size", "grace", "advance", "diff", "gap"].into_iter().any(|name| number(name) < 0) {
            // A `Duration` cannot say it: what Java refuses when it runs, Rust refuses by type.
            return Err(refused(Error::new(ErrorKind::Topology, "a duration must not be negative")));
        }
        let (grace, has_grace) = (ms(number("grace")), window.has("grace"));
        let about = |size: i64| Windows { size, floor: size.saturating_add(number("grace")), are_sessions: false };
        let node = match window.text("type")? {
            "tumbling" | "hopping" => {
                let size = ms(number("size"));
                let windows = if has_grace {
                    TimeWindows::of_size_and_grace(size, grace)
                } else {
                    TimeWindows::of_size_with_no_grace(size)
                };
                let windows = match window.field("advance") {
                    Some(_) => windows.and_then(|windows| windows.advance_by(ms(number("advance")))),
                    None => windows,
                };
                cut.sized(windows.map_err(refused)?, emit, about(number("size")))
            }
            "sliding" => {
                let difference = ms(number("diff"));
                let windows = if has_grace {
                    SlidingWindows::of_time_difference_and_grace(difference, grace)
                } else {
                    SlidingWindows::of_time_difference_with_no_grace(difference)
                };
                cut.sized(windows, emit, about(number("diff")))
            }
            "unlimited" => {
                let windows = UnlimitedWindows::of().start_on(Timestamp(number("start"))).map_err(refused)?;
                cut.sized(windows, emit, about(i64::MAX))
            }
            "session" => {
                let gap = ms(number("gap"));
                let windows = if has_grace {
                    SessionWindows::of_inactivity_gap_and_grace(gap, grace)
                } else {
                    SessionWindows::of_inactivity_gap_with_no_grace(gap)
                };
                cut.sessions(windows, emit, Windows { are_sessions: true, ..about(number("gap")) })
            }
            kind => return Err(unsupported(format!("window {kind}"))),
        };
        self.put(op, node)
    }

    pub(super) fn cogroup(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let mut made: Option<(CogroupedKStream<Val, Val>, Cogroup)> = None;
        for (at, spec) in op.list("fns").into_iter().enumerate() {
            let Node::Grouped(grouped, types) = self.input_at(op, at)? else {
                return Err(bad("a cogroup needs grouped streams"));
            };
            let how = aggregate(spec, &types.value)?;
            let add = how.add.clone();
            let add = move |key: &Val, value: Val, all: Val| add(key, &value, &all);
            made = Some(match made {
                None => (grouped.cogroup(add), Cogroup { key: types.key.clone(), how }),
                Some((cogrouped, cogroup)) => (cogrouped.cogroup(grouped, add), cogroup),
            });
        }
        let (cogrouped, cogroup) = made.ok_or_else(|| bad("a cogroup of nothing"))?;
        self.put(op, Node::Cogrouped(cogrouped, cogroup))
    }
}
