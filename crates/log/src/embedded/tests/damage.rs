//! Files that were changed behind the log's back.

use std::path::PathBuf;

use millstream_types::ErrorKind;

use super::*;
use crate::fs::Fs;
use crate::fs::faulty::Restart;

/// A log with `count` records of one batch each, closed.
fn written(flush: Flush, count: i64) -> FaultyFs {
    let fs = FaultyFs::default();
    let log = open_in(&fs, &options(flush)).unwrap();
    let mut writer = writer(&log, None).unwrap();
    for value in 1..=count {
        put(&mut writer, &tp("t", 0), value);
        outcome(writer.flush()).unwrap();
    }
    fs
}

fn segments(fs: &FaultyFs) -> Vec<PathBuf> {
    fs.paths().into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

fn reopen(fs: &FaultyFs, flush: Flush) -> Result<EmbeddedLog> {
    open_in(&fs.restart(Restart::Process), &options(flush))
}

#[track_caller]
fn assert_damage(error: &millstream_types::Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert_eq!(error.context().topic.as_deref(), Some("t"));
    assert_eq!(error.context().partition.map(|partition| partition.0), Some(0));
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains("Restore the file"), "{text}");
}

#[test]
fn a_torn_tail_is_cut_off_at_any_byte() {
    let fs = written(Flush::Os, 12);
    let last = segments(&fs).pop().unwrap();
    let mut whole = 0;
    fs.damage(&last, |bytes| whole = bytes.len());
    // Two of twelve batches are in the third segment.
    let batch = whole / 2;
    for lost in 1..batch {
        let fs = written(Flush::Os, 12);
        fs.damage(&last, |bytes| bytes.truncate(whole - lost));
        let log = reopen(&fs, Flush::Os).unwrap();
        assert_eq!(values(&log, &tp("t", 0)).unwrap(), (1..=11).collect::<Vec<_>>(), "{lost}");
        let mut writer = writer(&log, None).unwrap();
        put(&mut writer, &tp("t", 0), 12);
        outcome(writer.flush()).unwrap();
        assert_eq!(values(&log, &tp("t", 0)).unwrap(), (1..=12).collect::<Vec<_>>());
    }
}

#[test]
fn rubbish_behind_the_last_batch_is_cut_off() {
    for rubbish in [&[0u8; 100][..], &[0xff; 7], b"no batch at all, but longer than any header that there might be"] {
        for flush in [Flush::Os, Flush::Commit] {
            let fs = written(flush, 12);
            fs.damage(&segments(&fs).pop().unwrap(), |bytes| bytes.extend(rubbish));
            let log = reopen(&fs, flush).unwrap();
            assert_eq!(values(&log, &tp("t", 0)).unwrap(), (1..=12).collect::<Vec<_>>());
        }
    }
}

#[test]
fn durable_records_that_are_gone_are_never_silently_given_up() {
    let fs = written(Flush::Commit, 12);
    let last = segments(&fs).pop().unwrap();
    fs.damage(&last, |bytes| bytes.truncate(bytes.len() - 1));
    assert_damage(&reopen(&fs, Flush::Commit).unwrap_err(), &last);
    fs.damage(&last, Vec::clear);
    let error = reopen(&fs, Flush::Commit).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(error.to_string().contains("are missing"), "{error}");
    // The way out that the message names.
    assert_eq!(values(&reopen(&fs, Flush::Os).unwrap(), &tp("t", 0)).unwrap().len() % 5, 0);
}

#[test]
fn any_flipped_bit_is_noticed_when_opening_or_when_reading() {
    for flush in [Flush::Os, Flush::Commit] {
        let paths = segments(&written(flush, 12));
        assert!(paths.len() > 2);
        for (index, path) in paths.iter().enumerate() {
            let fs = written(flush, 12);
            let mut whole = Vec::new();
            fs.damage(path, |bytes| whole.clone_from(bytes));
            // The leader epoch means nothing here and is not checked.
            let (mut start, mut unchecked) = (0, Vec::new());
            while start < whole.len() {
                unchecked.extend(start + 12..start + 16);
                start += crate::batch::BatchHeader::parse(&whole[start..]).unwrap().len;
            }
            for at in (0..whole.len()).filter(|at| !unchecked.contains(at)) {
                fs.damage(path, |bytes| bytes[at] ^= 0x10);
                let seen = reopen(&fs, flush).and_then(|log| values(&log, &tp("t", 0)));
                match seen {
                    Err(error) => assert_damage(&error, path),
                    // In the very last batch it cannot be told from a torn write.
                    Ok(seen) => {
                        let is_tail = index + 1 == paths.len() && flush == Flush::Os;
                        assert!(is_tail && seen.len() < 12 && seen.len() > 8, "{flush:?} {index} {at}: {seen:?}");
                    }
                }
                fs.damage(path, |bytes| bytes[at] ^= 0x10);
            }
        }
    }
}

#[test]
fn a_missing_segment_is_noticed() {
    for flush in [Flush::Os, Flush::Commit] {
        for index in 0..2 {
            let fs = written(flush, 12);
            fs.remove_file(&segments(&fs)[index]).unwrap();
            let error = reopen(&fs, flush).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted);
            assert!(error.to_string().contains("incomplete"), "{error}");
        }
    }
}

#[test]
fn a_damaged_journal_is_noticed_and_a_torn_one_survives() {
    let journal = Path::new(DIR).join("journal");
    let fs = written(Flush::Os, 3);
    let mut whole = Vec::new();
    fs.damage(&journal, |bytes| whole.clone_from(bytes));
    let journal_of = |bytes: &[u8]| {
        let fs = written(Flush::Os, 3);
        fs.damage(&journal, |content| *content = bytes.to_vec());
        reopen(&fs, Flush::Os)
    };
    // The last entry creates the topic.
    let log = journal_of(&whole[..whole.len() - 1]).unwrap();
    assert!(outcome(log.admin().list_topics()).unwrap().is_empty());
    let mut rubbish = whole.clone();
    rubbish.extend([0; 40]);
    assert_eq!(values(&journal_of(&rubbish).unwrap(), &tp("t", 0)).unwrap(), [1, 2, 3]);
    for at in 0..20 {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        let error = journal_of(&flipped).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(error.to_string().contains("journal is damaged"), "{error}");
    }
}

#[test]
fn a_second_process_is_kept_out() {
    let fs = FaultyFs::default();
    let log = open_in(&fs, &options(Flush::Os)).unwrap();
    let reader = log.reader(Isolation::ReadCommitted);
    let error = open_in(&fs, &options(Flush::Os)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("/log is open in another process"), "{error}");
    drop(log);
    // A client still uses it.
    assert!(open_in(&fs, &options(Flush::Os)).is_err());
    drop(reader);
    open_in(&fs, &options(Flush::Os)).unwrap();
}
