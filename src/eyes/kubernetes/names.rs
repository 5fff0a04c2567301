//! Strings of the API server made safe and shared: what thousands of objects have in common is kept once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::domain::{Labels, Name, Selector, text};

/// Longest text kept of a message; the whole is read when a person opens the object.
const LONGEST: usize = 2_000;

/// One watch's store of shared strings.
#[derive(Debug, Default)]
pub(in crate::eyes) struct Names {
    strings: HashSet<Name>,
    labels: HashSet<Arc<[(Name, Name)]>>,
    /// When to look for names that nobody uses any more.
    tidy_at: usize,
}

impl Names {
    /// A string that many objects have in common: kinds, images, label values, reasons.
    pub(in crate::eyes) fn shared(&mut self, raw: &str) -> Name {
        if let Some(known) = self.strings.get(raw) {
            return known.clone();
        }
        let name = own(raw);
        if let Some(known) = self.strings.get(&name) {
            return known.clone();
        }
        self.tidy();
        self.strings.insert(name.clone());
        name
    }

    pub(in crate::eyes) fn maybe(&mut self, raw: Option<&String>) -> Option<Name> {
        raw.filter(|raw| !raw.is_empty()).map(|raw| self.shared(raw))
    }

    /// Pods of one workload have the same labels: the whole set is shared.
    pub(in crate::eyes) fn labels(&mut self, raw: Option<&BTreeMap<String, Option<String>>>) -> Labels {
        let Some(raw) = raw else { return Labels::default() };
        let pairs = raw
            .iter()
            .map(|(key, value)| (self.shared(key), self.shared(value.as_deref().unwrap_or_default())))
            .collect();
        let labels = Labels::new(pairs);
        if let Some(known) = self.labels.get(&labels.0) {
            return Labels(known.clone());
        }
        self.labels.insert(labels.0.clone());
        labels
    }

    pub(in crate::eyes) fn selector(&mut self, raw: Option<&super::wire::SelectorWire>) -> Selector {
        let Some(raw) = raw else { return Selector::default() };
        Selector {
            labels: self.labels(raw.match_labels.as_ref()),
            has_expressions: raw.match_expressions.as_ref().is_some_and(|list| !list.is_empty()),
        }
    }

    fn tidy(&mut self) {
        if self.strings.len() < self.tidy_at.max(4_096) {
            return;
        }
        self.labels.retain(|labels| Arc::strong_count(labels) > 1);
        self.strings.retain(|name| Arc::strong_count(name) > 1);
        self.tidy_at = self.strings.len() * 2;
    }
}

/// A string only one object has.
pub(in crate::eyes) fn own(raw: &str) -> Name {
    text::clean(raw).into()
}

/// A message from outside: cleaned, secrets struck out, cut to a readable length.
pub(in crate::eyes) fn says(raw: &str) -> Name {
    let cut = raw.char_indices().nth(LONGEST).map_or(raw, |(end, _)| &raw[..end]);
    text::redact(&text::clean(cut)).into()
}

pub(in crate::eyes) fn maybe_says(raw: Option<&String>) -> Option<Name> {
    raw.filter(|raw| !raw.is_empty()).map(|raw| says(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_kept_once_and_hostile_text_is_not_kept() {
        let mut names = Names::default();
        assert!(Arc::ptr_eq(&names.shared("web"), &names.shared("web")));
        let dirty = names.shared("we\u{1b}[31mb");
        assert_eq!(&*dirty, "web");
        assert!(Arc::ptr_eq(&dirty, &names.shared("web")));
        let map: BTreeMap<_, _> = [("app".to_owned(), Some("web".to_owned()))].into();
        assert!(Arc::ptr_eq(&names.labels(Some(&map)).0, &names.labels(Some(&map)).0));
    }

    #[test]
    fn names_nobody_uses_are_forgotten() {
        let mut names = Names::default();
        for number in 0..20_000 {
            names.shared(&format!("image:{number}"));
        }
        assert!(names.strings.len() < 9_000, "{}", names.strings.len());
    }
}
