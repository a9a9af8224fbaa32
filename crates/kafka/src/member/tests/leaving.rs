//! How members leave, and what becomes of those that did not.

use super::*;

#[test]
fn threads_that_an_earlier_run_had_are_released_before_the_first_one_joins() {
    let config = MemberConfig { process_members: vec!["m".into()], ..config() };
    let mut rig = joined_with(config, |_, _| told(1, &[0]));
    // Two of our process, which are not `m`, and one of another process.
    *rig.described.lock().unwrap() = Some(vec!["p", "q", "p"]);
    assert_eq!(rig.events(500), ["assigned [0]"]);
    let epochs = |rig: &Rig| -> Vec<i32> {
        rig.heartbeats.lock().unwrap().iter().map(|heartbeat| heartbeat.member_epoch).collect()
    };
    assert_eq!(epochs(&rig)[..3], [-1, -1, 0]);
    rig.member.join(GroupTopology::default());
    let before = rig.heartbeats.lock().unwrap().len();
    rig.events(500);
    assert_eq!(epochs(&rig)[before], 0, "what joined meanwhile is left alone");
}

#[test]
fn leaving_tells_the_group_and_ends_even_without_an_answer() {
    let mut rig = joined(|number, _| if number == 0 { told(1, &[0]) } else { unchanged(1) });
    rig.events(500);
    let leave = rig.member.leave(Departure::Leave);
    rig.fake.wait(leave).unwrap();
    assert_eq!(rig.heartbeats.lock().unwrap().last().unwrap().member_epoch, -1);
    rig.member.join(GroupTopology::default());
    rig.events(500);
    let address = Address { host: "broker-1".to_owned(), port: 9092 };
    rig.fake.engine.transport.refusing.push(address);
    rig.fake.engine.transport.hang_up();
    let leave = rig.member.leave(Departure::Leave);
    rig.fake.wait(leave).unwrap();
}

/// Epochs of the heartbeats that came after the first, when a member of process `p` ends while these processes
/// have members.
fn epochs_of_departure(departure: Departure, processes: &'static [&'static str], is_answered: bool) -> Vec<i32> {
    epochs_of_departure_with(config(), departure, processes, is_answered)
}

fn epochs_of_departure_with(
    config: MemberConfig,
    departure: Departure,
    processes: &'static [&'static str],
    is_answered: bool,
) -> Vec<i32> {
    let mut rig = joined_with(config, |number, _| if number == 0 { told(1, &[0]) } else { unchanged(1) });
    rig.described.lock().unwrap().clone_from(&is_answered.then(|| processes.to_vec()));
    rig.events(200);
    let before = rig.heartbeats.lock().unwrap().len();
    let leave = rig.member.leave(departure);
    rig.fake.wait(leave).unwrap();
    rig.heartbeats.lock().unwrap()[before..].iter().map(|heartbeat| heartbeat.member_epoch).collect()
}

#[test]
fn a_member_leaves_as_told_and_unless_told_only_to_others() {
    assert_eq!(epochs_of_departure(Departure::Leave, &["p"], true), [-1]);
    assert_eq!(epochs_of_departure(Departure::Remain, &["p", "q"], true), [0; 0]);
    assert_eq!(epochs_of_departure(Departure::LeaveToOthers, &["p", "p"], true), [1], "it says that it was closed");
    assert_eq!(epochs_of_departure(Departure::LeaveToOthers, &["p", "q"], true), [-1]);
    assert_eq!(epochs_of_departure(Departure::LeaveToOthers, &["p"], false), [-1], "who may not ask leaves");
}

#[test]
fn a_coordinator_that_moves_while_a_member_leaves_is_told_again() {
    let mut rig = joined(|number, request| match (number, request.member_epoch) {
        (0, _) => told(1, &[0]),
        (2..4, -1) => refused(ErrorCode::NOT_COORDINATOR),
        _ => unchanged(1),
    });
    rig.events(500);
    let leave = rig.member.leave(Departure::Leave);
    rig.fake.wait(leave).unwrap();
    let heartbeats = rig.heartbeats.lock().unwrap();
    assert!(heartbeats.len() >= 4 && heartbeats.last().unwrap().member_epoch == -1);
}

fn heartbeats(rig: &Rig) -> Vec<StreamsGroupHeartbeatRequest> {
    rig.heartbeats.lock().unwrap().clone()
}

#[test]
fn the_last_member_stays_and_says_that_it_was_closed() {
    let config = MemberConfig { client_tags: vec![("zone".to_owned(), "a".to_owned())], ..config() };
    let mut rig = joined_with(config, |number, request| match request.member_epoch {
        0 => told(1, &[0]),
        _ if number == 3 => refused(ErrorCode::NOT_COORDINATOR),
        _ => unchanged(1),
    });
    *rig.described.lock().unwrap() = Some(vec!["p"]);
    rig.events(1_000);
    let tags = |heartbeat: &StreamsGroupHeartbeatRequest| -> Option<Vec<String>> {
        Some(heartbeat.client_tags.as_ref()?.iter().map(|tag| tag.key.clone()).collect())
    };
    let leave = rig.member.leave(Departure::LeaveToOthers);
    rig.fake.wait(leave).unwrap();
    let heartbeats = heartbeats(&rig);
    let last = heartbeats.last().unwrap();
    assert_eq!((last.member_epoch, tags(last)), (1, Some(vec!["zone".to_owned(), "millstream.closed".to_owned()])));
    assert_eq!(tags(&heartbeats[0]), Some(vec!["zone".to_owned()]));
    assert_eq!(tags(&heartbeats[1]), None, "they have not changed");
}

