//! STS: who calls.

use super::Failure;
use super::query::{Asked, Said};
use super::xml::text;
use crate::lab::world::ACCOUNT;

pub(super) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(super) fn answer(asked: &Asked) -> Said {
    match asked.action() {
        "GetCallerIdentity" => Ok([
            text("Arn", format!("arn:aws:iam::{ACCOUNT}:user/oncall")),
            text("UserId", "AIDACKCEVSQ6C2EXAMPLE"),
            text("Account", ACCOUNT),
        ]
        .concat()),
        _ => Err(Failure::action(asked.action())),
    }
}
