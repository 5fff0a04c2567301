//! What a database, its load and its replicas say against a step.

use std::collections::BTreeMap;

use super::{Case, Standing};
use crate::domain::{Action, Sql, cause, text};
use crate::playbooks::view::View;

/// Above this share of the usable connections more replicas do harm (audit, section 4).
const DATABASE_FULL: f64 = 0.7;
/// From this load on, and on a larger table than this, an index is built later (audit, section 4).
const CPU_FULL: f64 = 95.0;
const LARGE_TABLE: f64 = 10.0 * 1024.0 * 1024.0 * 1024.0;
/// Reads go to a replica that is less than this far behind (audit, section 4).
const LAG: f64 = 1.0;

/// No slot is left, whether or not somebody was turned away in our sight.
pub(super) fn is_shut(view: &View<'_>) -> bool {
    let snapshot = view.snapshot();
    snapshot.exhausted.is_some()
        || snapshot.capacity.is_some_and(|capacity| capacity.used >= capacity.usable())
}

fn number(values: &BTreeMap<String, String>, name: &str) -> Option<f64> {
    values.get(name)?.parse().ok()
}

pub(super) fn index(values: &BTreeMap<String, String>) -> Standing {
    let busy = number(values, "cpu_load").is_some_and(|load| load > CPU_FULL);
    match number(values, "index_table_bytes") {
        Some(bytes) if busy && bytes > LARGE_TABLE => Standing::NotAdvised(format!(
            "the table has {} and every CPU is busy: cancel or scale first, build it when there is room",
            text::bytes(bytes as u64)
        )),
        _ => Standing::Fine,
    }
}

pub(super) fn root(values: &BTreeMap<String, String>) -> Standing {
    let known = |name: &str| values.get(name).filter(|value| !value.is_empty());
    match (known("lock_root_superuser"), known("lock_root")) {
        (Some(role), Some(pid)) => Standing::Blocked(format!("only a superuser may end pid {pid} of {role}")),
        _ => Standing::Fine,
    }
}

pub(super) fn owned(case: &Case<'_>) -> Standing {
    let Some(Action::Postgres(sql)) = case.action else { return Standing::Fine };
    let owner = match sql {
        Sql::CreateIndex { .. } => case.values.get("index_owner"),
        Sql::DropIndex { .. } => case.values.get("invalid_index_owner"),
        _ => None,
    };
    match owner.filter(|owner| !owner.is_empty()) {
        Some(owner) => Standing::Blocked(format!(
            "only {owner}, who owns the table, may: run it as {owner}, or GRANT {owner} to our role"
        )),
        None => Standing::Fine,
    }
}

pub(super) fn explained(case: &Case<'_>) -> Standing {
    let reader = case.playbook.steps.iter().find(|step| step.todo.verb.name == "explain-query");
    let known = case.view.has(cause::HOT_QUERY) && case.values.contains_key("top_query");
    match reader.filter(|reader| known && case.view.done(&reader.id).is_none()) {
        Some(reader) => Standing::First {
            step: reader.id.clone(),
            why: "one statement takes most of the time: an index may be all that it needs".into(),
        },
        None => Standing::Fine,
    }
}

pub(super) fn replica(values: &BTreeMap<String, String>) -> Standing {
    match number(values, "replica_lag_seconds") {
        Some(lag) if lag >= LAG => Standing::NotAdvised(format!("the replicas are {lag:.1} s behind")),
        Some(_) => Standing::Fine,
        None => Standing::NotAdvised("how far the replicas are behind is not known".into()),
    }
}

pub(super) fn database(view: &View<'_>) -> Standing {
    database_is_full(view).map_or(Standing::Fine, Standing::NotAdvised)
}

/// Why more replicas would find no connection, if so.
pub(in crate::playbooks) fn database_is_full(view: &View<'_>) -> Option<String> {
    if view.snapshot().exhausted.is_some() || view.has(cause::DATABASE_EXHAUSTED) {
        return Some("the database has no connection slot left: more replicas make it worse".into());
    }
    let capacity = view.snapshot().capacity.filter(|capacity| capacity.fill() > DATABASE_FULL)?;
    let (used, usable) = (capacity.used, capacity.usable());
    Some(format!("the database uses {used} of {usable} connections: more replicas would take the rest"))
}
