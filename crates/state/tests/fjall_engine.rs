//! The persistent engine: its directory, its marks, and what a crash leaves.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::path::Path;

use millstream_state::{CommitMark, Engine, EngineProvider, FjallEngines, StoreFacts, StoreKind};
use millstream_types::{ErrorKind, Offset, TaskId, TopicPartition};

const TASK: TaskId = TaskId { subtopology: 0, partition: 1 };

fn facts(name: &str, kind: StoreKind) -> StoreFacts {
    StoreFacts::new(name, kind)
}

fn engines(directory: &Path) -> FjallEngines {
    FjallEngines::open(directory, "app", || "11111111-2222-3333-4444-555555555555".to_owned()).unwrap()
}

fn mark(offset: i64) -> CommitMark {
    CommitMark {
        changelog_offset: Offset(offset),
        topic_id: 5,
        leader_epoch: 2,
        position: vec![(TopicPartition::new("in", 1), Offset(offset * 2))],
        wall_ms: 1,
    }
}

fn apply(engine: &mut dyn Engine, writes: &[(&[u8], Option<&[u8]>)], mark: &CommitMark) {
    engine.apply(&mut writes.iter().copied(), mark).unwrap();
}

fn rows(engine: &dyn Engine, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Vec<Vec<u8>> {
    engine.scan(from, to, is_reverse).unwrap().map(|row| row.unwrap().0).collect()
}

/// Set for a process that is to remove its working directory, to where its state is to lie.
#[cfg(unix)]
const STATE_OF_THE_HOMELESS: &str = "STATE_OF_THE_HOMELESS";

#[cfg(unix)]
#[test]
fn a_process_without_working_directory_is_told_so() {
    if let Some(state) = std::env::var_os(STATE_OF_THE_HOMELESS) {
        // The process started below, which runs this test only.
        let early = engines(Path::new(&state));
        drop(early.open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap());
        std::fs::remove_dir(std::env::current_dir().unwrap()).unwrap();
        let other = TaskId { partition: 9, ..TASK };
        for engines in [&early, &engines(&Path::new(&state).join("late"))] {
            let error = engines.open(Some(other), &facts("counts", StoreKind::KeyValue)).map(drop).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Storage, "{error}");
            assert!(error.message().contains("working directory"), "{error}");
        }
        let relative = FjallEngines::open("state", "app", || "id".to_owned()).map(drop).unwrap_err();
        assert_eq!(relative.kind(), ErrorKind::Storage, "{relative}");
        return;
    }
    let (state, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_without_working_directory_is_told_so"])
        .env(STATE_OF_THE_HOMELESS, state.path())
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(!home.path().exists(), "it has run");
}

#[test]
fn data_and_mark_are_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engines(directory.path()).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    assert_eq!(engine.mark().unwrap(), None);
    apply(&mut *engine, &[(b"", Some(b"empty key")), (b"a", Some(b"1")), (b"b", Some(b""))], &mark(3));
    apply(&mut *engine, &[(b"a", None), (b"\xff\xff", Some(b"2"))], &mark(4));
    drop(engine);

    let engines = engines(directory.path());
    assert_eq!(&*engines.process_id(), "11111111-2222-3333-4444-555555555555");
    assert_eq!(engines.tasks().unwrap(), [TASK]);
    let engine = engines.open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    assert_eq!(engine.mark().unwrap(), Some(mark(4)));
    assert_eq!(engine.get(b"").unwrap().as_deref(), Some(&b"empty key"[..]));
    assert_eq!(engine.get(b"a").unwrap(), None);
    assert_eq!(rows(&*engine, None, None, false), [&b""[..], b"b", b"\xff\xff"]);
    assert_eq!(rows(&*engine, None, None, true), [&b"\xff\xff"[..], b"b", b""]);
    assert_eq!(rows(&*engine, Some(b"a"), Some(b"c"), false), [b"b"]);
    assert!(rows(&*engine, Some(b"c"), Some(b"a"), false).is_empty());
}

