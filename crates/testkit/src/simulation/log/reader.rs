//! The reading client, with faults.

use millstream_log::{ReadPosition, Reader, ReaderEvent};
use millstream_types::{Now, TopicPartition};

use super::connection::Connection;

pub(super) struct FaultyReader {
    connection: Connection<dyn Reader>,
    stalled_until_ns: u64,
}

impl FaultyReader {
    pub(super) fn new(connection: Connection<dyn Reader>) -> Self {
        Self { connection, stalled_until_ns: 0 }
    }
}

impl Reader for FaultyReader {
    fn assign(&mut self, positions: &[(TopicPartition, ReadPosition)]) {
        for (partition, position) in positions {
            self.connection.link.trace(format_args!("reader.assign {partition} {}", position.offset));
        }
        self.connection.now(|reader| reader.assign(positions));
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.connection.now(|reader| reader.pause(partition));
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.connection.now(|reader| reader.resume(partition));
    }

    fn poll(&mut self, now: Now, bytes_max: usize, events: &mut Vec<ReaderEvent>) {
        if now.mono_ns < self.stalled_until_ns && self.connection.link.is_faulty() {
            return;
        }
        let link = &self.connection.link;
        if let Some(ns) = link.strikes(|rates| (rates.stalled_reader, rates.delay_ms_max)) {
            self.stalled_until_ns = now.mono_ns + ns;
            return;
        }
        let is_short = link.strikes(|rates| (rates.short_read, 1)).is_some();
        let bytes_max = if is_short { bytes_max.min(1) } else { bytes_max };
        let before = events.len();
        self.connection.now(|reader| reader.poll(now, bytes_max, events));
        for event in events.iter().skip(before) {
            match event {
                ReaderEvent::Fetched(fetched) if fetched.from == fetched.next => {}
                ReaderEvent::Fetched(fetched) => self.connection.link.trace(format_args!(
                    "fetched {} {}..{} of {}",
                    fetched.partition, fetched.from, fetched.next, fetched.end
                )),
                other => self.connection.link.trace(format_args!("{other:?}")),
            }
        }
    }
}
