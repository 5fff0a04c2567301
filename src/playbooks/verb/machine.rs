//! The verbs of the nodes' machines.

use super::Verb;

pub(super) static VERBS: &[Verb] = &[];
