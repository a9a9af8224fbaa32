//! The runtime under simulation: 300 seeds in every run of the tests. A failing seed prints the line
//! that replays it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
// A failing seed is reported on standard output, which the test harness captures.
#![allow(clippy::print_stdout)]

mod planted;

use std::sync::Arc;

use millstream_testkit::simulation::{Failure, Plan, Report, Wrap, run};
use planted::{Bug, BuggyEngines, BuggyLog};

/// `MILLSTREAM_GUARANTEE=at_most_once` beside a seed asks for its plan under that guarantee,
/// `MILLSTREAM_PLAN=operators` for the one with an operator of many stores.
fn plan(seed: u64) -> Plan {
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|given| given == value);
    if is("MILLSTREAM_GUARANTEE", "at_most_once") {
        Plan::at_most_once(seed)
    } else if is("MILLSTREAM_PLAN", "operators") {
        Plan::of_operators(seed)
    } else {
        Plan::new(seed)
    }
}

fn seed(seed: u64) -> Result<Report, Failure> {
    run(&plan(seed), &Wrap::default(), false)
}

/// Runs seeds; one that fails runs again with a trace.
fn seeds(from: u64, to: u64) {
    if std::env::var("MILLSTREAM_SEED").is_ok() {
        return;
    }
    let failures: Vec<Failure> = (from..to).filter_map(|number| seed(number).err()).collect();
    for failure in &failures {
        println!("{failure}\n");
    }
    assert!(failures.is_empty(), "{} of {} seeds failed", failures.len(), to - from);
}

/// `MILLSTREAM_SEED=7 cargo test -p millstream-testkit --test simulation -- --nocapture`
#[test]
fn one_seed_is_replayed_on_request() {
    let Ok(number) = std::env::var("MILLSTREAM_SEED") else { return };
    let plan = plan(number.parse().expect("MILLSTREAM_SEED is a number"));
    println!("{:#?}", Plan { inputs: Vec::new(), ..plan.clone() });
    match run(&plan, &Wrap::default(), true) {
        Ok(report) => {
            for line in &report.trace {
                println!("{line}");
            }
            println!("{:#?}", Report { trace: Vec::new(), ..report });
        }
        Err(failure) => {
            for line in &failure.trace {
                println!("{line}");
            }
            panic!("{failure}");
        }
    }
}

/// `MILLSTREAM_SEEDS=1000..9000`: many more seeds, for longer hunts.
#[test]
fn a_range_of_seeds_runs_on_request() {
    let Ok(range) = std::env::var("MILLSTREAM_SEEDS") else { return };
    let (from, to) = range.split_once("..").expect("MILLSTREAM_SEEDS is a range");
    seeds(from.parse().expect("a number"), to.parse().expect("a number"));
}

/// A simulation in which nothing happens proves nothing.
#[test]
fn the_seeds_reach_what_they_are_for() {
    let reports: Vec<Report> = (0..100).filter_map(|number| seed(number).ok()).collect();
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    println!(
        "faults {}, commits {}, rollbacks {}, restored {}, updated {}, full restores {}, simulated {} s",
        sum(|report| report.faults),
        sum(|report| report.commits),
        sum(|report| report.rollbacks),
        sum(|report| report.restored),
        sum(|report| report.updated),
        sum(|report| report.restores_full),
        sum(|report| report.simulated_ms) / 1000
    );
    assert!(sum(|report| report.faults) > 2_000);
    assert!(sum(|report| report.commits) > 2_000);
    assert!(sum(|report| report.rollbacks) > 300);
    assert!(sum(|report| report.restored) > 1_000);
    assert!(sum(|report| report.updated) > 1_000);
}

#[test]
fn without_faults_all_is_well() {
    for number in 0..20 {
        if let Err(failure) = run(&Plan::new(number).calm(), &Wrap::default(), false) {
            panic!("calm {failure}");
        }
    }
}

#[test]
fn seeds_0_to_75() {
    seeds(0, 75);
}

#[test]
fn seeds_75_to_150() {
    seeds(75, 150);
}

#[test]
fn seeds_150_to_225() {
    seeds(150, 225);
}

#[test]
fn seeds_225_to_300() {
    seeds(225, 300);
}

/// A store whose engine refuses a batch while other tasks are given up, and that is written again.
#[test]
fn a_refused_store_that_is_written_again_loses_nothing() {
    seeds(885, 886);
}

