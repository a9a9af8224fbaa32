//! Records counted by key and session, told when the session closes: once, and with all its records.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream_topology::dsl::{EmitStrategy, Grouped, KStream, Materialized, SessionWindows, StreamsBuilder};
use millstream_topology::graph::Topology;
use millstream_types::{RawRecord, Result, Serdes};

use super::{NEVER, key_of, number_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "visits";
const GAP_MS: i64 = 20;
/// Longer than any record of a plan is late: what an operator has seen of time is not kept over a restart,
/// so a record may be late before one and not after it.
const GRACE_MS: i64 = 500;

/// Key, start and end of a session.
type Session = (String, i64, i64);

pub(super) fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let input: KStream<String, String> = builder.stream("in");
    let ms = |ms: i64| Duration::from_millis(ms as u64);
    input
        .group_by_key_with(Grouped::with(Serdes::string(), Serdes::string()))
        .windowed_by(SessionWindows::of_inactivity_gap_and_grace(ms(GAP_MS), ms(GRACE_MS)))
        .emit_strategy(EmitStrategy::OnWindowClose)
        .count_with(Materialized::named(STORE).with_retention(NEVER))
        .to_stream()
        .to("out");
    builder.build()
}

/// The sessions that records make, with their counts.
fn sessions(records: &[RawRecord]) -> BTreeMap<Session, i64> {
    let mut times: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for record in records {
        times.entry(key_of(record)).or_default().push(record.timestamp.0);
    }
    let mut sessions = BTreeMap::new();
    for (key, mut times) in times {
        times.sort_unstable();
        let mut open: Option<(i64, i64, i64)> = None;
        for time in times {
            open = Some(match open {
                Some((start, end, count)) if time - end <= GAP_MS => (start, time, count + 1),
                closed => {
                    sessions.extend(closed.map(|(start, end, count)| ((key.clone(), start, end), count)));
                    (time, time, 1)
                }
            });
        }
        sessions.extend(open.map(|(start, end, count)| ((key, start, end), count)));
    }
    sessions
}

/// A record under a session's key: the key's bytes, then the session's end and start in 8 bytes each.
fn session_of(record: &RawRecord) -> Option<Session> {
    let (rest, start) = record.key.as_deref()?.split_last_chunk::<8>()?;
    let (key, end) = rest.split_last_chunk::<8>()?;
    Some((String::from_utf8_lossy(key).into_owned(), i64::from_be_bytes(*start), i64::from_be_bytes(*end)))
}

pub(super) fn check(plan: &Plan, view: &View) -> std::result::Result<(), String> {
    for partition in 0..plan.partitions {
        let consumed = view.consumed("in", partition);
        let stream_time = consumed.iter().map(|record| record.timestamp.0).max().unwrap_or(-1);
        let sessions = sessions(consumed);
        let mut told = BTreeSet::new();
        for record in view.records("out", partition) {
            let (session, count) = (session_of(record).unwrap_or_default(), number_of(record));
            if session.2 + GAP_MS + GRACE_MS >= stream_time {
                return Err(format!("out-{partition}: {session:?} is told before it closes"));
            }
            if sessions.get(&session).copied() != count {
                let wanted = sessions.get(&session);
                return Err(format!("out-{partition}: {session:?} has {count:?} records, should have {wanted:?}"));
            }
            if !told.insert(session.clone()) {
                return Err(format!("out-{partition}: {session:?} is told twice"));
            }
        }
    }
    Ok(())
}
