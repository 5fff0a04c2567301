//! Actions on the nodes' machines from the arguments of a step.

use crate::domain::OnMachine;

use super::{Args, Bound};

pub(super) fn bind(args: &Args<'_>) -> Bound<OnMachine> {
    Err(args.cannot())
}
