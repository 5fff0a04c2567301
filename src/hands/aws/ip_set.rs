//! Addresses in an IP set of the web application firewall. The set is always written whole; AWS's lock token
//! makes sure that it is the set that was seen.

use serde_json::{Value, json};

use super::plan::Plan;
use super::{networks, refusal};
use crate::config::aws::{AwsError, Session};
use crate::domain::{AwsDoes, Cidr, WafRef};
use crate::guard::{Guard, Hazard, Refusal};
use crate::hands::Hands;

/// Addresses of one set (WAF quotas).
const MOST: usize = 10_000;

fn named(ip_set: &WafRef) -> Value {
    json!({"Name": &*ip_set.name, "Id": &*ip_set.id, "Scope": &*ip_set.scope})
}

/// The set, and the token of this very read.
pub(super) async fn image(session: &Session, ip_set: &WafRef) -> Result<(Value, String), AwsError> {
    let asked = session.firewall(&ip_set.scope).look("GetIPSet", named(ip_set)).await?;
    let set = asked.get("IPSet").cloned().unwrap_or_default();
    let list = set.get("Addresses").and_then(Value::as_array).into_iter().flatten();
    let mut addresses: Vec<&str> = list.filter_map(Value::as_str).collect();
    addresses.sort_unstable();
    let image = json!({
        "ip_set": &*ip_set.name,
        "version": set.get("IPAddressVersion"),
        "addresses": addresses,
    });
    let token = asked.get("LockToken").and_then(Value::as_str).unwrap_or_default();
    Ok((image, token.to_owned()))
}

fn addresses(image: &Value) -> Vec<String> {
    let list = image.get("addresses").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

pub(super) async fn plan(hands: &Hands, session: &Session, does: &AwsDoes) -> Result<Plan, Refusal> {
    let (ip_set, wanted, blocks) = match does {
        AwsDoes::BlockAddresses { ip_set, addresses } => (ip_set, addresses, true),
        AwsDoes::UnblockAddresses { ip_set, addresses } => (ip_set, addresses, false),
        _ => return Err(Refusal::new("this is no change to an IP set")),
    };
    let networks: Vec<Cidr> =
        wanted.iter().map(|word| word.parse()).collect::<Result<_, String>>().map_err(Refusal::new)?;
    let (before, token) = image(session, ip_set).await.map_err(refusal)?;
    let version = before.get("version").and_then(Value::as_str).unwrap_or_default();
    let four = version == "IPV4";
    if let Some(other) = networks.iter().find(|network| network.is_ipv4() != four) {
        return Err(Refusal::new(format!("{} holds {version} only, and {other} is not", ip_set.name)));
    }
    let old = addresses(&before);
    let words: Vec<String> = networks.iter().map(ToString::to_string).collect();
    let moving: Vec<String> = words.iter().filter(|word| old.contains(word) != blocks).cloned().collect();
    if moving.is_empty() {
        let says = if blocks { "holds them all already" } else { "holds none of them" };
        return Err(Refusal::new(format!("{} {says}", ip_set.name)));
    }
    let mut new: Vec<String> = if blocks {
        old.iter().chain(&moving).cloned().collect()
    } else {
        old.iter().filter(|word| !moving.contains(word)).cloned().collect()
    };
    new.sort_unstable();
    if new.len() > MOST {
        return Err(Refusal::new(format!("an IP set holds {MOST} addresses at most"))
            .repair("block wider networks, or limit the rate"));
    }
    let mut after = before.clone();
    after["addresses"] = json!(new);
    let mut plan =
        Plan { targets: vec![ip_set.name.to_string()], before, after, token: Some(token), ..Plan::default() };
    let list = moving.join(", ");
    let (name, set) = (&ip_set.name, ip_set.clone());
    if blocks {
        plan.hazards = networks::hazards(hands, session, &moving).await?;
        plan.hazards.push(Hazard::note(
            Guard::Target,
            "it works only where a web ACL blocks by this set; half a minute",
        ));
        plan.title = format!("block {list} by adding it to {name}");
        let back = AwsDoes::UnblockAddresses { ip_set: set, addresses: moving };
        Ok(plan.undo(back, format!("{list} taken out of {name} again")))
    } else {
        plan.title = format!("let {list} in again by taking it out of {name}");
        let back = AwsDoes::BlockAddresses { ip_set: set, addresses: moving };
        Ok(plan.undo(back, format!("{list} in {name} again")))
    }
}

#[expect(clippy::disallowed_methods, reason = "hands, with a Warrant")]
pub(super) async fn send(session: &Session, ip_set: &WafRef, plan: &Plan) -> Result<(), AwsError> {
    let mut body = named(ip_set);
    body["Addresses"] = json!(addresses(&plan.after));
    body["LockToken"] = json!(plan.token);
    session.firewall(&ip_set.scope).command("UpdateIPSet", body).await.map(drop)
}