#[test]
fn a_scan_does_not_see_later_writes() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engines(directory.path()).open(None, &facts("rates", StoreKind::KeyValue)).unwrap();
    apply(&mut *engine, &[(b"a", Some(b"1")), (b"b", Some(b"1"))], &mark(0));
    let scan = engine.scan(None, None, false).unwrap();
    apply(&mut *engine, &[(b"a", None), (b"b", Some(b"2"))], &mark(1));
    let seen: Vec<_> = scan.map(Result::unwrap).collect();
    assert_eq!(seen, [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"1".to_vec())]);
}

#[test]
fn a_large_batch_is_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let open = || engines(directory.path()).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    let mut engine = open();
    let keys: Vec<[u8; 4]> = (0..30_000_u32).map(u32::to_be_bytes).collect();
    let all = |value: Option<&'static [u8]>| keys.iter().map(move |key| (&key[..], value));
    apply(&mut *engine, &[(&keys[0], Some(b"small")), (b"\xff", Some(b"other"))], &mark(0));
    engine.apply(&mut all(Some(b"large")), &mark(1)).unwrap();
    assert_eq!(engine.mark().unwrap(), Some(mark(1)));
    let scan = engine.scan(None, None, false).unwrap();
    apply(&mut *engine, &[(&keys[1], None), (&keys[2], Some(b"small"))], &mark(2));
    let expected = |at: usize| match at {
        1 => None,
        2 => Some(&b"small"[..]),
        _ => Some(&b"large"[..]),
    };
    assert_eq!(scan.map(Result::unwrap).filter(|(_, value)| value == b"large").count(), 30_000);
    drop(engine);
    let mut engine = open();
    for at in [0, 1, 2, 3, 29_999] {
        assert_eq!(engine.get(&keys[at]).unwrap().as_deref(), expected(at), "{at}");
    }
    assert_eq!(engine.mark().unwrap(), Some(mark(2)));
    engine.apply(&mut all(None), &mark(3)).unwrap();
    assert_eq!(rows(&*engine, None, None, false), [b"\xff"]);
    drop(engine);
    let engine = open();
    assert_eq!((rows(&*engine, None, None, false), engine.mark().unwrap()), (vec![b"\xff".to_vec()], Some(mark(3))));
}

#[test]
fn stores_and_tasks_are_apart_and_can_be_wiped_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let engines = engines(directory.path());
    let other = TaskId { subtopology: 0, partition: 10 };
    assert!(engines.tasks().unwrap().is_empty());
    let mut one = engines.open(Some(TASK), &facts("a.b", StoreKind::KeyValue)).unwrap();
    let mut two = engines.open(Some(other), &facts("a.b", StoreKind::KeyValue)).unwrap();
    let mut global = engines.open(None, &facts("a.b", StoreKind::KeyValue)).unwrap();
    for engine in [&mut one, &mut two, &mut global] {
        apply(&mut **engine, &[(b"k", Some(b"v"))], &mark(1));
    }
    one.wipe().unwrap();
    assert_eq!((one.get(b"k").unwrap(), one.mark().unwrap()), (None, None));
    assert!(two.get(b"k").unwrap().is_some() && global.get(b"k").unwrap().is_some());
    apply(&mut *one, &[(b"k2", Some(b"v"))], &mark(2));
    assert_eq!(rows(&*one, None, None, false), [b"k2"]);

    assert_eq!(engines.tasks().unwrap(), [TASK, other]);
    drop(two);
    engines.remove(other).unwrap();
    assert_eq!(engines.tasks().unwrap(), [TASK]);
    let two = engines.open(Some(other), &facts("a.b", StoreKind::KeyValue)).unwrap();
    assert_eq!((two.get(b"k").unwrap(), two.mark().unwrap()), (None, None));
}

