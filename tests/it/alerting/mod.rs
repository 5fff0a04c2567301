//! Hands and probes on a real Prometheus and a real Alertmanager, whose configurations are kept in the lab's
//! cluster as the charts and the operator keep them; amtool, promtool and kubectl judge what was done.

pub mod bench;
mod real_alertmanager;
mod real_prometheus;
mod team;
