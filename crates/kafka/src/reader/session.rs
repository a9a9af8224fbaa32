//! Incremental fetch sessions (KIP-227): the broker remembers what is fetched from it, so a request
//! names only what changed.

use std::collections::BTreeMap;

use crate::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, ForgottenTopic};

/// A partition as a session names it: topic id and number.
pub(super) type Key = (u128, i32);

/// Where a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    /// Leader epoch of the batch before; -1 where that is not known. A broker whose log is another one since compares.
    pub(super) last_epoch: i32,
}

/// Epoch of a fetch without session.
pub(super) const NO_SESSION: i32 = -1;

/// The session with one broker.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    /// [`NO_SESSION`] where there is none ever.
    epoch: i32,
    known: BTreeMap<Key, Position>,
}

impl Session {
    /// No session: every fetch names everything.
    pub(super) fn none() -> Self {
        Self { epoch: NO_SESSION, ..Self::default() }
    }

    fn is_none(&self) -> bool {
        self.epoch == NO_SESSION
    }

    /// Fills a request with what changed since the last one, so that the broker fetches `wanted`.
    pub(super) fn fill(
        &mut self,
        wanted: &BTreeMap<Key, Position>,
        partition_bytes_max: i32,
        request: &mut FetchRequest,
    ) {
        request.session_id = self.id;
        request.session_epoch = self.epoch;
        let is_new = |key: &Key, position: &Position| self.epoch <= 0 || self.known.get(key) != Some(position);
        for (key, position) in wanted.iter().filter(|(key, position)| is_new(key, position)) {
            let partition = FetchPartition {
                partition: key.1,
                current_leader_epoch: position.leader_epoch,
                fetch_offset: position.offset,
                last_fetched_epoch: position.last_epoch,
                partition_max_bytes: partition_bytes_max,
                ..FetchPartition::default()
            };
            match request.topics.last_mut().filter(|topic| topic.topic_id == key.0) {
                Some(topic) => topic.partitions.push(partition),
                None => request.topics.push(FetchTopic { topic_id: key.0, partitions: vec![partition] }),
            }
        }
        if self.epoch > 0 {
            for key in self.known.keys().filter(|key| !wanted.contains_key(*key)) {
                let last = request.forgotten_topics_data.last_mut().filter(|topic| topic.topic_id == key.0);
                if let Some(topic) = last {
                    topic.partitions.push(key.1);
                } else {
                    let forgotten = ForgottenTopic { topic_id: key.0, partitions: vec![key.1] };
                    request.forgotten_topics_data.push(forgotten);
                }
            }
        }
        if !self.is_none() {
            self.known.clone_from(wanted);
        }
    }

    /// The broker answered with this session id; 0 when it keeps no session.
    pub(super) fn answered(&mut self, id: i32) {
        if self.is_none() {
            return;
        }
        self.id = id;
        self.epoch = match id {
            0 => 0,
            _ if self.epoch == i32::MAX => 1,
            _ => self.epoch + 1,
        };
    }

    /// Starts anew with the next request. An id that is known is given up with it.
    pub(super) fn reset(&mut self) {
        self.epoch = if self.is_none() { NO_SESSION } else { 0 };
        self.known.clear();
    }

    /// The broker does not know the session.
    pub(super) fn forget(&mut self) {
        *self = if self.is_none() { Self::none() } else { Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(positions: &[(i32, i64)]) -> BTreeMap<Key, Position> {
        positions
            .iter()
            .map(|(partition, offset)| ((9, *partition), Position { offset: *offset, leader_epoch: 1, last_epoch: -1 }))
            .collect()
    }

    fn filled(session: &mut Session, positions: &[(i32, i64)]) -> (i32, Vec<(i32, i64)>, Vec<i32>) {
        let mut request = FetchRequest::default();
        session.fill(&wanted(positions), 100, &mut request);
        let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
        let named = partitions.map(|partition| (partition.partition, partition.fetch_offset)).collect();
        let forgotten = request.forgotten_topics_data.into_iter().flat_map(|topic| topic.partitions).collect();
        (request.session_epoch, named, forgotten)
    }

    #[test]
    fn only_changes_are_named() {
        let mut session = Session::default();
        assert_eq!(filled(&mut session, &[(0, 5), (1, 7)]), (0, vec![(0, 5), (1, 7)], vec![]));
        session.answered(33);
        assert_eq!(filled(&mut session, &[(0, 5), (1, 8)]), (1, vec![(1, 8)], vec![]));
        session.answered(33);
        assert_eq!(filled(&mut session, &[(1, 8), (2, 0)]), (2, vec![(2, 0)], vec![0]));
        session.forget();
        assert_eq!(filled(&mut session, &[(1, 8)]), (0, vec![(1, 8)], vec![]));
    }

    #[test]
    fn without_a_session_everything_is_told_each_time() {
        let mut session = Session::none();
        for _ in 0..2 {
            assert_eq!(filled(&mut session, &[(0, 5)]), (NO_SESSION, vec![(0, 5)], vec![]));
            session.answered(0);
        }
        session.reset();
        assert_eq!(filled(&mut session, &[(1, 5)]), (NO_SESSION, vec![(1, 5)], vec![]));
    }

    #[test]
    fn a_broker_without_room_for_sessions_is_told_everything_each_time() {
        let mut session = Session::default();
        for _ in 0..2 {
            assert_eq!(filled(&mut session, &[(0, 5)]), (0, vec![(0, 5)], vec![]));
            session.answered(0);
        }
    }
}
