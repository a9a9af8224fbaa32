//! Writers without transactions write only while their member has its tasks for sure.

use super::*;
use crate::client::Client;
use crate::driver::{Actor, Turn};

/// Says until when the member has its tasks for sure, in ms.
struct Until(i64);

impl Actor for Until {
    fn turn(&mut self, client: &mut Client) -> Turn {
        client.set_member_epoch(&"m".into(), 1, false);
        client.set_member_until("m", self.0);
        Turn::Finished
    }
}

/// A member, until so many ms from now.
fn member_for(rig: &mut Rig, ms: i64) {
    let until = Until(rig.fake.now_ms + ms);
    rig.fake.add(until);
    rig.fake.settle();
}

/// A writer of such a member.
fn writer_for(transactional_id: Option<&str>, ms: i64) -> Rig {
    let mut rig = Rig::new(transactional_id, 2, &[]);
    rig.writer.write_for(&"m".into());
    member_for(&mut rig, ms);
    rig
}

fn writes(rig: &Rig) -> usize {
    rig.seen.lock().unwrap().iter().filter(|word| word.starts_with("write")).count()
}

#[test]
fn what_is_written_waits_while_the_group_is_not_heard_of() {
    let mut rig = writer_for(None, 1_000);
    rig.append(1);
    rig.flush().unwrap();
    let before = writes(&rig);
    rig.fake.advance(1_000);
    rig.append(1);
    let mut flush = rig.writer.flush();
    rig.fake.advance(500);
    assert!(matches!(flush.poll(rig.fake.now()), Outcome::Pending));
    assert_eq!(writes(&rig), before);
    member_for(&mut rig, 1_000);
    rig.fake.wait(flush).unwrap();
    assert_eq!(writes(&rig), before + 1);
}

#[test]
fn what_waits_when_the_member_is_expelled_is_never_written() {
    let mut rig = writer_for(None, 0);
    rig.append(1);
    let flush = rig.writer.flush();
    rig.fake.advance(500);
    let init = rig.writer.init();
    assert!(rig.fake.wait(flush).is_err());
    rig.fake.wait(init).unwrap();
    // It has joined again.
    member_for(&mut rig, 60_000);
    rig.fake.advance(1_000);
    assert_eq!(writes(&rig), 0);
    rig.append(1);
    rig.flush().unwrap();
    assert_eq!(writes(&rig), 1);
}

#[test]
fn transactions_are_fenced_by_brokers() {
    let mut rig = writer_for(Some("tx"), 0);
    rig.append(1);
    rig.commit().unwrap();
}
