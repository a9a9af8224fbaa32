//! How far apart a thread's commits are.

use millstream_types::Now;
use millstream_types::clock::nanos;
use millstream_types::config::Config;

/// The largest part of the interval by which a commit begins earlier: where commits take long there must not be
/// many more of them.
const LEAD_PART: u64 = 2;
/// How many times as long as a transaction takes to end records are on their way all in all: until they are read,
/// until it ends, and until the brokers tell their readers.
const WAYS: u64 = 3;
/// The part of the interval that counts less, at most, for what has piled up: where commits take long, what comes as ever has not.
const LESS_PART: u64 = 4;
/// The part that the last commit has in how long commits take, and in how many records come.
const NEWEST_PART: u64 = 8;

/// When commits are due.
pub(super) struct CommitPace {
    interval_ns: u64,
    /// Whether what is written is seen only when its commit is over.
    is_seen_late: bool,
    /// When it was looked last whether there is something to commit, and when there was.
    looked_ns: Option<u64>,
    begun_ns: Option<u64>,
    /// When records were processed last, and how many since the last commit began.
    came_ns: u64,
    came: u64,
    /// How many come in an interval, of late, times [`NEWEST_PART`].
    usual: u64,
    /// Whether the last commit began before its time.
    was_hasty: bool,
    /// How long commits take, of late.
    takes_ns: u64,
}

impl CommitPace {
    pub(super) fn new(config: &Config) -> Self {
        let (interval, is_seen_late) = (nanos(config.commit_interval()), config.is_exactly_once());
        // A transaction must end well before the log ends it.
        let longest = if is_seen_late { nanos(config.transaction_timeout()) / 2 } else { u64::MAX };
        Self::of(interval.min(longest), is_seen_late)
    }

    fn of(interval_ns: u64, is_seen_late: bool) -> Self {
        Self {
            interval_ns,
            is_seen_late,
            looked_ns: None,
            begun_ns: None,
            came_ns: 0,
            came: 0,
            usual: 0,
            was_hasty: false,
            takes_ns: 0,
        }
    }

    /// Whether it is time to look whether there is something to commit, whatever else there is to do.
    pub(super) fn is_due(&mut self, now: Now) -> bool {
        let looked_ns = *self.looked_ns.get_or_insert(now.mono_ns);
        now.mono_ns.saturating_sub(looked_ns) > self.interval_ns
    }

    /// When a thread that has nothing else to do commits (monotonic ns). The interval is how long a record that is one
    /// of many waits to be seen at most, so a transaction begins to end as much earlier as it is on its way. It begins
    /// with records that have just come: those that come next find the whole interval before them.
    pub(super) fn idle_ns(&self) -> u64 {
        let Some((early_ns, late_ns)) = self.due_ns() else { return 0 };
        if self.came_ns < early_ns && !self.has_piled_up() { late_ns } else { early_ns.min(self.came_ns) }
    }

    /// When the next commit begins: with records that have come then, and at the latest.
    fn due_ns(&self) -> Option<(u64, u64)> {
        let late_ns = self.begun_ns?.saturating_add(self.interval_ns).saturating_add(1);
        Some((late_ns - self.way_ns().min(self.interval_ns / LEAD_PART), late_ns))
    }

    /// How long records are on their way.
    fn way_ns(&self) -> u64 {
        if self.is_seen_late { self.takes_ns.saturating_mul(WAYS) } else { 0 }
    }

    /// Whether as many records have come as usually come until the next commit. They have waited elsewhere then, since
    /// brokers stood still say, and the commit that has just begun without them need not make them wait once more. This
    /// is never so twice in turn: who commits with all that comes has no interval.
    fn has_piled_up(&self) -> bool {
        let until_ns = self.interval_ns - self.way_ns().min(self.interval_ns / LESS_PART);
        let came = self.came.saturating_mul(NEWEST_PART).saturating_mul(self.interval_ns);
        self.is_seen_late && !self.was_hasty && self.usual > 0 && came >= self.usual.saturating_mul(until_ns)
    }

    /// Records were processed.
    pub(super) fn came(&mut self, records: usize, now: Now) {
        self.came_ns = now.mono_ns;
        self.came = self.came.saturating_add(records as u64);
    }

    /// It was looked whether there is something to commit.
    pub(super) fn looked(&mut self, now: Now) {
        self.looked_ns = Some(now.mono_ns);
    }

