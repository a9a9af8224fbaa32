//! Writing the year to the log, in order of actual departure.
//!
//! The order is always the same and the writer is not transactional, so the number of records in a
//! partition says exactly how far an interrupted replay came: a later one continues there. Two at the same
//! time would spoil that; both find out in the end.

use std::io::Cursor;
use std::time::Duration;

use csv::StringRecord;
use millstream::answer;
use millstream::log::{Log, PartitionHandle, Writer};
use millstream::types::{Error, ErrorKind, Headers, Result, Timestamp, TopicPartition, partition_for_key};

use super::data::{self, Columns, Table, unreadable};
use super::order::departures;
use super::scan::end_offsets;
use super::topics::{AIRLINES, FLIGHTS, PARTITIONS, PLANES};

/// Records between two calls of the progress function.
const STRIDE: u64 = 10_000;

/// Between two looks at whether a writer takes more.
const ROOM: Duration = Duration::from_millis(20);

/// About the length of a row: as much is read again at each jump in the file.
const ROW_BYTES: usize = 128;

/// Writes what is not yet there of all three inputs, up to a number of flights. `progress` is told the
/// flights done.
pub(super) fn replay(log: &dyn Log, flights: u64, mut progress: impl FnMut(u64)) -> Result<()> {
    Feed::new(log, AIRLINES)?.table(&data::AIRLINES, "carrier")?;
    Feed::new(log, PLANES)?.table(&data::PLANES, "tailnum")?;
    Feed::new(log, FLIGHTS)?.flights(flights, &mut progress)
}

/// One topic being written.
struct Feed<'a> {
    log: &'a dyn Log,
    partitions: Vec<TopicPartition>,
    writer: Box<dyn Writer>,
    outlets: Vec<Outlet>,
    value: Vec<u8>,
}

/// One partition being written.
struct Outlet {
    handle: PartitionHandle,
    /// Records that an earlier, interrupted replay wrote already.
    skip: i64,
    /// Records of the year so far, written by this replay or an earlier one.
    records: i64,
}

impl<'a> Feed<'a> {
    fn new(log: &'a dyn Log, topic: &str) -> Result<Self> {
        let partitions: Vec<_> = (0..PARTITIONS).map(|number| TopicPartition::new(topic, number)).collect();
        let ends = end_offsets(log, &partitions)?;
        let mut writer = log.writer(None);
        answer(log, writer.init())?;
        let outlets = partitions
            .iter()
            .zip(ends)
            .map(|(partition, end)| Outlet { handle: writer.partition(partition), skip: end.0, records: 0 })
            .collect();
        Ok(Self { log, partitions, writer, outlets, value: Vec::new() })
    }

    /// Writes a whole table in the file's order, at time 0.
    fn table(mut self, table: &Table, key: &str) -> Result<()> {
        let text = table.text()?;
        let columns = table.columns(&text)?;
        let key = columns.find(key)?;
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let mut row = StringRecord::new();
        while reader.read_record(&mut row).map_err(unreadable)? {
            self.write(&columns, &row, key, Timestamp(0))?;
        }
        self.finish()
    }

    /// Writes the flights in order of actual departure, at the time they were scheduled.
    fn flights(mut self, wanted: u64, progress: &mut impl FnMut(u64)) -> Result<()> {
        let text = data::FLIGHTS.text()?;
        let columns = data::FLIGHTS.columns(&text)?;
        let key = columns.find("carrier")?;
        let mut rows = csv::ReaderBuilder::new().buffer_capacity(ROW_BYTES).from_reader(Cursor::new(&text));
        let mut row = StringRecord::new();
        for (written, departure) in (1..=wanted).zip(departures(&text, &columns)?) {
            rows.seek(departure.position()).map_err(unreadable)?;
            rows.read_record(&mut row).map_err(unreadable)?;
            self.write(&columns, &row, key, departure.scheduled)?;
            if written % STRIDE == 0 {
                progress(written);
            }
        }
        self.finish()
    }

