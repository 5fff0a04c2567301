//! Questions to the network against real servers: nginx with certificates of every kind, named and dnsmasq that
//! disagree, a registry with passwords; all on loopback, started and ended here.

mod bench;
mod dns;
mod drills;
mod lab;
mod registry;
mod served;
mod tls;
mod walks;
