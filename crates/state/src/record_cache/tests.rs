//! The cache against Kafka Streams' rules (`NamedCache`, `ThreadCache`).

use super::entry::{CONTEXT_BYTES, ENTRY_BYTES};
use super::*;

type Cache = RecordCache<i64>;

/// A row that was taken out.
struct Taken {
    key: String,
    value: Option<i64>,
    timestamp: Timestamp,
    origin: Origin,
    headers: Headers,
}

fn take(cache: &mut Cache, leaving: Leaving) -> Taken {
    let row = cache.leaving(leaving).expect("it leaves now");
    let origin = Origin {
        topic: row.origin_topic.cloned(),
        partition: row.origin_partition,
        offset: row.origin_offset,
        timestamp: row.origin_timestamp,
        raw: row.origin_raw.cloned(),
    };
    let LeavingRow { key_bytes, value, timestamp, headers, .. } = row;
    let key = String::from_utf8(key_bytes.to_vec()).expect("letters");
    let taken = Taken { key, value: value.copied(), timestamp, origin, headers };
    cache.left(leaving, RowPlace::NONE);
    taken
}

/// Takes up to so many dirty entries.
fn take_dirty(cache: &mut Cache, rows_max: usize) -> Vec<Taken> {
    let next = |_| {
        // Looking at those that come changes nothing.
        let _ = cache.read_ahead_dirty().count();
        let leaving = cache.next_dirty()?;
        Some(take(cache, leaving))
    };
    (0..rows_max).map_while(next).collect()
}

fn flush(cache: &mut Cache) -> Vec<Taken> {
    cache.settle();
    take_dirty(cache, usize::MAX)
}

/// One entry, if one has to leave, and two of those that it takes along.
fn evict_some(cache: &mut Cache) -> Vec<Taken> {
    let first = if cache.taken_along() == 0 { cache.evict() } else { None };
    let mut taken: Vec<_> = first.map(|leaving| take(cache, leaving)).into_iter().collect();
    let along = cache.taken_along().min(2);
    taken.extend(take_dirty(cache, along));
    taken
}

fn evict(cache: &mut Cache) -> String {
    let parts = std::iter::from_fn(|| Some(evict_some(cache)).filter(|taken| !taken.is_empty()));
    parts.map(|taken| keys(&taken)).collect()
}

fn origin(timestamp: i64) -> Origin {
    Origin { timestamp: Timestamp(timestamp), ..Origin::NONE }
}

/// Bytes that an entry of a key with one byte and a value with eight counts for.
const ENTRY: usize = 1 + ENTRY_BYTES + CONTEXT_BYTES + 8;

fn put(cache: &mut Cache, key: &str, value: Option<i64>, timestamp: i64) {
    let len = if value.is_some() { 8 } else { 0 };
    let write = (value, Timestamp(timestamp));
    cache.put(key.as_bytes(), write, len, &origin(timestamp), &Headers::new());
}

fn clean(cache: &mut Cache, key: &str) -> bool {
    cache.put_clean(HashedKey::of(key.as_bytes()), (0, Timestamp(0)), 8, RowPlace::NONE).is_ok()
}

fn keys(taken: &[Taken]) -> String {
    taken.iter().map(|row| row.key.as_str()).collect()
}

/// Runs a script: `a` writes a key, `-a` deletes it, `?a` reads it, `=a` keeps it clean, `!` flushes
/// (its result in brackets), `evict` evicts (its result in parentheses).
fn run(capacity: usize, script: &str) -> String {
    let budget = CacheBudget::new(capacity * ENTRY);
    let mut cache = Cache::new(budget.clone());
    let mut seen = String::new();
    for (word, step) in script.split(' ').zip(0..) {
        match word.split_at(usize::from(!word.starts_with(|c: char| c.is_alphabetic()))) {
            ("-", key) => put(&mut cache, key, None, step),
            ("?", key) => seen.push(if cache.find(HashedKey::of(key.as_bytes())).is_some() { '+' } else { '-' }),
            ("=", key) => assert!(clean(&mut cache, key), "{script}"),
            ("!", _) => seen += &["[", &keys(&flush(&mut cache)), "]"].concat(),
            (_, "evict") => seen += &["(", &evict(&mut cache), ")"].concat(),
            (_, key) => put(&mut cache, key, Some(step), step),
        }
    }
    drop(cache);
    assert_eq!(budget.used(), 0, "{script}: all bytes are given back");
    seen
}

