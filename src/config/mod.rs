//! Settings and the way to the outside: what a person chose, what the environment says, where each value came
//! from, and the clients built from it. It knows nothing of rules, playbooks or the screen.

pub mod connect;
mod database_url;
pub mod discovery;
mod door;
mod load;
pub mod net;
mod outside;
mod rows;
mod settings;
mod show;
pub mod tls;

pub use connect::{ConnectError, client};
pub use database_url::{Encryption, database};
pub use door::{Door, http_client};
pub use load::{ConfigError, load, load_text, usual_file};
pub use outside::Outside;
pub use settings::{Flags, Prometheus, Scope, Settings, Source, Sourced};
pub use show::{commented_file, table};
