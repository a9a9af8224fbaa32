//! One key's old values in one segment of time, as bytes.
//!
//! ```text
//! segment   next (8) | first (8) | version*       versions newest first
//! version   from (8) | length (4), -1 for none | value
//! ```
//!
//! A version is valid from its own time to that of the version before it in the list; the newest to
//! `next`. `first` is the time of the oldest one. A segment whose `first` equals `next` says only
//! that nothing is there from then on: a deletion with nothing known before it.

const TIME_LEN: usize = 8;
const HEADER_LEN: usize = 2 * TIME_LEN;

/// A segment's bytes, as they are stored.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a>(&'a [u8]);

/// A version and where its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version<'a> {
    /// Time of the version.
    pub(super) from: i64,
    /// Time of the next one.
    pub(super) to: i64,
    /// `None` for a deletion.
    pub(super) value: Option<&'a [u8]>,
    at: usize,
    end: usize,
}

impl<'a> Segment<'a> {
    /// A stored segment; `None` if it is no segment.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= HEADER_LEN).then_some(Self(bytes))
    }

    /// Bytes of a segment of one version. Equal times make it a mere deletion.
    pub(super) fn with_one(from: i64, to: i64, value: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = header(to, from);
        if from < to {
            push(&mut bytes, from, value);
        }
        bytes
    }

    /// End of the newest version.
    pub(super) fn next(&self) -> i64 {
        time_at(self.0, 0)
    }

    /// Time of the oldest version.
    pub(super) fn first(&self) -> i64 {
        time_at(self.0, TIME_LEN)
    }

    /// All versions, newest first.
    pub(super) fn versions(&self) -> impl Iterator<Item = Version<'a>> + use<'a> {
        let bytes = self.0;
        let (mut at, mut to) = (HEADER_LEN, self.next());
        std::iter::from_fn(move || {
            let rest = bytes.get(at..)?;
            let (from, rest) = rest.split_first_chunk::<TIME_LEN>()?;
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let (from, len) = (i64::from_be_bytes(*from), i32::from_be_bytes(*len));
            let value = usize::try_from(len).ok().map(|len| rest.get(..len).unwrap_or(rest));
            let end = at + TIME_LEN + 4 + value.map_or(0, <[u8]>::len);
            let version = Version { from, to, value, at, end };
            (at, to) = (end, from);
            Some(version)
        })
    }

    /// The version valid at a time that lies from `first` to before `next`.
    pub(super) fn find(&self, time: i64) -> Option<Version<'a>> {
        self.versions().find(|version| version.from <= time)
    }

    /// With a version above all others, valid to `to`. What lies between it and them is a deletion.
    pub(super) fn with_newest(&self, from: i64, to: i64, value: Option<&[u8]>) -> Vec<u8> {
        let next = self.next();
        let first = if self.first() == next && next == from { from } else { self.first() };
        let mut bytes = header(to, first);
        push(&mut bytes, from, value);
        if next < from {
            push(&mut bytes, next, None);
        }
        bytes.extend_from_slice(self.0.get(HEADER_LEN..).unwrap_or_default());
        bytes
    }

    /// With a version below all others.
    pub(super) fn with_oldest(&self, from: i64, value: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = header(self.next(), from);
        bytes.extend_from_slice(self.0.get(HEADER_LEN..).unwrap_or_default());
        push(&mut bytes, from, value);
        bytes
    }

    /// With a version above a found one, which then ends where the new one begins.
    pub(super) fn with_above(&self, found: &Version<'_>, from: i64, value: Option<&[u8]>) -> Vec<u8> {
        self.spliced(found.at..found.at, self.first(), from, value)
    }

    /// With a version instead of a found one.
    pub(super) fn with_instead(&self, found: &Version<'_>, from: i64, value: Option<&[u8]>) -> Vec<u8> {
        let first = if found.from == self.first() { from } else { self.first() };
        self.spliced(found.at..found.end, first, from, value)
    }

    fn spliced(&self, at: std::ops::Range<usize>, first: i64, from: i64, value: Option<&[u8]>) -> Vec<u8> {
        let mut bytes = header(self.next(), first);
        bytes.extend_from_slice(self.0.get(HEADER_LEN..at.start).unwrap_or_default());
        push(&mut bytes, from, value);
        bytes.extend_from_slice(self.0.get(at.end..).unwrap_or_default());
        bytes
    }
}

