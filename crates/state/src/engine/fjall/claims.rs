//! What files of the database claim to hold, looked at before fjall believes them: it reserves memory for as many
//! entries as they say, before it compares checksums, and a process that gets no memory is over.
//!
//! ```text
//! keyspaces/<number>/current      version (u64) | XXH3 of its file (u128) | kind of checksum (u8), 0
//! keyspaces/<number>/v<version>   lists with their counts in front
//! keyspaces/<number>/tables/<n>   … | "TOC!" | count (u32) | entries | "SFA!" | … | where "TOC!" is (u64) | length (u64)
//! ```
//!
//! All little endian. What is not of this form is left to fjall, which knows older and newer ones.
#![expect(clippy::disallowed_methods, reason = "reads the engine's files before the engine does")]

use std::fs::{self, File, ReadDir};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3Default;

const CURRENT_LEN: usize = 25;
const XXH3: u8 = 0;
/// The end of a table's file: mark (4) | version (1) | kind of checksum (1) | checksum (16), and two numbers.
const TRAILER_LEN: u64 = 38;
const CONTENTS_AT: usize = 22;
/// Mark and count in front of the entries, and the shortest entry: place (8) | length (8) | length of its name (2).
const CONTENTS_HEAD_LEN: u64 = 8;
const ENTRY_LEN_MIN: u64 = 18;

/// The first file of a database that is not what its checksum says, or claims more than it could hold.
pub(super) fn damaged(database: &Path) -> io::Result<Option<PathBuf>> {
    for keyspace in entries(&database.join("keyspaces"))?.into_iter().flatten() {
        let keyspace = keyspace?.path();
        if let Some((version, expected)) = current(&keyspace.join("current"))? {
            let file = keyspace.join(format!("v{version}"));
            // fjall says what is missing.
            if opened(&file)?.map(checksum).transpose()?.is_some_and(|found| found != expected) {
                return Ok(Some(file));
            }
        }
        for table in entries(&keyspace.join("tables"))?.into_iter().flatten() {
            let table = table?.path();
            if opened(&table)?.map(claims_too_much).transpose()? == Some(true) {
                return Ok(Some(table));
            }
        }
    }
    Ok(None)
}

fn entries(directory: &Path) -> io::Result<Option<ReadDir>> {
    found(fs::read_dir(directory))
}

fn opened(path: &Path) -> io::Result<Option<File>> {
    found(File::open(path))
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// The version that counts, and the checksum of its file.
fn current(path: &Path) -> io::Result<Option<(u64, u128)>> {
    let Some(file) = opened(path)? else { return Ok(None) };
    let mut bytes = Vec::with_capacity(CURRENT_LEN + 1);
    file.take(CURRENT_LEN as u64 + 1).read_to_end(&mut bytes)?;
    let Ok(bytes) = <[u8; CURRENT_LEN]>::try_from(bytes) else { return Ok(None) };
    let fields = bytes.split_first_chunk::<8>().and_then(|(version, rest)| Some((version, rest.split_first_chunk()?)));
    Ok(match fields {
        Some((version, (checksum, [XXH3]))) => Some((u64::from_le_bytes(*version), u128::from_le_bytes(*checksum))),
        _ => None,
    })
}

fn checksum(mut file: File) -> io::Result<u128> {
    let (mut hasher, mut buffer) = (Xxh3Default::new(), vec![0; 64 * 1024]);
    loop {
        let len = file.read(&mut buffer)?;
        if len == 0 {
            return Ok(hasher.digest128());
        }
        hasher.update(buffer.get(..len).unwrap_or_default());
    }
}

/// Whether a table's list of contents has more entries than there is room for behind its head.
fn claims_too_much(mut file: File) -> io::Result<bool> {
    let Some(end) = file.metadata()?.len().checked_sub(TRAILER_LEN) else { return Ok(false) };
    let mut trailer = [0; TRAILER_LEN as usize];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut trailer)?;
    let at =
        trailer.get(CONTENTS_AT..).and_then(|rest| rest.first_chunk()).map_or(u64::MAX, |at| u64::from_le_bytes(*at));
    let Some(room) = end.checked_sub(at).and_then(|room| room.checked_sub(CONTENTS_HEAD_LEN)) else { return Ok(false) };
    let (mut mark, mut count) = ([0; 4], [0; 4]);
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut mark)?;
    file.read_exact(&mut count)?;
    Ok(&mark == b"TOC!" && u64::from(u32::from_le_bytes(count)) > room / ENTRY_LEN_MIN)
}
