//! The records of the demo's topics, as JSON has them: fields in the order they are written.

use serde::{Deserialize, Serialize};

/// A row of `flights`: the columns of the CSV file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Flight {
    pub(super) year: i32,
    pub(super) month: i32,
    pub(super) day: i32,
    /// Local HHMM; none for a cancelled flight.
    pub(super) dep_time: Option<i32>,
    pub(super) sched_dep_time: i32,
    /// Minutes; negative when it left early.
    pub(super) dep_delay: Option<i64>,
    pub(super) arr_time: Option<i32>,
    pub(super) sched_arr_time: i32,
    pub(super) arr_delay: Option<i32>,
    pub(super) carrier: String,
    pub(super) flight: i64,
    pub(super) tailnum: Option<String>,
    pub(super) origin: String,
    pub(super) dest: String,
    pub(super) air_time: Option<i32>,
    /// Miles.
    pub(super) distance: i64,
    pub(super) hour: i32,
    pub(super) minute: i32,
    pub(super) time_hour: String,
}

/// A row of `airlines`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Airline {
    pub(super) carrier: String,
    pub(super) name: String,
}

/// What the demo needs of a row of `planes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plane {
    pub(super) model: Option<String>,
    pub(super) seats: Option<i64>,
}

/// A flight that took place, with the name of its airline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Departure {
    #[serde(flatten)]
    pub(super) flight: Flight,
    pub(super) airline: String,
}

/// A carrier's day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DayDelays {
    pub(super) flights: i64,
    pub(super) delay_minutes: i64,
    pub(super) mean_delay: f64,
}

/// What left an airport in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Traffic {
    pub(super) flights: i64,
}

/// One flight of an aircraft, on its way to the aircraft's totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leg {
    pub(super) distance_miles: i64,
}

/// An aircraft's year.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PlaneLegs {
    pub(super) legs: i64,
    pub(super) distance_miles: i64,
    pub(super) model: Option<String>,
    pub(super) seats: Option<i64>,
}

/// A departure's delay; under an airport's key the worst so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delay {
    pub(super) delay_minutes: i64,
    pub(super) carrier: String,
    pub(super) flight: i64,
}
