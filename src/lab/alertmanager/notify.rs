//! What the Alertmanager notifies: a group at a time, after a wait; again when it has changed, seldom otherwise.
//! It knows groups of labels, not routes. The durations are the real one's defaults, whatever a route says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::lab::tsdb::Labels;

const GROUP_WAIT: SignedDuration = SignedDuration::from_secs(30);
const GROUP_INTERVAL: SignedDuration = SignedDuration::from_mins(5);
const REPEAT_INTERVAL: SignedDuration = SignedDuration::from_hours(4);

/// A receiver, and the labels that its alerts share.
type Group = (String, Labels);

#[derive(Default)]
pub(super) struct Notifier {
    groups: BTreeMap<Group, Waiting>,
    /// Notifications so far.
    sent: u64,
}

struct Waiting {
    due: Timestamp,
    /// What was told last, and when.
    told: Option<(BTreeSet<Labels>, Timestamp)>,
}

impl Notifier {
    /// Notifies whom it is time for, given what fires and is not suppressed; how many notifications that makes so far.
    pub fn flush(&mut self, firing: &BTreeMap<Group, BTreeSet<Labels>>, now: Timestamp) -> u64 {
        for group in firing.keys() {
            let due = now.saturating_add(GROUP_WAIT).unwrap_or(now);
            self.groups.entry(group.clone()).or_insert(Waiting { due, told: None });
        }
        let mut sent = 0;
        self.groups.retain(|group, waiting| {
            if waiting.due > now {
                return true;
            }
            let current = firing.get(group).cloned().unwrap_or_default();
            let news = match &waiting.told {
                None => !current.is_empty(),
                Some((told, at)) => *told != current || now.duration_since(*at) >= REPEAT_INTERVAL,
            };
            if news {
                sent += 1;
                waiting.told = Some((current.clone(), now));
            }
            waiting.due = now.saturating_add(GROUP_INTERVAL).unwrap_or(now);
            !current.is_empty()
        });
        self.sent += sent;
        self.sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_group_is_told_once_and_again_when_it_changes() {
        let at = |seconds: i64| Timestamp::constant(1_767_312_000 + seconds, 0);
        let (one, two) = (labels(&[("pod", "a")]), labels(&[("pod", "b")]));
        let group = ("on-call".to_owned(), labels(&[("alertname", "HighCPU")]));
        let firing = |alerts: &[&Labels]| {
            BTreeMap::from([(group.clone(), alerts.iter().map(|&labels| labels.clone()).collect())])
        };
        let mut notifier = Notifier::default();
        assert_eq!(notifier.flush(&firing(&[&one]), at(0)), 0, "it waits for others");
        assert_eq!(notifier.flush(&firing(&[&one, &two]), at(30)), 1, "both at once");
        assert_eq!(notifier.flush(&firing(&[&one]), at(60)), 1, "not before the interval is over");
        assert_eq!(notifier.flush(&firing(&[&one]), at(330)), 2);
        assert_eq!(notifier.flush(&firing(&[&one]), at(660)), 2, "nothing new");
        assert_eq!(notifier.flush(&BTreeMap::new(), at(990)), 3, "resolved");
        assert_eq!(notifier.flush(&BTreeMap::new(), at(1320)), 3);
    }

    #[test]
    fn what_ends_within_the_wait_is_never_told() {
        let at = |seconds: i64| Timestamp::constant(1_767_312_000 + seconds, 0);
        let group = ("on-call".to_owned(), Labels::default());
        let firing = BTreeMap::from([(group, BTreeSet::from([labels(&[("pod", "a")])]))]);
        let mut notifier = Notifier::default();
        notifier.flush(&firing, at(0));
        assert_eq!(notifier.flush(&BTreeMap::new(), at(40)), 0);
    }
}
