//! Settings as a table for people, and as a commented file to start from.

use super::rows::{ROWS, Row, Slot};
use super::settings::{Settings, Source};
use crate::domain::{shell_quote, text};

/// Every setting: key, value (secrets struck out), and who decided it.
pub fn table(settings: &Settings) -> Vec<(String, String, Source)> {
    let mut settings = settings.clone();
    let mut rows: Vec<_> = ROWS
        .iter()
        .map(|row| {
            let (value, from) = read(row, &mut settings);
            let absent = if matches!(from, Source::Discovered(_)) { "through the API server" } else { "–" };
            (row.key.to_owned(), value.unwrap_or_else(|| absent.into()), from)
        })
        .collect();
    for (key, value) in &settings.thresholds {
        rows.push((format!("thresholds.{key}"), value.value.to_string(), value.from.clone()));
    }
    for (name, script) in &settings.scripts {
        let line: Vec<String> = script.argv.iter().map(|word| shell_quote(word)).collect();
        let value = text::clean(&text::redact(&line.join(" ")));
        rows.push((format!("scripts.{name}"), value, script.from.clone()));
    }
    rows
}

/// A settings file in which everything is explained, and what differs from the defaults is written out.
/// Secrets are left to the environment.
pub fn commented_file(settings: &Settings) -> String {
    let mut settings = settings.clone();
    let mut file = String::from("# Settings of covet-tui. Environment variables and flags override them.\n");
    let mut rows: Vec<&Row> = ROWS.iter().collect();
    rows.sort_by_key(|row| row.key.contains('.'));
    let mut section = "";
    for row in rows {
        let (table, name) = row.key.split_once('.').unwrap_or(("", row.key));
        if table != section {
            section = table;
            file.push_str(&format!("\n[{table}]\n"));
        }
        let (_, from) = read(row, &mut settings);
        let literal = literal((row.slot)(&mut settings)).filter(|_| !row.secret);
        file.push_str(&format!("\n# {} (${})\n", row.says, row.env[0]));
        match (literal, from) {
            // A context written down would outlive the person's own choice of it.
            (Some(value), Source::Default | Source::Kubeconfig(_)) => {
                file.push_str(&format!("# {name} = {value}\n"));
            }
            (Some(value), from) => file.push_str(&format!("# {from}\n{name} = {value}\n")),
            (None, Source::Discovered(object)) => {
                file.push_str(&format!("# found in the cluster: {object}\n# {name} = {}\n", row.example));
            }
            (None, _) => file.push_str(&format!("# {name} = {}\n", row.example)),
        }
    }
    file.push_str(
        "\n[scripts]\n\n# the team's own, for playbooks; a {placeholder} is one word, whatever its value\n\
         # rotate = { argv = [\"/opt/tools/rotate\", \"--type\", \"{type}\"], timeout = \"5m\" }\n",
    );
    for (name, script) in &settings.scripts {
        let words: Vec<String> = script.argv.iter().map(|word| quoted(word)).collect();
        let seconds = script.timeout.as_secs();
        file.push_str(&format!(
            "{} = {{ argv = [{}], timeout = \"{seconds}s\" }}\n",
            quoted(name),
            words.join(", ")
        ));
    }
    file.push_str(
        "\n[thresholds]\n\n# overrides of the rules' thresholds, e.g. \"crash-loop.restarts\" = 5\n",
    );
    for (key, value) in &settings.thresholds {
        file.push_str(&format!("{} = {}\n", quoted(key), value.value));
    }
    file
}

/// A value as shown to a person.
fn read(row: &Row, settings: &mut Settings) -> (Option<String>, Source) {
    let (value, from) = match (row.slot)(settings) {
        Slot::Text(place) => (Some(place.value.clone()), &place.from),
        Slot::Maybe(place) => (place.value.clone(), &place.from),
        Slot::Path(place) => (place.value.as_ref().map(|path| path.display().to_string()), &place.from),
        Slot::Flag(place) => (Some(place.value.to_string()), &place.from),
        Slot::List(place) => (Some(place.value.join(", ")).filter(|text| !text.is_empty()), &place.from),
        Slot::Scope(place) => (Some(place.value.to_string()), &place.from),
        Slot::Port(place) => (place.value.map(|port| port.to_string()), &place.from),
        Slot::Word(place, _) => (Some(place.value.clone()), &place.from),
    };
    (value.map(|value| text::clean(&text::redact(&value))), from.clone())
}

/// A value as TOML.
fn literal(slot: Slot<'_>) -> Option<String> {
    match slot {
        Slot::Text(place) => Some(quoted(&place.value)),
        Slot::Maybe(place) => place.value.as_deref().map(quoted),
        Slot::Path(place) => place.value.as_ref().map(|path| quoted(&path.display().to_string())),
        Slot::Flag(place) => Some(place.value.to_string()),
        Slot::List(place) if place.value.is_empty() => None,
        Slot::List(place) => {
            let items: Vec<_> = place.value.iter().map(|item| quoted(item)).collect();
            Some(format!("[{}]", items.join(", ")))
        }
        Slot::Scope(place) => Some(quoted(&place.value.to_string())),
        Slot::Port(place) => place.value.map(|port| port.to_string()),
        Slot::Word(place, _) => Some(quoted(&place.value)),
    }
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}
