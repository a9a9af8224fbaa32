//! `millstream demo dump`: a topic's committed records, one a line.

use std::io::{self, BufWriter, ErrorKind as IoErrorKind, Write};

use millstream::log::Log;
use millstream::log::batch::RecordView;
use millstream::{Error, ErrorKind, Result, open_log};
use serde::de::IgnoredAny;

use super::directory::Directory;
use super::place::{embedded, on_kafka};
use super::scan::{Open, scan};
use super::topics::KeyFormat;
use crate::args::DumpArgs;

/// Bytes of a window's start in a key, and of the sequence number behind it in a changelog.
const START_BYTES: usize = 8;
const SEQUENCE_BYTES: usize = 4;

/// Prints a topic. A reader that has seen enough and closes the pipe ends this quietly.
pub(crate) fn dump(args: &DumpArgs) -> Result<()> {
    // Locked while the log is read.
    let (_directory, config) = if let Some(bootstrap) = &args.bootstrap {
        (None, on_kafka(bootstrap))
    } else {
        let directory = Directory::existing(&args.dir)?;
        let config = embedded(&directory);
        (Some(directory), config)
    };
    let log = open_log(&config.build()?)?;
    let mut out = BufWriter::new(io::stdout().lock());
    if dump_to(&*log, args, &mut out)? {
        finish(out.flush())?;
    } else {
        // What is buffered has no reader any more.
        drop(out.into_parts());
    }
    Ok(())
}

/// Gives whether the reader is still there.
fn dump_to(log: &dyn Log, args: &DumpArgs, out: &mut impl Write) -> Result<bool> {
    let format = KeyFormat::of(&args.topic);
    let mut line = Vec::new();
    let mut is_read = true;
    scan(log, &args.topic, Open::on(args.bootstrap.as_ref()), |partition, record| {
        line.clear();
        if args.json {
            write_json(partition, &record, format, &mut line)
        } else {
            write_text(partition, &record, format, &mut line)
        }
        .map_err(unwritten)?;
        line.push(b'\n');
        is_read = finish(out.write_all(&line))?;
        Ok(is_read)
    })?;
    Ok(is_read)
}

/// `false` when nobody reads any more.
pub(super) fn finish(written: io::Result<()>) -> Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == IoErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(unwritten(error)),
    }
}

fn unwritten(error: io::Error) -> Error {
    Error::new(ErrorKind::Storage, "could not write to standard output").with_source(error)
}

