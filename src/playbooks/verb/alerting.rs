//! The verbs of Prometheus and Alertmanager.

use super::Verb;

pub(super) static VERBS: &[Verb] = &[];
