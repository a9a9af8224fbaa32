//! Two streams left-joined within windows that never close: every pair comes out once, whichever of its
//! records came first, and a record without partner either waits in the join's shared store or, if its
//! window was over already, has come out alone.

use std::collections::BTreeSet;
use std::time::Duration;

use millstream_topology::dsl::{JoinWindows, KStream, StreamJoined, StreamsBuilder};
use millstream_topology::graph::Topology;
use millstream_types::{RawRecord, Result};

use super::{NEVER, changelog, key_of, last_by_key, value_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

const WINDOW_MS: i64 = 100;
/// Holds the records that have found no partner.
const UNMATCHED: &str = "pairs-left-shared-join-store";

pub(super) fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let (left, right): (KStream<String, String>, KStream<String, String>) =
        (builder.stream("in"), builder.stream("side"));
    let windows = JoinWindows::of_time_difference_and_grace(Duration::from_millis(WINDOW_MS as u64), NEVER)?;
    let joiner =
        |_: &String, left: &String, right: Option<&String>| format!("{left}|{}", right.map_or("null", String::as_str));
    let joined = StreamJoined::default().with_name("pairs").with_store_name("pairs");
    left.left_join_stream_with(&right, joiner, windows, joined).to("out");
    builder.build()
}

/// A record without partner: its time and key.
type Alone = (i64, String);

fn is_pair(left: &RawRecord, right: &RawRecord) -> bool {
    left.key == right.key && (left.timestamp.0 - right.timestamp.0).abs() <= WINDOW_MS
}

/// What waits in the shared store: time, side and key are its key.
fn waiting(records: &[RawRecord]) -> BTreeSet<Alone> {
    let of = |key: &[u8]| {
        let (time, rest) = key.split_first_chunk::<8>()?;
        Some((i64::from_be_bytes(*time), String::from_utf8_lossy(rest.get(1..)?).into_owned()))
    };
    last_by_key(records).keys().filter_map(|key| of(key)).collect()
}

pub(super) fn check(plan: &Plan, view: &View) -> std::result::Result<(), String> {
    for partition in 0..plan.partitions {
        let (lefts, rights) = (view.consumed("in", partition), view.consumed("side", partition));
        let partners = |left: &&RawRecord| rights.iter().filter(|right| is_pair(left, right)).collect::<Vec<_>>();
        let mut wanted = BTreeSet::new();
        for left in lefts {
            for right in partners(&left) {
                let time = left.timestamp.max(right.timestamp).0;
                wanted.insert((key_of(left), format!("{}|{}", value_of(left), value_of(right)), time));
            }
        }
        let (mut pairs, mut alone) = (BTreeSet::new(), BTreeSet::new());
        for record in view.records("out", partition) {
            let row = (key_of(record), value_of(record), record.timestamp.0);
            let is_new = if row.1.ends_with("|null") {
                alone.insert(row.1.trim_end_matches("|null").to_owned())
            } else if wanted.contains(&row) {
                pairs.insert(row.clone())
            } else {
                return Err(format!("out-{partition}: {row:?} is no pair of what was consumed"));
            };
            if !is_new {
                return Err(format!("out-{partition}: {row:?} comes twice"));
            }
        }
        let changelog = changelog(UNMATCHED);
        if !view.is_stable("out", partition) || !view.is_stable(&changelog, partition) {
            continue;
        }
        if let Some(missing) = wanted.difference(&pairs).next() {
            return Err(format!("out-{partition}: {missing:?} is missing"));
        }
        let waiting = waiting(view.records(&changelog, partition));
        for left in lefts {
            let place = (left.timestamp.0, key_of(left));
            // Records of one key and time share their fate, and their row.
            let has_partner = !partners(&left).is_empty();
            let is_told = alone.contains(&value_of(left));
            if waiting.contains(&place) && has_partner {
                return Err(format!("{changelog}-{partition}: {place:?} waits and has a partner"));
            }
            if !has_partner && !is_told && !waiting.contains(&place) {
                return Err(format!("{changelog}-{partition}: {place:?} neither waits nor has come out"));
            }
        }
    }
    Ok(())
}
