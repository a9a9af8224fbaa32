//! Where a task starts: decisions from what the log and the local stores say, without doing
//! anything.

use std::sync::Arc;

use millstream_log::{CommittedOffset, ReadPosition, TopicMetadata};
use millstream_state::CommitMark;
use millstream_types::config::OffsetReset;
use millstream_types::{Error, ErrorKind, Offset, Result, TopicPartition};

/// How old a local copy may be before tombstones it never saw may be gone: the broker's default
/// `delete.retention.ms`.
const DELETE_RETENTION_MS: i64 = 86_400_000;

/// Where an input partition is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputStart {
    /// Here.
    At(ReadPosition),
    /// At the first offset whose timestamp is at least this, ms since the epoch; ask the log.
    AtTime(i64),
}

/// Where to read an input partition.
///
/// A committed offset outside the log is never replaced by a guess: what lies between was lost, or
/// would be processed twice.
///
/// # Errors
/// `Fatal` when the committed offset lies outside the log, or nothing was committed and the reset
/// policy is `none`.
pub(crate) fn input_start(
    partition: &TopicPartition,
    committed: Option<&CommittedOffset>,
    (start, end): (Offset, Offset),
    reset: OffsetReset,
    wall_ms: i64,
) -> Result<InputStart> {
    let refuse = |message: String| {
        Err(Error::new(ErrorKind::Fatal, message).with_context(|context| {
            context.topic = Some(Arc::clone(&partition.topic));
            context.partition = Some(partition.partition);
        }))
    };
    if let Some(committed) = committed {
        let at = committed.offset;
        if at < start {
            let lost = start.0 - at.0;
            return refuse(format!(
                "offset {at} is committed, but the log now starts at {start}: {lost} records were deleted before \
                 they were processed; to go on without them, set the group's offset to {start} while the \
                 application is stopped"
            ));
        }
        if at > end {
            return refuse(format!(
                "offset {at} is committed, but the log ends at {end}: it was truncated, or deleted and created again; to go \
                 on with what there is, set the group's offset to {end} while the application is stopped"
            ));
        }
        return Ok(InputStart::At(ReadPosition { offset: at, leader_epoch: committed.leader_epoch }));
    }
    match reset {
        OffsetReset::Earliest => Ok(InputStart::At(start.into())),
        OffsetReset::Latest => Ok(InputStart::At(end.into())),
        OffsetReset::ByDuration(duration_ms) => Ok(InputStart::AtTime(wall_ms.saturating_sub(duration_ms))),
        OffsetReset::None => refuse(format!(
            "no offset is committed, and the offset reset policy is none (auto.offset.reset, or that of the source); the \
             log holds {start} to {end}: set the group's offset while the application is stopped, or choose earliest or \
             latest"
        )),
    }
}

/// What it means that an input cannot be read on at a position. `is_committed`: the group goes on right there, so
/// nothing is gained by asking it anew.
pub(crate) fn out_of_range(position: Offset, (start, end): (Offset, Offset), is_committed: bool) -> Error {
    if !is_committed || position < start {
        // Perhaps the task is somebody else's already, who has processed and deleted the records. The committed
        // offset tells: if it lies before the log's start, the takeover ends the thread with the number of lost ones.
        let message = format!("offset {position} is to be read, but of what was read the log holds {start} to {end}");
        return Error::new(ErrorKind::Retriable, message);
    }
    let message = if position > end {
        let lost = position.0 - end.0;
        format!(
            "offset {position} is committed, but the log has lost the {lost} offsets before it: a broker that lacked them was \
             made the leader (unclean.leader.election.enable), and what may be there now from {end} on are other records; to \
             process those, set the group's offset to {end} while the application is stopped, or to a later one to go on \
             without them"
        )
    } else {
        format!(
            "offset {position} is committed with a leader epoch that the log does not know: it was deleted and created again, \
             or lost its end; it holds {start} to {end}: set the group's offset to the one to go on from while the \
             application is stopped"
        )
    };
    Error::new(ErrorKind::Fatal, message)
}

/// Where a store's changelog is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RestoreStart {
    /// Go on from here: the local copy is good up to it.
    From(ReadPosition),
    /// The local copy is of no use, and the changelog holds everything; delete the copy and read all. Says why.
    Wipe(String),
    /// The changelog does not hold any more what was committed. Says what is missing.
    Lost(String),
}

