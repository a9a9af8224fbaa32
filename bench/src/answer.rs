//! The right answers, straight from the generator, and checksums to compare outputs by.

use std::collections::HashMap;

use crate::generator::{Generator, TABLE_RECORDS, amount};
use crate::workload::{AMOUNT_LIMIT, WINDOW, Workload, joined};

/// What an output holds: of a stream all records, of a table the last record of each key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Records, or keys.
    pub(crate) count: u64,
    /// Sum of the records' hashes, whatever their order.
    pub(crate) checksum: u64,
}

impl Answer {
    /// Counts a record in.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count += 1;
        self.checksum = self.checksum.wrapping_add(hash(key, value));
    }
}

/// What comes out of a workload for so many records; nothing for those that are not checked this way.
pub(crate) fn of(workload: Workload, records: u64, keys: u64) -> Option<Answer> {
    let mut generator = Generator::new(keys);
    let mut answer = Answer::default();
    match workload {
        Workload::W1 => {
            for number in 0..records {
                let record = generator.record(number);
                if amount(record.value) < AMOUNT_LIMIT {
                    answer.add(record.key.as_bytes(), ["v1:", record.value].concat().as_bytes());
                }
            }
        }
        Workload::W2 | Workload::W2n | Workload::W5 => {
            let mut counts: HashMap<String, i64> = HashMap::new();
            for number in 0..records {
                let record = generator.record(number);
                let key = match (workload, record.value.get(11..15)) {
                    (Workload::W5, Some(digits)) => ["amt-", digits].concat(),
                    _ => record.key.to_owned(),
                };
                *counts.entry(key).or_default() += 1;
            }
            for (key, count) in &counts {
                answer.add(key.as_bytes(), &count.to_be_bytes());
            }
        }
        Workload::W3 => windows(&mut generator, records, &mut answer),
        Workload::W4 => {
            let mut rows = Generator::new(keys);
            for number in 0..records {
                let rank = generator.rank(number);
                if rank < TABLE_RECORDS {
                    let record = generator.record(number);
                    answer.add(record.key.as_bytes(), joined(record.value, rows.row(rank).value).as_bytes());
                }
            }
        }
        Workload::L1 | Workload::R1 | Workload::F1 => return None,
    }
    Some(answer)
}

fn windows(generator: &mut Generator, records: u64, answer: &mut Answer) {
    let size_ms = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
    let mut sums: HashMap<(String, i64), i64> = HashMap::new();
    for number in 0..records {
        let record = generator.record(number);
        let start_ms = record.timestamp_ms - record.timestamp_ms.rem_euclid(size_ms);
        *sums.entry((record.key.to_owned(), start_ms)).or_default() += i64::from(amount(record.value));
    }
    for ((key, start_ms), sum) in &sums {
        answer.add(&[key.as_bytes(), &start_ms.to_be_bytes()].concat(), &sum.to_be_bytes());
    }
}

/// FNV-1a over key, a zero byte and value.
fn hash(key: &[u8], value: &[u8]) -> u64 {
    let bytes = key.iter().chain(&[0]).chain(value);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
