//! Groups that were being made anew when that was cut short.

use std::sync::Arc;

use crate::changed_log::{Changes, changed};
use crate::support::*;
use crate::warnings::warned;
use millstream_log::{Call, CommittedOffset};
use millstream_runtime::Handlers;
use millstream_types::{Offset, TopicPartition};

/// The group is gone; this was kept of it, for all partitions.
struct Kept(i64);

impl Changes for Kept {
    fn set_aside(&self, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        // Of an application whose records had no times yet.
        let metadata = "AQ==".to_owned();
        let offset = CommittedOffset { offset: Offset(self.0), leader_epoch: -1, metadata };
        Call::done(vec![Some(offset); partitions.len()])
    }
}

#[test]
fn inputs_go_on_where_a_renewal_that_was_cut_short_has_left_their_offsets() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 1), ("more", 1), ("out", 1)]);
        world.produce("in", 0, &[("k", "x", 1), ("k", "x", 2), ("k", "x", 3)]);
        world.produce("more", 0, &[("k", "x", 1), ("k", "x", 2)]);
        let config = config(guarantee).build().unwrap();
        let log = changed(world.log.clone(), &Arc::new(Kept(2)));
        let mut app = App::on(log, &counting_of(&["in", "more"]), &config, disk(), Handlers::default());
        let warned = warned(|| world.settle(&mut [&mut app]));

        assert_eq!(world.lines("out"), ["k=1"], "only the third record of in");
        assert!(warned.iter().any(|line| line.contains("cut short") && line.contains("in-0")), "{warned:?}");
        // Of the one that stands still, too: what was kept is forgotten some day.
        assert_eq!((world.committed("in", 0), world.committed("more", 0)), (Some(Offset(3)), Some(Offset(2))));
        app.close(&mut world);

        // What the group has counts.
        let log = changed(world.log.clone(), &Arc::new(Kept(0)));
        let mut app = App::on(log, &counting_of(&["in", "more"]), &config, disk(), Handlers::default());
        world.settle(&mut [&mut app]);
        assert_eq!(world.lines("out"), ["k=1"]);
        app.close(&mut world);
    }
}
