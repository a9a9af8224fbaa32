//! The data inside the binary: CSV tables, and their rows as JSON.

use std::io::Read;

use csv::StringRecord;
use millstream::{Error, ErrorKind, Result};
use ruzstd::decoding::StreamingDecoder;

/// What a missing value is called in the files.
const MISSING: &str = "NA";

/// A CSV file that the binary carries.
#[derive(Debug)]
pub(super) struct Table {
    name: &'static str,
    bytes: &'static [u8],
    is_compressed: bool,
    /// Columns whose values are text even where they look like numbers.
    texts: &'static [&'static str],
}

/// All flights of the year, by month as text (1, 10, 11, 12, 2, ...) and not in order of time.
pub(super) const FLIGHTS: Table = Table {
    name: "flights.csv",
    bytes: include_bytes!("../../data/flights.csv.zst"),
    is_compressed: true,
    texts: &["carrier", "tailnum", "origin", "dest", "time_hour"],
};

/// Aircraft by tail number.
pub(super) const PLANES: Table = Table {
    name: "planes.csv",
    bytes: include_bytes!("../../data/planes.csv.zst"),
    is_compressed: true,
    texts: &["tailnum", "type", "manufacturer", "model", "engine"],
};

/// Names of the carriers.
pub(super) const AIRLINES: Table = Table {
    name: "airlines.csv",
    bytes: include_bytes!("../../data/airlines.csv"),
    is_compressed: false,
    texts: &["carrier", "name"],
};

impl Table {
    /// The text of the file, decompressed.
    pub(super) fn text(&self) -> Result<Vec<u8>> {
        if !self.is_compressed {
            return Ok(self.bytes.to_vec());
        }
        let mut decoder = StreamingDecoder::new(self.bytes).map_err(|error| self.damaged(error))?;
        let mut text = Vec::with_capacity(usize::try_from(decoder.decoder.content_size()).unwrap_or(0));
        decoder.read_to_end(&mut text).map_err(|error| self.damaged(error))?;
        Ok(text)
    }

    /// How the rows of this table are read and written as JSON.
    pub(super) fn columns(&self, text: &[u8]) -> Result<Columns> {
        let mut reader = csv::Reader::from_reader(text);
        let names = reader.headers().map_err(|error| self.damaged(error))?;
        let columns = names.iter().map(|name| Column { name: name.to_owned(), is_text: self.texts.contains(&name) });
        Ok(Columns { table: self.name, columns: columns.collect() })
    }

    fn damaged(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::new(ErrorKind::Corrupted, format!("the demo's {} is damaged", self.name)).with_source(error)
    }
}

/// The columns of a table, in the file's order.
#[derive(Debug)]
pub(super) struct Columns {
    table: &'static str,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    is_text: bool,
}

impl Columns {
    /// The number of a column.
    pub(super) fn find(&self, name: &str) -> Result<usize> {
        let found = self.columns.iter().position(|column| column.name == name);
        found.ok_or_else(|| self.bad(format!("no column {name}")))
    }

    /// A field of a row; `None` where it is missing.
    pub(super) fn field<'a>(&self, row: &'a StringRecord, column: usize) -> Result<Option<&'a str>> {
        let field = row.get(column).ok_or_else(|| self.bad(format!("a row has no field {column}")))?;
        Ok((field != MISSING).then_some(field))
    }

    /// A number of a row; `None` where it is missing.
    pub(super) fn number(&self, row: &StringRecord, column: usize) -> Result<Option<i64>> {
        let parse = |field: &str| field.parse().map_err(|_| self.bad(format!("`{field}` is not a number")));
        self.field(row, column)?.map(parse).transpose()
    }

    /// Appends a row as a JSON object: the columns in order, numbers as numbers, what is missing
    /// as null.
    pub(super) fn write_json(&self, row: &StringRecord, out: &mut Vec<u8>) -> Result<()> {
        out.push(b'{');
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            self.json(&column.name, out)?;
            out.push(b':');
            match self.field(row, index)? {
                None => out.extend_from_slice(b"null"),
                Some(text) if column.is_text => self.json(text, out)?,
                Some(_) => {
                    let number = self.number(row, index)?;
                    self.json(&number, out)?;
                }
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn json<T: serde::Serialize + ?Sized>(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        serde_json::to_writer(out, value).map_err(|error| self.bad("a field has no JSON").with_source(error))
    }

    fn bad(&self, what: impl std::fmt::Display) -> Error {
        Error::new(ErrorKind::Corrupted, format!("the demo's {} is damaged: {what}", self.table))
    }
}

/// The reader of a table gave up.
pub(super) fn unreadable(error: csv::Error) -> Error {
    Error::new(ErrorKind::Corrupted, "the demo's data is damaged").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(table: &Table, rows: usize, first: &str) {
        let text = table.text().unwrap();
        let columns = table.columns(&text).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let mut row = StringRecord::new();
        let mut json = Vec::new();
        assert!(reader.read_record(&mut row).unwrap());
        columns.write_json(&row, &mut json).unwrap();
        assert_eq!(String::from_utf8(json).unwrap(), first);
        let mut count = 1;
        while reader.read_record(&mut row).unwrap() {
            columns.write_json(&row, &mut Vec::new()).unwrap();
            count += 1;
        }
        assert_eq!(count, rows);
    }

    #[test]
    fn airlines_are_texts() {
        check(&AIRLINES, 16, r#"{"carrier":"9E","name":"Endeavor Air Inc."}"#);
    }

    #[test]
    fn planes_have_numbers_and_missing_values() {
        check(
            &PLANES,
            3_322,
            concat!(
                r#"{"tailnum":"N10156","year":2004,"type":"Fixed wing multi engine","manufacturer":"EMBRAER","#,
                r#""model":"EMB-145XR","engines":2,"seats":55,"speed":null,"engine":"Turbo-fan"}"#
            ),
        );
    }

    #[test]
    fn flights_keep_their_columns_in_order() {
        check(
            &FLIGHTS,
            336_776,
            concat!(
                r#"{"year":2013,"month":1,"day":1,"dep_time":517,"sched_dep_time":515,"dep_delay":2,"arr_time":830,"#,
                r#""sched_arr_time":819,"arr_delay":11,"carrier":"UA","flight":1545,"tailnum":"N14228","#,
                r#""origin":"EWR","dest":"IAH","air_time":227,"distance":1400,"hour":5,"minute":15,"#,
                r#""time_hour":"2013-01-01T10:00:00Z"}"#
            ),
        );
    }
}