#[test]
fn a_seed_does_the_same_again() {
    for number in (0..300).step_by(20) {
        let (first, second) = (seed(number).unwrap(), seed(number).unwrap());
        assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {number}");
    }
}

/// Joins, buffers and sessions with more than one store or topic to keep right.
fn operators(from: u64, to: u64) {
    let failures: Vec<Failure> =
        (from..to).filter_map(|number| run(&Plan::of_operators(number), &Wrap::default(), false).err()).collect();
    for failure in &failures {
        println!("MILLSTREAM_PLAN=operators {failure}\n");
    }
    assert!(failures.is_empty(), "{} of {} seeds failed", failures.len(), to - from);
}

#[test]
fn operators_0_to_60() {
    operators(0, 60);
}

#[test]
fn operators_60_to_120() {
    operators(60, 120);
}

#[test]
fn operators_without_faults() {
    for number in 0..20 {
        if let Err(failure) = run(&Plan::of_operators(number).calm(), &Wrap::default(), false) {
            panic!("calm MILLSTREAM_PLAN=operators {failure}");
        }
    }
}

fn at_most_once(number: u64, wrap: &Wrap) -> Result<Report, Failure> {
    run(&Plan::at_most_once(number), wrap, false)
}

#[test]
fn under_at_most_once_nothing_has_its_effect_twice() {
    for number in 0..150 {
        if let Err(failure) = at_most_once(number, &Wrap::default()) {
            panic!("MILLSTREAM_GUARANTEE=at_most_once {failure}");
        }
    }
}

#[test]
fn under_at_most_once_nothing_is_lost_without_faults() {
    for number in 0..20 {
        if let Err(failure) = run(&Plan::at_most_once(number).calm(), &Wrap::default(), false) {
            panic!("calm, at most once: {failure}");
        }
    }
}

#[test]
fn a_record_processed_again_is_found_under_at_most_once() {
    let wrap = with_bug(Bug::ResumedOneTooEarly);
    let found = (0..150).find_map(|number| at_most_once(number, &wrap).err());
    println!("{}", found.expect("processing a record twice is found"));
}

fn with_bug(bug: Bug) -> Wrap {
    match bug {
        Bug::MarkAheadOfData => Wrap { engines: Some(|inner| Arc::new(BuggyEngines { inner })), ..Wrap::default() },
        Bug::OffsetsBeforeOutput => buggy(|inner| Arc::new(BuggyLog { inner, bug: Bug::OffsetsBeforeOutput })),
        Bug::LastStableOffsetIgnored => buggy(|inner| Arc::new(BuggyLog { inner, bug: Bug::LastStableOffsetIgnored })),
        Bug::ChangelogWriteLost => buggy(|inner| Arc::new(BuggyLog { inner, bug: Bug::ChangelogWriteLost })),
        Bug::UnknownTakenAsDone => buggy(|inner| Arc::new(BuggyLog { inner, bug: Bug::UnknownTakenAsDone })),
        Bug::ResumedOneTooEarly => buggy(|inner| Arc::new(BuggyLog { inner, bug: Bug::ResumedOneTooEarly })),
        Bug::RestoredTooLittle => buggy(|inner| Arc::new(BuggyLog { inner, bug: Bug::RestoredTooLittle })),
        Bug::WrittenIntoEndingTransaction => {
            buggy(|inner| Arc::new(BuggyLog { inner, bug: Bug::WrittenIntoEndingTransaction }))
        }
        Bug::AcknowledgedTooMuch => buggy(|inner| Arc::new(BuggyLog { inner, bug: Bug::AcknowledgedTooMuch })),
    }
}

fn buggy(log: fn(Arc<dyn millstream_log::Log>) -> Arc<dyn millstream_log::Log>) -> Wrap {
    Wrap { log: Some(log), breaks_seam_rules: true, ..Wrap::default() }
}

/// The simulation can fail: each of these bugs is found within the seeds that run every time.
#[test]
fn planted_bugs_are_found() {
    for bug in Bug::ALL {
        let wrap = with_bug(bug);
        let found = (0..300).find_map(|number| run(&Plan::new(number), &wrap, false).err());
        let failure = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        println!("{bug:?}: seed {} at {} ms: {}", failure.seed, failure.at_ms, failure.what);
    }
}
