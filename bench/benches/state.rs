//! The record cache of a store with timestamps: a get and a put of a row that is there, as a count
//! does them. Bound by memory: 100,000 rows do not fit the second cache.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream_state::{CacheBudget, MemoryEngine, StoreEnv, StoreFactory, Stores, TimestampedKeyValueStore};
use millstream_types::{Headers, Result, Serdes, Timestamp};

const KEYS: u64 = 100_000;

fn counts(store: &mut TimestampedKeyValueStore<String, i64>, key: &String) -> Result<()> {
    let count = store.get(key)?.map_or(0, |row| row.value);
    store.put_row(key, Some(count + 1), Timestamp(1), &Headers::new())?;
    Ok(())
}

fn cache(criterion: &mut Criterion) {
    let supplier = Stores::in_memory_key_value_store("counts");
    let builder =
        Stores::timestamped_key_value_store_builder(supplier, Serdes::string(), Serdes::long()).with_caching_enabled();
    let env = StoreEnv { cache: CacheBudget::new(64 << 20), ..StoreEnv::new(Box::new(MemoryEngine::new())) };
    let Ok(mut store) = builder.build(env) else { return };
    let Some(store) = store.as_any_mut().downcast_mut::<TimestampedKeyValueStore<String, i64>>() else { return };
    let keys: Vec<String> = (0..KEYS).map(|key| format!("user-{key:08}")).collect();
    let mut group = criterion.benchmark_group("state");
    group.throughput(Throughput::Elements(1));
    for (name, count) in [("get and put, 1,000 keys", 1000), ("get and put, 100,000 keys", KEYS as usize)] {
        // A prime step visits all keys, none near the one before.
        let some = keys.get(..count).unwrap_or_default();
        let mut next = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                next = (next + 7919) % count;
                some.get(next).map(|key| counts(store, key))
            });
        });
    }
}

criterion_group!(benches, cache);
criterion_main!(benches);
