//! Actions on AWS from the arguments of a step.

use crate::domain::AwsCall;

use super::{Args, Bound};

pub(super) fn bind(args: &Args<'_>) -> Bound<AwsCall> {
    Err(args.cannot())
}
