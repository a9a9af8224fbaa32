//! Files of the persistent engine that were damaged: an error, or what was committed; never a panic, never other rows.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};

use millstream_state::{CommitMark, EngineProvider, FjallEngines, StoreFacts, StoreKind};
use millstream_types::{ErrorKind, Offset, Result, TaskId};

const TASK: TaskId = TaskId { subtopology: 0, partition: 0 };
/// Rows of the first commit: so many become a table at once.
const ROWS: u32 = 20_001;
/// Commits behind it, of a row each: they lie in the journal.
const COMMITS: i64 = 5;

/// Knuth's MMIX generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

fn engines(directory: &Path) -> Result<FjallEngines> {
    FjallEngines::open(directory, "app", || "11111111-2222-3333-4444-555555555555".to_owned())
}

fn written(directory: &Path) {
    let engines = engines(directory).unwrap();
    let mut engine = engines.open(Some(TASK), &StoreFacts::new("counts", StoreKind::KeyValue)).unwrap();
    let mark = |offset| CommitMark { changelog_offset: Offset(offset), ..CommitMark::default() };
    let rows: Vec<_> = (0..ROWS).map(|row| (row.to_be_bytes(), row.to_le_bytes())).collect();
    let mut batch = rows.iter().map(|(key, value)| (&key[..], Some(&value[..])));
    engine.apply(&mut batch, &mark(0)).unwrap();
    for commit in 1..=COMMITS {
        let key = (ROWS + commit as u32).to_be_bytes();
        engine.apply(&mut std::iter::once((&key[..], Some(&b"late"[..]))), &mark(commit)).unwrap();
    }
    engines.sync().unwrap();
}

/// What was committed last, and how many rows there are; an error if a row is not as it was written.
fn read(directory: &Path) -> Result<(Option<i64>, usize)> {
    let engines = engines(directory)?;
    let engine = engines.open(Some(TASK), &StoreFacts::new("counts", StoreKind::KeyValue))?;
    let mark = engine.mark()?.map(|mark| mark.changelog_offset.0);
    let mut count = 0;
    for row in engine.scan(None, None, false)? {
        let (key, value) = row?;
        let number = u32::from_be_bytes(key.try_into().unwrap());
        assert!(if number < ROWS { value == number.to_le_bytes() } else { value == b"late" }, "row {number}");
        count += 1;
    }
    for number in [0, 7, ROWS - 1, ROWS + 1] {
        engine.get(&number.to_be_bytes())?;
    }
    Ok((mark, count))
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

/// Damages one file and says how.
fn damage(directory: &Path, random: &mut Random) -> String {
    let files: Vec<_> = files(directory).into_iter().filter(|file| fs::metadata(file).unwrap().len() > 0).collect();
    let file = &files[random.below(files.len())];
    let mut bytes = fs::read(file).unwrap();
    // Where much is told: at both ends.
    let at = match random.below(3) {
        0 => random.below(bytes.len().min(64)),
        1 => bytes.len() - 1 - random.below(bytes.len().min(200)),
        _ => random.below(bytes.len()),
    };
    let how = random.below(6);
    match how {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes.truncate(at),
        2 => bytes[at..].iter_mut().take(16).for_each(|byte| *byte = 0xff),
        3 => bytes[at..].iter_mut().take(64).for_each(|byte| *byte = 0),
        4 => bytes.extend([0x7f; 32]),
        _ => drop(bytes.drain(at..(at + 8).min(bytes.len()))),
    }
    fs::write(file, bytes).unwrap();
    format!("{} at {at}, in way {how}", file.strip_prefix(directory).unwrap().display())
}

#[test]
fn damaged_files_are_errors_or_give_what_was_committed() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path());
    assert_eq!(read(whole.path()).unwrap(), (Some(COMMITS), ROWS as usize + COMMITS as usize));
    let database = Path::new("app/millstream.db");
    let mut random = Random(5);
    let (mut refused, mut read_all) = (0, 0);
    for _ in 0..40 {
        let copied = tempfile::tempdir().unwrap();
        copy(whole.path(), copied.path());
        let what = damage(&copied.path().join(database), &mut random);
        println!("{what}");
        match read(copied.path()) {
            Ok((mark, count)) => {
                let of_mark = mark.map_or(0, |mark| ROWS as usize + mark as usize);
                // Rows behind the mark are restored once more: they become what they are.
                assert!(count >= of_mark, "{what}: {count} rows of {of_mark} at the commit {mark:?}");
                read_all += 1;
            }
            Err(error) => {
                let is_told =
                    matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Storage | ErrorKind::Configuration);
                assert!(is_told && error.message().contains("millstream.db"), "{what}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && read_all > 0, "{refused} refused, {read_all} read");
}

/// fjall reserves memory for what is claimed: without a look before it the process would be over.
#[test]
fn what_claims_more_than_there_can_be_is_refused_before_memory_is_reserved() {
    let whole = tempfile::tempdir().unwrap();
    written(whole.path());
    let keyspace = |of: &Path| of.join("app/millstream.db/keyspaces/1");
    let current = fs::read(keyspace(whole.path()).join("current")).unwrap();
    let version = format!("v{}", u64::from_le_bytes(current[..8].try_into().unwrap()));
    let table = files(&keyspace(whole.path()).join("tables")).remove(0);
    let contents = fs::read(&table).unwrap().windows(4).rposition(|window| window == b"TOC!").unwrap() + 4;
    let table = table.strip_prefix(keyspace(whole.path())).unwrap();
    for (file, places) in [(Path::new(&version), 0..80), (table, contents..contents + 1)] {
        for at in places {
            let copied = tempfile::tempdir().unwrap();
            copy(whole.path(), copied.path());
            let path = keyspace(copied.path()).join(file);
            let mut bytes = fs::read(&path).unwrap();
            bytes[at..at + 4].fill(0xff);
            fs::write(&path, bytes).unwrap();
            let error = read(copied.path()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{} at {at}: {error}", file.display());
            assert!(error.message().contains("rebuilt from the changelogs"), "{error}");
        }
    }
}
