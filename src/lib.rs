//! covet-tui: eyes see, rules judge, playbooks advise, a person decides, hands act,
//! the journal remembers, the screen shows.
pub mod lab;