#[test]
fn order_of_flush_and_eviction_is_kafka_streams() {
    let cases = [
        ("dirty entries come in order of writing", 9, "a b c !", "[abc]"),
        ("a second write moves a key to the end", 9, "a b c a !", "[bca]"),
        ("a second write of the last key changes nothing", 9, "a b b !", "[ab]"),
        ("a read does not change the order of flushing", 9, "a b ?a !", "+[ab]"),
        ("a flush cleans", 9, "a b ! ! a !", "[ab][][a]"),
        ("clean entries are not flushed", 9, "=a b !", "[b]"),
        ("a write makes a clean entry dirty", 9, "=a b a !", "[ba]"),
        ("deletions are flushed and leave", 9, "a -b ! ?a ?b", "[ab]+-"),
        ("a deleted key that is written again stays", 9, "-a a ! ?a", "[a]+"),
        ("nothing is evicted within the budget", 2, "a b evict ?a ?b", "()++"),
        ("the least recently used goes, and takes all dirty ones along", 2, "a b c evict ?a ?b ?c", "(abc)-++"),
        ("a read saves from eviction", 2, "a b ?a c evict ?a ?b ?c", "+(bac)+-+"),
        ("the evicted comes first, the others in order of writing", 2, "a b c b ?c ?a evict", "++(bac)"),
        ("clean entries are evicted silently", 2, "=a =b c evict ?a ?b ?c !", "()-++[c]"),
        ("a clean tail, then a dirty one", 1, "a ! b c evict ?a ?b ?c", "[a](bc)--+"),
        ("eviction goes on among the ones just cleaned", 1, "a b c evict ?a ?b ?c", "(abc)--+"),
        ("without a budget everything goes at once", 0, "a evict ?a b evict", "(a)-(b)"),
        ("an evicted deletion is flushed", 1, "-a b c evict", "(abc)"),
    ];
    for (name, capacity, script, expected) in cases {
        assert_eq!(run(capacity, script), expected, "{name}: {script}");
    }
}

