//! The RDS cluster behind the database: who is in it, how far it may grow, which parameters are in force.

use crate::config::aws::{AwsError, RdsCluster, Session, find_cluster};
use crate::domain::{Tone, text};
use crate::probes::answer::{Answer, columns};

pub(super) async fn cluster(
    session: &Session,
    name: Option<String>,
    host: Option<&str>,
) -> Result<Answer, AwsError> {
    let cluster = find_cluster(session, name.as_deref(), host).await?;
    let mut answer = Answer::new();
    let tone = if cluster.status == "available" { Tone::Good } else { Tone::Bad };
    answer.line(
        tone,
        format!("{} ({}) in {}: {}", cluster.name, cluster.engine, session.region, cluster.status),
    );
    if let Some((min, max)) = cluster.capacity {
        answer.line(Tone::Plain, format!("Serverless v2: {min} to {max} ACUs"));
        answer.bind("capacity_min", min.to_string());
        answer.bind("capacity_max", max.to_string());
        // Double, within what Aurora knows (256 ACUs).
        answer.bind("capacity_more", (max * 2.0).min(256.0).to_string());
    }
    members(&mut answer, &cluster);
    let members = text::count(cluster.members.len(), "instance");
    answer.summary(format!("{}: {}, {members}", cluster.name, cluster.status));
    Ok(answer)
}

fn members(answer: &mut Answer, cluster: &RdsCluster) {
    let mut rows = vec![["INSTANCE", "ROLE", "CLASS", "STATUS", "PARAMETERS"].map(str::to_owned).to_vec()];
    for member in &cluster.members {
        let parameters = match &member.parameters {
            Some((group, status)) => format!("{group} ({status})"),
            None => "none".into(),
        };
        let role = if member.writer { "writer" } else { "reader" };
        rows.push(vec![
            member.name.clone(),
            role.into(),
            member.class.clone(),
            if member.pending { format!("{}, changes wait", member.status) } else { member.status.clone() },
            parameters,
        ]);
    }
    answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
    if !cluster.alone {
        answer.bind("db_cluster", &cluster.name);
    }
    if let Some(writer) = cluster.writer() {
        answer.bind("db_instance", &writer.name);
        answer.bind("db_class", &writer.class);
        if let Some((group, status)) = &writer.parameters {
            answer.bind("db_parameters", group);
            if status == "pending-reboot" {
                answer.line(Tone::Bad, format!("parameters of {group} wait for a reboot of {}", writer.name));
            }
        }
    }
}
