//! The demo's topics: their names, and how their keys read.

/// Everything the demo runs under: group id and prefix of internal topics.
pub(super) const APPLICATION_ID: &str = "flights-demo";
/// Partitions of every topic.
pub(super) const PARTITIONS: i32 = 4;

pub(super) const AIRLINES: &str = "airlines";
pub(super) const PLANES: &str = "planes";
pub(super) const FLIGHTS: &str = "flights";
pub(super) const DEPARTURES: &str = "departures";
pub(super) const DELAYS_BY_CARRIER_DAY: &str = "delays-by-carrier-day";
pub(super) const TRAFFIC: &str = "traffic";
pub(super) const LEGS_BY_PLANE: &str = "legs-by-plane";
pub(super) const WORST_DELAYS: &str = "worst-delays";

/// Written before the topology starts, in this order.
pub(super) const INPUTS: [&str; 3] = [AIRLINES, PLANES, FLIGHTS];
/// Written by the topology.
pub(super) const OUTPUTS: [&str; 5] = [DEPARTURES, DELAYS_BY_CARRIER_DAY, TRAFFIC, LEGS_BY_PLANE, WORST_DELAYS];

/// Records of [`FLIGHTS`].
pub(super) const FLIGHTS_TOTAL: u64 = 336_776;

/// Brokers delete records by their timestamps, and those of 2013 are old.
pub(super) const KEEP_FOR_EVER: (&str, &str) = ("retention.ms", "-1");

/// Size of the windows of [`DELAYS_BY_CARRIER_DAY`], in ms.
pub(super) const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Size of the windows of [`TRAFFIC`], in ms.
pub(super) const HOUR_MS: i64 = 60 * 60 * 1000;

/// How the bytes of a topic's keys read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFormat {
    /// UTF-8 text.
    Text,
    /// `text | window start (8)`.
    Windowed {
        /// Size of the window, in ms.
        size_ms: i64,
    },
    /// `text | window start (8) | sequence (4)`: the changelog of a window store.
    WindowedChangelog {
        /// Size of the window, in ms.
        size_ms: i64,
    },
}

impl KeyFormat {
    /// The format of a topic of the demo, internal ones included.
    pub(super) fn of(topic: &str) -> Self {
        let sizes = [(DELAYS_BY_CARRIER_DAY, DAY_MS), (TRAFFIC, HOUR_MS)];
        for (name, size_ms) in sizes {
            if topic == name {
                return Self::Windowed { size_ms };
            }
            if topic.strip_prefix(APPLICATION_ID).is_some_and(|rest| rest == format!("-{name}-changelog")) {
                return Self::WindowedChangelog { size_ms };
            }
        }
        Self::Text
    }
}
