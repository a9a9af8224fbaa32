//! On three real brokers that are restarted one after the other, three instances are killed at random, again
//! and again: nothing is lost, nothing counts twice, nothing changes its order. Needs Java 17 and Maven.
//!
//! `cargo xtask chaos kills=50 seed=7` makes it as long as one likes; the same seed plans the same. With
//! `brokers=kill` every second broker is killed instead of stopped. The next broker has its turn when all replicas are
//! in sync. Without that, partitions are without leader at times, and a coordinator of Kafka 4.3 that ends a
//! transaction at such a time forgets them: their part of it stays open for good, and nobody can read on
//! (`KRaftMetadataCache.getPartitionLeaderEndpoint` gives nothing for them, which means deleted to whoever asks).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod desk;
mod instance;
mod plan;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use millstream::prelude::*;
use millstream_testbroker::Cluster;

use desk::Desk;
use instance::Instances;
use plan::Plan;

/// What takes longer never happens.
const LIMIT: Duration = Duration::from_secs(240);
/// One cluster at a time: three brokers are enough for a machine.
static MACHINE: Mutex<()> = Mutex::new(());

#[test]
fn nothing_is_lost_or_counted_twice_while_instances_are_killed_and_brokers_restarted() {
    chaos(ProcessingGuarantee::ExactlyOnceV2, &Plan::from_env(2));
}

#[test]
fn at_least_once_nothing_is_lost_while_instances_are_killed() {
    chaos(ProcessingGuarantee::AtLeastOnce, &Plan::from_env(1));
}

/// Not a test of its own: what an instance runs, in a process started by the tests above.
#[test]
fn an_instance() {
    instance::run_if_asked();
}

fn chaos(guarantee: ProcessingGuarantee, plan: &Plan) {
    let _machine = MACHINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cluster = Cluster::builder()
        .brokers(3)
        .setting("group.streams.session.timeout.ms", 4_000)
        .setting("group.streams.heartbeat.interval.ms", 300)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let home = Plan::home();
    let bootstrap = cluster.bootstrap();
    let mut desk = Desk::new(&bootstrap, guarantee);
    let mut instances = Instances::new(&bootstrap, guarantee, home.path());
    let (is_over, restarts) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut random = plan.random();

    let cluster = std::thread::scope(|scope| {
        instances.start_all();
        desk.work_until("the instances work", |desk| desk.words_read() > 0, || instances.check());
        // Ends the other thread however this one ends.
        let over = Over(&is_over);
        let brokers = scope.spawn(|| restart_brokers(cluster, plan.kills_brokers, &is_over, &restarts));
        for kill in 1..=plan.kills {
            let pause = Duration::from_millis(random.below(4_000));
            let until = Instant::now() + pause;
            desk.work_until("the pause is over", |_| Instant::now() >= until, || instances.check());
            let what = instances.kill_one(&mut random);
            eprintln!("kill {kill} of {}: {what}; {} lines sent, {}", plan.kills, desk.sent(), desk.progress());
        }
        let wanted = plan.kills.div_ceil(3);
        let is_done = |_: &Desk| restarts.load(Ordering::Relaxed) >= wanted;
        desk.work_until("the brokers were restarted", is_done, || instances.check());
        drop(over);
        brokers.join().unwrap()
    });
    instances.start_all();
    desk.finish(|| instances.check());
    eprintln!("{}; {} broker restarts", desk.progress(), restarts.load(Ordering::Relaxed));
    desk.check_with_java(&cluster);
    instances.stop_all();
    desk.check_nothing_follows();
}

/// Restarts broker after broker until it is over.
fn restart_brokers(mut cluster: Cluster, kills_some: bool, is_over: &AtomicBool, restarts: &AtomicUsize) -> Cluster {
    let mut node = 1;
    while !is_over.load(Ordering::Relaxed) {
        if kills_some && node % 2 == 0 {
            cluster.kill(node);
        } else if let Err(error) = cluster.stop(node) {
            // Slow to hand over what it leads; it was killed then, and that is part of the game.
            eprintln!("{error}");
        }
        cluster.restart(node).unwrap_or_else(|error| panic!("{error}"));
        cluster.wait_in_sync().unwrap_or_else(|error| panic!("{error}"));
        eprintln!("broker {node} was restarted");
        restarts.fetch_add(1, Ordering::Relaxed);
        node = node % 3 + 1;
    }
    cluster
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
