//! TOML in, playbooks out; an anomaly in, a plan out: the next step and why.
//! Knows the Snapshot and what has been done so far; must not know how anything is carried out.

mod advice;
mod bind;
mod checklist;
mod decide;
mod finds;
mod guards;
mod holds;
mod library;
mod listing;
mod outdated;
mod parse;
mod parse_step;
mod parse_todo;
mod placeholders;
mod plan;
mod playbook;
mod pods;
mod reader;
mod resolved;
mod reverted;
mod sessions;
mod shortfall;
mod template;
mod values;
mod verb;
mod verdict;
mod view;
mod words;

pub use advice::{
    ChecklistItem, Done, Facts, Input, Made, MissingInput, Plan, PlannedStep, Progress, Resolution, StepState,
};
pub use bind::bind;
pub use checklist::Check;
pub use finds::{Finder, find};
pub use guards::Guard;
pub use library::Library;
pub use listing::{card, listing};
pub use outdated::Grounds;
pub use parse::{RULES, lint};
pub use placeholders::{BINDINGS, SETTINGS};
pub use plan::plan;
pub use playbook::{
    FollowUp, Hold, InputSpec, Lint, Pattern, Playbook, Resolved, Step, StepPhase, Threshold, Trigger,
};
pub use pods::PodSet;
pub use resolved::Condition;
pub use verb::{Arg, Todo, Verb};
