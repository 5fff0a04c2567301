//! How this machine asks the network, for eyes and probes alike: DNS by server, TLS handshakes that remember what
//! a client would have thought, HTTP at an address of our choosing. It knows no rules and shows nothing.

pub mod dns;
pub mod handshake;
pub mod http;
pub mod walk;

pub use dns::Dns;
pub use handshake::Roots;