/// Where to restore a store from, given the mark of its local copy. `is_rolled_back` says that the mark is ahead of
/// the inputs' committed offsets: the log as a whole has lost its end, offsets and changelog alike.
pub(crate) fn restore_start(
    mark: Option<&CommitMark>,
    topic: Option<&TopicMetadata>,
    (start, end): (Offset, Offset),
    is_rolled_back: bool,
    wall_ms: i64,
) -> RestoreStart {
    let Some(mark) = mark else { return RestoreStart::From(start.into()) };
    let at = mark.changelog_offset;
    let next = at.next();
    let wipe_or_lost = |why: String| if is_rolled_back { RestoreStart::Wipe(why) } else { RestoreStart::Lost(why) };
    if let Some(topic) = topic
        && mark.topic_id != 0
        && mark.topic_id != topic.id
    {
        return if at.0 < 0 {
            RestoreStart::Wipe("its changelog topic was deleted and created again".to_owned())
        } else {
            wipe_or_lost(format!(
                "it was deleted and created again, the local copy stands at offset {at} of the old one"
            ))
        };
    }
    if next > end {
        return wipe_or_lost(format!("it ends at {end}, the local copy stands at offset {at}: it was truncated"));
    }
    if next < start && at.0 >= 0 {
        let why = format!("it starts at {start}, the local copy stands at offset {at}");
        // Where old records expire, those that are left are all that count.
        return if topic.is_none_or(may_expire) {
            RestoreStart::Wipe(why)
        } else {
            RestoreStart::Lost(format!("{why}: records between were deleted"))
        };
    }
    let age_ms = wall_ms.saturating_sub(mark.wall_ms);
    if mark.wall_ms > 0 && topic.is_some_and(|topic| age_ms > delete_retention_ms(topic)) {
        return RestoreStart::Wipe("it is so old that tombstones it has not seen may be gone (KIP-1259)".to_owned());
    }
    let known = ReadPosition { offset: next, leader_epoch: mark.leader_epoch };
    RestoreStart::From(if next < start { start.into() } else { known })
}

/// Whether the records of a topic expire.
pub(crate) fn may_expire(topic: &TopicMetadata) -> bool {
    setting(topic, "cleanup.policy").is_none_or(|policy| policy.contains("delete"))
}

/// A changelog that does not hold what was committed: going on would be a silent start with other state.
pub(crate) fn lost(why: &str) -> Error {
    let message = format!(
        "the changelog does not hold the store any more: {why}; to go on with what it holds, delete the local state \
         (Streams::clean_up), or reset the application to process everything anew"
    );
    Error::new(ErrorKind::Fatal, message)
}

/// How long a topic keeps tombstones; for ever where it is not compacted.
fn delete_retention_ms(topic: &TopicMetadata) -> i64 {
    if !setting(topic, "cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        return i64::MAX;
    }
    setting(topic, "delete.retention.ms").and_then(|value| value.parse().ok()).unwrap_or(DELETE_RETENTION_MS)
}

/// How long a topic keeps records after their own times, where it was said that it deletes them.
pub(crate) fn retention_ms(topic: &TopicMetadata) -> Option<i64> {
    if !setting(topic, "cleanup.policy").is_some_and(|policy| policy.contains("delete")) {
        return None;
    }
    // -1 is Kafka's "for ever".
    setting(topic, "retention.ms").and_then(|value| value.parse().ok()).filter(|ms| *ms >= 0)
}

