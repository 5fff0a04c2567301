//! The verbs of Redis.

use super::Verb;

pub(super) static VERBS: &[Verb] = &[];
