//! What was done: append-only, on disk before the hand moves, chained by hashes.
//! Knows warrants and outcomes; must not know any system the hands touch, nor hold a secret.

mod disk;
mod line;
mod record;
mod render;
mod way_back;

pub use disk::Journal;
pub use record::{Closing, Ending, Entry, EntryId, Orphan, Outcome, Record};
pub use render::{list, show};
pub use way_back::WayBack;
