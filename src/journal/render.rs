//! The journal as people read it in a shell: a list, newest last, and one action in full.

use super::record::{EntryId, Record};
use crate::domain::text;
use crate::guard::Actor;

/// Moments to the second, in UTC.
const CLOCK: &str = "%Y-%m-%d %H:%M:%S UTC";

/// One line per action: id, result, what, and who.
pub fn list(records: &[Record]) -> Vec<String> {
    records
        .iter()
        .map(|record| {
            let result = record.closing.as_ref().map_or("no outcome", |closing| &closing.result);
            let place = match &*record.who.context {
                "" => String::new(),
                context => format!(" in {}", text::clean(context)),
            };
            format!(
                "{}  {:<10}  {:<11}  {}{}  ({}{place}){}",
                record.id,
                result,
                format!("{:?}", record.effect).to_lowercase(),
                text::clean(&record.title),
                record.undoes.as_ref().map(|of| format!(", the undo of {of}")).unwrap_or_default(),
                who(record),
                if record.intact { "" } else { "  ! altered or cut before this line" }
            )
        })
        .collect()
}

/// As the cluster knows them, else as the machine does.
fn who(record: &Record) -> String {
    let Actor { kube_user, os_user, .. } = &record.who;
    text::clean(if kube_user.is_empty() { os_user } else { kube_user })
}

/// Everything about one action, as `label  value` lines. `id` may be shortened as long as it is unique.
pub fn show(records: &[Record], id: &str) -> Result<Vec<String>, String> {
    let mut found = records.iter().filter(|record| record.id.0.starts_with(id) || record.id.0.ends_with(id));
    let record = match (found.next(), found.next()) {
        (Some(record), None) => record,
        (None, _) => return Err(format!("no action with id {id} in the journal")),
        (Some(_), Some(_)) => return Err(format!("{id} means more than one action; give more of the id")),
    };
    let mut lines = vec![
        format!("{:<10}{}", "id", record.id),
        format!("{:<10}{}", "what", text::clean(&record.title)),
        format!("{:<10}{}", "command", text::clean(&record.command)),
        format!("{:<10}{}", "who", record.who),
    ];
    let by = |id: &EntryId| records.iter().find(|other| other.id == *id);
    if let Some(of) = &record.undoes {
        let title = by(of).map(|of| format!(": {}", text::clean(&of.title))).unwrap_or_default();
        lines.push(format!("{:<10}{of}{title}", "undoes"));
    }
    let undone = records.iter().filter(|other| other.was_done() && other.undoes.as_ref() == Some(&record.id));
    lines.extend(
        undone.map(|other| format!("{:<10}by {} at {}", "undone", other.id, other.at.strftime(CLOCK))),
    );
    if !record.who.context.is_empty() {
        lines.push(format!("{:<10}{}", "context", text::clean(&record.who.context)));
    }
    lines.push(format!("{:<10}{}", "confirmed", record.at.strftime(CLOCK)));
    for target in &record.targets {
        lines.push(format!("{:<10}{}", "target", text::clean(target)));
    }
    for hazard in &record.hazards {
        lines.push(format!("{:<10}{}: {}", "hazard", hazard.guard.as_str(), text::clean(&hazard.says)));
    }
    for pin in &record.pins {
        let version = pin.resource_version.as_deref().unwrap_or("absent");
        lines.push(format!("{:<10}{} at version {}", "seen", pin.object, text::clean(version)));
    }
    match &record.closing {
        None => lines.push(format!("{:<10}no outcome was written: it is unknown how this ended", "result")),
        Some(closing) => {
            for line in &closing.progress {
                lines.push(format!("{:<10}{}", "", text::clean(line)));
            }
            lines.push(format!("{:<10}{}: {}", "result", closing.result, text::clean(&closing.says)));
            lines.push(format!("{:<10}{}", "ended", closing.at.strftime(CLOCK)));
        }
    }
    let undo = record.closing.as_ref().and_then(|closing| closing.undo.as_ref()).or(record.undo.as_ref());
    lines.push(format!("{:<10}{}", "undo", undo.map_or_else(|| "none".into(), |undo| text::clean(undo))));
    if !record.before.is_null() {
        lines.push("before".into());
        let before = serde_json::to_string_pretty(&record.before).unwrap_or_default();
        lines.extend(before.lines().map(|line| format!("  {}", text::clean(line))));
    }
    if !record.intact {
        lines.push("the hash chain is broken here: a line was altered or removed".into());
    }
    Ok(lines)
}