fn setting<'a>(topic: &'a TopicMetadata, key: &str) -> Option<&'a str> {
    topic.configs.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: (Offset, Offset) = (Offset(10), Offset(20));

    fn committed(offset: i64) -> CommittedOffset {
        CommittedOffset { offset: Offset(offset), leader_epoch: -1, metadata: String::new() }
    }

    #[track_caller]
    fn check_input(at: Option<i64>, reset: OffsetReset, expected: Result<InputStart, &str>) {
        let committed = at.map(committed);
        let start = input_start(&TopicPartition::new("in", 3), committed.as_ref(), RANGE, reset, 5000);
        match (start, expected) {
            (Ok(start), Ok(expected)) => assert_eq!(start, expected),
            (Err(error), Err(part)) => {
                assert!(error.to_string().contains(part), "{error}");
                assert!(error.to_string().contains("topic=in, partition=3"), "{error}");
            }
            (start, expected) => assert_eq!(start.map_err(|error| error.to_string()), expected.map_err(str::to_owned)),
        }
    }

    #[test]
    fn a_committed_offset_counts_if_the_log_has_it() {
        check_input(Some(10), OffsetReset::Latest, Ok(InputStart::At(Offset(10).into())));
        check_input(Some(20), OffsetReset::Earliest, Ok(InputStart::At(Offset(20).into())));
        check_input(Some(7), OffsetReset::Earliest, Err("3 records were deleted"));
        check_input(Some(21), OffsetReset::Latest, Err("the log ends at 20"));
    }

    #[test]
    fn without_a_committed_offset_the_reset_policy_decides() {
        check_input(None, OffsetReset::Earliest, Ok(InputStart::At(Offset(10).into())));
        check_input(None, OffsetReset::Latest, Ok(InputStart::At(Offset(20).into())));
        check_input(None, OffsetReset::ByDuration(1000), Ok(InputStart::AtTime(4000)));
        check_input(None, OffsetReset::None, Err("the offset reset policy is none"));
    }

    #[test]
    fn a_committed_offset_goes_with_its_leader_epoch() {
        let committed = CommittedOffset { leader_epoch: 4, ..committed(12) };
        let start = input_start(&TopicPartition::new("in", 3), Some(&committed), RANGE, OffsetReset::None, 0).unwrap();
        assert_eq!(start, InputStart::At(ReadPosition { offset: Offset(12), leader_epoch: 4 }));
    }

    #[track_caller]
    fn check_out_of_range(position: i64, is_committed: bool, kind: ErrorKind, part: &str) {
        let error = out_of_range(Offset(position), RANGE, is_committed);
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(part) && !error.to_string().contains("  "), "{error}");
    }

    #[test]
    fn what_was_cut_behind_the_committed_offset_is_told() {
        check_out_of_range(23, true, ErrorKind::Fatal, "lost the 3 offsets before it");
        check_out_of_range(23, true, ErrorKind::Fatal, "set the group's offset to 20");
        check_out_of_range(12, true, ErrorKind::Fatal, "a leader epoch that the log does not know");
        // The group may know more by now.
        check_out_of_range(7, true, ErrorKind::Retriable, "holds 10 to 20");
        check_out_of_range(23, false, ErrorKind::Retriable, "holds 10 to 20");
    }

    fn mark(offset: i64, topic_id: u128, wall_ms: i64) -> CommitMark {
        CommitMark { changelog_offset: Offset(offset), topic_id, wall_ms, ..CommitMark::default() }
    }

    #[track_caller]
    fn check_restore(mark: Option<CommitMark>, policy: &str, is_rolled_back: bool, expected: Result<i64, &str>) {
        let configs = vec![("cleanup.policy".to_owned(), policy.to_owned())];
        let topic = TopicMetadata { name: "log".into(), id: 7, partitions: 1, configs };
        let start = restore_start(mark.as_ref(), Some(&topic), RANGE, is_rolled_back, 100_000_000);
        match (start, expected) {
            (RestoreStart::From(position), Ok(expected)) => assert_eq!(position.offset, Offset(expected)),
            (RestoreStart::Wipe(why), Err(part)) => assert!(format!("wipe: {why}").contains(part), "{why}"),
            (RestoreStart::Lost(why), Err(part)) => assert!(format!("lost: {why}").contains(part), "{why}"),
            (start, expected) => panic!("{start:?} and not {expected:?}"),
        }
    }

    #[test]
    fn a_local_copy_goes_on_where_it_stands() {
        check_restore(None, "compact", false, Ok(10));
        check_restore(Some(mark(-1, 7, 0)), "compact", false, Ok(10));
        check_restore(Some(mark(14, 7, 99_000_000)), "compact", false, Ok(15));
        check_restore(Some(mark(19, 0, 99_000_000)), "compact", false, Ok(20));
        let read = CommitMark { leader_epoch: 2, ..mark(14, 7, 0) };
        let expected = RestoreStart::From(ReadPosition { offset: Offset(15), leader_epoch: 2 });
        assert_eq!(restore_start(Some(&read), None, RANGE, false, 0), expected);
    }

    #[test]
    fn a_local_copy_is_restored_anew_where_the_changelog_holds_everything() {
        check_restore(Some(mark(-1, 8, 0)), "compact", false, Err("wipe: its changelog topic was deleted"));
        check_restore(Some(mark(4, 7, 99_000_000)), "compact,delete", false, Err("wipe: it starts at 10"));
        check_restore(Some(mark(14, 7, 1_000_000)), "compact", false, Err("tombstones"));
        // The log lost its end, and the offsets with it.
        check_restore(Some(mark(20, 7, 99_000_000)), "compact", true, Err("wipe: it ends at 20"));
    }

    #[test]
    fn a_changelog_that_lost_what_was_committed_is_told() {
        check_restore(Some(mark(14, 8, 99_000_000)), "compact", false, Err("lost: it was deleted and created again"));
        check_restore(Some(mark(20, 7, 99_000_000)), "compact", false, Err("lost: it ends at 20"));
        check_restore(Some(mark(4, 7, 99_000_000)), "compact", false, Err("lost: it starts at 10"));
    }
}
