//! The verbs of AWS.

use super::Verb;

pub(super) static VERBS: &[Verb] = &[];
