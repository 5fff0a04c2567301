//! What is wrong is said with its place and with what is allowed instead; nothing makes the linter fall over.

use covet_tui::playbooks::{Library, lint};
use proptest::prelude::*;

const OWN: &str = include_str!("../../../playbooks.toml");

/// A playbook without mistakes; line 1 is `[[playbook]]`.
const GOOD: &str = r#"[[playbook]]
id = "queue"
title = "The queue is too long"
category = "Team"
trigger = { rule = "crash-loop" }
resolved = { says = "all pods ready", when = ["pods-ready"], for = "5m" }
follow_up = [{ id = "size", says = "Its size fits", check = "resources-set" }]

[[playbook.step]]
id = "look"
phase = "investigate"
title = "Look at {pod}"
why = "First look."
do = { action = "describe", kind = "Pod", name = "{pod}" }
finds = [{ pattern = "OOMKilled", cause = "oom-killed" }]

[[playbook.step]]
id = "more"
phase = "mitigate"
title = "Scale to {number}"
why = "More hands."
do = { action = "scale", name = "{deployment}", replicas = "{number}" }
inputs = { number = { label = "Replicas", default = "{replicas_recorded}" } }
for_causes = ["at-capacity"]
guards = ["hpa-owns-replicas"]
after = ["look"]
undo = "scale back"
verify = ["look"]
settle = "30s"
"#;

