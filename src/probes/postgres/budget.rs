//! The budget of connections: replicas × workers × (pool + overflow) of every Deployment that takes its pool
//! from the ConfigMap, at the autoscaler's maximum too, against what the server has.

use serde_json::Value;

use crate::config::{DatabaseSession, database_queries as queries};
use crate::domain::{Kind, Name, Tone, cause, text};
use crate::probes::answer::Answer;
use crate::probes::cluster::Cluster;
use crate::probes::object::string;
use crate::probes::postgres::pools::{self, Pool};
use crate::probes::trouble::{Trouble, TroubleKind};

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
    pool: Pool,
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
            pools::SIZE
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
                text::count(claim.pool.processes as usize, "worker"),
                claim.pool.size,
                claim.pool.overflow,
                claim.replicas * claim.pool.most(),
                claim.most,
                claim.most * claim.pool.most()
            ),
        );
    }
    conclude(&claims, usable, &mut answer);
    Ok(answer)
}

fn conclude(claims: &[Claim], usable: u64, answer: &mut Answer) {
    let now: u64 = claims.iter().map(|claim| claim.replicas * claim.pool.most()).sum();
    let most: u64 = claims.iter().map(|claim| claim.most * claim.pool.most()).sum();
    let says = format!("pools may take {now} connections now and {most} at most, of {usable} usable");
    answer.bind("pool_budget", most.to_string());
    answer.bind("connections_usable", usable.to_string());
    // As many connections for each process as fit when everybody is scaled to the most.
    let processes: u64 = claims.iter().map(|claim| claim.most * claim.pool.processes).sum();
    let each = (usable as f64 * SHARE / processes.max(1) as f64).floor().max(1.0) as u64;
    let overflow = each / 4;
    answer.bind("pool_size_suggestion", (each - overflow).max(1).to_string());
    answer.bind("pool_overflow_suggestion", overflow.to_string());
    if let Some(largest) = claims.iter().max_by_key(|claim| claim.most * claim.pool.most()) {
        let others: u64 = most - largest.most * largest.pool.most();
        // To stop the refusals now; smaller pools come after. Traffic may need every one of these.
        let fit = (usable as f64 * NOW - others as f64).max(0.0) as u64 / largest.pool.most().max(1);
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
        // A workload that names no pool size has no pool that we know of.
        let Some(pool) = pools::pool(cluster, deployment).await? else { continue };
        if config_map.is_some_and(|wanted| pool.config_map.as_deref().is_some_and(|map| *map != **wanted)) {
            continue;
        }
        let replicas = deployment.pointer("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let most = autoscalers
            .iter()
            .filter(|scaler| string(scaler, "/spec/scaleTargetRef/name") == name)
            .find_map(|scaler| scaler.pointer("/spec/maxReplicas").and_then(Value::as_u64));
        claims.push(Claim {
            name: name.to_owned(),
            replicas,
            most: most.unwrap_or(replicas).max(replicas),
            pool,
        });
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_computed_for_everybody_at_its_most() {
        let web = Claim {
            name: "web".into(),
            replicas: 4,
            most: 10,
            pool: Pool { size: 10, overflow: 5, processes: 1, config_map: None },
        };
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
