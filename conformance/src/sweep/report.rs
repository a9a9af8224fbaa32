//! What a sweep found.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value as Json;

use super::tools::Tools;
use super::{Done, Outcome};

/// Where the differing cases are kept, shrunk where that was done.
const FILE: &str = "differences.jsonl";

/// A case that is not equal.
pub(super) struct Difference {
    pub(super) case: Json,
    /// What differs, or is unsupported.
    pub(super) text: String,
    pub(super) outcome: Outcome,
}

impl Difference {
    pub(super) fn new(case: Json, text: String, outcome: Outcome) -> Self {
        Self { case, text, outcome }
    }
}

/// Counts by family, and the differences.
#[derive(Default)]
pub struct Report {
    families: BTreeMap<String, Counts>,
    pub(super) differences: Vec<Difference>,
    /// The cases whose difference each decision explained.
    explained: BTreeMap<&'static str, Vec<String>>,
    pub(super) shown: usize,
    pub(super) workers: usize,
    oracle: Duration,
    ours: Duration,
    saved: Option<String>,
}

/// How many cases ended how.
#[derive(Clone, Copy, Default)]
struct Counts {
    cases: u64,
    equal: u64,
    quirks: u64,
    sensitive: u64,
    explained: u64,
    different: u64,
    unsupported: u64,
}

impl Counts {
    fn add(&mut self, outcome: Outcome) {
        self.cases += 1;
        let count = match outcome {
            Outcome::Equal => &mut self.equal,
            Outcome::Quirk => &mut self.quirks,
            Outcome::Sensitive => &mut self.sensitive,
            Outcome::Explained => &mut self.explained,
            Outcome::Different => &mut self.different,
            Outcome::Unsupported => &mut self.unsupported,
        };
        *count += 1;
    }

    fn row(&self, name: &str) -> String {
        let numbers =
            [self.cases, self.equal, self.quirks, self.sensitive, self.explained, self.different, self.unsupported];
        numbers.iter().fold(format!("{name:<12}"), |mut row, number| {
            // Writing to a text cannot fail.
            let _ = write!(row, "{number:>13}");
            row
        })
    }
}

impl Report {
    pub(super) fn add(&mut self, done: Done) {
        for (family, outcome) in done.verdicts {
            self.families.entry(family).or_default().add(outcome);
        }
        self.differences.extend(done.differences);
        for (reason, cases) in done.explained {
            self.explained.entry(reason).or_default().extend(cases);
        }
        self.oracle += done.oracle;
        self.ours += done.ours;
    }

    /// Puts what differs before what is unsupported, each in the order of ids: workers take turns.
    pub(super) fn sort(&mut self) {
        let id = |case: &Json| case.get("id").map(Json::to_string).unwrap_or_default();
        self.differences.sort_by_cached_key(|it| (it.outcome != Outcome::Different, id(&it.case)));
        self.explained.values_mut().for_each(|cases| cases.sort());
    }

    /// Keeps the cases that differ, for the next run.
    pub(super) fn save(&mut self, tools: &Tools) -> Result<(), String> {
        let lines: String = self.differences.iter().flat_map(|it| [it.case.to_string(), "\n".to_owned()]).collect();
        tools.write(FILE, &lines)?;
        if !lines.is_empty() {
            self.saved = Some(tools.place(FILE).display().to_string());
        }
        Ok(())
    }

    /// Whether all cases are equal, or Kafka Streams' own faults.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty()
    }

    fn total(&self) -> Counts {
        self.families.values().fold(Counts::default(), |sum, counts| Counts {
            cases: sum.cases + counts.cases,
            equal: sum.equal + counts.equal,
            quirks: sum.quirks + counts.quirks,
            sensitive: sum.sensitive + counts.sensitive,
            explained: sum.explained + counts.explained,
            different: sum.different + counts.different,
            unsupported: sum.unsupported + counts.unsupported,
        })
    }

    /// What is unsupported, with how often.
    fn unsupported(&self) -> Vec<(u64, &str)> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for difference in self.differences.iter().filter(|it| it.outcome == Outcome::Unsupported) {
            *counts.entry(difference.text.as_str()).or_default() += 1;
        }
        let mut counts: Vec<(u64, &str)> = counts.into_iter().map(|(what, count)| (count, what)).collect();
        counts.sort_by(|one, other| other.cmp(one));
        counts
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let different = self.differences.iter().filter(|it| it.outcome == Outcome::Different);
        for difference in different.take(self.shown) {
            let id = difference.case.get("id").and_then(Json::as_str).unwrap_or("?");
            writeln!(f, "{id} differs: {}\n    {}\n", difference.text, difference.case)?;
        }
        for (count, what) in self.unsupported() {
            writeln!(f, "unsupported, {count} cases: {what}")?;
        }
        for (reason, cases) in &self.explained {
            writeln!(f, "explained, {} cases: {reason}", cases.len())?;
            let ids: Vec<&str> = cases.iter().take(self.shown).map(String::as_str).collect();
            writeln!(f, "    {}", ids.join(" "))?;
        }
        writeln!(
            f,
            "{:<12}{:>13}{:>13}{:>13}{:>13}{:>13}{:>13}{:>13}",
            "family", "cases", "equal", "quirks", "sensitive", "explained", "different", "unsupported"
        )?;
        for (family, counts) in &self.families {
            writeln!(f, "{}", counts.row(family))?;
        }
        let total = self.total();
        writeln!(f, "{}", total.row("all"))?;
        // Each worker drives one process of Kafka Streams, and waits for it.
        let rate = |time: Duration| total.cases as f64 * self.workers as f64 / time.as_secs_f64().max(f64::EPSILON);
        writeln!(
            f,
            "cases/s with {} workers: Kafka Streams {:.0}, Millstream {:.0}",
            self.workers,
            rate(self.oracle),
            rate(self.ours)
        )?;
        if let Some(saved) = &self.saved {
            writeln!(f, "what is not equal: {saved}")?;
        }
        Ok(())
    }
}
