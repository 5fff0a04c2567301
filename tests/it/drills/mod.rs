//! Every drill, played to its end by the advisor's own suggestions, in the lab's own time; and what would make it
//! worse, which the advisor must not suggest and a guard must warn of.

mod clock;
mod player;
mod table;
mod warnings;

use std::sync::Arc;

use covet_tui::journal::Journal;
use covet_tui::lab::{Drill, drills};
use player::Player;
use tokio::sync::Semaphore;

/// A drill must be understood within so many seconds of its beginning, before anything is changed: a leak shows only
/// in a line of twenty minutes.
fn patience(drill: &Drill) -> u64 {
    let minutes = if drill.playbook == "mem-leak" { 30 } else { 15 };
    minutes * 60
}

/// Another for each drill, the same in every run; `$COVET_SEED` moves them all.
fn seed(drill: &Drill) -> u64 {
    let moved: Option<u64> = std::env::var("COVET_SEED").ok().and_then(|seed| seed.parse().ok());
    drill.name.bytes().fold(moved.unwrap_or(7), |seed, byte| seed * 31 % 10_007 + u64::from(byte))
}

/// Plays one; the story, and what is wrong with it.
async fn played(drill: &'static Drill) -> (String, Vec<String>) {
    let mut player = Player::at(drill, seed(drill)).await;
    let mut wrong = Vec::new();
    if !player.play().await {
        wrong.push("it was not resolved".to_owned());
    }
    wrong.extend(diagnosis(&player));
    wrong.extend(player.unwarned(true).await);
    wrong.append(&mut player.wrong);
    wrong.extend(player.hidden.iter().map(|alert| format!("critical {alert} was kept quiet")));
    wrong.extend(
        warnings::harmful(drill, &player.suggested, &player.table.app().snapshot)
            .into_iter()
            .map(|says| format!("was suggested what makes it worse: {says}")),
    );
    wrong.extend(score(&player));
    wrong.extend(journal(&player));
    let story = std::mem::take(&mut player.story);
    player.table.lab.stop().await;
    (story, wrong)
}

/// The worst incident named the drill's root and its cause when the first change was suggested.
fn diagnosis(player: &Player<'_>) -> Vec<String> {
    let root = &player.drill.root;
    let Some(named) = &player.named else { return vec!["no change was ever suggested".to_owned()] };
    let (subject, object) = (named.object.to_lowercase(), root.object.to_lowercase());
    let same = object.strip_suffix('*').map_or(subject == object, |start| subject.starts_with(start));
    let mut wrong = Vec::new();
    if named.rule != root.rule || !same {
        wrong.push(format!("named {} of {}, not {} of {}", named.rule, named.object, root.rule, root.object));
    }
    if !root.is.iter().any(|name| named.causes.first().is_some_and(|first| first == name)) {
        wrong.push(format!("named {:?} first, not {:?}", named.causes, root.is));
    }
    wrong
}

/// The cockpit's own score agrees.
fn score(player: &Player<'_>) -> Vec<String> {
    let score = player.score();
    let after = |at: Option<covet_tui::domain::Timestamp>| {
        at.map(|at| covet_tui::domain::between(score.truth.strikes, at).as_secs())
    };
    let mut wrong: Vec<String> = score.wrong.iter().map(|says| format!("scored as wrong: {says}")).collect();
    let (detected, named, resolved) = (after(score.detected), after(score.named), after(score.resolved));
    if !(detected <= named && named <= resolved) || named.is_none_or(|named| named > patience(player.drill)) {
        wrong.push(format!(
            "detected after {detected:?} s, named after {named:?} s, resolved after {resolved:?} s"
        ));
    }
    match (score.changes, player.drill.waits) {
        (0, false) => wrong.push("scored as if nothing had been done".to_owned()),
        (0, true) if player.tells_when.is_none() => wrong.push("it never said until when to wait".to_owned()),
        (1.., true) => wrong.push("something was done, and it would have passed by itself".to_owned()),
        _ => {}
    }
    wrong
}

/// Everything done is on disk, ended, and chained.
fn journal(player: &Player<'_>) -> Vec<String> {
    let records = Journal::read(player.table.journal.path()).unwrap();
    let torn = records.iter().filter(|record| !record.intact || record.closing.is_none());
    let mut wrong: Vec<String> =
        torn.map(|record| format!("the journal's entry {} is not whole", record.id)).collect();
    if records.is_empty() != player.drill.waits {
        wrong.push(format!("the journal has {} entries", records.len()));
    }
    wrong
}

/// A drill's own deadlines are real: it is not played beside too many others.
const AT_ONCE: usize = 2;

/// Plays the drills of a part. `$COVET_DRILL` chooses by name.
async fn play(part: usize) {
    let wanted = std::env::var("COVET_DRILL").ok();
    let chosen = drills().iter().filter(|drill| match &wanted {
        Some(wanted) => drill.name.contains(wanted),
        None => true,
    });
    let chosen = chosen.skip(part).step_by(PARTS);
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let games: Vec<_> = chosen
        .map(|drill| {
            let room = room.clone();
            let game = async move {
                let _seat = room.acquire_owned().await.unwrap();
                played(drill).await
            };
            (drill, tokio::spawn(game))
        })
        .collect();
    let mut failed = Vec::new();
    for (drill, game) in games {
        let (story, wrong) = game.await.unwrap();
        println!("{story}");
        if !wrong.is_empty() {
            failed.push(format!("{}: {}\n{story}", drill.name, wrong.join("; ")));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// In parts, so that they can be played side by side.
const PARTS: usize = 8;

macro_rules! parts {
    ($($name:ident: $part:literal),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $name() {
            play($part).await;
        }
    )*};
}

parts! {
    a_first_part_ends_resolved_by_the_advisors_own_suggestions: 0,
    a_second_part_ends_resolved_by_the_advisors_own_suggestions: 1,
    a_third_part_ends_resolved_by_the_advisors_own_suggestions: 2,
    a_fourth_part_ends_resolved_by_the_advisors_own_suggestions: 3,
    a_fifth_part_ends_resolved_by_the_advisors_own_suggestions: 4,
    a_sixth_part_ends_resolved_by_the_advisors_own_suggestions: 5,
    a_seventh_part_ends_resolved_by_the_advisors_own_suggestions: 6,
    the_last_part_ends_resolved_by_the_advisors_own_suggestions: 7,
}
