//! The input: records that depend on their number and nothing else. `Gen.java` makes the same ones.

use std::fmt::Write;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
const SEED: u64 = 42;
/// Scatters the hot keys over the key space; prime.
const SCATTER: u64 = 7919;
/// Timestamp of the first record, in ms: on a minute's boundary.
const START_MS: i64 = 1_700_000_040_000;
/// Length of a value, in bytes.
const VALUE_LEN: usize = 100;
/// The table's rows lie this long before the first record, in ms.
const TABLE_BEFORE_MS: i64 = 10_000_000;
/// Numbers of the table's payloads begin here.
const TABLE_AT: u64 = 1 << 40;

/// Keys of the workloads.
pub(crate) const KEYS: u64 = 1_000_000;
/// Rows of W4's table: those of the hottest keys.
pub(crate) const TABLE_RECORDS: u64 = 100_000;

/// Makes records with a skewed choice of keys: the hottest tenth gets 46 % of them.
pub(crate) struct Generator {
    keys: u64,
    key: String,
    value: String,
}

/// One record.
pub(crate) struct Generated<'a> {
    pub(crate) key: &'a str,
    /// Number of the record, amount and letters: 100 bytes.
    pub(crate) value: &'a str,
    /// Rises by one every four records, and is up to five seconds late.
    pub(crate) timestamp_ms: i64,
}

impl Generator {
    /// A generator over a number of keys.
    pub(crate) fn new(keys: u64) -> Self {
        Self { keys, key: String::new(), value: String::with_capacity(VALUE_LEN) }
    }

    /// The record of that number.
    pub(crate) fn record(&mut self, number: u64) -> Generated<'_> {
        self.value.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.value, "{number:010},{:06},", below(random(number, 1), 1_000_000));
        self.fill(number);
        let late_ms = below(random(number, 2), 5000) as i64;
        self.keyed(self.rank(number), START_MS + (number / 4) as i64 - late_ms)
    }

    /// The row of that number in the table.
    pub(crate) fn row(&mut self, number: u64) -> Generated<'_> {
        self.value.clear();
        let _ = write!(self.value, "T{number:09},");
        self.fill(TABLE_AT + number);
        self.keyed(number, START_MS - TABLE_BEFORE_MS + number as i64)
    }

    /// How hot a record's key is: 0 for the hottest.
    pub(crate) fn rank(&self, number: u64) -> u64 {
        let x = random(number, 0) >> 32;
        let cube = (((x * x) >> 32) * x) >> 32;
        (self.keys * cube) >> 32
    }

    fn keyed(&mut self, rank: u64, timestamp_ms: i64) -> Generated<'_> {
        self.key.clear();
        let _ = write!(self.key, "user-{:08}", rank * SCATTER % self.keys);
        Generated { key: &self.key, value: &self.value, timestamp_ms }
    }

    /// Fills the value up with letters.
    fn fill(&mut self, number: u64) {
        for letter in 0..(VALUE_LEN - self.value.len()) as u64 {
            let bits = random(number, 3 + letter / 16) >> (4 * (letter % 16)) & 15;
            self.value.push(char::from(b'a' + bits as u8));
        }
    }
}

/// The amount in a value of this generator; 0 in any other.
pub(crate) fn amount(value: &str) -> u32 {
    value.get(11..17).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn random(number: u64, stream: u64) -> u64 {
    mix(SEED.wrapping_add((16u64.wrapping_mul(number).wrapping_add(stream + 1)).wrapping_mul(GOLDEN)))
}

/// A number under `limit` from the upper half of random bits.
fn below(random: u64, limit: u64) -> u64 {
    ((random >> 32) * limit) >> 32
}

fn mix(z: u64) -> u64 {
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}
