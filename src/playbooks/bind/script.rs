//! Actions on the team's scripts from the arguments of a step.

use crate::domain::Script;

use super::{Args, Bound};

pub(super) fn bind(args: &Args<'_>) -> Bound<Script> {
    Err(args.cannot())
}
