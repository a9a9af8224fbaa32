//! A table whose rows lie in Redis: an engine of one's own below an ordinary store.
//!
//! ```text
//! redis-server &
//! cargo run -p millstream --example redis_store -- "the mill by the stream"
//! redis-cli HGETALL millstream:redis-words:counts:1_0:rows
//! ```
//!
//! The words are counted into the store `counts`. Millstream keeps its record cache, its changelog,
//! its restore and its reads; only the committed bytes of each task go to Redis, one transaction a
//! commit. A Redis that was emptied is filled again from the changelog. (The log of this example lies
//! in memory, so that each run finds rows of another log, deletes them and counts anew.)
//!
//! Active tasks of two instances never share these keys. A standby copy has its task's id, too: with standby
//! replicas put something of the instance into the keys.
//!
//! Each task has three keys, `millstream:<application>:<store>:<task>:` followed by
//!
//! ```text
//! rows   hash: key bytes to value bytes
//! keys   sorted set of the keys, all with score 0, so that Redis orders them by their bytes
//! mark   how far the changelog is applied, as text
//! ```
//!
//! Two instances of an application never share a task, so they never share these keys either. A
//! network away from the thread, such an engine makes reads that miss the record cache slow: it is
//! for state that others want to look at, not for speed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to its reader")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream::prelude::*;
use millstream::state::{CommitMark, Scan, StoreFacts};
use millstream::{Engine, Error, ErrorKind, Offset, Result, TaskId, TopicPartition};
use redis::Commands;

const APPLICATION: &str = "redis-words";

/// The rows of one store of one task, in Redis.
struct RedisEngine {
    connection: Mutex<redis::Connection>,
    rows: String,
    keys: String,
    mark: String,
}

impl RedisEngine {
    /// Connects; a server that does not answer is an error that says where it was looked for.
    fn open(url: &str, task: Option<TaskId>, store: &StoreFacts) -> Result<Self> {
        let connection = redis::Client::open(url)
            .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(5)))
            .map_err(|error| failed(&format!("Redis at {url} cannot be reached; start it, or set REDIS_URL"), error))?;
        let task = task.map_or_else(|| "global".to_owned(), |task| task.to_string());
        let key = |part: &str| format!("millstream:{APPLICATION}:{}:{task}:{part}", store.name);
        Ok(Self { connection: Mutex::new(connection), rows: key("rows"), keys: key("keys"), mark: key("mark") })
    }

    fn connection(&self) -> MutexGuard<'_, redis::Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failure of Redis is tried again, as one of the disk is.
fn failed(what: &str, error: redis::RedisError) -> Error {
    Error::new(ErrorKind::Storage, what).with_source(Arc::new(error))
}

/// An end of a range as `ZRANGEBYLEX` wants it.
fn bound(prefix: &[u8], key: Option<&[u8]>, open: &[u8]) -> Vec<u8> {
    key.map_or_else(|| open.to_vec(), |key| [prefix, key].concat())
}

impl Engine for RedisEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.connection().hget(&self.rows, key).map_err(|error| failed("a row cannot be read from Redis", error))
    }

    /// A snapshot, read at once: small ranges only.
    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        let (from, to) = (bound(b"[", from, b"-"), bound(b"(", to, b"+"));
        let read = |connection: &mut redis::Connection| {
            let mut keys: Vec<Vec<u8>> = connection.zrangebylex(&self.keys, from, to)?;
            if is_reverse {
                keys.reverse();
            }
            let mut rows = Vec::with_capacity(keys.len());
            for key in keys {
                if let Some(value) = connection.hget::<_, _, Option<Vec<u8>>>(&self.rows, &key)? {
                    rows.push(Ok((key, value)));
                }
            }
            Ok(rows)
        };
        let rows: Vec<Result<_>> =
            read(&mut self.connection()).map_err(|error| failed("rows cannot be read from Redis", error))?;
        Ok(Box::new(rows.into_iter()))
    }

    /// `MULTI` ... `EXEC`: rows and mark are written together or not at all.
    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        let mut batch = redis::pipe();
        batch.atomic();
        for (key, value) in writes {
            match value {
                Some(value) => batch.hset(&self.rows, key, value).zadd(&self.keys, key, 0),
                None => batch.hdel(&self.rows, key).zrem(&self.keys, key),
            };
        }
        batch.set(&self.mark, encode(mark));
        batch.exec(&mut *self.connection()).map_err(|error| failed("a commit cannot be written to Redis", error))
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        let text: Option<String> =
            self.connection().get(&self.mark).map_err(|error| failed("the mark cannot be read from Redis", error))?;
        text.map(|text| {
            let unreadable = || Error::new(ErrorKind::Corrupted, format!("{} holds no mark: {text}", self.mark));
            decode(&text).ok_or_else(unreadable)
        })
        .transpose()
    }

    fn wipe(&mut self) -> Result<()> {
        let keys = [&self.rows, &self.keys, &self.mark];
        self.connection().del(&keys[..]).map_err(|error| failed("a store cannot be deleted from Redis", error))
    }

    fn is_persistent(&self) -> bool {
        true
    }
}

