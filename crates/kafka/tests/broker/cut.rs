//! A log that lost its end and has grown again with other records, as an unclean leader election leaves it. Here the
//! broker is stopped and its file cut.

use std::fs::{self, File};

use millstream_kafka::KafkaLog;
use millstream_log::{CommittedOffset, Isolation, Log, OffsetSpec, ReadPosition, ReaderEvent};
use millstream_testbroker::Cluster;
use millstream_types::{Offset, TopicPartition};

use crate::support::*;

fn write(log: &KafkaLog, partition: &TopicPartition, values: &[&str]) {
    let mut writer = writer(log, None);
    for value in values {
        put(&mut writer, partition, value);
    }
    ok(log, writer.flush());
}

/// What a reader says that begins there: where it then stands, or what was lost.
fn read_from(log: &KafkaLog, partition: &TopicPartition, position: ReadPosition) -> Result<ReadPosition, [i64; 3]> {
    let end = end(log, partition, OffsetSpec::EndUncommitted);
    let mut reader = log.reader(Isolation::ReadUncommitted);
    reader.assign(&[(partition.clone(), position)]);
    loop {
        for event in events(log, &mut reader) {
            match event {
                ReaderEvent::Fetched(fetched) if fetched.next.0 < end => {}
                ReaderEvent::Fetched(fetched) => return Ok(fetched.position()),
                ReaderEvent::OutOfRange { position, log_start, log_end, .. } => {
                    return Err([position.0, log_start.0, log_end.0]);
                }
                event => panic!("{event:?}"),
            }
        }
    }
}

fn at(offset: i64, leader_epoch: i32) -> ReadPosition {
    ReadPosition { offset: Offset(offset), leader_epoch }
}

/// Starts the broker anew, with other data; it is elected under another epoch.
fn restart(cluster: &mut Cluster, change: impl FnOnce()) {
    cluster.stop(1).unwrap();
    change();
    cluster.restart(1).unwrap();
}

#[test]
fn a_log_that_was_cut_below_what_was_read_says_so_however_long_it_is_again() {
    notices_a_cut(Cluster::builder().start().unwrap_or_else(|error| panic!("{error}")));
}

#[test]
fn the_oldest_broker_notices_it_too() {
    notices_a_cut(Cluster::builder().version("3.3.2").start().unwrap_or_else(|error| panic!("{error}")));
}

fn notices_a_cut(mut cluster: Cluster) {
    let log = connect_to(&cluster, &[]);
    let partition = create(&log, "cut", 1);
    let file = cluster.data(1).unwrap().join("cut-0").join("00000000000000000000.log");
    write(&log, &partition, &["a", "b", "c", "d"]);
    let first = read_from(&log, &partition, at(0, -1)).unwrap();
    assert_eq!(first.offset, Offset(4));

    // The leader is elected anew; nothing is lost.
    restart(&mut cluster, || {});
    let size = fs::metadata(&file).unwrap().len();
    write(&log, &partition, &["e", "f"]);
    let second = read_from(&log, &partition, first).unwrap();
    assert_eq!(second.offset, Offset(6));
    assert!(second.leader_epoch > first.leader_epoch, "{first:?} {second:?}");
    let committed =
        CommittedOffset { offset: second.offset, leader_epoch: second.leader_epoch, metadata: String::new() };
    let mut committer = writer(&log, Some("cut"));
    put(&mut committer, &create(&log, "cut-out", 1), "x");
    ok(&log, committer.commit(vec![(partition.clone(), committed.clone())], &nobody("cut")));
    assert_eq!(committed_offset(&log, "cut", &partition), Some(committed));

    restart(&mut cluster, || File::options().write(true).open(&file).unwrap().set_len(size).unwrap());
    write(&log, &partition, &["g", "h", "i"]);
    let third = read_from(&log, &partition, first).unwrap();
    assert_eq!(third.offset, Offset(7));
    assert_eq!(read_from(&log, &partition, at(6, -1)).unwrap().offset, Offset(7), "nobody would notice");
    assert_eq!(read_from(&log, &partition, second), Err([6, 0, 4]));
    // The epoch of the record that was to come, as Kafka Streams commits it.
    assert_eq!(read_from(&log, &partition, at(4, second.leader_epoch)), Ok(third));
}
