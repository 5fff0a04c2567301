//! Playbooks: what they hold, what their linter says, and what they advise.

mod catalogue;
