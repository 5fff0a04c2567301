//! Actions on the team's scripts from the arguments of a step.

use crate::domain::Script;

use super::{Args, Bound, missing};

pub(super) fn bind(args: &Args<'_>) -> Bound<Script> {
    if args.verb.name != "run-script" {
        return Err(args.cannot());
    }
    let with = args.pairs("with")?.into_iter().map(|(name, value)| match value {
        Some(value) => Ok((name, value)),
        None => Err(missing(&name, format!("`{name}` of a script needs a value"))),
    });
    Ok(Script::RunScript { script: args.name("script")?, with: with.collect::<Bound<_>>()? })
}
