//! What the demo's topics must hold in the end, computed from the CSV files in the plainest way:
//! loops over the rows, no code shared with the demo.

use std::collections::BTreeMap;
use std::io::Read;

use ruzstd::decoding::StreamingDecoder;

const MINUTE_MS: i64 = 60_000;
const QUARTER_MS: i64 = 15 * MINUTE_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Kafka's default partitioner on four partitions, for every carrier there is.
const PARTITIONS: [(&str, usize); 16] = [
    ("9E", 2),
    ("AA", 1),
    ("AS", 3),
    ("B6", 0),
    ("DL", 3),
    ("EV", 3),
    ("F9", 0),
    ("FL", 3),
    ("HA", 3),
    ("MQ", 3),
    ("OO", 1),
    ("UA", 2),
    ("US", 0),
    ("VX", 1),
    ("WN", 3),
    ("YV", 2),
];

/// Columns whose values are strings in JSON.
const TEXTS: [&str; 5] = ["carrier", "tailnum", "origin", "dest", "time_hour"];

/// The final tables; windows by their start in ms.
#[derive(Default)]
pub(crate) struct Expected {
    /// By partition, in order: the line of a dump from `"timestamp"` on.
    pub(crate) departures: [Vec<String>; 4],
    /// Carrier and day: flights and sum of delays.
    pub(crate) delays: BTreeMap<(String, i64), (i64, i64)>,
    /// Airport and window: flights.
    pub(crate) traffic: BTreeMap<(String, i64), i64>,
    /// Tail number: legs, miles, model, seats.
    pub(crate) legs: BTreeMap<String, (i64, i64, Option<String>, Option<i64>)>,
    /// Airport: minutes, carrier, flight.
    pub(crate) worst: BTreeMap<String, (i64, String, i64)>,
}

impl Expected {
    /// What comes of the first flights of the year.
    pub(crate) fn compute(flights_max: usize) -> Self {
        let flights = decoded(include_bytes!("../../data/flights.csv.zst"));
        let planes = decoded(include_bytes!("../../data/planes.csv.zst"));
        let airlines = include_str!("../../data/airlines.csv");
        let names: BTreeMap<&str, &str> = airlines.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
        let planes: BTreeMap<&str, Row> = rows(&planes).into_iter().map(|row| (row.text("tailnum"), row)).collect();
        let partitions = BTreeMap::from(PARTITIONS);

        let mut departed: Vec<(i64, Row)> = rows(&flights)
            .into_iter()
            .map(|row| (row.scheduled_ms() + row.number("dep_delay").unwrap_or(0) * MINUTE_MS, row))
            .collect();
        departed.sort_by_key(|(actual_ms, _)| *actual_ms);
        departed.truncate(flights_max);
        departed.retain(|(_, row)| row.number("dep_time").is_some());
        assert_eq!(departed.len() == 328_521, flights_max == usize::MAX);

        let mut expected = Self::default();
        for (_, row) in &departed {
            let (carrier, origin) = (row.text("carrier"), row.text("origin"));
            let line = departure(row, names[carrier]);
            expected.departures[partitions[carrier]].push(line);
            let plane = planes.get(row.text("tailnum"));
            expected.count(row, carrier, origin, plane);
        }
        expected
    }

    fn count(&mut self, row: &Row, carrier: &str, origin: &str, plane: Option<&Row>) {
        let time = row.scheduled_ms();
        let delay = row.number("dep_delay").unwrap();
        let day = self.delays.entry((carrier.to_owned(), time / DAY_MS * DAY_MS)).or_default();
        day.0 += 1;
        day.1 += delay;
        for back in 0..HOUR_MS / QUARTER_MS {
            let start = time / QUARTER_MS * QUARTER_MS - back * QUARTER_MS;
            *self.traffic.entry((origin.to_owned(), start)).or_default() += 1;
        }
        if row.text("tailnum") != "NA" {
            let legs = self.legs.entry(row.text("tailnum").to_owned()).or_default();
            legs.0 += 1;
            legs.1 += row.number("distance").unwrap();
            legs.2 = plane.map(|plane| plane.text("model").to_owned());
            legs.3 = plane.and_then(|plane| plane.number("seats"));
        }
        let flight = row.number("flight").unwrap();
        let worst = self.worst.entry(origin.to_owned()).or_insert((i64::MIN, String::new(), 0));
        if delay > worst.0 {
            *worst = (delay, carrier.to_owned(), flight);
        }
    }
}

/// One row of a file.
struct Row<'a> {
    names: Vec<&'a str>,
    fields: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn text(&self, name: &str) -> &'a str {
        self.fields[self.names.iter().position(|known| *known == name).unwrap()]
    }

    fn number(&self, name: &str) -> Option<i64> {
        let text = self.text(name);
        (text != "NA").then(|| text.parse().unwrap())
    }

    /// All times are of 2013 or the first hours of 2014.
    fn scheduled_ms(&self) -> i64 {
        let text = self.text("time_hour");
        let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap();
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let months = usize::try_from(number(5, 7) - 1).unwrap();
        let days = lengths[..months].iter().sum::<i64>() + number(8, 10) - 1 + (number(0, 4) - 2013) * 365;
        // 2013-01-01 UTC.
        1_356_998_400_000 + days * DAY_MS + number(11, 13) * HOUR_MS + self.number("minute").unwrap() * MINUTE_MS
    }
}

fn departure(row: &Row, airline: &str) -> String {
    let fields: Vec<String> = row
        .names
        .iter()
        .map(|name| match row.text(name) {
            "NA" => format!(r#""{name}":null"#),
            text if TEXTS.contains(name) => format!(r#""{name}":"{text}""#),
            number => format!(r#""{name}":{number}"#),
        })
        .collect();
    let (time, carrier) = (row.scheduled_ms(), row.text("carrier"));
    format!(r#""timestamp":{time},"key":"{carrier}","value":{{{},"airline":"{airline}"}}}}"#, fields.join(","))
}

fn decoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    StreamingDecoder::new(bytes).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The files have no quotes.
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines.map(|line| Row { names: names.clone(), fields: line.split(',').collect() }).collect()
}
