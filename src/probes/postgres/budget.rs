//! The budget of connections: replicas × workers × (pool + overflow) of every Deployment that takes its pool
//! from the ConfigMap, at the autoscaler's maximum too, against what the server has.

use serde_json::Value;

use crate::config::{DatabaseSession, database_queries as queries};
use crate::domain::{Key, Kind, Name, ObjectRef, Tone, cause, text};
use crate::probes::answer::Answer;
use crate::probes::cluster::Cluster;
use crate::probes::object::{items, string};
use crate::probes::trouble::{Trouble, TroubleKind};

/// Keys of the original's ConfigMap, with the defaults of SQLAlchemy's pool.
const SIZE: (&str, u64) = ("DB_POOL_SIZE", 5);
const OVERFLOW: (&str, u64) = ("DB_POOL_MAX_OVERFLOW", 10);
/// Processes per replica, by the names that servers read.
const WORKERS: [&str; 3] = ["WEB_CONCURRENCY", "WORKERS", "UVICORN_WORKERS"];
/// The share of the slots that pools may claim: the rest is for people, exporters and surges (audit: 70 %).
const SHARE: f64 = 0.7;
/// The share that replicas may claim at once while the pools are as they are.
const NOW: f64 = 0.95;

/// One Deployment's claim.
struct Claim {
    name: String,
    replicas: u64,
    /// The autoscaler's maximum, or the replicas there are.
    most: u64,
    workers: u64,
    pool: u64,
    overflow: u64,
}

impl Claim {
    fn each(&self) -> u64 {
        self.workers * (self.pool + self.overflow)
    }
}

pub(super) async fn budget(
    cluster: &Cluster,
    session: &DatabaseSession,
    namespace: &Name,
    config_map: Option<&Name>,
) -> Result<Answer, Trouble> {
    let usable = match session.ask(queries::CAPACITY).await {
        Ok(rows) => rows.first().map_or(0, |row| {
            let count = |column: &str| row.number::<u64>(column).unwrap_or_default();
            count("max_conn").saturating_sub(count("reserved"))
        }),
        Err(refusal) => return Ok(super::refused(&refusal)),
    };
    let claims = claims(cluster, namespace, config_map).await?;
    if claims.is_empty() {
        return Ok(Answer::failed(&format!(
            "no Deployment in {namespace} takes {} from a ConfigMap",
            SIZE.0
        )));
    }
    let mut answer = Answer::new();
    for claim in &claims {
        answer.line(
            Tone::Plain,
            format!(
                "{}: {} × {} × ({} + {}) = {} connections; at its most {} replicas: {}",
                claim.name,
                text::count(claim.replicas as usize, "replica"),
                text::count(claim.workers as usize, "worker"),
                claim.pool,
                claim.overflow,
                claim.replicas * claim.each(),
                claim.most,
                claim.most * claim.each()
            ),
        );
    }
    conclude(&claims, usable, &mut answer);
    Ok(answer)
}

fn conclude(claims: &[Claim], usable: u64, answer: &mut Answer) {
    let now: u64 = claims.iter().map(|claim| claim.replicas * claim.each()).sum();
    let most: u64 = claims.iter().map(|claim| claim.most * claim.each()).sum();
    let says = format!("pools may take {now} connections now and {most} at most, of {usable} usable");
    answer.bind("pool_budget", most.to_string());
    answer.bind("connections_usable", usable.to_string());
    // As many connections for each process as fit when everybody is scaled to the most.
    let processes: u64 = claims.iter().map(|claim| claim.most * claim.workers).sum();
    let each = (usable as f64 * SHARE / processes.max(1) as f64).floor().max(1.0) as u64;
    let overflow = each / 4;
    answer.bind("pool_size_suggestion", (each - overflow).max(1).to_string());
    answer.bind("pool_overflow_suggestion", overflow.to_string());
    if let Some(largest) = claims.iter().max_by_key(|claim| claim.most * claim.each()) {
        let others: u64 = most - largest.most * largest.each();
        // To stop the refusals now; smaller pools come after. Traffic may need every one of these.
        let fit = (usable as f64 * NOW - others as f64).max(0.0) as u64 / largest.each().max(1);
        answer.bind("replicas_that_fit", fit.max(1).to_string());
    }
    if now.max(most) > usable {
        answer.found(cause::POOL_BUDGET, &says);
        answer.line(
            Tone::Bad,
            format!(
                "{says}: {} and {overflow} overflow for each process would fit",
                (each - overflow).max(1)
            ),
        );
    } else {
        answer.line(Tone::Good, format!("{says}: it fits"));
    }
    answer.summary(says);
}

