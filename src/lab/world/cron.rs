//! Cron's five fields, as far as it must be known when something runs next. UTC.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::cluster::later;

/// No schedule pauses for longer than from one leap day to the next but one.
const LONGEST_DAYS: i64 = 8 * 366;

/// When something runs: minutes, hours, days of the month, months, days of the week from Sunday.
#[derive(Debug)]
pub struct Schedule {
    fields: [Vec<i8>; 5],
    /// Days of the month and of the week are both restricted: either will do.
    either_day: bool,
}

impl Schedule {
    pub fn parse(text: &str) -> Option<Self> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let words: [&str; 5] = text.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
        let ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
        let mut fields: [Vec<i8>; 5] = Default::default();
        for ((field, word), (least, most)) in fields.iter_mut().zip(words).zip(ranges) {
            *field = numbers(word, least, most)?;
        }
        if fields[4].contains(&7) {
            fields[4].push(0);
        }
        let restricted = |word: &str| !["*", "?"].contains(&word);
        Some(Self { fields, either_day: restricted(words[2]) && restricted(words[4]) })
    }

    /// The first moment after `at` that it runs, if it ever does.
    pub fn next(&self, at: Timestamp) -> Option<Timestamp> {
        let minute = at.as_second().div_euclid(60) + 1;
        let mut next = Timestamp::from_second(minute * 60).ok()?;
        let end = later(at, SignedDuration::from_hours(24 * LONGEST_DAYS));
        while next < end {
            let civil = next.to_zoned(TimeZone::UTC);
            let [minutes, hours, days, months, weekdays] = &self.fields;
            let day = days.contains(&civil.day());
            let weekday = weekdays.contains(&civil.weekday().to_sunday_zero_offset());
            let runs = months.contains(&civil.month())
                && if self.either_day { day || weekday } else { day && weekday };
            let step = match (runs, hours.contains(&civil.hour()), minutes.contains(&civil.minute())) {
                (true, true, true) => return Some(next),
                (true, true, false) => 1,
                (true, false, _) => 60 - i64::from(civil.minute()),
                (false, ..) => 24 * 60 - i64::from(civil.hour()) * 60 - i64::from(civil.minute()),
            };
            next = later(next, SignedDuration::from_mins(step));
        }
        None
    }
}

/// The numbers that a field stands for: `*/5`, `1,15`, `9-17`.
fn numbers(word: &str, least: i8, most: i8) -> Option<Vec<i8>> {
    let number = |text: &str| text.parse().ok().filter(|number| (least..=most).contains(number));
    let mut all = Vec::new();
    for part in word.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        all.extend((from..=to).step_by(step));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_run_of_schedules_people_write() {
        for (text, wanted) in [
            ("* * * * *", "2026-03-04T03:13:00Z"),
            ("*/5 * * * *", "2026-03-04T03:15:00Z"),
            ("12 3 * * *", "2026-03-05T03:12:00Z"),
            ("0 0 1 * *", "2026-04-01T00:00:00Z"),
            ("30 2 * * 7", "2026-03-08T02:30:00Z"),
            ("0 9 * * 1-5", "2026-03-04T09:00:00Z"),
            ("0 0 13 * 5", "2026-03-06T00:00:00Z"),
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("@yearly", "2027-01-01T00:00:00Z"),
        ] {
            let at: Timestamp = "2026-03-04T03:12:00Z".parse().unwrap();
            let schedule = Schedule::parse(text).unwrap_or_else(|| panic!("{text} is not understood"));
            assert_eq!(schedule.next(at).map(|at| at.to_string()).as_deref(), Some(wanted), "{text}");
        }
        for wrong in ["", "* * * *", "60 * * * *", "*/0 * * * *", "a b c d e"] {
            assert!(Schedule::parse(wrong).is_none(), "{wrong}");
        }
        let never = Schedule::parse("0 0 31 2 *").unwrap();
        assert_eq!(never.next("2026-03-04T03:12:00Z".parse().unwrap()), None);
    }
}