fn header(next: i64, first: i64) -> Vec<u8> {
    [next.to_be_bytes(), first.to_be_bytes()].concat()
}

fn push(bytes: &mut Vec<u8>, from: i64, value: Option<&[u8]>) {
    // A record's value never is longer: its length stands in four bytes of the log, too.
    let len = value.map_or(-1, |value| i32::try_from(value.len()).unwrap_or(i32::MAX));
    bytes.extend_from_slice(&from.to_be_bytes());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(value.unwrap_or_default());
}

fn time_at(bytes: &[u8], at: usize) -> i64 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk::<TIME_LEN>());
    chunk.map_or(0, |chunk| i64::from_be_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `next: from=value …`, newest first.
    fn show(bytes: &[u8]) -> String {
        let segment = Segment::of(bytes).expect("a segment");
        let value = |value: Option<&[u8]>| value.map_or("-".to_owned(), |v| String::from_utf8_lossy(v).into_owned());
        let versions: Vec<String> = segment.versions().map(|v| format!("{}={}", v.from, value(v.value))).collect();
        let oldest = segment.versions().last().map_or(segment.next(), |version| version.from);
        assert_eq!(segment.first(), oldest);
        format!("{}: {}", segment.next(), versions.join(" "))
    }

    fn of(bytes: &[u8]) -> Segment<'_> {
        Segment::of(bytes).expect("a segment")
    }

    #[test]
    fn versions_are_added_at_both_ends_and_in_between() {
        let one = Segment::with_one(10, 20, Some(b"a"));
        assert_eq!(show(&one), "20: 10=a");
        let two = of(&one).with_newest(20, 30, Some(b"bb"));
        assert_eq!(show(&two), "30: 20=bb 10=a");
        let three = of(&two).with_oldest(5, None);
        assert_eq!(show(&three), "30: 20=bb 10=a 5=-");
        let found = of(&three).find(15).expect("a version");
        assert_eq!((found.from, found.to, found.value), (10, 20, Some(&b"a"[..])));
        assert_eq!(show(&of(&three).with_above(&found, 15, Some(b"c"))), "30: 20=bb 15=c 10=a 5=-");
        assert_eq!(show(&of(&three).with_instead(&found, 15, Some(b"c"))), "30: 20=bb 15=c 5=-");
        let oldest = of(&three).find(7).expect("a version");
        assert_eq!(show(&of(&three).with_instead(&oldest, 7, Some(b"d"))), "30: 20=bb 10=a 7=d");
    }

    #[test]
    fn a_gap_is_a_deletion() {
        let one = Segment::with_one(10, 20, Some(b"a"));
        assert_eq!(show(&of(&one).with_newest(25, 30, Some(b"b"))), "30: 25=b 20=- 10=a");
    }

    #[test]
    fn a_mere_deletion_is_filled_from_both_sides() {
        let none = Segment::with_one(10, 10, None);
        assert_eq!(show(&none), "10: ");
        assert_eq!(show(&of(&none).with_newest(10, 20, Some(b"a"))), "20: 10=a");
        assert_eq!(show(&of(&none).with_newest(15, 20, Some(b"a"))), "20: 15=a 10=-");
        assert_eq!(show(&of(&none).with_oldest(5, Some(b"a"))), "10: 5=a");
    }

    #[test]
    fn what_is_too_short_is_no_segment() {
        assert!(Segment::of(&[0; 15]).is_none());
    }
}
