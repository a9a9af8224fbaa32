//! The demo's tables as their readers see them, against what they must hold.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::expected::Expected;
use crate::millstream;

/// The tables of a demo.
pub(crate) struct Tables<'a> {
    /// Where the command runs.
    pub(crate) dir: &'a Path,
    /// What tells a dump where the topics are.
    pub(crate) place: &'a [&'a str],
    pub(crate) expected: &'a Expected,
}

impl Tables<'_> {
    #[track_caller]
    pub(crate) fn check(&self) {
        self.check_departures();
        let delays = self.latest("delays-by-carrier-day", windowed(86_400_000), |value| {
            let [flights, minutes, mean] = fields(value, ["flights", "delay_minutes", "mean_delay"]);
            let (flights, minutes) = (number(&flights), number(&minutes));
            let difference = mean.as_f64().unwrap() - minutes as f64 / flights as f64;
            assert!(difference.abs() < 1e-9, "{value}");
            (flights, minutes)
        });
        assert!(delays == self.expected.delays, "delays-by-carrier-day differs");
        let traffic = self.latest("traffic", windowed(3_600_000), |value| {
            let [flights] = fields(value, ["flights"]);
            number(&flights)
        });
        assert!(traffic == self.expected.traffic, "traffic differs");
        let legs = self.latest("legs-by-plane", text, |value| {
            let [legs, miles, model, seats] = fields(value, ["legs", "distance_miles", "model", "seats"]);
            (number(&legs), number(&miles), model.as_str().map(str::to_owned), seats.as_i64())
        });
        assert!(legs == self.expected.legs, "legs-by-plane differs");
        let worst = self.latest("worst-delays", text, |value| {
            let [minutes, carrier, flight] = fields(value, ["delay_minutes", "carrier", "flight"]);
            (number(&minutes), text(&carrier), number(&flight))
        });
        assert_eq!(worst, self.expected.worst);
    }

    /// Record for record: nothing is missing, nothing is there twice.
    #[track_caller]
    pub(crate) fn check_departures(&self) {
        let mut counts = [0; 4];
        self.dump("departures", |line| {
            let (head, rest) = line.split_once(r#","timestamp""#).unwrap();
            let partition: usize = head.strip_prefix(r#"{"partition":"#).unwrap()[..1].parse().unwrap();
            let expected = self.expected.departures[partition].get(counts[partition]).map_or("nothing", String::as_str);
            assert_eq!(expected.strip_prefix(r#""timestamp""#), Some(rest), "departure {}", counts[partition]);
            counts[partition] += 1;
        });
        assert_eq!(counts, std::array::from_fn(|partition| self.expected.departures[partition].len()));
    }

    /// Shows each line of a dump.
    fn dump(&self, topic: &str, mut visit: impl FnMut(&str)) {
        let mut command = millstream(self.dir);
        let command = command.args(["demo", "dump", topic, "--json"]).args(self.place);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            visit(&line.unwrap());
        }
        assert!(child.wait().unwrap().success());
    }

    /// The last value of each key.
    fn latest<K: Ord, V>(&self, topic: &str, key: impl Fn(&Value) -> K, value: impl Fn(&Value) -> V) -> BTreeMap<K, V> {
        let mut latest = BTreeMap::new();
        self.dump(topic, |line| {
            let record: Value = serde_json::from_str(line).unwrap();
            latest.insert(key(&record["key"]), value(&record["value"]));
        });
        latest
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

/// A value with exactly these fields.
#[track_caller]
fn fields<const N: usize>(value: &Value, names: [&str; N]) -> [Value; N] {
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), N, "{value}");
    names.map(|name| object[name].clone())
}

fn windowed(size_ms: i64) -> impl Fn(&Value) -> (String, i64) {
    move |key| {
        let [key, start, end] = fields(key, ["key", "start", "end"]);
        assert_eq!(number(&end), number(&start) + size_ms);
        (text(&key), number(&start))
    }
}
