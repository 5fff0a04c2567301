//! Cron's five fields, as far as it must be known how long a schedule may pause.

use std::time::Duration;

/// When something runs, whatever the time zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Schedule {
    /// Minutes of the day, in order.
    minutes: Vec<u32>,
    /// Days of the month from 1, unless any will do.
    days: Option<Vec<u32>>,
    /// Days of the week from Sunday, unless any will do.
    weekdays: Option<Vec<u32>>,
    /// Months from January, unless any will do.
    months: Option<Vec<u32>>,
}

const DAY: u32 = 24 * 60;

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
        let mut words = text.split_whitespace().filter(|word| !word.contains("TZ=")).map(str::to_lowercase);
        let [minute, hour, day, month, weekday] = std::array::from_fn(|_| words.next().unwrap_or_default());
        let hours = field(&hour, 0, 23, &[])?;
        let within = field(&minute, 0, 59, &[])?;
        let restricted = |text: &str, least, most, names| match text {
            "*" | "?" => Some(None),
            _ => field(text, least, most, names).map(Some),
        };
        let sunday_first = |list: Vec<u32>| {
            let mut list: Vec<u32> = list.into_iter().map(|day| day % 7).collect();
            list.sort_unstable();
            list.dedup();
            list
        };
        Some(Self {
            minutes: hours
                .iter()
                .flat_map(|hour| within.iter().map(move |minute| hour * 60 + minute))
                .collect(),
            days: restricted(&day, 1, 31, &[])?,
            months: restricted(&month, 1, 12, &MONTHS)?,
            weekdays: restricted(&weekday, 0, 7, &WEEKDAYS)?.map(sunday_first),
        })
    }

    /// The longest time between two runs; an upper bound where months differ in length.
    pub fn longest_pause(&self) -> Duration {
        let within_a_day = widest(&self.minutes, DAY);
        let days = self.months.as_ref().map_or(0, |months| (widest(months, 12) - 1) * 31)
            + match (&self.days, &self.weekdays) {
                (None, None) => 1,
                // Cron runs when either fits.
                (Some(days), Some(weekdays)) => widest(days, 31).min(widest(weekdays, 7)),
                (Some(days), None) => widest(days, 31),
                (None, Some(weekdays)) => widest(weekdays, 7),
            };
        Duration::from_secs(u64::from((days - 1) * DAY + within_a_day) * 60)
    }
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The widest gap on a ring of this length.
fn widest(places: &[u32], ring: u32) -> u32 {
    let gaps = places.windows(2).map(|pair| pair[1] - pair[0]);
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return ring };
    gaps.chain([first + ring - last]).max().unwrap_or(ring)
}

/// The numbers that a field stands for: `*/5`, `1,15`, `mon-fri`.
fn field(text: &str, least: u32, most: u32, names: &[&str]) -> Option<Vec<u32>> {
    let number = |word: &str| {
        let named = names.iter().position(|name| *name == word).map(|place| place as u32 + least);
        named.or_else(|| word.parse().ok()).filter(|number| (least..=most).contains(number))
    };
    let mut all: Vec<u32> = Vec::new();
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<usize>().ok().filter(|step| *step > 0)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (least, most),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/15` begins at 5 and goes on.
            None if part.contains('/') => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        all.extend((from..=to).step_by(step));
    }
    all.sort_unstable();
    all.dedup();
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_of_schedules_people_write() {
        for (text, minutes) in [
            ("* * * * *", 1),
            ("*/5 * * * *", 5),
            ("7/20 * * * *", 20),
            ("0 * * * *", 60),
            ("15 3 * * *", 24 * 60),
            ("0 */6 * * *", 6 * 60),
            ("*/10 9-17 * * *", 15 * 60 + 10),
            ("0 9 * * mon-fri", 3 * 24 * 60),
            ("0 9 * * 1-5", 3 * 24 * 60),
            ("30 2 * * 7", 7 * 24 * 60),
            ("0 0 1,15 * *", 17 * 24 * 60),
            ("@hourly", 60),
            ("CRON_TZ=Europe/Berlin 0 4 * * *", 24 * 60),
        ] {
            let pause =
                Schedule::parse(text).unwrap_or_else(|| panic!("{text} is not understood")).longest_pause();
            assert_eq!(pause, Duration::from_mins(minutes), "{text}");
        }
        for wrong in ["", "@every 5m", "61 * * * *", "* * * *", "*/0 * * * *", "0 25 * * *"] {
            assert_eq!(Schedule::parse(wrong), None, "{wrong}");
        }
    }
}
