//! How long a member counts on its tasks being its own.

use super::*;

/// A member whose group answers every heartbeat with this code from when it is set.
fn joined_until(code: ErrorCode) -> (Rig, Arc<Mutex<bool>>) {
    let is_set = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&is_set);
    let rig = joined(move |_, request| match request.member_epoch {
        _ if *seen.lock().unwrap() => StreamsGroupHeartbeatResponse { error_code: code.0, ..unchanged(1) },
        0 => told(1, &[0]),
        _ => unchanged(1),
    });
    (rig, is_set)
}

fn is_member(rig: &Rig) -> bool {
    rig.fake.engine.client().is_member("m")
}

#[test]
fn a_member_counts_on_its_tasks_while_its_group_answers() {
    let (mut rig, is_gone) = joined_until(ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert!(is_member(&rig), "before it joins there is nobody to fear");
    rig.events(5_000);
    assert!(is_member(&rig));
    *is_gone.lock().unwrap() = true;
    rig.events(1_400);
    assert!(is_member(&rig), "a heartbeat may be lost");
    rig.events(1_200);
    assert!(!is_member(&rig));
}

#[test]
fn a_process_that_stood_still_is_a_member_again_when_its_group_says_so() {
    for (code, expected) in [(ErrorCode::NONE, vec![]), (ErrorCode::UNKNOWN_MEMBER_ID, vec!["lost"])] {
        let (mut rig, is_late) = joined_until(code);
        rig.events(2_500);
        *is_late.lock().unwrap() = true;
        // Nobody has a turn meanwhile, and then everybody at once.
        rig.fake.now_ms += 8_000;
        let now = rig.fake.now();
        rig.fake.engine.turn(now);
        assert!(!is_member(&rig));
        assert_eq!(rig.events(200), expected);
        assert_eq!(is_member(&rig), code == ErrorCode::NONE);
    }
}

#[test]
fn a_stream_thread_that_does_not_poll_counts_on_nothing_until_it_has_joined_again() {
    let mut rig = joined(|_, request| if request.member_epoch == 0 { told(1, &[0]) } else { unchanged(1) });
    rig.events(500);
    for _ in 0..65 {
        rig.fake.advance(1_000);
    }
    assert!(!is_member(&rig));
    assert_eq!(rig.events(100), ["lost"]);
    assert!(!is_member(&rig));
    rig.member.join(GroupTopology::default());
    rig.events(200);
    assert!(is_member(&rig));
}
