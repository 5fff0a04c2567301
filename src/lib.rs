//! **covet-tui**: eyes see, rules judge, playbooks advise, a person decides, hands act, the journal
//! remembers, the screen shows.
//!
//! ```text
//! eyes ─ Observation ─▶ Snapshot ─ rules ─▶ Finding ─ incident ─▶ Incident ─ playbooks ─▶ Plan
//!                                                                                          │ a person presses a key
//!         (eyes see the effect) ◀─ Outcome ◀─ hands ◀─ Entry ◀─ journal ◀─ Warrant ◀─ guard ┘
//! ```
//!
//! Each value is made from the one before, and nothing flows back except through the eyes.
//! The rooms, in reading order:

pub mod domain;

pub mod eyes;

pub mod rules;

pub mod incident;

pub mod playbooks;

pub mod guard;

pub mod journal;

pub mod hands;

pub mod probes;

pub mod app;

pub mod ui;

pub mod config;

pub mod lab;

pub mod terminal;

pub mod cli;

pub mod run;

pub mod desk;

pub mod editor;

pub mod session;

pub mod practice;

pub mod check;

pub mod report;

pub mod commands;
