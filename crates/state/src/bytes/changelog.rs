//! What a store has written since the task last took its changelog records.

use millstream_types::{Headers, Result, Timestamp};

use crate::ChangelogRecord;

/// Length of a value that is none.
const NO_VALUE: u32 = u32::MAX;

/// Changelog records in order of writing, their bytes end to end in one buffer.
#[derive(Default)]
pub(crate) struct ChangelogBuffer {
    bytes: Vec<u8>,
    /// Small: a cache that is evicted writes tens of thousands at once.
    entries: Vec<Entry>,
    /// Headers of the entries that have some, by their number.
    headers: Vec<(usize, Headers)>,
}

struct Entry {
    key_len: u32,
    value_len: u32,
    timestamp: Timestamp,
}

impl ChangelogBuffer {
    pub(crate) fn push(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: Timestamp, headers: &Headers) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        if !headers.is_empty() {
            self.headers.push((self.entries.len(), headers.clone()));
        }
        // No record of Kafka's is that long.
        let len = |bytes: &[u8]| bytes.len() as u32;
        self.entries.push(Entry { key_len: len(key), value_len: value.map_or(NO_VALUE, len), timestamp });
    }

    /// Hands out the records. After an error the record that failed and those behind it stay.
    pub(crate) fn drain(&mut self, sink: &mut dyn FnMut(ChangelogRecord<'_>) -> Result<()>) -> Result<()> {
        let none = Headers::new();
        let mut rest: &[u8] = &self.bytes;
        let mut headed = self.headers.iter().peekable();
        let mut result = Ok(());
        let mut done = 0;
        for entry in &self.entries {
            let (key, after_key) = rest.split_at_checked(entry.key_len as usize).unwrap_or((rest, &[]));
            let value_len = if entry.value_len == NO_VALUE { 0 } else { entry.value_len as usize };
            let (value, after) = after_key.split_at_checked(value_len).unwrap_or((after_key, &[]));
            let value = (entry.value_len != NO_VALUE).then_some(value);
            let headers = headed.next_if(|(number, _)| *number == done).map_or(&none, |(_, headers)| headers);
            result = sink(ChangelogRecord { key, value, timestamp: entry.timestamp, headers });
            if result.is_err() {
                break;
            }
            rest = after;
            done += 1;
        }
        let taken = self.bytes.len() - rest.len();
        self.bytes.drain(..taken);
        self.entries.drain(..done);
        self.headers.retain_mut(|(number, _)| {
            let stays = *number >= done;
            *number = number.saturating_sub(done);
            stays
        });
        result
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.headers.clear();
    }
}

#[cfg(test)]
mod tests {
    use millstream_types::{Error, ErrorKind};

    use super::*;

    #[test]
    fn what_is_not_taken_stays_with_its_headers() {
        let mut headed = Headers::new();
        headed.add("name", None);
        let mut buffer = ChangelogBuffer::default();
        let records: [(&[u8], Option<&[u8]>, bool); 4] =
            [(b"a", Some(b"1"), false), (b"b", None, true), (b"", Some(b""), false), (b"d", Some(b"4"), true)];
        for ((key, value, has_headers), time) in records.into_iter().zip(0..) {
            let headers = if has_headers { &headed } else { &Headers::new() };
            buffer.push(key, value, Timestamp(time), headers);
        }
        let mut seen = Vec::new();
        for taken_at_once in [1, 2, 9] {
            let mut left = taken_at_once;
            let result = buffer.drain(&mut |record| {
                if left == 0 {
                    return Err(Error::new(ErrorKind::Production, "full"));
                }
                left -= 1;
                seen.push((record.key.to_vec(), record.value.map(<[u8]>::to_vec), !record.headers.is_empty()));
                assert_eq!(record.timestamp, Timestamp(seen.len() as i64 - 1));
                Ok(())
            });
            assert_eq!(result.is_ok(), taken_at_once == 9);
        }
        let own = |(key, value, has_headers): (&[u8], Option<&[u8]>, bool)| {
            (key.to_vec(), value.map(<[u8]>::to_vec), has_headers)
        };
        assert_eq!(seen, records.map(own));
        buffer.drain(&mut |_| Err(Error::new(ErrorKind::Production, "none is left"))).unwrap();
    }
}
