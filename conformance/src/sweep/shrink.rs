//! Makes a case that differs smaller, as long as it differs in the same part of the result.

mod candidates;

use serde_json::Value as Json;

use super::Outcome;
use super::oracle::Oracle;
use super::report::Difference;
use crate::{Pool, Verdict, compare};

/// Candidates that are run at a time.
const BATCH: usize = 40;
/// Batches after which a case is small enough.
const BATCHES_MAX: usize = 200;

/// Shrinks cases, with one process of Kafka Streams.
pub(super) struct Shrinker<'a> {
    oracle: Oracle<'a>,
    pool: &'a Pool,
}

impl<'a> Shrinker<'a> {
    pub(super) fn new(oracle: Oracle<'a>, pool: &'a Pool) -> Self {
        Self { oracle, pool }
    }

    /// Puts the smallest case that was found in place of the difference's own.
    pub(super) fn shrink(&mut self, difference: &mut Difference) -> Result<(), String> {
        if difference.outcome != Outcome::Different {
            return Ok(());
        }
        let mut batches = BATCHES_MAX;
        while let Some((case, text)) = self.smaller(&difference.case, part(&difference.text), &mut batches)? {
            difference.case = case;
            difference.text = text;
        }
        Ok(())
    }

    /// The first smaller case that differs in the same part.
    fn smaller(&mut self, case: &Json, part_wanted: &str, left: &mut usize) -> Result<Option<(Json, String)>, String> {
        let limit = weight(case);
        let candidates: Vec<Json> = candidates::of(case).into_iter().filter(|it| weight(it) < limit).collect();
        for batch in candidates.chunks(BATCH) {
            if *left == 0 {
                break;
            }
            *left -= 1;
            let lines: Vec<String> = batch.iter().map(Json::to_string).collect();
            let (expected, actual) = (self.oracle.run(&lines)?, self.pool.run_all(&lines));
            for ((candidate, expected), actual) in batch.iter().zip(&expected).zip(&actual) {
                if let Verdict::Differs(text) = compare(expected, actual)
                    && part(&text) == part_wanted
                {
                    return Ok(Some((candidate.clone(), text)));
                }
            }
        }
        Ok(None)
    }
}

/// The part of a result that differs: the first word says it.
fn part(text: &str) -> &str {
    text.split([' ', '\n', ',']).next().unwrap_or_default()
}

/// What is smaller: operators count most, then steps, then text, then times.
fn weight(case: &Json) -> (usize, usize, usize, i64) {
    let list = |member: &str| case.get(member).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let times = list("steps").iter().filter_map(|step| step.get("t")?.as_i64());
    (list("topology").len(), list("steps").len(), case.to_string().len(), times.fold(0, i64::saturating_add))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_candidate_that_is_taken_is_smaller_and_keeps_what_others_need() {
        let case = json!({
            "config": {"wall0": 5},
            "topics": {"in1": {"key": "string", "value": "i64"}},
            "topology": [
                {"id": "s1", "op": "stream", "topics": ["in1"], "key": "string", "value": "i64"},
                {"id": "n1", "op": "filter", "in": "s1", "fn": "even", "name": "f"},
                {"id": "o1", "op": "to", "in": "n1", "topic": "out"},
            ],
            "steps": [{"pipe": "in1", "k": "a", "v": 7, "t": 40}, {"wall": 3}],
        });
        let candidates = candidates::of(&case);
        let without_filter = candidates.iter().find(|it| {
            let topology = it["topology"].as_array().unwrap();
            topology.len() == 2 && topology[1]["in"] == "s1"
        });
        assert!(without_filter.is_some(), "the sink is joined to the filter's input");
        assert!(candidates.iter().any(|it| it["steps"].as_array().unwrap().len() == 1));
        assert!(candidates.iter().any(|it| it["config"].as_object().unwrap().is_empty()));
        assert!(candidates.iter().any(|it| it["steps"][0]["t"] == 0));
        let dangling = candidates.iter().any(|it| {
            let topology = it["topology"].as_array().unwrap();
            topology.len() == 2 && topology[1]["in"] == "n1" && topology[0]["id"] != "n1"
        });
        assert!(!dangling, "what hangs on a dropped operator goes with it");
    }
}