#[test]
fn entries_count_as_in_kafka_streams() {
    let budget = CacheBudget::new(1 << 20);
    let mut cache = Cache::new(budget.clone());
    put(&mut cache, "key", Some(1), 0);
    assert_eq!(budget.used(), 3 + 24 + 1 + 8 + 8 + 4 + 8);
    let mut headers = Headers::new();
    headers.add("name", Some(bytes::Bytes::from_static(b"12")));
    headers.add("null", None);
    let topic = Origin { topic: Some("topic".into()), ..origin(0) };
    cache.put(b"key", (None, Timestamp(0)), 0, &topic, &headers);
    assert_eq!(budget.used(), 3 + 24 + 1 + 8 + 8 + 4 + 5 + 4 + 2 + 4);
    cache.clear();
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_read_makes_dirty_entries_leave_next() {
    let mut cache = Cache::new(CacheBudget::new(2 * ENTRY));
    put(&mut cache, "a", Some(1), 0);
    assert!(clean(&mut cache, "b"));
    assert!(cache.find(HashedKey::of(b"b")).is_some() && cache.find(HashedKey::of(b"a")).is_some());
    assert!(clean(&mut cache, "c"), "the clean tail makes room");
    assert!(
        cache.find(HashedKey::of(b"b")).is_none()
            && cache.find(HashedKey::of(b"c")).is_some()
            && cache.find(HashedKey::of(b"a")).is_some()
    );
    assert!(cache.find(HashedKey::of(b"c")).is_some());
    assert!(!cache.owes_eviction());
    assert!(clean(&mut cache, "d"), "the tail is dirty, and has to leave");
    assert!(cache.owes_eviction());
    assert_eq!(evict(&mut cache), "a");
    assert!(
        !cache.owes_eviction()
            && cache.find(HashedKey::of(b"a")).is_none()
            && cache.find(HashedKey::of(b"d")).is_some()
    );
}

#[test]
fn a_scan_uses_what_it_passes() {
    let mut cache = Cache::new(CacheBudget::new(3 * ENTRY));
    for key in ["a", "b", "c"] {
        put(&mut cache, key, Some(1), 0);
    }
    let mut seen = String::new();
    let range = ByteRange { from: None, to: Some(b"b\xff".to_vec()) };
    cache.each_in(&range, true, |key, _| seen += std::str::from_utf8(key).expect("letters"));
    assert_eq!(seen, "ba");
    put(&mut cache, "d", Some(1), 0);
    assert_eq!(evict(&mut cache), "cabd");
}

#[test]
fn the_last_write_says_where_a_row_comes_from() {
    let mut cache = Cache::new(CacheBudget::new(1 << 20));
    put(&mut cache, "a", Some(1), 10);
    put(&mut cache, "a", Some(2), 20);
    let taken = flush(&mut cache);
    let row = &taken[0];
    assert_eq!((row.value, row.timestamp, &row.origin), (Some(2), Timestamp(20), &origin(20)));
}

#[test]
fn stores_of_a_thread_share_the_budget() {
    let budget = CacheBudget::new(2 * ENTRY);
    let (mut one, mut two) = (Cache::new(budget.clone()), Cache::new(budget.clone()));
    put(&mut one, "a", Some(1), 0);
    put(&mut one, "b", Some(1), 0);
    put(&mut two, "c", Some(1), 0);
    assert!(budget.is_exceeded());
    assert_eq!(keys(&evict_some(&mut two)), "c", "only the store just written is evicted");
    assert!(budget.is_exceeded(), "what is on its way still counts");
    assert_eq!(evict(&mut two), "");
    assert!(!budget.is_exceeded());
    drop(one);
    put(&mut two, "d", Some(1), 0);
    put(&mut two, "e", Some(1), 0);
    assert!(!budget.is_exceeded(), "a dropped cache gives its bytes back");
}

#[test]
fn a_flush_in_parts_gives_the_same_order() {
    let mut cache = Cache::new(CacheBudget::new(1 << 20));
    for step in 0..5000 {
        put(&mut cache, &format!("{:03}", step * 7 % 300), Some(step), step);
        cache.find(HashedKey::of(format!("{:03}", step * 11 % 300).as_bytes()));
    }
    let mut seen = Vec::new();
    loop {
        let part = take_dirty(&mut cache, 7);
        if part.is_empty() {
            break;
        }
        seen.extend(part.into_iter().map(|row| row.timestamp.0));
    }
    assert_eq!(seen, (4700..5000).collect::<Vec<_>>(), "each key once, by its last write");
}

#[test]
fn keys_of_any_length_are_found() {
    let mut cache = Cache::new(CacheBudget::new(1 << 20));
    let keys: Vec<String> = (0..100).map(|len| "k".repeat(len)).collect();
    keys.iter().zip(0..).for_each(|(key, number)| put(&mut cache, key, Some(number), 0));
    for (key, number) in keys.iter().zip(0..) {
        let slot = cache.find(HashedKey::of(key.as_bytes())).expect("it was put");
        assert_eq!(cache.row(slot), Some((&number, Timestamp(0))));
    }
}

#[test]
fn a_write_after_a_flush_takes_the_place_of_its_read() {
    assert_eq!(run(9, "a b ! ?b ! b ! a ?b b !"), "[ab]+[][b]+[ab]");
}

#[test]
fn an_entry_of_a_small_value_is_a_line_of_memory() {
    assert_eq!(size_of::<Option<Entry<i64>>>(), 64);
}

#[test]
fn writes_from_several_sources_keep_their_contexts() {
    let mut cache = Cache::new(CacheBudget::new(1 << 20));
    let mut headers = Headers::new();
    headers.add("name", None);
    let of = |topic: Option<&str>, partition, offset| Origin {
        topic: topic.map(Into::into),
        partition: millstream_types::Partition(partition),
        offset: millstream_types::Offset(offset),
        timestamp: Timestamp(offset),
        raw: None,
    };
    let writes = [
        ("a", of(Some("one"), 0, 1), headers.clone()),
        ("b", of(Some("two"), 0, 2), Headers::new()),
        ("c", of(Some("one"), 1, 3), Headers::new()),
        ("d", of(None, -1, -1), headers.clone()),
        ("e", of(Some("one"), 0, 5), headers.clone()),
        ("e", of(Some("two"), 0, 6), Headers::new()),
    ];
    for (key, origin, headers) in &writes {
        cache.put(key.as_bytes(), (Some(1), Timestamp(0)), 8, origin, headers);
    }
    let taken: Vec<_> = flush(&mut cache).into_iter().map(|row| (row.key, row.origin, row.headers)).collect();
    let last = writes.into_iter().enumerate().filter(|(at, _)| *at != 4);
    let expected: Vec<_> = last.map(|(_, (key, origin, headers))| (key.to_owned(), origin, headers)).collect();
    assert_eq!(taken, expected);
}

#[test]
fn reading_ahead_knows_the_keys_and_changes_nothing() {
    let mut cache = Cache::new(CacheBudget::new(1 << 20));
    let name = |number: usize| format!("{number:04}");
    put(&mut cache, "a", Some(1), 0);
    let ahead = |cache: &Cache, keys: &[&[u8]]| {
        cache.read_ahead(&keys.iter().map(|key| HashedKey::of(key)).collect::<Vec<_>>())
    };
    assert_eq!(ahead(&cache, &[b"a"]), 0, "a small cache is near anyway");
    (0..READ_AHEAD_FROM).for_each(|number| put(&mut cache, &name(number), Some(1), 0));
    assert_eq!(ahead(&cache, &[b"0007", b"none", b"a", b""]), 0b101);
    assert_eq!(ahead(&cache, &[b"a".as_slice(); AHEAD + 1]), (1 << AHEAD) - 1, "more are left out");
    assert_eq!(cache.order.oldest_used(), Some(0), "it is no use");
}
