//! The walls: which room may import which. Read from the sources, so that the table cannot drift.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Room → rooms it may import, beside itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("config", &["domain"]),
    ("rules", &["domain"]),
    ("playbooks", &["domain"]),
    ("guard", &["domain"]),
    ("incident", &["domain", "rules"]),
    ("journal", &["domain", "guard"]),
    ("eyes", &["domain", "config"]),
    ("probes", &["domain", "config"]),
    ("hands", &["domain", "config", "guard", "journal", "probes"]),
    ("app", &["domain", "rules", "incident", "playbooks", "guard", "journal"]),
    ("ui", &["domain", "app", "rules", "playbooks", "incident", "guard", "journal"]),
    ("lab", &[]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every `crate::room` mentioned in code (comments aside).
fn rooms_mentioned(source: &str) -> Vec<(usize, String)> {
    let pattern = regex::Regex::new(r"crate::\{?\s*([a-z_]+)").expect("a pattern");
    source
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(number, line)| {
            pattern
                .captures_iter(line)
                .map(move |found| (number + 1, found[1].to_owned()))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn no_room_imports_what_it_may_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rules: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut seen = 0;
    let mut broken = Vec::new();
    for (room, allowed) in &rules {
        for path in sources(&root.join(room)) {
            let source = fs::read_to_string(&path).expect("a source file");
            for (line, other) in rooms_mentioned(&source) {
                seen += 1;
                if other != *room && !allowed.contains(&other.as_str()) {
                    broken.push(format!("{}:{line} imports {other}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "walls broken:\n{}", broken.join("\n"));
    assert!(seen > 20 || sources(&root).len() < 60, "the scan saw no imports at all: it is broken itself");
}

#[test]
fn every_room_has_its_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).expect("src") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        assert!(
            !path.is_dir() || MAY_IMPORT.iter().any(|(room, _)| *room == name),
            "src/{name} is a room without a row in the import table"
        );
    }
}

#[test]
fn only_main_arms_the_guard_and_reads_the_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&root) {
        if path.ends_with("main.rs") {
            continue;
        }
        let room = path.strip_prefix(&root).expect("below src").to_string_lossy().into_owned();
        let source = fs::read_to_string(&path).expect("a source file");
        let code: String =
            source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        assert!(!code.contains("Armed::arm("), "{room} arms the guard");
        let pure = ["domain", "rules", "incident", "playbooks", "guard", "app", "ui"];
        if !room.starts_with("lab") {
            assert!(!code.contains("Timestamp::now"), "{room} reads the clock");
            assert!(!code.contains("SystemTime::now"), "{room} reads the clock");
        }
        if pure.iter().any(|pure| room.starts_with(pure)) {
            assert!(!code.contains("Instant::now"), "{room} reads the clock");
        }
    }
}
