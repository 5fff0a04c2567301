//! Every drill, played to its end by the advisor's own suggestions, in the lab's own time.

mod clock;
mod player;
mod table;

use covet_tui::journal::Journal;
use covet_tui::lab::{Drill, drills};
use player::Player;

/// A drill that is named by $COVET_DRILL, or all of them.
fn chosen() -> Vec<&'static Drill> {
    let wanted = std::env::var("COVET_DRILL").unwrap_or_default();
    drills().iter().filter(|drill| drill.name.contains(&wanted)).collect()
}

/// Another for each drill, the same in every run.
fn seed(drill: &Drill) -> u64 {
    drill.name.bytes().fold(7, |seed, byte| seed * 31 % 10_007 + u64::from(byte))
}

/// Plays one; the story, and what is wrong with it.
async fn played(drill: &'static Drill) -> (String, Vec<String>) {
    let mut player = Player::at(drill, seed(drill)).await;
    let mut wrong = Vec::new();
    if !player.play().await {
        wrong.push("it was not resolved".to_owned());
    }
    match &player.named {
        None => wrong.push("no change was ever suggested".to_owned()),
        Some(named) => {
            let root = &drill.root;
            let subject = named.object.to_lowercase();
            let object = root.object.to_lowercase();
            let same = object.strip_suffix('*').map_or(subject == object, |start| subject.starts_with(start));
            if named.rule != root.rule || !same {
                wrong.push(format!(
                    "named {} of {}, not {} of {}",
                    named.rule, named.object, root.rule, root.object
                ));
            }
            if !root.is.iter().any(|name| named.causes.first().is_some_and(|first| first == name)) {
                wrong.push(format!("named {:?} first, not {:?}", named.causes, root.is));
            }
        }
    }
    let records = Journal::read(player.table.journal.path()).unwrap();
    for record in records.iter().filter(|record| !record.intact || record.closing.is_none()) {
        wrong.push(format!("the journal's entry {} is not whole", record.id));
    }
    if records.is_empty() {
        wrong.push("nothing was done".to_owned());
    }
    let story = std::mem::take(&mut player.story);
    player.table.lab.stop().await;
    (story, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_drill_ends_resolved_by_the_advisors_own_suggestions() {
    let games: Vec<_> = chosen().into_iter().map(|drill| (drill, tokio::spawn(played(drill)))).collect();
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
