//! The issuer of a Certificate: whether it is Ready, and whether its HTTP-01 solver uses an ingress class that
//! somebody serves.

use serde_json::Value;

use super::Asking;
use super::issuance::names;
use super::way_in::WayIn;
use crate::domain::{Key, Kind, ObjectRef, Tone, cause};
use crate::probes::answer::Answer;
use crate::probes::object::{condition, items, name, string};
use crate::probes::trouble::{Trouble, TroubleKind};

/// What was found.
#[derive(Default)]
pub(super) struct Issuer {
    lines: Vec<(Tone, String)>,
    found: Vec<(&'static str, String)>,
    bindings: Vec<(&'static str, String)>,
}

impl Issuer {
    pub(super) fn tell(&self, answer: &mut Answer, first: &mut Option<String>) {
        answer.lines(self.lines.clone());
        for (cause, says) in &self.found {
            answer.found(cause, says);
            *first = Some(says.clone());
        }
        for (name, value) in &self.bindings {
            answer.bind(name, value);
        }
    }

    fn wrong(&mut self, cause: &'static str, says: String) {
        self.lines.push((Tone::Bad, format!("  {says}")));
        self.found.push((cause, says));
    }
}

pub(super) async fn look(asking: &Asking<'_>, key: &Key, certificate: &Value) -> Result<Issuer, Trouble> {
    let mut issuer = Issuer::default();
    let reference = certificate.pointer("/spec/issuerRef").unwrap_or(&Value::Null);
    let group = string(reference, "/group");
    if !group.is_empty() && group != Kind::Issuer.group() {
        issuer.lines.push((
            Tone::Dim,
            format!("issuer       {} of {group}: not cert-manager's own", string(reference, "/name")),
        ));
        return Ok(issuer);
    }
    let object = match string(reference, "/kind") {
        "ClusterIssuer" => ObjectRef::new(Kind::ClusterIssuer, Key::cluster(string(reference, "/name"))),
        _ => ObjectRef::new(Kind::Issuer, Key::new(key.namespace.clone(), string(reference, "/name"))),
    };
    issuer.bindings.push(("issuer", object.key.name.to_string()));
    issuer.bindings.push(("issuer_kind", object.kind.as_str().to_owned()));
    let found = match asking.cluster.find(&object).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            issuer.wrong(
                cause::ISSUER_NOT_READY,
                format!("{} {} does not exist", object.kind, object.key.name),
            );
            return Ok(issuer);
        }
        Err(trouble) if trouble.is(TroubleKind::Forbidden) => {
            issuer.lines.push((Tone::Dim, format!("issuer       {trouble}")));
            return Ok(issuer);
        }
        Err(trouble) => return Err(trouble),
    };
    let row = condition(&found, "Ready");
    let ready = row.map_or("?", |row| string(row, "/status"));
    let words = row.map_or("", |row| string(row, "/message"));
    let server = string(&found, "/spec/acme/server");
    let tone = if ready == "True" { Tone::Good } else { Tone::Bad };
    issuer.lines.push((
        tone,
        format!("issuer       {} {}: Ready={ready} {words} {server}", object.kind, object.key.name)
            .trim_end()
            .to_owned(),
    ));
    if ready != "True" {
        issuer.wrong(
            cause::ISSUER_NOT_READY,
            format!("{} {} is not Ready: {words}", object.kind, object.key.name),
        );
    }
    if server.contains("staging") {
        issuer
            .lines
            .push((Tone::Bad, "  it is a staging authority: no client trusts its certificates".into()));
    }
    solvers(asking, &mut issuer, &found, key, certificate).await?;
    Ok(issuer)
}

/// A solver for a class that does not exist: nobody serves the path of its challenges.
async fn solvers(
    asking: &Asking<'_>,
    issuer: &mut Issuer,
    found: &Value,
    key: &Key,
    certificate: &Value,
) -> Result<(), Trouble> {
    let solvers = items(found, "/spec/acme/solvers");
    let by_http: Vec<(usize, &'static str, &str)> = solvers
        .iter()
        .enumerate()
        .filter_map(|(index, solver)| {
            let ingress = solver.pointer("/http01/ingress")?;
            ["ingressClassName", "class"].into_iter().find_map(|field| {
                let class = ingress.get(field)?.as_str()?;
                Some((index, field, class))
            })
        })
        .collect();
    if by_http.is_empty() {
        return Ok(());
    }
    // Without a look at the classes nothing can be said.
    let Ok(classes) = asking.cluster.list(Kind::IngressClass, "", "", "").await else { return Ok(()) };
    let known: Vec<&str> = classes.iter().map(name).collect();
    let hosts = names(certificate);
    let ingresses = asking.cluster.list(Kind::Ingress, &key.namespace, "", "").await.unwrap_or_default();
    let serving = ingresses.iter().map(WayIn::of).find(|way| hosts.iter().any(|host| way.serves(host)));
    let right = serving.map(|way| way.class).filter(|class| known.contains(&class.as_str()));
    for (index, field, class) in by_http {
        issuer.lines.push((Tone::Plain, format!("  HTTP-01 by class {class}")));
        if known.is_empty() || known.contains(&class) {
            continue;
        }
        if let Some(right) = &right {
            issuer.bindings.push(("solver_index", index.to_string()));
            issuer.bindings.push(("solver_field", field.to_owned()));
            issuer.bindings.push(("solver_wrong", class.to_owned()));
            issuer.bindings.push(("solver_right", right.clone()));
        }
        let says = format!(
            "its HTTP-01 solver uses ingress class {class}, which does not exist (there are: {}): nobody serves the challenge",
            known.join(", ")
        );
        issuer.wrong(cause::SOLVER_CLASS, says);
    }
    Ok(())
}