#[test]
fn what_is_restored_after_a_wipe_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let keys: Vec<[u8; 4]> = (0..30_000_u32).map(u32::to_be_bytes).collect();
    let many: Vec<(&[u8], Option<&[u8]>)> = keys.iter().map(|key| (&key[..], Some(&b"v"[..]))).collect();
    let open = |engines: &FjallEngines| engines.open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    {
        let engines = engines(directory.path());
        let mut engine = open(&engines);
        apply(&mut *engine, &[(b"old", Some(b"v"))], &mark(1));
        engine.wipe().unwrap();
        apply(&mut *engine, &many, &mark(2));
        apply(&mut *engine, &[(b"new", Some(b"v"))], &mark(3));
    }
    let engines = engines(directory.path());
    let engine = open(&engines);
    assert_eq!(engine.mark().unwrap(), Some(mark(3)));
    assert_eq!(engine.scan(None, None, false).unwrap().count(), many.len() + 1);
    assert_eq!(engine.get(b"old").unwrap(), None);
}

/// Makes a store whose rows lie in tables that nobody has read yet.
fn with_tables(directory: &Path) -> usize {
    let mut engine = engines(directory).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    let keys: Vec<[u8; 4]> = (0..30_000_u32).map(u32::to_be_bytes).collect();
    let value = [7; 200];
    engine.apply(&mut keys.iter().map(|key| (&key[..], Some(&value[..]))), &mark(1)).unwrap();
    keys.len()
}

#[test]
fn a_scan_of_a_store_that_is_wiped_goes_on_undisturbed() {
    let directory = tempfile::tempdir().unwrap();
    let count = with_tables(directory.path());
    let engines = engines(directory.path());
    let mut engine = engines.open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    let files = || std::fs::read_dir(directory.path().join("app/millstream.db/keyspaces")).unwrap().count();
    let files_before = files();
    let forward = engine.scan(None, None, false).unwrap();
    let reverse = engine.scan(None, None, true).unwrap();
    engine.wipe().unwrap();
    assert!(engine.scan(None, None, false).unwrap().next().is_none());
    apply(&mut *engine, &[(b"new", Some(b"v"))], &mark(2));
    engine.wipe().unwrap();
    assert_eq!(forward.map(Result::unwrap).count(), count);
    assert_eq!(reverse.map(Result::unwrap).last().unwrap().0, [0; 4]);
    assert_eq!(files(), files_before, "what nobody reads any more is deleted");
}

#[test]
fn a_scan_that_outlives_its_engine_holds_up_no_other_process() {
    let directory = tempfile::tempdir().unwrap();
    with_tables(directory.path());
    let first = engines(directory.path());
    let mut engine = first.open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    let mut scan = engine.scan(None, None, false).unwrap();
    engine.wipe().unwrap();
    drop((first, engine));
    let engine = engines(directory.path()).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    assert!(engine.scan(None, None, false).unwrap().next().is_none());
    let error = scan.try_for_each(|row| row.map(drop)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State, "{error}");
    assert!(error.message().contains("while it was read"), "{error}");
}

#[test]
fn a_directory_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let first = engines(directory.path());
    let engine = first.open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    drop(first);
    let error = FjallEngines::open(directory.path(), "app", String::new).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains("in use") && error.message().contains("state.dir"), "{error}");
    drop(engine);
    engines(directory.path());
}

#[test]
fn what_does_not_belong_here_is_refused_before_data_is_touched() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, ErrorKind, &str); 4] = [
        (
            "another application",
            |app| std::fs::write(app.join("millstream-format"), "format=1\napplication.id=other\n").unwrap(),
            ErrorKind::Configuration,
            "other",
        ),
        (
            "newer format",
            |app| std::fs::write(app.join("millstream-format"), "format=99\napplication.id=app\n").unwrap(),
            ErrorKind::Configuration,
            "newer",
        ),
        (
            "unreadable format",
            |app| std::fs::write(app.join("millstream-format"), "\0\0").unwrap(),
            ErrorKind::Corrupted,
            "rebuilt",
        ),
        (
            "damaged database",
            |app| {
                for entry in std::fs::read_dir(app.join("millstream.db")).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_file() {
                        std::fs::write(path, b"not what it was").unwrap();
                    }
                }
            },
            ErrorKind::Corrupted,
            "rebuilt",
        ),
    ];
    for (name, damage, kind, words) in cases {
        let directory = tempfile::tempdir().unwrap();
        let mut engine = engines(directory.path()).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
        apply(&mut *engine, &[(b"k", Some(b"v"))], &mark(1));
        drop(engine);
        damage(&directory.path().join("app"));
        let opened = FjallEngines::open(directory.path(), "app", String::new)
            .and_then(|engines| engines.open(Some(TASK), &facts("counts", StoreKind::KeyValue)));
        let error = opened.map(drop).expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.message().contains(words), "{name}: {error}");
        assert!(error.message().contains(directory.path().to_str().unwrap()), "{name}: {error}");
    }
}

