//! What a store has written since the task last took its changelog records.

use millstream_types::{Headers, Result, Timestamp};

use crate::ChangelogRecord;

/// Changelog records in order of writing, their bytes end to end in one buffer.
#[derive(Default)]
pub(crate) struct ChangelogBuffer {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

struct Entry {
    key_len: usize,
    value_len: Option<usize>,
    timestamp: Timestamp,
    headers: Headers,
}

impl ChangelogBuffer {
    pub(crate) fn push(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: Timestamp, headers: &Headers) {
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.entries.push(Entry {
            key_len: key.len(),
            value_len: value.map(<[u8]>::len),
            timestamp,
            headers: headers.clone(),
        });
    }

    /// Hands out the records. After an error the record that failed and those behind it stay.
    pub(crate) fn drain(&mut self, sink: &mut dyn FnMut(ChangelogRecord<'_>) -> Result<()>) -> Result<()> {
        let mut rest: &[u8] = &self.bytes;
        let mut result = Ok(());
        let mut done = 0;
        for entry in &self.entries {
            let (key, after_key) = rest.split_at_checked(entry.key_len).unwrap_or((rest, &[]));
            let (value, after) =
                after_key.split_at_checked(entry.value_len.unwrap_or_default()).unwrap_or((after_key, &[]));
            let value = entry.value_len.map(|_| value);
            result = sink(ChangelogRecord { key, value, timestamp: entry.timestamp, headers: &entry.headers });
            if result.is_err() {
                break;
            }
            rest = after;
            done += 1;
        }
        let taken = self.bytes.len() - rest.len();
        self.bytes.drain(..taken);
        self.entries.drain(..done);
        result
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }
}