#[test]
fn closed_members_of_others_are_released_if_they_do_not_come_back_soon() {
    let config = || MemberConfig { process_members: vec!["m".into()], ..config() };
    let released = |rig: &Rig| -> Vec<String> {
        heartbeats(rig).iter().filter(|told| told.member_epoch == -1).map(|told| told.member_id.clone()).collect()
    };
    let start = || {
        let rig = joined_with(config(), |number, _| if number == 0 { told(1, &[0]) } else { unchanged(1) });
        *rig.described.lock().unwrap() = Some(vec!["q, closed", "r", "s, closed"]);
        rig
    };
    let mut rig = start();
    rig.events(2_900);
    assert!(released(&rig).is_empty(), "they may be about to start again");
    *rig.described.lock().unwrap() = Some(vec!["q", "r", "s, closed"]);
    rig.events(1_000);
    assert_eq!(released(&rig), ["of s"], "the other one is back");

    // A member that leaves, and one that is not the first of its process, leave them alone.
    let mut rig = start();
    rig.events(1_000);
    let leave = rig.member.leave(Departure::Remain);
    rig.fake.wait(leave).unwrap();
    rig.events(4_000);
    assert!(released(&rig).is_empty());
}

#[test]
fn who_waits_for_closed_members_is_told_its_tasks_as_soon_as_they_are_released() {
    let config = MemberConfig { process_members: vec!["m".into()], ..config() };
    let mut heartbeats_since_release: Option<usize> = None;
    let mut rig = joined_with(config, move |_, request| {
        if request.member_epoch == -1 {
            heartbeats_since_release = Some(0);
        }
        let since = heartbeats_since_release.as_mut().map(|count| std::mem::replace(count, *count + 1));
        // Brokers assign a moment after a member has left, and tell it with the heartbeat that follows.
        let answer = if since == Some(3) { told(2, &[0]) } else { unchanged(1) };
        StreamsGroupHeartbeatResponse { heartbeat_interval_ms: 5_000, ..answer }
    });
    *rig.described.lock().unwrap() = Some(vec!["s, closed"]);
    assert_eq!(rig.events(3_000), [""; 0], "having no tasks is no answer while closed members have them");
    assert_eq!(rig.events(1_000), ["assigned [0]"]);
}

#[test]
fn a_static_member_says_who_it_is_and_that_it_comes_back() {
    let config = || MemberConfig { instance_id: Some("i-1".into()), ..config() };
    for (departure, epoch) in [(Departure::Leave, -1), (Departure::Remain, -2), (Departure::LeaveToOthers, -2)] {
        assert_eq!(epochs_of_departure_with(config(), departure, &["p", "q"], true), [epoch], "{departure:?}");
    }
    let mut rig = joined_with(config(), |number, _| if number == 0 { told(1, &[0]) } else { unchanged(1) });
    rig.events(1_500);
    assert!(heartbeats(&rig).iter().all(|told| told.instance_id.as_deref() == Some("i-1")));
    for _ in 0..65 {
        rig.fake.advance(1_000);
    }
    assert_eq!(heartbeats(&rig).last().unwrap().member_epoch, -2, "a thread that does not poll");
}

#[test]
fn refusals_of_static_members_tell_what_to_do() {
    let detail = "Static membership is not yet supported.";
    let cases = [
        (ErrorCode::INVALID_REQUEST, Some(detail), "leave group.instance.id out"),
        (ErrorCode::UNRELEASED_INSTANCE_ID, None, "another member has the same group.instance.id"),
        (ErrorCode::FENCED_INSTANCE_ID, None, "another instance has started with the same group.instance.id"),
    ];
    for (code, detail, remedy) in cases {
        let answer =
            move || StreamsGroupHeartbeatResponse { error_message: detail.map(str::to_owned), ..refused(code) };
        let mut rig = joined(move |_, _| answer());
        let mut events = Vec::new();
        for _ in 0..10 {
            rig.fake.advance(50);
            rig.member.poll(rig.fake.now(), &mut events);
        }
        let [MemberEvent::Failed(failure)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(failure.kind, FailureKind::Fatal);
        assert!(failure.error.to_string().contains(remedy), "{}", failure.error);
    }
}

#[test]
fn who_leaves_and_joins_again_is_another_member_to_the_group() {
    let mut rig = joined(|_, request| if request.member_epoch == 0 { told(1, &[0]) } else { unchanged(1) });
    rig.events(200);
    let before = heartbeats(&rig).len();
    drop(rig.member.leave(Departure::Leave));
    rig.member.join(GroupTopology::default());
    assert_eq!(rig.events(500), ["assigned [0]"]);
    let epochs: Vec<i32> = heartbeats(&rig)[before..].iter().map(|told| told.member_epoch).collect();
    assert_eq!(epochs[..2], [-1, 0]);
}
