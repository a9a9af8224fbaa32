//! What is run: the topologies that Millstream and Kafka Streams both have.

use std::str::FromStr;
use std::time::Duration;

use millstream::types::Serde;
use millstream::{Config, Grouped, Materialized, Produced, Serdes, StreamsBuilder, TimeWindows, Topology};

use crate::generator::{TABLE_RECORDS, amount};

/// Records with a smaller amount pass W1's filter: about a half.
pub(crate) const AMOUNT_LIMIT: u32 = 500_000;
/// Windows of W3.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(10);

/// A workload; README.md says what each is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// `filter` to about a half, `map_values`.
    W1,
    /// `count` by key, record cache on.
    W2,
    /// The same without the record cache.
    W2n,
    /// `aggregate` in windows of a minute.
    W3,
    /// A stream joined with a table.
    W4,
    /// `count` by another key, through a repartition topic.
    W5,
    /// Passes records on; for latencies.
    L1,
    /// Keeps the last value of each key; for restoring.
    R1,
    /// The same, and sends it on; for fail-over.
    F1,
}

/// `processing.guarantee`, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarantee {
    /// `at_least_once`.
    Alo,
    /// `exactly_once_v2`.
    Eos,
}

impl Workload {
    const ALL: [Self; 9] = [Self::W1, Self::W2, Self::W2n, Self::W3, Self::W4, Self::W5, Self::L1, Self::R1, Self::F1];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::W1 => "W1",
            Self::W2 => "W2",
            Self::W2n => "W2n",
            Self::W3 => "W3",
            Self::W4 => "W4",
            Self::W5 => "W5",
            Self::L1 => "L1",
            Self::R1 => "R1",
            Self::F1 => "F1",
        }
    }

    /// Whether each record of the output counts, or the last of each key.
    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::W1 | Self::W4 | Self::L1)
    }

    /// Input records, of `records` in the main topic.
    pub(crate) fn inputs(self, records: u64) -> u64 {
        if self == Self::W4 { records + TABLE_RECORDS } else { records }
    }

    /// Records that all sub-topologies process together.
    pub(crate) fn steps(self, records: u64) -> u64 {
        if self == Self::W5 { 2 * records } else { self.inputs(records) }
    }

    pub(crate) fn topology(self, config: &Config, topics: &Topics) -> millstream::Result<Topology> {
        let builder = StreamsBuilder::with_config(config);
        let stream = builder.stream::<String, String>(&topics.input);
        let output = topics.output.as_str();
        match self {
            Self::W1 => stream
                .filter(|_, value| amount(value) < AMOUNT_LIMIT)
                .map_values(|value| ["v1:", &value].concat())
                .to(output),
            Self::W2 | Self::W2n => {
                stream.group_by_key().count_with(Materialized::named("counts")).to_stream().to(output);
            }
            Self::W3 => {
                let window_ms = i64::try_from(WINDOW.as_millis()).unwrap_or(i64::MAX);
                stream
                    .group_by_key()
                    .windowed_by(TimeWindows::of_size_and_grace(WINDOW, GRACE)?)
                    .aggregate_with(|| 0, |_, value, sum| sum + i64::from(amount(&value)), Materialized::named("sums"))
                    .to_stream()
                    .to_with(
                        output,
                        Produced::with(Serde::time_windowed(Serdes::string(), window_ms), Serdes::long().optional()),
                    );
            }
            Self::W4 => {
                let table =
                    builder.table_with(&topics.table, millstream::Consumed::default(), Materialized::named("table"));
                stream.join(&table, |value: &String, row: &String| joined(value, row)).to(output);
            }
            Self::W5 => stream
                .select_key(|_, value| ["amt-", value.get(11..15).unwrap_or_default()].concat())
                .group_by_key_with(Grouped::named("rekey"))
                .count_with(Materialized::named("counts"))
                .to_stream()
                .to(output),
            Self::L1 => stream.to(output),
            Self::R1 | Self::F1 => {
                let last = Materialized::named("store").with_caching_disabled();
                let table = stream.group_by_key().reduce_with(|_, last| last, last);
                if self == Self::F1 {
                    table.to_stream().to(output);
                }
            }
        }
        builder.build()
    }
}

/// W4's result: number and amount, and the table's row.
pub(crate) fn joined(value: &str, row: &str) -> String {
    [value.get(..17).unwrap_or_default(), "|", row].concat()
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|workload| workload.name() == text).ok_or_else(|| format!("{text} is no workload"))
    }
}

impl Guarantee {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Alo => "alo",
            Self::Eos => "eos",
        }
    }
}

impl FromStr for Guarantee {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "alo" => Ok(Self::Alo),
            "eos" => Ok(Self::Eos),
            _ => Err(format!("{text}: a guarantee is alo or eos")),
        }
    }
}

/// Where the records are.
pub(crate) struct Topics {
    pub(crate) input: String,
    pub(crate) output: String,
    /// W4's table.
    pub(crate) table: String,
}