async fn claims(
    cluster: &Cluster,
    namespace: &Name,
    config_map: Option<&Name>,
) -> Result<Vec<Claim>, Trouble> {
    let deployments = cluster.list(Kind::Deployment, namespace, "", "").await?;
    // Without the right to see autoscalers the replicas there are count as the most.
    let autoscalers = match cluster.list(Kind::HorizontalPodAutoscaler, namespace, "", "").await {
        Err(trouble) if trouble.is(TroubleKind::Forbidden) => Vec::new(),
        other => other?,
    };
    let mut claims = Vec::new();
    for deployment in &deployments {
        let name = string(deployment, "/metadata/name");
        let spec = deployment.pointer("/spec/template/spec").cloned().unwrap_or_default();
        let mut data = serde_json::Map::new();
        for map in config_maps(&spec) {
            if config_map.is_some_and(|wanted| **wanted != *map) {
                continue;
            }
            let reference = ObjectRef::new(Kind::ConfigMap, Key::new(namespace.clone(), map.as_str()));
            let found = cluster.find(&reference).await?.unwrap_or_default();
            data.extend(found.get("data").and_then(Value::as_object).cloned().unwrap_or_default());
        }
        let own = own_variables(&spec);
        let value = |key: &str| -> Option<u64> {
            let text = own.get(key).or_else(|| data.get(key)).and_then(Value::as_str)?;
            text.trim().parse().ok()
        };
        // A workload that names no pool size has no pool that we know of.
        let Some(pool) = value(SIZE.0) else { continue };
        let replicas = deployment.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let most = autoscalers
            .iter()
            .filter(|scaler| string(scaler, "/spec/scaleTargetRef/name") == name)
            .find_map(|scaler| scaler.pointer("/spec/maxReplicas").and_then(Value::as_u64));
        claims.push(Claim {
            name: name.to_owned(),
            replicas,
            most: most.unwrap_or(replicas).max(replicas),
            workers: argument(&spec)
                .or_else(|| WORKERS.iter().find_map(|key| value(key)))
                .unwrap_or(1)
                .max(1),
            pool,
            overflow: value(OVERFLOW.0).unwrap_or(OVERFLOW.1),
        });
    }
    Ok(claims)
}

/// ConfigMaps that the containers take their environment from.
fn config_maps(spec: &Value) -> Vec<String> {
    let mut names: Vec<String> = items(spec, "/containers")
        .iter()
        .flat_map(|container| {
            let whole = items(container, "/envFrom").iter().map(|from| string(from, "/configMapRef/name"));
            let single =
                items(container, "/env").iter().map(|from| string(from, "/valueFrom/configMapKeyRef/name"));
            whole.chain(single).filter(|name| !name.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Variables written in the template itself: they win over those of a ConfigMap.
fn own_variables(spec: &Value) -> serde_json::Map<String, Value> {
    items(spec, "/containers")
        .iter()
        .flat_map(|container| items(container, "/env").iter())
        .filter_map(|variable| {
            Some((
                string(variable, "/name").to_owned(),
                variable.get("value").filter(|value| value.is_string())?.clone(),
            ))
        })
        .collect()
}

/// `--workers N` or `--workers=N` in a container's command.
fn argument(spec: &Value) -> Option<u64> {
    let words: Vec<&str> = items(spec, "/containers")
        .iter()
        .flat_map(|container| items(container, "/command").iter().chain(items(container, "/args")))
        .filter_map(Value::as_str)
        .flat_map(str::split_whitespace)
        .collect();
    let at = words.iter().position(|word| word.starts_with("--workers"))?;
    let number = words[at].strip_prefix("--workers=").or_else(|| words.get(at + 1).copied())?;
    number.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn workers_are_read_from_the_command_before_the_environment() {
        let spec = |args: Value| json!({"containers": [{"command": ["gunicorn"], "args": args}]});
        assert_eq!(argument(&spec(json!(["--workers", "4", "app:main"]))), Some(4));
        assert_eq!(argument(&spec(json!(["-b", ":80", "--workers=3"]))), Some(3));
        assert_eq!(argument(&spec(json!(["sh -c 'x --workers 2'"]))), Some(2));
        assert_eq!(argument(&spec(json!(["app:main"]))), None);
    }

    #[test]
    fn what_fits_is_computed_for_everybody_at_its_most() {
        let web = Claim { name: "web".into(), replicas: 4, most: 10, workers: 1, pool: 10, overflow: 5 };
        let mut answer = Answer::new();
        conclude(&[web], 87, &mut answer);
        let reading = answer.into_reading(crate::domain::Timestamp::UNIX_EPOCH, std::time::Duration::ZERO);
        assert_eq!(reading.found[0].cause, cause::POOL_BUDGET);
        assert_eq!(reading.summary, "pools may take 60 connections now and 150 at most, of 87 usable");
        // 87 × 0.7 ÷ 10 processes = 6: five and one of overflow; five replicas of 15 fit as they are
        assert_eq!(reading.bindings["pool_size_suggestion"], "5");
        assert_eq!(reading.bindings["pool_overflow_suggestion"], "1");
        assert_eq!(reading.bindings["replicas_that_fit"], "5");
    }
}