    fn write(&mut self, columns: &Columns, row: &StringRecord, key: usize, time: Timestamp) -> Result<()> {
        let key = columns.field(row, key)?.unwrap_or_default().as_bytes();
        let number = partition_for_key(key, PARTITIONS);
        let outlet = usize::try_from(number).ok().and_then(|number| self.outlets.get_mut(number));
        let outlet = outlet.ok_or_else(|| Error::new(ErrorKind::Fatal, format!("there is no partition {number}")))?;
        outlet.records += 1;
        if outlet.skip > 0 {
            outlet.skip -= 1;
            return Ok(());
        }
        self.value.clear();
        columns.write_json(row, &mut self.value)?;
        while self.writer.is_full() {
            self.log.wait(ROOM);
        }
        self.writer.append(outlet.handle, time, Some(key), Some(&self.value), &Headers::new())
    }

    /// Waits until all is written, and makes sure that nothing else is there.
    fn finish(mut self) -> Result<()> {
        answer(self.log, self.writer.flush())?;
        let ends = end_offsets(self.log, &self.partitions)?;
        for ((partition, end), outlet) in self.partitions.iter().zip(ends).zip(&self.outlets) {
            if end.0 != outlet.records {
                let message = format!(
                    "{partition} holds {end} records and not {}: another load ran at the same time, or the topic is not \
                     the demo's; delete the demo's topics and load again",
                    outlet.records
                );
                return Err(Error::new(ErrorKind::Configuration, message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use millstream::log::{EmbeddedLog, NewTopic, Options};

    use super::super::scan::{Open, scan};
    use super::super::topics::{FLIGHTS_TOTAL, INPUTS};
    use super::*;

    fn empty_log() -> EmbeddedLog {
        let log = EmbeddedLog::memory(Options::default());
        let topics = INPUTS.map(|name| NewTopic {
            name: name.into(),
            partitions: PARTITIONS,
            replication_factor: -1,
            configs: Vec::new(),
        });
        answer(&log, log.admin().create_topics(&topics)).unwrap();
        log
    }

    fn records(log: &EmbeddedLog, topic: &str) -> BTreeMap<i32, Vec<(i64, Vec<u8>, Vec<u8>)>> {
        let mut records = BTreeMap::<_, Vec<_>>::new();
        scan(log, topic, Open::LeftOut, |partition, record| {
            let (key, value) = (record.key.unwrap().to_vec(), record.value.unwrap().to_vec());
            records.entry(partition).or_default().push((record.timestamp.0, key, value));
            Ok(true)
        })
        .unwrap();
        records
    }

    #[test]
    fn an_interrupted_replay_continues_where_it_was() {
        let whole = empty_log();
        replay(&whole, FLIGHTS_TOTAL, |_| {}).unwrap();
        let flights = records(&whole, FLIGHTS);
        let counts: Vec<usize> = flights.values().map(Vec::len).collect();
        assert_eq!(counts, [75_856, 37_923, 77_726, 145_271]);
        assert_eq!(records(&whole, PLANES).values().map(Vec::len).sum::<usize>(), 3_322);
        assert_eq!(records(&whole, AIRLINES).values().map(Vec::len).sum::<usize>(), 16);

        let torn = empty_log();
        let mut writer = torn.writer(None);
        answer(&torn, writer.init()).unwrap();
        for (partition, keep) in [(0, 75_856), (1, 1), (2, 500)] {
            let handle = writer.partition(&TopicPartition::new(FLIGHTS, partition));
            for (time, key, value) in &flights[&partition][..keep] {
                writer.append(handle, Timestamp(*time), Some(key), Some(value), &Headers::new()).unwrap();
            }
        }
        answer(&torn, writer.flush()).unwrap();
        replay(&torn, FLIGHTS_TOTAL, |_| {}).unwrap();
        replay(&torn, FLIGHTS_TOTAL, |_| {}).unwrap();
        assert!(records(&torn, FLIGHTS) == flights);

        let mut writer = torn.writer(None);
        answer(&torn, writer.init()).unwrap();
        let handle = writer.partition(&TopicPartition::new(FLIGHTS, 2));
        writer.append(handle, Timestamp(0), None, Some(b"not of this year"), &Headers::new()).unwrap();
        answer(&torn, writer.flush()).unwrap();
        let error = replay(&torn, FLIGHTS_TOTAL, |_| {}).unwrap_err().to_string();
        assert!(error.contains("flights-2 holds 77727 records and not 77726"), "{error}");
    }
}
