//! What a record costs at the edges of the embedded log: CPU-seconds per million records of 100
//! bytes, appended and read in rounds, as a running application does. `cargo run --release -p millstream-log --example log_speed [DIR]`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use millstream_log::batch::Compression;
use millstream_log::{EmbeddedLog, Isolation, Log, Options, Outcome, ReaderEvent};
use millstream_types::clock::SystemClock;
use millstream_types::{Clock, Headers, Now, Offset, Timestamp, TopicPartition};

const RECORDS: u64 = 5_000_000;
const ROUND: u64 = 50_000;

fn main() {
    for compression in [Compression::None, Compression::Lz4] {
        let options = Options { compression, ..Options::default() };
        report(&format!("memory, {compression:?}"), &EmbeddedLog::memory(options.clone()));
        if let Some(dir) = std::env::args().nth(1) {
            let dir = format!("{dir}/{compression:?}");
            report(&format!("disk, {compression:?}"), &EmbeddedLog::open(dir, options).unwrap());
        }
    }
}

/// CPU time of this thread in seconds; elapsed time where the system does not tell.
fn cpu(clock: &SystemClock) -> f64 {
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = nanos.and_then(|text| text.split(' ').next().and_then(|first| first.parse::<u64>().ok()));
    nanos.unwrap_or_else(|| clock.now().mono_ns) as f64 / 1e9
}

fn report(name: &str, log: &EmbeddedLog) {
    let clock = SystemClock::new();
    let seconds = |from: f64| cpu(&clock) - from;
    let partition = TopicPartition::new("speed", 0);
    let (mut writer, mut reader) = (log.writer(None), log.reader(Isolation::ReadCommitted));
    assert!(matches!(writer.init().poll(Now::default()), Outcome::Done(())));
    let to = writer.partition(&partition);
    reader.assign(&[(partition.clone(), Offset(0).into())]);
    let (mut value, headers, mut events) = ([b'v'; 100], Headers::new(), Vec::new());
    let (mut write, mut read, mut bytes, mut count) = (0.0, 0.0, 0, 0);
    for round in 0..RECORDS / ROUND {
        let start = cpu(&clock);
        for index in 0..ROUND {
            let number = round * ROUND + index;
            let key = number.to_be_bytes();
            // Not all alike, or compression has nothing to do.
            let digits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            value.iter_mut().zip(digits).for_each(|(to, from)| *to = from);
            writer.append(to, Timestamp(number as i64), Some(&key), Some(&value), &headers).unwrap();
        }
        assert!(matches!(writer.flush().poll(Now::default()), Outcome::Done(_)));
        write += seconds(start);
        let start = cpu(&clock);
        let mut seen = 0;
        while seen < ROUND {
            reader.poll(Now::default(), 1 << 20, &mut events);
            for event in events.drain(..) {
                let ReaderEvent::Fetched(fetched) = event else { panic!("{event:?}") };
                for batch in &fetched.batches {
                    let mut records = batch.cursor(fetched.from).unwrap();
                    while let Some(record) = records.next_record().unwrap() {
                        bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
                        seen += 1;
                    }
                }
            }
        }
        read += seconds(start);
        count += seen;
        // The log does not grow beyond what is measured.
        let before = [(partition.clone(), Offset((round * ROUND) as i64))];
        let _ = log.admin().delete_records(&before);
    }
    let million = count as f64 / 1e6;
    println!("{name}: write {:.3} s, read {:.3} s per million; {bytes} bytes", write / million, read / million);
}
