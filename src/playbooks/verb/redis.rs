//! The verbs of Redis.

use super::ParamKind::{Count, Quantity};
use super::{Verb, changes, may, must, reads};
use crate::domain::System::Redis;

pub(super) static VERBS: &[Verb] = &[
    reads("cache-stats", &[]).on(Redis),
    reads("cache-slow-log", &[may("count", Count)]).on(Redis),
    changes("set-cache-memory", &[must("memory", Quantity)]).on(Redis),
];
