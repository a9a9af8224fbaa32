//! The report: what the year says, read back from the output topics.

use std::collections::BTreeMap;
use std::io::{self, Write};

use millstream::log::Log;
use millstream::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;

use super::calendar::date_text;
use super::dump::Key;
use super::progress::grouped;
use super::records::{Airline, DayDelays, PlaneLegs};
use super::scan::{Open, scan};
use super::topics::{self, DAY_MS, KeyFormat};

/// A topic's latest values by key and window start.
type LatestValues<V> = BTreeMap<(String, Option<i64>), V>;

/// What the report tells.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Report {
    /// Day since the epoch, and departures.
    busiest_day: Option<(i64, i64)>,
    /// Name, departures and mean delay in minutes.
    worst_carrier: Option<(String, i64, f64)>,
    /// Tail number and its year.
    most_flown: Option<(String, PlaneLegs)>,
}

impl Report {
    /// Reads the output topics.
    pub(super) fn read(log: &dyn Log, open: Open) -> Result<Self> {
        let days = latest::<DayDelays>(log, topics::DELAYS_BY_CARRIER_DAY, open)?;
        let airlines = latest::<Airline>(log, topics::AIRLINES, open)?;
        let planes = latest::<PlaneLegs>(log, topics::LEGS_BY_PLANE, open)?;
        Ok(Self::of(&days, &airlines, planes))
    }

    fn of(days: &LatestValues<DayDelays>, airlines: &LatestValues<Airline>, planes: LatestValues<PlaneLegs>) -> Self {
        let mut by_day = BTreeMap::<i64, i64>::new();
        let mut by_carrier = BTreeMap::<&str, (i64, i64)>::new();
        for ((carrier, start), delays) in days {
            *by_day.entry(start.unwrap_or(0) / DAY_MS).or_default() += delays.flights;
            let (flights, minutes) = by_carrier.entry(carrier).or_default();
            *flights += delays.flights;
            *minutes += delays.delay_minutes;
        }
        let name = |carrier: &str| {
            airlines.get(&(carrier.to_owned(), None)).map_or_else(|| carrier.to_owned(), |airline| airline.name.clone())
        };
        let means = by_carrier.iter().map(|(carrier, (flights, minutes))| {
            let mean = *minutes as f64 / *flights as f64;
            (*carrier, *flights, mean)
        });
        let worst = means.max_by(|one, other| one.2.total_cmp(&other.2));
        Self {
            busiest_day: by_day.into_iter().max_by_key(|(_, flights)| *flights),
            worst_carrier: worst.map(|(carrier, flights, mean)| (name(carrier), flights, mean)),
            most_flown: planes.into_iter().max_by_key(|(_, plane)| plane.legs).map(|((key, _), plane)| (key, plane)),
        }
    }

    /// Writes the report for people.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some((day, flights)) = self.busiest_day {
            writeln!(out, "  Busiest day         {}, {} departures", date_text(day), count(flights))?;
        }
        if let Some((name, flights, mean)) = &self.worst_carrier {
            writeln!(
                out,
                "  Worst carrier       {name}: {} departures, {mean:.1} minutes late on average",
                count(*flights)
            )?;
        }
        if let Some((tail_number, plane)) = &self.most_flown {
            let model = plane.model.as_deref().unwrap_or("model unknown");
            let seats = plane.seats.map_or_else(|| "seats unknown".to_owned(), |seats| format!("{seats} seats"));
            writeln!(
                out,
                "  Most-flown aircraft {tail_number} ({model}, {seats}): {} legs, {} miles",
                count(plane.legs),
                count(plane.distance_miles)
            )?;
        }
        Ok(())
    }
}

fn count(number: i64) -> String {
    grouped(u64::try_from(number).unwrap_or(0))
}

fn latest<V: DeserializeOwned>(log: &dyn Log, topic: &str, open: Open) -> Result<LatestValues<V>> {
    let format = KeyFormat::of(topic);
    let mut values = BTreeMap::new();
    scan(log, topic, open, |_, record| {
        let unreadable = |what: &str| {
            Error::new(ErrorKind::Corrupted, what).with_context(|context| {
                context.topic = Some(topic.into());
                context.offset = Some(record.offset);
            })
        };
        let key = Key::read(record.key.unwrap_or_default(), format);
        let text = std::str::from_utf8(key.text).map_err(|error| unreadable("a key is no text").with_source(error))?;
        let key = (text.to_owned(), key.window.map(|(start, _)| start));
        match record.value {
            None => drop(values.remove(&key)),
            Some(value) => {
                let value = serde_json::from_slice(value);
                values.insert(key, value.map_err(|error| unreadable("a value cannot be read").with_source(error))?);
            }
        }
        Ok(true)
    })?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(flights: i64, delay_minutes: i64) -> DayDelays {
        DayDelays { flights, delay_minutes, mean_delay: 0.0 }
    }

    #[test]
    fn totals_are_taken_over_all_carriers_and_days() {
        let days = [
            (("AA".to_owned(), Some(0)), day(10, 100)),
            (("AA".to_owned(), Some(DAY_MS)), day(10, 0)),
            (("F9".to_owned(), Some(DAY_MS)), day(2, 12)),
        ];
        let airlines = Airline { carrier: "F9".to_owned(), name: "Frontier".to_owned() };
        let airlines = BTreeMap::from([(("F9".to_owned(), None), airlines)]);
        let plane = |legs| PlaneLegs { legs, distance_miles: 1_234, model: None, seats: Some(8) };
        let planes = BTreeMap::from([(("N1".to_owned(), None), plane(3)), (("N2".to_owned(), None), plane(2))]);
        let report = Report::of(&BTreeMap::from(days), &airlines, planes);
        let mut text = Vec::new();
        report.write(&mut text).unwrap();
        let lines = [
            "  Busiest day         1970-01-02, 12 departures",
            "  Worst carrier       Frontier: 2 departures, 6.0 minutes late on average",
            "  Most-flown aircraft N1 (model unknown, 8 seats): 3 legs, 1,234 miles",
        ];
        assert_eq!(String::from_utf8(text).unwrap().lines().collect::<Vec<_>>(), lines);
    }

    #[test]
    fn a_year_without_records_has_nothing_to_tell() {
        let report = Report::of(&BTreeMap::new(), &BTreeMap::new(), BTreeMap::new());
        assert_eq!(report, Report::default());
    }
}