/// A mark as text: its numbers, then the position, divided by tabs.
fn encode(mark: &CommitMark) -> String {
    let mut text = format!("{}\t{}\t{}\t{}", mark.changelog_offset.0, mark.topic_id, mark.leader_epoch, mark.wall_ms);
    for (at, offset) in &mark.position {
        // Writing to a string cannot fail.
        let _ = write!(text, "\t{}\t{}\t{}", at.topic, at.partition.0, offset.0);
    }
    text
}

fn decode(text: &str) -> Option<CommitMark> {
    let mut parts = text.split('\t');
    let mut mark = CommitMark {
        changelog_offset: Offset(parts.next()?.parse().ok()?),
        topic_id: parts.next()?.parse().ok()?,
        leader_epoch: parts.next()?.parse().ok()?,
        wall_ms: parts.next()?.parse().ok()?,
        position: Vec::new(),
    };
    while let Some(topic) = parts.next() {
        let partition: i32 = parts.next()?.parse().ok()?;
        let offset = Offset(parts.next()?.parse().ok()?);
        mark.position.push((TopicPartition::new(topic, partition), offset));
    }
    Some(mark)
}

fn run(url: String, text: String) -> Result<()> {
    // The server is looked for before anything starts, so that a missing one is told at once.
    RedisEngine::open(&url, None, &StoreFacts::new("counts", millstream::state::StoreKind::Custom))?;
    let counts = Stores::persistent_timestamped_key_value_store("counts").with_engine(
        move |task: Option<TaskId>, store: &StoreFacts| {
            Ok(Box::new(RedisEngine::open(&url, task, store)?) as Box<dyn Engine>)
        },
    );
    let builder = StreamsBuilder::new();
    builder
        .stream::<(), String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|(), word| word.clone())
        .count_with(Materialized::of_supplier(counts))
        .to_stream()
        .to("words");
    let config = Config::builder()
        .application_id(APPLICATION)
        .bootstrap_servers("memory:")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .build()?;
    let streams = Streams::new(&builder.build()?, &config)?;
    let mut lines = Producer::new(streams.log(), "lines", Serdes::void(), Serdes::string())?;
    let words = text.split(' ').count() as i64;
    lines.send(&Record::new((), text, Timestamp(0)))?;
    lines.flush()?;
    streams.start()?;
    let mut changes = Consumer::new(streams.log(), "words", Serdes::string(), Serdes::long())?;
    let mut counted = BTreeMap::new();
    while counted.values().sum::<i64>() < words {
        let records = changes.poll(Duration::from_secs(10))?;
        if records.is_empty() {
            return Err(streams.error().unwrap_or_else(|| Error::new(ErrorKind::State, "nothing was counted")));
        }
        counted.extend(records.into_iter().map(|word| (word.record.key, word.record.value)));
    }
    for (word, count) in counted {
        println!("{word} {count}");
    }
    streams.close(Duration::from_secs(10));
    Ok(())
}

fn main() -> ExitCode {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let text = std::env::args().nth(1).unwrap_or_else(|| "the mill by the stream".to_owned());
    match run(url, text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
