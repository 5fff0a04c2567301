//! Actions on Prometheus and Alertmanager from the arguments of a step.

use crate::domain::Alerting;

use super::{Args, Bound};

pub(super) fn bind(args: &Args<'_>) -> Bound<Alerting> {
    Err(args.cannot())
}
