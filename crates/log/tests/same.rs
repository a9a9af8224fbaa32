//! The log in memory and the log on disk are the same log: random work on both, with the one on
//! disk closed and opened in between, and everything a client can see compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::path::PathBuf;

use millstream_log::batch::Compression;
use millstream_log::{EmbeddedLog, Flush, Isolation, Log, OffsetSpec, Options, Writer};
use millstream_types::{Headers, Offset, Timestamp};
use support::*;

const PARTITIONS: i32 = 2;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A log with its writers: two with transactions, one without.
struct Side {
    options: Options,
    dir: Option<PathBuf>,
    log: EmbeddedLog,
    writers: Vec<Box<dyn Writer>>,
}

impl Side {
    fn new(options: Options, dir: Option<PathBuf>) -> Self {
        let log = match &dir {
            Some(dir) => EmbeddedLog::open(dir, options.clone()).unwrap(),
            None => EmbeddedLog::memory(options.clone()),
        };
        create(&log, "t", PARTITIONS);
        let writers = writers(&log);
        Self { options, dir, log, writers }
    }

    /// Closes and opens the log; in memory only the writers begin anew.
    fn reopen(&mut self) {
        for writer in &mut self.writers {
            ok(writer.abort());
        }
        self.writers.clear();
        if let Some(dir) = &self.dir {
            // The lock is free only when nothing of the old log is left.
            self.log = EmbeddedLog::memory(Options::default());
            self.log = EmbeddedLog::open(dir, self.options.clone()).unwrap();
        }
        self.writers = writers(&self.log);
    }

    fn view(&self, from: i64) -> Vec<Vec<String>> {
        let mut view = Vec::new();
        for partition in (0..PARTITIONS).map(|partition| tp("t", partition)) {
            let specs = [
                OffsetSpec::Start,
                OffsetSpec::EndCommitted,
                OffsetSpec::EndUncommitted,
                OffsetSpec::AtTime(from),
                OffsetSpec::AtTime(from + 50),
            ];
            let offsets: Vec<i64> =
                specs.map(|spec| ok(self.log.admin().offsets(std::slice::from_ref(&partition), spec))[0].0).to_vec();
            let from = from.clamp(offsets[0], offsets[2]);
            view.push(values(&self.log, &partition, Isolation::ReadCommitted, from));
            view.push(values(&self.log, &partition, Isolation::ReadUncommitted, from));
            view.push(offsets.iter().map(ToString::to_string).collect());
            view.push(vec![format!("{:?}", committed_offset(&self.log, "app", &partition))]);
        }
        view
    }
}

fn writers(log: &EmbeddedLog) -> Vec<Box<dyn Writer>> {
    vec![writer(log, Some("one")), writer(log, Some("two")), writer(log, None)]
}

fn run(seed: u64) {
    let options = Options { seed: Some(1), batch_bytes_max: 500, ..Options::default() };
    let tiny = Options { segment_bytes: 700, flush: Flush::Commit, compression: Compression::Lz4, ..options.clone() };
    let mut sides = [
        Side::new(options.clone(), None),
        Side::new(Options { segment_bytes: 2000, ..options }, Some(dir())),
        Side::new(tiny, Some(dir())),
    ];
    let mut random = Random(seed);
    for step in 0..300 {
        let (index, action, partition) = (random.below(3) as usize, random.below(40), random.below(2) as i32);
        let (number, count) = (random.below(1000) as i64, random.below(9));
        for side in &mut sides {
            let writer = &mut side.writers[index];
            match action {
                0..20 => {
                    let handle = writer.partition(&tp("t", partition));
                    for record in 0..count {
                        let (time, value) = (Timestamp(step + number % 30), format!("{step}.{record}"));
                        writer.append(handle, time, None, Some(value.as_bytes()), &Headers::new()).unwrap();
                    }
                }
                20..27 => drop(ok(writer.flush())),
                27..33 if index < 2 => ok(writer.commit(vec![(tp("t", partition), offset(number))], &nobody())),
                33..36 if index < 2 => ok(writer.abort()),
                36 if index < 2 => ok(writer.init()),
                37 => {
                    let end = ok(side.log.admin().offsets(&[tp("t", partition)], OffsetSpec::EndCommitted))[0].0;
                    ok(side.log.admin().delete_records(&[(tp("t", partition), Offset(end * number / 2000))]));
                }
                38 if step % 3 == 0 => side.reopen(),
                _ => {}
            }
        }
        if step % 20 == 0 {
            let [memory, disk, tiny] = sides.each_ref().map(|side| side.view(number % (step + 1)));
            // Batches are cut by their uncompressed size, so all three have the same offsets.
            assert_eq!(memory, disk, "seed {seed}, step {step}");
            assert_eq!(memory, tiny, "seed {seed}, step {step}");
        }
    }
}

#[test]
fn memory_and_disk_show_the_same() {
    for seed in 0..4 {
        run(seed);
    }
}
