//! What the web application firewall blocks: IP sets, and the web ACL of a load balancer with its limits.

use serde_json::{Value, json};

use crate::config::aws::{AwsError, Session};
use crate::domain::{Tone, WafRef, text};
use crate::probes::answer::Answer;

pub(super) async fn ip_set(session: &Session, wanted: &WafRef) -> Result<Answer, AwsError> {
    let body = json!({"Name": &*wanted.name, "Id": &*wanted.id, "Scope": &*wanted.scope});
    let asked = session.firewall(&wanted.scope).look("GetIPSet", body).await?;
    let mut answer = Answer::new();
    let Some(set) = asked.get("IPSet") else {
        return Ok(Answer::failed(&format!("there is no IP set {}", wanted.name)));
    };
    let list = set.get("Addresses").and_then(Value::as_array).into_iter().flatten();
    let addresses: Vec<&str> = list.filter_map(Value::as_str).collect();
    answer.lines(addresses.iter().map(|address| (Tone::Plain, (*address).to_owned())));
    answer.bind("blocked_addresses", addresses.join(","));
    answer.summary(format!(
        "{} holds {} ({})",
        word(set, "/Name"),
        text::count(addresses.len(), "network"),
        word(set, "/IPAddressVersion")
    ));
    Ok(answer)
}

/// Which IP sets block at the firewall of a load balancer. A missing permission only leaves a line.
pub(super) async fn of_balancer(session: &Session, arn: &str, answer: &mut Answer) {
    let asked = session.firewall("REGIONAL").look("GetWebACLForResource", json!({"ResourceArn": arn})).await;
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return answer.line(Tone::Dim, format!("web ACL: {error}")),
    };
    let Some(acl) = asked.get("WebACL").filter(|acl| acl.is_object()) else {
        return answer.line(Tone::Plain, "no web ACL: nothing is blocked by a firewall");
    };
    answer.line(Tone::Plain, format!("web ACL {}", word(acl, "/Name")));
    if let Some(named) = named(word(acl, "/ARN"), "webacl") {
        answer.bind("web_acl", named);
    }
    for rule in acl.get("Rules").and_then(Value::as_array).into_iter().flatten() {
        let blocks = rule.pointer("/Action/Block").is_some();
        if let Some(limit) = rule.pointer("/Statement/RateBasedStatement/Limit") {
            let verb = if blocks { "blocks" } else { "counts" };
            let says =
                format!("rule {} {verb} whoever asks more often than {limit} times", word(rule, "/Name"));
            answer.line(Tone::Plain, says);
        }
        let set = word(rule, "/Statement/IPSetReferenceStatement/ARN");
        if set.is_empty() {
            continue;
        }
        let verb = if blocks { "blocks" } else { "matches" };
        answer.line(Tone::Plain, format!("rule {} {verb} {set}", word(rule, "/Name")));
        if blocks && let Some(named) = named(set, "ipset") {
            answer.bind("ip_set", named);
        }
    }
}

fn word<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// `name/id/scope` of `arn:aws:wafv2:REGION:ACCOUNT:regional/KIND/NAME/ID`.
fn named(arn: &str, wanted: &str) -> Option<String> {
    let resource = arn.splitn(6, ':').nth(5)?;
    match resource.split('/').collect::<Vec<_>>()[..] {
        [scope, kind, name, id] if kind == wanted => {
            let scope = if scope == "global" { "CLOUDFRONT" } else { "REGIONAL" };
            Some(format!("{name}/{id}/{scope}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn an_ip_set_and_a_web_acl_are_named_by_their_arns() {
        let arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/ipset/blocked/11-22";
        assert_eq!(named(arn, "ipset").as_deref(), Some("blocked/11-22/REGIONAL"));
        assert_eq!(named(arn, "webacl"), None);
        let arn = "arn:aws:wafv2:us-east-1:1:global/webacl/b/2";
        assert_eq!(named(arn, "webacl").as_deref(), Some("b/2/CLOUDFRONT"));
        assert_eq!(named("nonsense", "ipset"), None);
    }
}
