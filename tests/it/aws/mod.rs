//! Every action on AWS, against moto, with botocore as the independent client that sets the stage and checks it.

mod bench;
mod database;
mod dns;
mod firewall;
mod golden;
mod lab;
mod logs;
mod machines;
mod network;
mod query;
mod reaching;
mod secrets;
mod watching;
