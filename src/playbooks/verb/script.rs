//! The verbs of the team's scripts.

use super::Verb;

pub(super) static VERBS: &[Verb] = &[];
