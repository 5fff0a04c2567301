//! Questions to the network from the arguments of a step.

use crate::domain::NetworkProbe;

use super::{Args, Bound};

pub(super) fn bind(args: &Args<'_>) -> Bound<NetworkProbe> {
    Ok(match args.verb.name {
        "http-probe" => {
            let times = args.maybe_count("times")?.unwrap_or(1);
            NetworkProbe::HttpProbe { url: args.text("url")?, times }
        }
        _ => return Err(args.cannot()),
    })
}
