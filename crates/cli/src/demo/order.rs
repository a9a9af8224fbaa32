//! The order in which the year is replayed: by actual departure.

use csv::{Position, StringRecord};
use millstream::types::{Error, ErrorKind, Result, Timestamp};

use super::calendar::minutes_of;
use super::data::{Columns, unreadable};

const MINUTE_MS: i64 = 60_000;

/// A flight as the order needs it: 24 bytes, so that a year of them is small. The row itself
/// stays in the file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departure {
    /// When it left, in minutes since the epoch; for a cancelled flight when it should have.
    pub(super) actual_minute: i64,
    /// When it should have left: the event time.
    pub(super) scheduled: Timestamp,
    /// Where its row starts in the file, in bytes.
    pub(super) at: u64,
}

impl Departure {
    /// Where its row starts, for a reader of the same text.
    pub(super) fn position(self) -> Position {
        let mut position = Position::new();
        position.set_byte(self.at);
        position
    }
}

/// All flights by actual departure; the file's order on ties.
pub(super) fn departures(text: &[u8], columns: &Columns) -> Result<Vec<Departure>> {
    let (hour, minute) = (columns.find("time_hour")?, columns.find("minute")?);
    let delay = columns.find("dep_delay")?;
    let mut reader = csv::Reader::from_reader(text);
    reader.headers().map_err(unreadable)?;
    let mut departures = Vec::new();
    let mut row = StringRecord::new();
    loop {
        let at = reader.position().byte();
        if !reader.read_record(&mut row).map_err(unreadable)? {
            break;
        }
        let hour = columns.field(&row, hour)?.unwrap_or_default();
        let start = minutes_of(hour).ok_or_else(|| {
            Error::new(ErrorKind::Corrupted, format!("the demo's flights.csv is damaged: `{hour}` is not a time"))
        })?;
        let scheduled = start + columns.number(&row, minute)?.unwrap_or(0);
        let actual_minute = scheduled + columns.number(&row, delay)?.unwrap_or(0);
        departures.push(Departure { actual_minute, scheduled: Timestamp(scheduled * MINUTE_MS), at });
    }
    // A stable sort: ties stay in the file's order.
    departures.sort_by_key(|departure| departure.actual_minute);
    Ok(departures)
}

#[cfg(test)]
mod tests {
    use super::super::data::FLIGHTS;
    use super::*;

    #[test]
    fn the_year_is_in_order_and_ties_are_in_the_files_order() {
        let text = FLIGHTS.text().unwrap();
        let columns = FLIGHTS.columns(&text).unwrap();
        let departures = departures(&text, &columns).unwrap();
        assert_eq!(departures.len(), 336_776);
        let order = |departure: &Departure| (departure.actual_minute, departure.at);
        assert!(departures.windows(2).all(|pair| order(&pair[0]) < order(&pair[1])));
        assert_eq!(departures[0].scheduled, Timestamp(1_357_035_300_000));
    }
}