/// `{"partition","offset","timestamp","key","value"}`.
fn write_json(partition: i32, record: &RecordView<'_>, format: KeyFormat, out: &mut Vec<u8>) -> io::Result<()> {
    write!(out, r#"{{"partition":{partition},"offset":{},"timestamp":{},"key":"#, record.offset, record.timestamp)?;
    match record.key.map(|key| Key::read(key, format)) {
        None => out.extend_from_slice(b"null"),
        Some(Key { text, window: None }) => write_text_or_bytes(text, out)?,
        Some(Key { text, window: Some((start, end)) }) => {
            out.extend_from_slice(br#"{"key":"#);
            write_text_or_bytes(text, out)?;
            write!(out, r#","start":{start},"end":{end}}}"#)?;
        }
    }
    out.extend_from_slice(br#","value":"#);
    match record.value {
        None => out.extend_from_slice(b"null"),
        Some(value) if serde_json::from_slice::<IgnoredAny>(value).is_ok() => {
            // Line breaks between the parts of a JSON text would break the line; inside a string
            // there are none.
            out.extend(value.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
        }
        Some(value) => write_text_or_bytes(value, out)?,
    }
    out.push(b'}');
    Ok(())
}

/// Columns with tabs between them, for people.
fn write_text(partition: i32, record: &RecordView<'_>, format: KeyFormat, out: &mut Vec<u8>) -> io::Result<()> {
    write!(out, "{partition}\t{}\t{}\t", record.offset, record.timestamp)?;
    match record.key.map(|key| Key::read(key, format)) {
        None => out.extend_from_slice(b"null"),
        Some(Key { text, window }) => {
            write!(out, "{}", text.escape_ascii())?;
            if let Some((start, end)) = window {
                write!(out, "@{start}/{end}")?;
            }
        }
    }
    match record.value {
        None => out.extend_from_slice(b"\tnull"),
        Some(value) => write!(out, "\t{}", String::from_utf8_lossy(value).replace(['\n', '\r', '\t'], " "))?,
    }
    Ok(())
}

/// A JSON string; `{"hex": "..."}` for bytes that are no text.
fn write_text_or_bytes(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return serde_json::to_writer(out, text).map_err(io::Error::from);
    }
    out.extend_from_slice(br#"{"hex":""#);
    for byte in bytes {
        write!(out, "{byte:02x}")?;
    }
    out.extend_from_slice(br#""}"#);
    Ok(())
}

/// A key's text, and the window it belongs to: start and end in ms.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) text: &'a [u8],
    pub(super) window: Option<(i64, i64)>,
}

impl<'a> Key<'a> {
    /// Bytes too short for their format are shown as they are.
    pub(super) fn read(bytes: &'a [u8], format: KeyFormat) -> Self {
        let (size_ms, tail) = match format {
            KeyFormat::Text => return Self { text: bytes, window: None },
            KeyFormat::Windowed { size_ms } => (size_ms, 0),
            KeyFormat::WindowedChangelog { size_ms } => (size_ms, SEQUENCE_BYTES),
        };
        let windowed = || {
            let bytes = bytes.get(..bytes.len().checked_sub(tail)?)?;
            let (text, start) = bytes.split_last_chunk::<START_BYTES>()?;
            let start = i64::from_be_bytes(*start);
            Some(Self { text, window: Some((start, start.saturating_add(size_ms))) })
        };
        windowed().unwrap_or(Self { text: bytes, window: None })
    }
}

#[cfg(test)]
mod tests {
    use millstream::log::batch::{Batch, BatchBuilder, Compression, Stamp};
    use millstream::types::{Headers, Offset, Timestamp};

    use super::super::topics::{DAY_MS, DELAYS_BY_CARRIER_DAY, FLIGHTS};
    use super::*;

    #[track_caller]
    fn check(topic: &str, key: Option<&[u8]>, value: Option<&[u8]>, json: &str) {
        let mut builder = BatchBuilder::new();
        builder.append(Timestamp(5), key, value, &Headers::new());
        let (batch, _) = Batch::parse(builder.finish(Stamp::NONE, Compression::None)).unwrap();
        let mut records = batch.cursor(Offset(0)).unwrap();
        let record = records.next_record().unwrap().unwrap();
        let mut line = Vec::new();
        write_json(3, &record, KeyFormat::of(topic), &mut line).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert_eq!(line, format!(r#"{{"partition":3,"offset":0,"timestamp":5,{json}}}"#));
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
    }

    #[test]
    fn a_json_value_is_shown_as_it_is() {
        check(FLIGHTS, Some(b"AA"), Some(br#"{"b":1.50,"a":[]}"#), r#""key":"AA","value":{"b":1.50,"a":[]}"#);
        check(FLIGHTS, None, None, r#""key":null,"value":null"#);
        check(FLIGHTS, Some(b"a\"b"), Some(b"{\n\"a\":\n1}"), r#""key":"a\"b","value":{ "a": 1}"#);
    }

    #[test]
    fn other_values_are_strings_or_bytes() {
        check(FLIGHTS, Some(b"\xff\x00"), Some(b"no JSON\n"), r#""key":{"hex":"ff00"},"value":"no JSON\n""#);
    }

    #[test]
    fn a_windowed_key_has_start_and_end() {
        let key = [b"AA".as_slice(), &DAY_MS.to_be_bytes()].concat();
        let shown = r#""key":{"key":"AA","start":86400000,"end":172800000},"value":1"#;
        check(DELAYS_BY_CARRIER_DAY, Some(&key), Some(b"1"), shown);
        let key = [key.as_slice(), &[0; 4]].concat();
        check("flights-demo-delays-by-carrier-day-changelog", Some(&key), Some(b"1"), shown);
        check(DELAYS_BY_CARRIER_DAY, Some(b"short"), Some(b"1"), r#""key":"short","value":1"#);
    }

    /// Takes a few bytes, then nobody reads any more.
    struct Pipe(usize);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(IoErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let mut pipe = Pipe(10);
        assert!(finish(pipe.write_all(b"0123456789")).unwrap());
        assert!(!finish(pipe.write_all(b"0")).unwrap());
        assert!(finish(Err(io::Error::other("disk full"))).is_err());
    }
}
