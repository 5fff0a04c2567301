//! What the guard lets through, and what it does not.

use std::time::Duration;

use covet_tui::domain::{Action, Key, Kind, ObjectRef};
use covet_tui::guard::{Armed, Confirmation, Draft, Guard, Hazard, PREVIEW_LIFE, Preview, WARRANT_LIFE};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::bench::who;

pub fn moment() -> Timestamp {
    "2026-03-04T03:12:00Z".parse().unwrap()
}

pub fn scale() -> Action {
    Action::Scale { object: ObjectRef::new(Kind::Deployment, Key::new("shop", "web")), replicas: 2 }
}

pub fn preview(armed: &Armed, action: Action, hazards: Vec<Hazard>) -> Preview {
    armed.seal(Draft {
        at: moment(),
        title: "a change".into(),
        targets: vec!["deployment/web".into()],
        diff: Vec::new(),
        confirmation: Confirmation::of(&action, &hazards),
        hazards,
        pins: Vec::new(),
        before: Value::Null,
        undo: None,
        command: action.as_command(),
        action,
    })
}

fn cordon() -> Action {
    Action::Cordon { node: "n1".into() }
}

#[test]
fn a_harmless_change_takes_a_key_and_everything_else_the_name() {
    let armed = Armed::arm();
    let easy = preview(&armed, cordon(), Vec::new());
    assert_eq!(easy.confirmation, Confirmation::Key);
    assert!(armed.confirm(easy, "", who(), moment()).is_ok());

    let warned = preview(&armed, cordon(), vec![Hazard::warn(Guard::Protected, "prod")]);
    assert_eq!(warned.confirmation, Confirmation::Type("n1".into()));
    let noted = preview(&armed, cordon(), vec![Hazard::note(Guard::Keeper, "Helm")]);
    assert_eq!(noted.confirmation, Confirmation::Key);

    let disruptive = preview(&armed, scale(), Vec::new());
    for typed in ["", "y", "WEB", "we"] {
        let refusal = armed.confirm(disruptive.clone(), typed, who(), moment()).unwrap_err();
        assert!(refusal.says.contains("web"), "{refusal}");
    }
    assert!(armed.confirm(disruptive, " web ", who(), moment()).is_ok());
}

#[test]
fn what_must_stop_stops_whatever_is_typed() {
    let armed = Armed::arm();
    let stopped =
        preview(&armed, scale(), vec![Hazard::stop(Guard::Permission, "you may not patch deployments")]);
    let refusal = armed.confirm(stopped, "web", who(), moment()).unwrap_err();
    assert!(refusal.says.contains("may not"), "{refusal}");
    let read = preview(&armed, Action::ListNodes, Vec::new());
    assert!(armed.confirm(read, "", who(), moment()).is_err());
}

#[test]
fn previews_and_warrants_grow_old() {
    let armed = Armed::arm();
    let later = |life: Duration| moment() + SignedDuration::try_from(life).unwrap();
    let second = Duration::from_secs(1);
    let old = preview(&armed, cordon(), Vec::new());
    assert!(armed.confirm(old.clone(), "", who(), later(PREVIEW_LIFE + second)).is_err());
    let warrant = armed.confirm(old, "", who(), moment()).unwrap();
    assert!(!warrant.has_expired(later(WARRANT_LIFE)));
    assert!(warrant.has_expired(later(WARRANT_LIFE + second)));
}
