//! The demo's topology, as a user of the library would write it.

use std::time::Duration;

use millstream::{
    Context, Incoming, KStream, KeyValueStore, Materialized, Processor, ProcessorError, Produced, PunctuationType,
    Record, Repartitioned, Result, Serde, StoreHandle, Stores, StreamsBuilder, TimeWindows, Timer, Timestamp, Topology,
};

use super::records::{Airline, DayDelays, Delay, Departure, Flight, Leg, Plane, PlaneLegs, Traffic};
use super::topics;

const QUARTER: Duration = Duration::from_secs(15 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The store of [`WorstDelays`].
const WORST_DELAYS_STORE: &str = "worst-delays";

/// The topology. `observe` is called once for each flight read.
pub(super) fn topology(observe: impl Fn() + Send + Sync + 'static) -> Result<Topology> {
    let builder = StreamsBuilder::new();
    register_serdes(&builder);
    let departures = departures(&builder, observe);
    departures.to(topics::DEPARTURES);
    delays_by_carrier_day(&departures)?;
    legs_by_plane(&builder, &departures);
    // Two parts need the departures by airport: they share one repartition topic.
    let by_origin = departures
        .map(|_, departure| (departure.flight.origin.clone(), delay(&departure.flight)))
        .repartition_with(Repartitioned::named("departures-by-origin"));
    traffic(&by_origin)?;
    worst_delays(&builder, &by_origin);
    builder.build()
}

fn register_serdes(builder: &StreamsBuilder) {
    builder
        .register_serde(Serde::<Airline>::json())
        .register_serde(Serde::<DayDelays>::json())
        .register_serde(Serde::<Delay>::json())
        .register_serde(Serde::<Departure>::json())
        .register_serde(Serde::<Flight>::json())
        .register_serde(Serde::<Leg>::json())
        .register_serde(Serde::<Plane>::json())
        .register_serde(Serde::<PlaneLegs>::json())
        .register_serde(Serde::<Traffic>::json());
}

/// Part 1: the flights that took place, with the names of their airlines.
fn departures(builder: &StreamsBuilder, observe: impl Fn() + Send + Sync + 'static) -> KStream<String, Departure> {
    let airlines = builder.global_table::<String, Airline>(topics::AIRLINES);
    builder
        .stream::<String, Flight>(topics::FLIGHTS)
        .peek(move |_, _| observe())
        .filter(|_, flight| flight.dep_time.is_some())
        .join_global(
            &airlines,
            |_, flight| flight.carrier.clone(),
            |flight, airline| Departure { flight: flight.clone(), airline: airline.name.clone() },
        )
}

/// Part 2: the delays of each carrier's day.
fn delays_by_carrier_day(departures: &KStream<String, Departure>) -> Result<()> {
    departures
        .group_by_key()
        .windowed_by(TimeWindows::of_size_and_grace(DAY, DAY)?)
        .aggregate_with(
            DayDelays::default,
            |_, departure, day| {
                let flights = day.flights + 1;
                let delay_minutes = day.delay_minutes + departure.flight.dep_delay.unwrap_or(0);
                DayDelays { flights, delay_minutes, mean_delay: delay_minutes as f64 / flights as f64 }
            },
            Materialized::named(topics::DELAYS_BY_CARRIER_DAY),
        )
        .to_stream()
        .to(topics::DELAYS_BY_CARRIER_DAY);
    Ok(())
}

/// Part 3: what leaves each airport in an hour, every quarter of an hour.
fn traffic(by_origin: &KStream<String, Delay>) -> Result<()> {
    // Behind a repartition topic the records of several partitions meet in any order: only the
    // end of the year closes a window.
    let windows = TimeWindows::of_size_and_grace(HOUR, 400 * DAY)?.advance_by(QUARTER)?;
    by_origin
        .group_by_key()
        .windowed_by(windows)
        .aggregate_with(
            Traffic::default,
            |_, _, traffic| Traffic { flights: traffic.flights + 1 },
            Materialized::named(topics::TRAFFIC),
        )
        .to_stream()
        .to(topics::TRAFFIC);
    Ok(())
}

/// Part 4: the year of each aircraft that is known by its tail number.
fn legs_by_plane(builder: &StreamsBuilder, departures: &KStream<String, Departure>) {
    let planes = builder.table::<String, Plane>(topics::PLANES);
    departures
        .flat_map(|_, departure| {
            let leg = Leg { distance_miles: departure.flight.distance };
            departure.flight.tailnum.map(|tail_number| (tail_number, leg))
        })
        .repartition_with(Repartitioned::named("departures-by-plane"))
        .left_join(&planes, |leg, plane| PlaneLegs {
            legs: 1,
            distance_miles: leg.distance_miles,
            model: plane.and_then(|plane| plane.model.clone()),
            seats: plane.and_then(|plane| plane.seats),
        })
        .group_by_key()
        .aggregate_with(
            PlaneLegs::default,
            |_, leg, total| PlaneLegs {
                legs: total.legs + leg.legs,
                distance_miles: total.distance_miles + leg.distance_miles,
                model: leg.model,
                seats: leg.seats,
            },
            Materialized::named(topics::LEGS_BY_PLANE),
        )
        .to_stream()
        .to(topics::LEGS_BY_PLANE);
}

/// Part 5: the worst delay of each airport so far, reported when there is a worse one and every hour of
/// event time.
fn worst_delays(builder: &StreamsBuilder, by_origin: &KStream<String, Delay>) {
    let store = Stores::key_value_store_builder(WORST_DELAYS_STORE, Serde::string(), Serde::<Delay>::json());
    builder.add_state_store(store);
    by_origin
        .process_with(WorstDelays::default, &[WORST_DELAYS_STORE])
        .to_with(topics::WORST_DELAYS, Produced::with(Serde::string(), Serde::json()));
}

fn delay(flight: &Flight) -> Delay {
    Delay { delay_minutes: flight.dep_delay.unwrap_or(0), carrier: flight.carrier.clone(), flight: flight.flight }
}

/// Keeps the worst delay of each airport. It reports all of them each hour, and a new one at once: behind
/// a repartition topic it may be older than the last hour there is.
#[derive(Default)]
struct WorstDelays {
    store: Option<StoreHandle<KeyValueStore<String, Delay>>>,
}

impl Processor for WorstDelays {
    type KeyIn = String;
    type ValueIn = Delay;
    type KeyOut = String;
    type ValueOut = Delay;

    fn init(&mut self, ctx: &mut Context<'_, String, Delay>) -> Result<(), ProcessorError> {
        self.store = Some(ctx.store_handle(WORST_DELAYS_STORE)?);
        ctx.schedule(HOUR, PunctuationType::StreamTime);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, Delay>,
        record: Incoming<'_, String, Delay>,
    ) -> Result<(), ProcessorError> {
        let store = ctx.store(self.store()?);
        let worst = store.get(&record.key)?;
        if worst.is_none_or(|worst| record.value.delay_minutes > worst.delay_minutes) {
            store.put(&record.key, Some(record.value.clone()))?;
            ctx.forward_incoming(record);
        }
        Ok(())
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_, String, Delay>,
        _timer: Timer,
        timestamp: Timestamp,
    ) -> Result<(), ProcessorError> {
        for entry in ctx.store(self.store()?).all()? {
            let (airport, worst) = entry?;
            ctx.forward(Record::new(airport, worst, timestamp));
        }
        Ok(())
    }
}

impl WorstDelays {
    fn store(&self) -> Result<StoreHandle<KeyValueStore<String, Delay>>, ProcessorError> {
        self.store.ok_or_else(|| "the processor was not initialised".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An upgrade must find state and topics again, and a dump must know the windowed ones.
    #[test]
    fn stores_and_internal_topics_keep_their_names() {
        let described = topology(|| {}).unwrap().describe().to_string();
        for name in [
            "(topics: [departures-by-origin-repartition])",
            "(topics: [departures-by-plane-repartition])",
            "(stores: [delays-by-carrier-day])",
            "(stores: [traffic])",
            "(stores: [legs-by-plane])",
            "(stores: [planes-STATE-STORE-0000000011])",
            "(stores: [worst-delays])",
        ] {
            assert!(described.contains(name), "{name} is not in\n{described}");
        }
    }
}
