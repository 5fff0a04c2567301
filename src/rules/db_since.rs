//! Since when a database's connections have been in use, also before anybody looked; and whether what is wrong with it
//! was there when something else began.

use jiff::SignedDuration;

use crate::domain::Timestamp;

use super::Scene;
use super::db_pool::activity;

/// Estimates and clocks differ.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Since when more than so many connections have been in use. Where that was so at the first look: since the sessions that
/// lived then were that many.
pub(super) fn used_since(scene: &Scene<'_>, level: f64) -> Option<Timestamp> {
    let looks = &scene.snapshot.connections;
    let seen = looks.above_since(level)?;
    let (first, _) = *looks.points().first()?;
    if seen > first {
        return Some(seen);
    }
    let opened = scene.snapshot.opened.points().iter().find(|(_, count)| *count > level);
    Some(opened.map_or(seen, |(at, _)| (*at).min(seen)))
}

/// The earliest moment at which sessions can have waited for the locks that they wait for.
pub(super) fn locked_since(scene: &Scene<'_>) -> Option<Timestamp> {
    let seen = scene.snapshot.lock_waiters.above_since(0.0)?;
    let activity = activity(scene);
    let held = activity.into_iter().flat_map(|seen| seen.roots.iter().filter_map(|root| root.transaction));
    let longest = held.chain(activity.and_then(|seen| seen.longest_wait)).max();
    let back = longest.and_then(|longest| SignedDuration::try_from(longest).ok());
    let earliest = back.and_then(|back| scene.now.checked_sub(back).ok());
    Some(earliest.map_or(seen, |earliest| earliest.min(seen)))
}

/// Whether it came after what began then: no cause follows its effect.
pub(super) fn is_later(since: Option<Timestamp>, onset: Timestamp) -> bool {
    since.is_some_and(|since| since.duration_since(onset) > SLACK)
}
