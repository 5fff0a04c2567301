//! The one integration binary.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::allow_attributes,
    clippy::disallowed_methods
)]

mod acting;
mod alerting;
mod aws;
mod cockpit;
mod drills;
mod eyes;
mod house;
mod judgement;
mod lab_attack;
mod lab_jobs;
mod lab_kube_rs;
mod lab_kubectl;
mod lab_promql;
mod lab_shapes;
mod lab_start;
mod lab_store;
mod lab_wire;
mod lab_wire_http;
mod lab_world;
mod machine;
mod network;
mod playbooks;
mod postgres;
mod pty;
mod read_only;
mod redis;
mod scenarios;
mod screen;
