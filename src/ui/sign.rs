//! One sign for each state, so that nothing is told by colour alone. All are one cell wide.

use crate::app::Health;
use crate::domain::{ChangeKind, Severity};

pub const OK: &str = "✓";
pub const BAD: &str = "✗";
pub const WARN: &str = "▲";
pub const SUSPECT: &str = "◇";
pub const BLIND: &str = "○";
pub const STALE: &str = "◐";
pub const LIVE: &str = "●";
pub const NEXT: &str = "▶";
pub const OPEN: &str = "·";
pub const AGAINST: &str = "–";
pub const BLOCKED: &str = "⊘";
pub const UNDONE: &str = "↩";

/// Turns while something is awaited.
pub fn spinner(millis: i64) -> &'static str {
    const TURNS: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    TURNS[(millis / 120).rem_euclid(TURNS.len() as i64) as usize]
}

pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => BAD,
        Severity::Warning => WARN,
        Severity::Suspect => SUSPECT,
    }
}

pub fn health(health: Health) -> &'static str {
    match health {
        Health::Failing => "✗",
        Health::Unknown => "?",
        Health::Unready => "◐",
        Health::Pending => "▲",
        Health::Starting => "○",
        Health::Terminating => "▫",
        Health::Ready => "■",
        Health::Finished => "·",
    }
}

/// A letter on the timeline.
pub fn change(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Rollout => "R",
        ChangeKind::Config => "C",
        ChangeKind::Scaling => "S",
        ChangeKind::Node => "N",
        ChangeKind::Ours => "★",
    }
}

pub fn change_word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Rollout => "rollout",
        ChangeKind::Config => "config",
        ChangeKind::Scaling => "scaling",
        ChangeKind::Node => "node",
        ChangeKind::Ours => "this cockpit",
    }
}
