//! What runs on the machine, now that it is known what is there.

use super::facts::Facts;
use crate::config::ssh::Ran;
use crate::domain::{MachineCommand, OnMachine};

/// Every command, in order.
pub(super) fn lines(command: &OnMachine, facts: &Facts) -> Vec<MachineCommand> {
    let Facts::Growth { growth, can_grow, .. } = facts else { return command.commands() };
    let as_root = |argv: Vec<String>| MachineCommand { argv, as_root: true };
    let mut lines = Vec::new();
    if let Some((disk, number)) = growth.partition.as_ref().filter(|_| *can_grow) {
        lines.push(as_root(vec!["growpart".into(), disk.clone(), number.to_string()]));
    }
    lines.extend(growth.grow().map(as_root));
    lines
}

/// An end that is no failure although its code says so.
pub(super) fn is_fine(line: &MachineCommand, ran: &Ran) -> bool {
    // A partition that is as large as it can be does not keep its file system from growing.
    line.argv.first().is_some_and(|program| program == "growpart") && ran.out.contains("NOCHANGE")
}
