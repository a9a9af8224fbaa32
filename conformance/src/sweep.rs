//! The sweep: generates cases, runs them through Kafka Streams and through Millstream, compares,
//! and shrinks what differs. Needs Java, Maven and Python 3; nothing else of the project does.

mod explained;
mod generator;
mod options;
mod oracle;
mod report;
mod shrink;
mod tools;

pub use options::Options;
pub use report::Report;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value as Json;

use crate::{Pool, Verdict, compare};
use generator::Chunk;
use oracle::Oracle;
use report::Difference;
use shrink::Shrinker;
use tools::Tools;

/// Runs what the options ask for.
///
/// # Errors
/// A tool that is missing or fails, said for people.
pub fn sweep(options: &Options) -> Result<Report, String> {
    let tools = Tools::find(options)?;
    if !options.is_self_sufficient() {
        tools.build_oracle()?;
    }
    let chunks = generator::all(options)?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(chunks.len()).max(1);
    let pool = Pool::of(workers);
    let (next, report) = (AtomicUsize::new(0), Mutex::new(Report::default()));
    std::thread::scope(|scope| {
        let work = || -> Result<(), String> {
            let mut oracle = Oracle::of(&tools);
            while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
                let done = run_chunk(chunk, &tools, &mut oracle, &pool)?;
                report.lock().unwrap_or_else(PoisonError::into_inner).add(done);
            }
            Ok(())
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        // A worker that panics has found a fault of ours.
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a worker panicked".to_owned())?)
    })?;
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.workers = workers;
    report.sort();
    let mut shrinker = Shrinker::new(Oracle::of(&tools), &pool);
    for difference in report.differences.iter_mut().take(options.shrink) {
        shrinker.shrink(difference)?;
    }
    report.shown = options.show;
    if !options.is_self_sufficient() {
        report.save(&tools)?;
    }
    Ok(report)
}

/// What a chunk gave.
struct Done {
    /// Family and verdict of each case.
    verdicts: Vec<(String, Outcome)>,
    differences: Vec<Difference>,
    /// The cases whose difference each decision explained.
    explained: BTreeMap<&'static str, Vec<String>>,
    oracle: Duration,
    ours: Duration,
}

/// How a case ended, for counting.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Equal,
    Quirk,
    Sensitive,
    Explained,
    Different,
    Unsupported,
}

fn run_chunk(chunk: &Chunk, tools: &Tools, oracle: &mut Oracle<'_>, pool: &Pool) -> Result<Done, String> {
    let cases = chunk.cases(tools)?;
    let (expected, oracle_time) = tools::timed(|| match chunk.recorded()? {
        Some(recorded) => Ok(recorded),
        None => oracle.run(&cases),
    });
    let (expected, (actual, our_time)) = (expected?, tools::timed(|| pool.run_all(&cases)));
    let mut done = Done {
        verdicts: Vec::new(),
        differences: Vec::new(),
        explained: BTreeMap::new(),
        oracle: oracle_time,
        ours: our_time,
    };
    for ((case, expected), actual) in cases.into_iter().zip(expected).zip(actual) {
        let parsed: Json = serde_json::from_str(&case).map_err(|error| format!("a case is not JSON: {error}"))?;
        let family = parsed.get("family").and_then(Json::as_str).unwrap_or("?").to_owned();
        let outcome = match compare(&expected, &actual) {
            Verdict::Equal => Outcome::Equal,
            Verdict::Quirk(_) => Outcome::Quirk,
            Verdict::Unsupported(what) => {
                done.differences.push(Difference::new(parsed, what, Outcome::Unsupported));
                Outcome::Unsupported
            }
            Verdict::Differs(_) if parsed.get("sensitive").is_some() => Outcome::Sensitive,
            Verdict::Differs(text) | Verdict::Invalid(text) => {
                if let Some(reason) = explained::reason(&parsed, &expected, &actual) {
                    let id = parsed.get("id").and_then(Json::as_str).unwrap_or("?");
                    done.explained.entry(reason).or_default().push(id.to_owned());
                    Outcome::Explained
                } else {
                    done.differences.push(Difference::new(parsed, text, Outcome::Different));
                    Outcome::Different
                }
            }
        };
        done.verdicts.push((family, outcome));
    }
    Ok(done)
}
