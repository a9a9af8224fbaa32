//! Dates of the Gregorian calendar and days since 1970-01-01, both ways.
//!
//! Years are counted from March, so that the day a leap year adds is the last one; eras of 400
//! years are all alike.

/// Days of 400 years, and from 0000-03-01 to 1970-01-01.
const ERA_DAYS: i64 = 146_097;
const EPOCH_DAYS: i64 = 719_468;

/// Minutes since the epoch of a text such as `2013-01-01T10:00:00Z`; the seconds are not looked at.
pub(super) fn minutes_of(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let mut next = || date.next()?.ok();
    let days = days_of(next()?, next()?, next()?);
    let mut time = time.splitn(3, ':').map(str::parse::<i64>);
    let mut next = || time.next()?.ok();
    Some((days * 24 + next()?) * 60 + next()?)
}

/// A date as `2013-01-01`.
pub(super) fn date_text(days: i64) -> String {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months + 2) / 5 + 1;
    let (month, carry) = if months < 10 { (months + 3, 0) } else { (months - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year_of_era + carry)
}

fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * ERA_DAYS + 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: Option<i64>) {
        assert_eq!(minutes_of(text), seconds.map(|seconds| seconds / 60));
        if let (Some(seconds), Some((date, _))) = (seconds, text.split_once('T')) {
            assert_eq!(date_text(seconds.div_euclid(86_400)), date);
        }
    }

    #[test]
    fn dates_count_from_the_epoch_and_back() {
        check("1970-01-01T00:00:00Z", Some(0));
        check("1969-12-31T23:59:00Z", Some(-60));
        check("1970-01-02T01:02:00Z", Some(90_120));
        check("2000-02-29T00:00:00Z", Some(951_782_400));
        check("2000-03-01T00:00:00Z", Some(951_868_800));
        check("2013-01-01T10:00:00Z", Some(1_357_034_400));
        check("2013-12-31T23:00:00Z", Some(1_388_530_800));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        check("yesterday", None);
        check("2013-01-01T10:00:00", None);
        check("2013-01T10:00:00Z", None);
    }
}
