//! Opening a log on disk: the lock, the journal, the partitions, and the transactions that a crash
//! left half way.

use std::path::Path;
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Result, Timestamp, TopicPartition};

use super::broker::{Broker, Topic};
use super::disk::{Disk, DiskStorage, Evidence};
use super::durable::Files;
use super::failure::at;
use super::journal::{Journal, Replay};
use super::memory::MemoryStorage;
use super::options::{Flush, Options};
use super::partition::Partition;
use super::storage::Storage;
use super::transaction::Producer;
use crate::batch::Marker;
use crate::fs::{self, Fs, Lock};

/// Held by the process that has the log open.
const LOCK_NAME: &str = "state.lock";

/// Opens or creates the log in a directory. `seed` is for a new one.
pub(super) fn open(
    fs: Arc<dyn Fs>,
    dir: &Path,
    options: Options,
    journal_bytes: u64,
    seed: u64,
    wall_ms: i64,
) -> Result<Broker> {
    fs.create_dir(dir).map_err(|error| fs::error("create", dir, error))?;
    let lock = lock(&*fs, dir)?;
    let disk = Arc::new(Disk {
        fs,
        dir: dir.to_owned(),
        flush: options.flush,
        segment_bytes: options.segment_bytes,
        journal_bytes,
    });
    let replay = Journal::read(&disk)?.map(Replay::of);
    let mut broker = Broker::new(options, replay.as_ref().map_or(seed, |replay| replay.seed));
    broker.now.wall_ms = wall_ms;
    if let Some(replay) = replay {
        restore(&mut broker, &disk, replay)?;
        broker.transactions.forget_writers();
    }
    let mut entries = broker.snapshot();
    if let Some(super::journal::Entry::Opened { is_flushed, .. }) = entries.first_mut() {
        *is_flushed = disk.flush == Flush::Commit;
    }
    let journal = Journal::create(&disk, &entries)?;
    broker.files = Some(Files { disk, journal, _lock: lock, poison: None });
    Ok(broker)
}

fn lock(fs: &dyn Fs, dir: &Path) -> Result<Box<dyn Lock>> {
    let path = dir.join(LOCK_NAME);
    fs.lock(&path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::WouldBlock {
            let message = format!(
                "the log in {} is open in another process: stop that one, or give this one a directory of its own",
                dir.display()
            );
            return Error::new(ErrorKind::Storage, message).with_source(error);
        }
        fs::error("lock", &path, error)
    })
}

/// Brings back what the journal and the partitions' files say.
fn restore(broker: &mut Broker, disk: &Arc<Disk>, replay: Replay) -> Result<()> {
    broker.ids = replay.ids;
    broker.transactions.restore(replay.next_producer_id, &replay.producers);
    let is_flushed = replay.is_flushed && disk.flush == Flush::Commit;
    for (name, topic) in &replay.topics {
        let mut slots = Vec::new();
        for partition in 0..topic.partitions {
            let name = TopicPartition::new(name.clone(), partition);
            let evidence = Evidence {
                log_start: replay.log_starts.get(&name).copied().unwrap_or(0),
                synced: is_flushed.then(|| replay.synced.get(&name).copied().unwrap_or(0)),
            };
            let partition = restore_partition(broker, disk, &replay, &name, topic.id, evidence)?;
            slots.push(broker.partitions.len());
            broker.partitions.push(Some(partition));
        }
        broker.topics.insert(name.clone(), Topic { id: topic.id, slots, configs: topic.configs.clone() });
    }
    for (group, offsets) in replay.offsets {
        broker.groups.entry(group).or_default().offsets = offsets;
    }
    Ok(())
}

/// Opens a partition, finishes its committed transactions and aborts the others.
fn restore_partition(
    broker: &Broker,
    disk: &Arc<Disk>,
    replay: &Replay,
    name: &TopicPartition,
    topic_id: u128,
    evidence: Evidence,
) -> Result<Partition> {
    let mut partition = Partition::new(name.clone(), topic_id, Storage::Memory(MemoryStorage::default()));
    let mut observed = Ok(());
    let (storage, end) = DiskStorage::recover(disk, name, evidence, |header, batch| {
        if observed.is_ok() {
            observed = partition.observe(header, batch);
        }
    })
    .map_err(|error| at(error, name))?;
    observed.map_err(|error| at(error, name))?;
    let mut partition = partition.recovered(Storage::Disk(storage), evidence.log_start, end);

    let open: Vec<(i64, i64)> = partition.open().collect();
    for (id, first) in open {
        let commit = replay.markers.get(&(name.clone(), id)).filter(|(offset, _)| *offset > first);
        let (marker, epoch) = match commit {
            Some((offset, epoch)) => {
                if *offset > partition.end() {
                    tracing::warn!(partition = %name, offset, end = partition.end(), "a committed transaction lost records");
                }
                (Marker::Commit, *epoch)
            }
            None => (Marker::Abort, broker.transactions.epoch_of(id)),
        };
        let producer = Producer { id, epoch };
        let batch = marker.batch(producer.id, producer.epoch, Timestamp(broker.now.wall_ms));
        partition.mark(marker, &batch).map_err(|failure| failure.error)?;
    }
    // The commit points are dropped with the old journal; their markers must not be lost after.
    partition.settle()?;
    Ok(partition)
}
