//! The verbs of PostgreSQL.

use super::{Verb, reads};
use crate::domain::System::Postgres;

pub(super) static VERBS: &[Verb] = &[reads("ping-database", &[]).on(Postgres)];