#[test]
fn a_store_of_another_kind_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let engines = engines(directory.path());
    let mut engine = engines.open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    apply(&mut *engine, &[(b"k", Some(b"v"))], &mark(1));
    drop(engine);
    let error = engines.open(Some(TASK), &facts("counts", StoreKind::Window)).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.message().contains("counts") && error.message().contains("another kind"), "{error}");
    let engine = engines.open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    assert_eq!(engine.get(b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn bad_application_ids_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for id in ["", ".", "..", "a/b", "a b", "ä"] {
        let error = FjallEngines::open(directory.path(), id, String::new).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{id}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_removed_directory_is_noticed_at_the_next_write() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engines(directory.path()).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    apply(&mut *engine, &[(b"k", Some(b"v"))], &mark(1));
    std::fs::remove_dir_all(directory.path().join("app")).unwrap();
    let error = engine.apply(&mut std::iter::empty(), &mark(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.message().contains("removed"), "{error}");
}

#[test]
fn too_long_keys_are_an_error_and_no_panic() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engines(directory.path()).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    let key = vec![1; 65_535];
    let error = engine.apply(&mut [(&key[..], Some(&b"v"[..]))].into_iter(), &mark(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Production);
    let key = &key[1..];
    apply(&mut *engine, &[(key, Some(b"v"))], &mark(1));
    assert_eq!(engine.get(key).unwrap().as_deref(), Some(&b"v"[..]));
}

/// The child of [`a_killed_writer_leaves_marks_that_agree_with_the_data`]: writes batches until it
/// is killed.
fn write_until_killed(directory: &Path) {
    let mut engine = engines(directory).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
    let first = engine.mark().unwrap().map_or(0, |mark| mark.changelog_offset.0 + 1);
    for batch in first.. {
        let value = batch.to_be_bytes();
        // Among them batches that are so large that they take another way to the disk.
        let count = if batch % 7 == 3 { 25_000 } else { 500 };
        let keys: Vec<[u8; 2]> = (0..count).map(u16::to_be_bytes).collect();
        let writes: Vec<(&[u8], Option<&[u8]>)> = keys.iter().map(|key| (&key[..], Some(&value[..]))).collect();
        apply(&mut *engine, &writes, &mark(batch));
        if batch == first + 20 {
            // Tells the parent that writing is under way.
            println!("ready");
        }
    }
}

#[test]
fn a_killed_writer_leaves_marks_that_agree_with_the_data() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    const CHILD: &str = "MILLSTREAM_TEST_KILLED_WRITER";
    if let Some(directory) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut last = -1;
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_killed_writer_leaves_marks_that_agree_with_the_data", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.lines().map_while(Result::ok).any(|line| line.contains("ready")), "round {round}");
        child.kill().unwrap();
        child.wait().unwrap();

        let engine = engines(directory.path()).open(Some(TASK), &facts("counts", StoreKind::KeyValue)).unwrap();
        let found = engine.mark().unwrap().unwrap();
        let offset = found.changelog_offset.0;
        assert!(offset >= last + 20, "round {round}: {offset} after {last}");
        assert_eq!(found, mark(offset));
        let values: Vec<Vec<u8>> = engine.scan(None, None, false).unwrap().map(|row| row.unwrap().1).collect();
        assert_eq!(values.len(), 25_000, "round {round}");
        let large = offset - (offset - 3) % 7;
        assert!(values[..500].iter().all(|value| *value == offset.to_be_bytes()), "round {round}");
        assert!(values[500..].iter().all(|value| *value == large.to_be_bytes()), "round {round}");
        last = offset;
    }
}
