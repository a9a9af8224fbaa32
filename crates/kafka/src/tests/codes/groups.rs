//! Requests about a streams group and its members.

use super::*;
use crate::protocol::messages::incremental_alter_configs::IncrementalAlterConfigsRequest;
use crate::protocol::messages::streams_group_heartbeat::StreamsGroupHeartbeatRequest;

/// A request to the coordinator of a group that is made anew.
const RENEWING: Check<'static> = Check { place: Place::Item, ..COORDINATED };

#[test]
fn streams_group_describe() {
    let special = [&OF_WRITERS[..], &[(Done, &[69])]].concat();
    check::<StreamsGroupDescribeRequest>(Check { special: &special, ..RENEWING }, Rig::renew);
}

/// Of the group itself, and of the offsets that were saved.
#[test]
fn delete_groups() {
    // Somebody has joined meanwhile: it is looked at again who that is.
    let special = [&OF_WRITERS[..], &[(Done, &[69]), (Again, &[68])]].concat();
    for number in 0..2 {
        check::<DeleteGroupsRequest>(Check { number, special: &special, ..RENEWING }, Rig::renew);
    }
}

/// All offsets of a group, and writing them.
#[test]
fn offsets_of_a_group_that_is_made_anew() {
    // A group that is not there may have left its offsets in the other one.
    let special = [&OF_WRITERS[..], &[(Done, &[69])]].concat();
    for number in 0..2 {
        check::<OffsetFetchRequest>(Check { number, special: &special, ..RENEWING }, Rig::renew);
        check::<OffsetFetchRequest>(Check { number, ..COORDINATED }, Rig::renew);
    }
    check::<OffsetCommitRequest>(COORDINATED, Rig::renew);
    // Of a group that somebody has joined meanwhile: it is looked at again who that is.
    let special: [(End, &[i16]); 2] = [(Again, &FENCED), (Failed(Unknown), &LOST)];
    check::<OffsetCommitRequest>(Check { number: 1, special: &special, ..COORDINATED }, Rig::renew);
}

/// What is in effect, what is written, and whether the coordinator has heard of it.
#[test]
fn settings_of_a_group() {
    let how = Check { place: Place::Item, ..USUAL };
    check::<IncrementalAlterConfigsRequest>(how, Rig::configure);
    for number in 0..2 {
        check::<DescribeConfigsRequest>(Check { number, ..how }, Rig::configure);
    }
    check::<FindCoordinatorRequest>(Check { place: Place::Top, ..USUAL }, Rig::configure);
    check_nothing::<IncrementalAlterConfigsRequest>(2, Rig::configure);
    check_nothing::<DescribeConfigsRequest>(2, Rig::configure);
}

#[test]
fn settings_that_a_group_has_are_not_written_again() {
    let mut rig = Rig::new(&[], 2);
    for _ in 0..2 {
        assert_eq!(rig.configure(), Ok(()));
    }
    assert_eq!(rig.count(IncrementalAlterConfigsRequest::KEY), 1);
    assert_eq!(rig.count(DescribeConfigsRequest::KEY), 3, "asked, written, asked; then asked only");
}

/// Heartbeats that join a group.
#[test]
fn streams_group_heartbeat() {
    let how = Check { place: Place::Top, lookup: Lookup::Coordinator, ..USUAL };
    // A coordinator that is just being stopped may not know what it did. Who is not a member any more joins again.
    let special: [(End, &[i16]); 1] = [(Again, &[-1, 25, 110])];
    check::<StreamsGroupHeartbeatRequest>(Check { special: &special, ..how }, |rig| rig.join(false).map(drop));
    // A group with another topology is made anew by whoever may.
    let special: [(End, &[i16]); 2] = [(Again, &[-1, 25, 110]), (Again, &[131, 132])];
    check::<StreamsGroupHeartbeatRequest>(Check { special: &special, ..how }, |rig| rig.join(true).map(drop));
}

/// Heartbeats of a member. With its group, a membership is gone.
#[test]
fn streams_group_heartbeat_of_a_member() {
    let special: [(End, &[i16]); 1] = [(Again, &[-1, 25, 69, 110])];
    let how = Check { place: Place::Top, lookup: Lookup::Coordinator, number: 2, special: &special, ..USUAL };
    check::<StreamsGroupHeartbeatRequest>(how, Rig::stay);
}

/// A member that leaves is gone, whatever the answer, unless another coordinator is to be told.
#[test]
fn streams_group_heartbeat_of_a_member_that_leaves() {
    let gone: Vec<i16> = all_codes().map(|code| code.0).filter(|code| !RETRIABLE.contains(code)).collect();
    let how = Check { place: Place::Top, lookup: Lookup::Coordinator, number: 2, special: &[(Done, &gone)], ..USUAL };
    check::<StreamsGroupHeartbeatRequest>(how, Rig::leave);
}

#[test]
fn the_coordinator_of_a_group_that_is_joined() {
    check::<FindCoordinatorRequest>(Check { place: Place::Top, ..USUAL }, |rig| rig.join(false).map(drop));
    check::<FindCoordinatorRequest>(Check { place: Place::Top, ..USUAL }, Rig::renew);
}
