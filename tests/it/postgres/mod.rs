//! PostgreSQL, all of it: reads, hands and eyes against a real server that each test starts for itself.

mod drills;
mod indexes;
mod lab;
mod leaks;
mod locks;
mod reads;
mod rights;
pub mod server;
mod settings_and_users;
mod tunnel;
mod ways;
