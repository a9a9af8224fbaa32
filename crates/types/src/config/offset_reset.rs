//! Where to start when nothing was committed.

use std::fmt;
use std::str::FromStr;

/// Where reading starts in a partition without a committed offset: `auto.offset.reset`, or a source's own policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetReset {
    /// At its first record.
    Earliest,
    /// After its last record.
    Latest,
    /// Nowhere: it is an error.
    None,
    /// At the first record not older than this, in ms before now (KIP-1106). As text `by_duration:PnDTnHnMn.nS`.
    ByDuration(i64),
}

/// What is not a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownOffsetReset;

impl OffsetReset {
    pub(super) const RULE: &'static str = "one of earliest, latest, none, in any case, or by_duration:PnDTnHnMn.nS";
}

impl fmt::Display for UnknownOffsetReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be {}", OffsetReset::RULE)
    }
}

impl std::error::Error for UnknownOffsetReset {}

impl FromStr for OffsetReset {
    type Err = UnknownOffsetReset;

    fn from_str(text: &str) -> Result<Self, UnknownOffsetReset> {
        const BY_DURATION: &str = "by_duration:";
        if let Some((start, duration)) = text.split_at_checked(BY_DURATION.len())
            && start.eq_ignore_ascii_case(BY_DURATION)
        {
            return iso_duration_ms(duration).filter(|ms| *ms >= 0).map(Self::ByDuration).ok_or(UnknownOffsetReset);
        }
        let mut named = [Self::Earliest, Self::Latest, Self::None].into_iter();
        named.find(|reset| reset.to_string().eq_ignore_ascii_case(text)).ok_or(UnknownOffsetReset)
    }
}

impl fmt::Display for OffsetReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::None => f.write_str("none"),
            Self::ByDuration(ms) => write!(f, "by_duration:PT{}.{:03}S", ms / 1000, ms % 1000),
        }
    }
}

/// Reads what Java's `Duration.parse` reads: `PnDTnHnMn.nS`, each part with a sign of its own, in any case. Parts of a
/// millisecond count as one.
fn iso_duration_ms(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (sign, rest) = match text.split_at_checked(1)? {
        ("-", rest) => (-1, rest),
        ("+", rest) => (1, rest),
        _ => (1, text.as_str()),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, time) = rest.split_once('T').map_or((rest, None), |(days, time)| (days, Some(time)));
    let mut nanos = 0_i128;
    let mut left = days;
    let mut parts = 0;
    for (unit, seconds) in [("D", 86_400), ("H", 3_600), ("M", 60), ("S", 1)] {
        if unit == "H" {
            if !left.is_empty() {
                return None;
            }
            left = time.unwrap_or_default();
        }
        if let Some((number, behind)) = left.split_once(unit) {
            nanos += nanos_of(number, seconds, unit == "S")?;
            left = behind;
            parts += 1;
        }
    }
    let is_whole = left.is_empty() && parts > 0 && !time.is_some_and(str::is_empty);
    let nanos = is_whole.then_some(nanos * sign)?;
    let whole = nanos.div_euclid(1_000_000) + i128::from(nanos.rem_euclid(1_000_000) > 0);
    i64::try_from(whole).ok()
}

/// So many units of so many seconds, in ns. Only seconds may have digits after a point, nine at most.
fn nanos_of(number: &str, seconds: i128, may_have_fraction: bool) -> Option<i128> {
    const NANOS: i128 = 1_000_000_000;
    let (whole, fraction) = number.split_once(['.', ',']).map_or((number, None), |(w, f)| (w, Some(f)));
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    if digits.is_empty() || digits.len() > 18 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut nanos = whole.parse::<i128>().ok()? * seconds * NANOS;
    if let Some(fraction) = fraction {
        if !may_have_fraction || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let part: i128 = format!("{fraction:0<9}").parse().ok()?;
        nanos += if whole.starts_with('-') { -part } else { part };
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_policies_of_kafka() {
        for (text, expected) in [
            ("earliest", OffsetReset::Earliest),
            ("Latest", OffsetReset::Latest),
            ("none", OffsetReset::None),
            ("by_duration:PT1H", OffsetReset::ByDuration(3_600_000)),
            ("by_duration:P1DT2H3M4.5S", OffsetReset::ByDuration(93_784_500)),
            ("by_duration:p2d", OffsetReset::ByDuration(172_800_000)),
            ("by_duration:PT0S", OffsetReset::ByDuration(0)),
            ("by_duration:-PT-1S", OffsetReset::ByDuration(1000)),
            ("by_duration:PT1M-1S", OffsetReset::ByDuration(59_000)),
            ("by_duration:PT0.0001S", OffsetReset::ByDuration(1)),
        ] {
            let reset: OffsetReset = text.parse().unwrap();
            assert_eq!(reset, expected, "{text}");
            assert_eq!(reset.to_string().parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_java_refuses() {
        for text in [
            "",
            "first",
            "by_duration",
            "by_duration:",
            "by_duration:1h",
            "by_duration:P",
            "by_duration:PT",
            "by_duration:P1DT",
            "by_duration:-PT1S",
            "by_duration:PT1H1D",
            "by_duration:PT1S1H",
            "by_duration:PT1.5H",
            "by_duration:PT.5S",
            "by_duration:PT1.0000000000S",
            "by_duration:P1Y",
            "by_duration:PT99999999999999999999S",
            "by_duration:PT1H ",
            "by_duration:é",
            "é",
        ] {
            assert_eq!(text.parse::<OffsetReset>(), Err(UnknownOffsetReset), "{text}");
        }
    }
}
