//! What the web application firewall blocks: IP sets, and the web ACL of a load balancer.

use aws_sdk_wafv2::types::{Scope, Statement};

use crate::config::aws::{AwsError, Session, explain};
use crate::domain::{IpSetRef, Tone, text};
use crate::probes::answer::Answer;

pub(super) async fn ip_set(session: &Session, wanted: &IpSetRef) -> Result<Answer, AwsError> {
    // CloudFront's firewall lives in one region alone.
    let session =
        if &*wanted.scope == "CLOUDFRONT" { session.in_region("us-east-1") } else { session.clone() };
    let asked = session
        .firewall()
        .get_ip_set()
        .name(&*wanted.name)
        .id(&*wanted.id)
        .scope(Scope::from(&*wanted.scope))
        .send()
        .await
        .map_err(|error| explain(&error))?;
    let mut answer = Answer::new();
    let Some(set) = asked.ip_set() else {
        return Ok(Answer::failed(&format!("there is no IP set {}", wanted.name)));
    };
    let version = set.ip_address_version().as_str();
    answer.lines(set.addresses().iter().map(|address| (Tone::Plain, address.clone())));
    answer.bind("blocked_addresses", set.addresses().join(","));
    answer.summary(format!(
        "{} holds {} ({version})",
        set.name(),
        text::count(set.addresses().len(), "network")
    ));
    Ok(answer)
}

/// Which IP sets block at the firewall of a load balancer. A missing permission only leaves a line.
pub(super) async fn of_balancer(session: &Session, arn: &str, answer: &mut Answer) {
    let asked = session.firewall().get_web_acl_for_resource().resource_arn(arn).send().await;
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return answer.line(Tone::Dim, format!("web ACL: {}", explain(&error))),
    };
    let Some(acl) = asked.web_acl() else {
        return answer.line(Tone::Plain, "no web ACL: nothing is blocked by a firewall");
    };
    answer.line(Tone::Plain, format!("web ACL {}", acl.name()));
    for rule in acl.rules() {
        let blocks = rule.action().is_some_and(|action| action.block().is_some());
        let Some(set) = rule.statement().and_then(set_of) else { continue };
        let verb = if blocks { "blocks" } else { "matches" };
        answer.line(Tone::Plain, format!("rule {} {verb} {set}", rule.name()));
        if blocks && let Some(named) = named(&set) {
            answer.bind("ip_set", named);
        }
    }
}

fn set_of(statement: &Statement) -> Option<String> {
    statement.ip_set_reference_statement().map(|set| set.arn().to_owned())
}

/// `name/id/scope` of `arn:aws:wafv2:REGION:ACCOUNT:regional/ipset/NAME/ID`.
fn named(arn: &str) -> Option<String> {
    let resource = arn.splitn(6, ':').nth(5)?;
    match resource.split('/').collect::<Vec<_>>()[..] {
        [scope, "ipset", name, id] => {
            let scope = if scope == "global" { "CLOUDFRONT" } else { "REGIONAL" };
            Some(format!("{name}/{id}/{scope}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_ip_set_is_named_by_its_arn() {
        let arn = "arn:aws:wafv2:eu-west-1:123456789012:regional/ipset/blocked/11-22";
        assert_eq!(super::named(arn).as_deref(), Some("blocked/11-22/REGIONAL"));
        assert_eq!(
            super::named("arn:aws:wafv2:us-east-1:1:global/ipset/b/2").as_deref(),
            Some("b/2/CLOUDFRONT")
        );
        assert_eq!(super::named("nonsense"), None);
    }
}
