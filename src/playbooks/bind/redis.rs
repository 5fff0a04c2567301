//! Actions on Redis from the arguments of a step.

use crate::domain::RedisCommand;

use super::{Args, Bound};

pub(super) fn bind(args: &Args<'_>) -> Bound<RedisCommand> {
    Err(args.cannot())
}
