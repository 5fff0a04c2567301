//! Settings and the way to the outside: what a person chose, what the environment says, where each value came
//! from, and the clients built from it. It knows nothing of rules, playbooks or the screen.

pub mod access;
pub mod aws;
pub mod connect;
mod database_answer;
pub mod database_queries;
mod database_session;
mod database_url;
mod database_users;
mod database_way;
pub mod discovery;
mod door;
mod load;
pub mod net;
mod outside;
pub mod plugin;
mod proxy;
pub mod redis;
mod rows;
mod settings;
mod show;
pub mod ssh;
pub mod tls;

pub use connect::{ConnectError, Connected, client, connect};
pub use database_answer::{DatabaseRefusal, DatabaseRow};
pub use database_session::{DatabaseKeeper, DatabaseSession, DatabaseTarget};
pub use database_url::{Encryption, database};
pub use database_users::{DatabaseUsers, identifier};
pub use database_way::DatabaseWay;
pub use door::{Door, http_client};
pub use load::{ConfigError, load, load_text, usual_file};
pub use outside::Outside;
pub use proxy::is_local;
pub use settings::{
    AwsSettings, Flags, Prometheus, Scope, ScriptSetting, Settings, Source, Sourced, SshSettings,
};
pub use show::{commented_file, table};
pub use ssh::Ssh;