    /// A commit begins.
    pub(super) fn begun(&mut self, now: Now) {
        self.was_hasty = self.due_ns().is_some_and(|(early_ns, _)| now.mono_ns < early_ns);
        if let Some(begun_ns) = self.begun_ns {
            let apart_ns = now.mono_ns.saturating_sub(begun_ns).max(1);
            let came = self.came.saturating_mul(self.interval_ns) / apart_ns;
            self.usual = match self.usual {
                0 => came.saturating_mul(NEWEST_PART),
                usual => (usual - usual / NEWEST_PART).saturating_add(came),
            };
        }
        self.came = 0;
        self.begun_ns = Some(now.mono_ns);
    }

    /// The commit is over.
    pub(super) fn done(&mut self, now: Now) {
        let took_ns = self.begun_ns.map_or(0, |begun_ns| now.mono_ns.saturating_sub(begun_ns));
        self.takes_ns = self.takes_ns - self.takes_ns / NEWEST_PART + took_ns / NEWEST_PART;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Now {
        Now { mono_ns: ms * MS, wall_ms: 0 }
    }

    /// How far apart commits of an idle thread are in ms, after many that took so long, where records have just come
    /// and where none have since the last commit.
    #[track_caller]
    fn check(is_seen_late: bool, takes_ms: u64, apart_ms: u64) {
        let mut pace = CommitPace::of(100 * MS, is_seen_late);
        for commit in 0..100 {
            pace.begun(at(commit * 200));
            pace.done(at(commit * 200 + takes_ms));
        }
        assert_eq!(pace.idle_ns() / MS - 99 * 200, 100);
        pace.came(1, at(99 * 200 + 100));
        assert_eq!(pace.idle_ns() / MS - 99 * 200, apart_ms);
        assert!(!pace.is_due(at(50_000)));
        assert!(!pace.is_due(at(50_100)));
        assert!(pace.is_due(at(50_101)));
    }

    #[test]
    fn transactions_begin_to_end_as_much_earlier_as_records_are_on_their_way_up_to_half_the_interval() {
        check(true, 0, 100);
        check(true, 8, 76);
        check(true, 60, 50);
    }

    #[test]
    fn a_transaction_begins_to_end_with_the_next_records_or_with_the_interval() {
        let mut pace = CommitPace::of(100 * MS, true);
        pace.takes_ns = 10 * MS;
        pace.begun(at(0));
        pace.came(1, at(69));
        assert_eq!(pace.idle_ns(), 100 * MS + 1);
        pace.came(1, at(71));
        assert_eq!(pace.idle_ns(), 70 * MS + 1);
    }

    /// When the next commit is due in ms, of which the last ones began at these times with so many records each, where
    /// so many have come 10 ms later.
    #[track_caller]
    fn check_piled_up(is_seen_late: bool, begun: &[(u64, usize)], came: usize, due_ms: u64) {
        let mut pace = CommitPace::of(100 * MS, is_seen_late);
        let mut last_ms = 0;
        for (ms, records) in begun {
            pace.came(*records, at(*ms));
            pace.begun(at(*ms));
            last_ms = *ms;
        }
        pace.came(came, at(last_ms + 10));
        assert_eq!(pace.idle_ns() / MS, due_ms);
    }

    #[test]
    fn what_has_piled_up_elsewhere_is_committed_at_once_and_not_twice_in_turn() {
        let as_ever = [(0, 5), (101, 1_010), (202, 1_010), (303, 1_010)];
        check_piled_up(true, &as_ever, 999, 403);
        check_piled_up(true, &as_ever, 1_000, 313);
        check_piled_up(false, &as_ever, 1_000, 403);
        check_piled_up(true, &[(0, 5), (101, 1_010), (111, 1_000)], 5_000, 211);
        check_piled_up(true, &[(0, 5)], 1_000, 100);
    }

    #[test]
    fn what_is_seen_at_once_is_committed_after_the_whole_interval() {
        check(false, 60, 100);
    }

    #[test]
    fn one_slow_commit_moves_the_next_by_little() {
        let mut pace = CommitPace::of(100 * MS, true);
        pace.begun(at(0));
        pace.done(at(80));
        pace.came(1, at(90));
        assert_eq!(pace.idle_ns(), 70 * MS + 1);
    }
}
