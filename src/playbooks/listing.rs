//! Playbooks as text, for `playbooks list` and `playbooks show`. Plain lines: they may be piped anywhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::{Effect, text};

use super::{Library, Playbook, Step, StepPhase, Trigger};

/// A line for each playbook.
pub fn listing(library: &Library) -> String {
    let wide = |column: fn(&Playbook) -> &str| {
        library.iter().map(|playbook| column(playbook).chars().count()).max().unwrap_or_default()
    };
    let (ids, categories) = (wide(|playbook| &playbook.id), wide(|playbook| &playbook.category));
    let mut out = String::new();
    for playbook in library.iter() {
        let _ = writeln!(
            out,
            "{:<ids$}  {:<categories$}  {} ({})",
            playbook.id,
            playbook.category,
            playbook.title,
            text::count(playbook.steps.len(), "step")
        );
    }
    out.trim_end().to_owned()
}

/// A playbook for reading.
pub fn card(playbook: &Playbook) -> String {
    let mut out = format!(
        "{}\n{}  ·  {}  ·  opens on {}\n",
        playbook.title,
        playbook.id,
        playbook.category,
        trigger(&playbook.trigger)
    );
    for symptom in &playbook.symptoms {
        let _ = writeln!(out, "  - {symptom}");
    }
    for threshold in &playbook.thresholds {
        let _ = writeln!(out, "  threshold {} = {} ({})", threshold.key, threshold.value, threshold.source);
    }
    for (name, phase) in StepPhase::ALL {
        let steps: Vec<&Step> = playbook.steps.iter().filter(|step| step.phase == phase).collect();
        if !steps.is_empty() {
            let _ = writeln!(out, "\n{}", name.to_uppercase());
        }
        for step in steps {
            describe(&mut out, step);
        }
    }
    if !playbook.holds.is_empty() {
        let _ = writeln!(out, "\nHOLD");
    }
    for hold in &playbook.holds {
        let causes = match hold.for_causes.as_slice() {
            [] => "anything else".to_owned(),
            causes => causes.join(", "),
        };
        let first = hold.to.as_ref().map(|to| format!("; first {to}")).unwrap_or_default();
        let _ = writeln!(out, "  for {causes}{first}\n      {}", hold.why.show(&BTreeMap::new()));
    }
    let _ = writeln!(out, "\nRESOLVED\n  {}", playbook.resolved.says);
    if !playbook.resolved.for_.is_zero() {
        let _ = writeln!(out, "  for {}", text::span(playbook.resolved.for_));
    }
    if !playbook.follow_up.is_empty() {
        let _ = writeln!(out, "\nAFTERWARDS");
    }
    for item in &playbook.follow_up {
        let _ = writeln!(out, "  [ ] {}", item.says);
    }
    text_only(&out)
}

fn describe(out: &mut String, step: &Step) {
    let _ = writeln!(out, "  {}  {}", step.id, step.title.show(&BTreeMap::new()));
    let _ = writeln!(out, "      {}", step.why);
    let mut facts = vec![format!("does {}", step.todo.verb.name)];
    match step.todo.effect() {
        Effect::Read if step.auto => facts.push("a read that runs by itself".into()),
        Effect::Read => facts.push("a read".into()),
        Effect::Change => facts.push("a change; one key confirms it".into()),
        Effect::Disruptive => facts.push("disruptive; the name is typed to confirm it".into()),
        Effect::Destructive => facts.push("destructive; the name is typed to confirm it".into()),
    }
    if !step.for_causes.is_empty() {
        facts.push(format!("for {}", step.for_causes.join(", ")));
    }
    let _ = writeln!(out, "      {}", facts.join("  ·  "));
    if step.todo.effect() > Effect::Read {
        let undo = step.undo.as_ref().map(|undo| undo.show(&BTreeMap::new()));
        let undo = undo.unwrap_or_else(|| "cannot be taken back".into());
        let _ = writeln!(out, "      undo: {undo}  ·  verified by {}", step.verify.join(", "));
    }
    if !step.guards.is_empty() {
        let guards: Vec<&str> = step.guards.iter().map(|guard| guard.as_str()).collect();
        let _ = writeln!(out, "      guards: {}", guards.join(", "));
    }
}

fn trigger(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Rule(rule) => format!("rule {rule}"),
        Trigger::Alert(labels) => {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("alert {}", pairs.join(", "))
        }
        Trigger::Promql { expr, above, below, for_ } => {
            let bound = match (above, below) {
                (Some(above), _) => format!("> {above}"),
                (_, Some(below)) => format!("< {below}"),
                _ => String::new(),
            };
            format!("{expr} {bound} for {}", text::span(*for_))
        }
        Trigger::Sql { query, above, for_ } => format!("{query} > {above} for {}", text::span(*for_)),
        Trigger::Object { kind, field, for_, .. } => format!("{kind} {field} for {}", text::span(*for_)),
    }
}

/// Line by line, because lines are all that may steer here.
fn text_only(out: &str) -> String {
    out.lines().map(text::clean).collect::<Vec<_>>().join("\n")
}