/// The complaints about GOOD with `from` replaced by `to`: line, column, message, help.
fn complaints(from: &str, to: &str) -> Vec<(usize, usize, String, String)> {
    assert!(GOOD.contains(from), "the test's own text has {from}");
    lint("team.toml", &GOOD.replacen(from, to, 1))
        .into_iter()
        .map(|lint| {
            assert_eq!(lint.file, "team.toml");
            (lint.line, lint.column, lint.message, lint.help.unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_good_file_has_no_complaints() {
    assert_eq!(complaints("queue", "line"), []);
}

#[test]
fn every_mistake_is_named_with_its_line_and_column() {
    // what is replaced, by what, line, column, what the message has, what the help has
    let cases = [
        (
            "category =",
            "categorie =",
            4,
            1,
            "unknown key in this playbook `categorie`",
            "did you mean `category`?",
        ),
        ("\"crash-loop\"", "\"crashloop\"", 5, 20, "unknown rule `crashloop`", "did you mean `crash-loop`?"),
        ("\"pods-ready\"", "\"pods-raedy\"", 6, 47, "unknown condition `pods-raedy`", "`pods-ready`"),
        ("for = \"5m\"", "for = \"soon\"", 6, 68, "`for` in this resolved has to be a time", ""),
        ("\"resources-set\"", "\"resource-set\"", 7, 61, "unknown check `resource-set`", "resources-set"),
        ("id = \"look\"", "id = \"Look at\"", 10, 6, "`Look at` is not an id", "lower case"),
        ("\"investigate\"", "\"inspect\"", 11, 9, "unknown phase `inspect`", "investigate"),
        ("Look at {pod}", "Look at {pdo}", 12, 18, "unknown placeholder `pdo`", "did you mean `pod`?"),
        ("Look at {pod}", "Look at {pod", 12, 18, "broken placeholder", "{{"),
        ("why = \"First look.\"\n", "", 9, 1, "this step has no `why`", "one line"),
        ("\"describe\"", "\"describes\"", 14, 17, "unknown action `describes`", "did you mean `describe`?"),
        ("kind = \"Pod\"", "kind = \"Prod\"", 14, 36, "`kind` cannot be `Prod`", "a kind of object"),
        ("kind = \"Pod\", ", "", 14, 6, "this do has no `kind`", "`describe` needs it"),
        (
            "name = \"{pod}\"",
            "nam = \"{pod}\"",
            14,
            43,
            "unknown key in this do `nam`",
            "did you mean `name`?",
        ),
        ("\"OOMKilled\"", "\"OOM(\"", 15, 22, "not a regular expression", ""),
        (
            "\"oom-killed\"",
            "\"oomkilled\"",
            15,
            43,
            "unknown cause `oomkilled`",
            "did you mean `oom-killed`?",
        ),
        ("id = \"more\"", "id = \"look\"", 18, 6, "there are two of this step: `look`", "its own id"),
        (
            "{replicas_recorded}",
            "{replicas}",
            23,
            54,
            "unknown placeholder `replicas`",
            "did you mean `replica_set`?",
        ),
        ("replicas = \"{number}\"", "replicas = -1", 22, 60, "`replicas` cannot be `-1`", "a whole number"),
        (
            "\"at-capacity\"",
            "\"at-capacty\"",
            24,
            15,
            "unknown cause `at-capacty`",
            "did you mean `at-capacity`?",
        ),
        ("\"hpa-owns-replicas\"", "\"hpa\"", 25, 11, "unknown guard `hpa`", "hpa-owns-replicas"),
        (
            "after = [\"look\"]",
            "after = [\"loop\"]",
            26,
            10,
            "unknown step in `after` `loop`",
            "did you mean `look`?",
        ),
        ("after = [\"look\"]", "after = [\"more\"]", 17, 1, "step `more` can never be reached", ""),
        ("undo = \"scale back\"\n", "", 17, 1, "this step has no `undo`", "\"none\""),
        ("verify = [\"look\"]\n", "", 17, 1, "this step has no `verify`", "read steps"),
        ("settle = \"30s\"", "settle = 30", 29, 10, "`settle` in this step has to be a string", ""),
        ("settle = \"30s\"", "auto = true", 29, 8, "only reads run by themselves", "leave out"),
        (
            "guards =",
            "not_for_causes = [\"at-capacity\"]\nguards =",
            17,
            1,
            "can never be reached: every cause",
            "",
        ),
        ("title = \"Look", "title = \"Lo\u{1b}[31mok", 12, 12, "not TOML", ""),
    ];
    let mut missed = Vec::new();
    for (from, to, line, column, message, help) in cases {
        let found = complaints(from, to);
        let hit = found
            .iter()
            .any(|(l, c, m, h)| (*l, *c) == (line, column) && m.contains(message) && h.contains(help));
        if !hit {
            missed.push(format!(
                "{from} → {to}: wanted {line}:{column} {message:?} help {help:?}, got {found:?}"
            ));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn triggers_of_teams_are_read_and_their_mistakes_named() {
    let fine = [
        r#"{ alert = { alertname = "QueueLong", severity = "critical" } }"#,
        r#"{ promql = { expr = "sum(queue)", above = 10.5, for = "5m" } }"#,
        r#"{ promql = { expr = "up", below = 1 } }"#,
        r#"{ sql = { query = "SELECT count(*) FROM jobs", above = 100, for = "2m" } }"#,
        r#"{ object = { kind = "Job", field = "/status/failed", matches = "[1-9]", for = "1m" } }"#,
        r#"{ object = { kind = "PersistentVolumeClaim", field = "/status/phase", equals = "Lost" } }"#,
    ];
    for trigger in fine {
        assert_eq!(complaints(r#"{ rule = "crash-loop" }"#, trigger), [], "{trigger}");
    }
    let wrong = [
        ("{ alert = {} }", "an alert without labels"),
        (r#"{ promql = { expr = "up" } }"#, "`above` or `below`"),
        (r#"{ promql = { expr = "up", above = nan } }"#, "has to be a number"),
        (r#"{ sql = { query = "SELECT 1" } }"#, "has no `above`"),
        (r#"{ object = { kind = "Jobb", field = "/a", equals = "b" } }"#, "unknown kind `Jobb`"),
        (r#"{ object = { kind = "Job", field = "status", equals = "b" } }"#, "JSON pointer"),
        (r#"{ object = { kind = "Job", field = "/a" } }"#, "`equals` or `matches`"),
        (r#"{ rule = "crash-loop", alert = { a = "b" } }"#, "exactly one thing"),
        (r#"{ cron = "* * * * *" }"#, "unknown key in this trigger `cron`"),
    ];
    for (trigger, message) in wrong {
        let found = complaints(r#"{ rule = "crash-loop" }"#, trigger);
        assert!(
            found.iter().any(|(line, _, m, _)| *line == 5 && m.contains(message)),
            "{trigger}: {found:#?}"
        );
    }
}

#[test]
fn what_is_not_toml_or_not_playbooks_is_said_once() {
    for (text, line, message) in [
        ("", 1, "no playbook in this file"),
        ("[[playbook]\n", 1, "not TOML"),
        ("a = 1\nb = [\n", 2, "not TOML"),
        ("playbook = 7\n", 1, "has to be a list of tables"),
    ] {
        let lints = lint("x.toml", text);
        assert!(
            lints.iter().any(|lint| lint.line == line && lint.message.contains(message)),
            "{text:?}: {lints:#?}"
        );
    }
    let shown = lint("x.toml", "[[playbook]]\nid = \"a\"\nfoo = 1\n").first().expect("a lint").to_string();
    assert!(shown.starts_with("x.toml:1:1: "), "{shown}");
}

#[test]
fn mistakes_come_in_the_order_of_the_file() {
    let text = GOOD.replace("category", "categorie").replace("OOMKilled", "(").replace("at-capacity", "cap");
    let lines: Vec<usize> = lint("x.toml", &text).iter().map(|lint| lint.line).collect();
    assert!(lines.len() >= 3 && lines.is_sorted(), "{lines:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_makes_it_fall_over(text in any::<String>()) {
        let _ = lint("x.toml", &text);
    }

    #[test]
    fn a_damaged_file_never_makes_it_fall_over_and_never_loads_half(
        which in 0_usize..9,
        at in any::<prop::sample::Index>(),
        length in 0_usize..40,
        with in "[\\PC\n]{0,8}",
    ) {
        let heads: Vec<usize> = OWN.match_indices("[[playbook]]").map(|(at, _)| at).chain([OWN.len()]).collect();
        let own = &OWN[heads[which]..heads[which + 1]];
        let start = own.floor_char_boundary(at.index(own.len()));
        let end = own.floor_char_boundary((start + length).min(own.len()));
        let damaged = format!("{}{with}{}", &own[..start], &own[end..]);
        match Library::with_team_file("x.toml", &damaged) {
            Ok(_) => prop_assert!(lint("x.toml", &damaged).is_empty()),
            Err(lints) => {
                prop_assert!(!lints.is_empty());
                let lines = damaged.lines().count() + 1;
                prop_assert!(lints.iter().all(|lint| (1..=lines).contains(&lint.line) && lint.column >= 1));
            }
        }
    }
}

#[test]
fn a_hold_names_one_read_or_several() {
    let with = |step: &str| {
        let hold = format!(
            "[[playbook.hold]]\nfor_causes = [\"quota\"]\nstep = {step}\nwhy = \"wait\"\n\n[[playbook.step]]\nid = \"look\""
        );
        let found = complaints("[[playbook.step]]\nid = \"look\"", &hold);
        found.into_iter().map(|(line, _, says, _)| (line, says)).collect::<Vec<_>>()
    };
    assert_eq!(with("\"look\""), []);
    assert_eq!(with("[\"look\", \"look\"]"), []);
    let [(11, says)] = &with("[\"look\", \"lok\"]")[..] else { panic!("{:?}", with("[\"look\", \"lok\"]")) };
    assert!(says.contains("unknown read step `lok`"), "{says}");
    // A change is no read.
    assert_eq!(with("[\"more\"]").len(), 1);
    assert_eq!(with("[1]").len(), 1);
    assert_eq!(with("[]").len(), 1);
}
