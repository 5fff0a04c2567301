//! Load balancers: which one serves a host, its targets' health, what its security groups and network ACLs let in.

use super::firewall;
use crate::config::aws::{AwsError, AwsTrouble, Session, Words, Xml, words};
use crate::domain::{Tone, cause, text};
use crate::probes::answer::{Answer, columns};

/// By ARN, by name, or by its DNS name.
pub(super) async fn find(session: &Session, host: &str) -> Result<Answer, AwsError> {
    let found = the_one(session, host).await?;
    let mut answer = Answer::new();
    let (arn, name) = (found.text("LoadBalancerArn"), found.text("LoadBalancerName"));
    let (kind, scheme) = (found.text("Type"), found.text("Scheme"));
    let state = found.some("State/Code").unwrap_or("unknown");
    let tone = if state == "active" { Tone::Good } else { Tone::Bad };
    answer.line(tone, format!("{name}: {kind}, {scheme}, {state}"));
    answer.line(Tone::Plain, found.text("DNSName"));
    for zone in found.each("AvailabilityZones/member") {
        answer.line(Tone::Plain, format!("zone {} in {}", zone.text("ZoneName"), zone.text("SubnetId")));
    }
    answer.bind("load_balancer", arn);
    answer.bind("load_balancer_dns", found.text("DNSName"));
    answer.bind("load_balancer_zone", found.text("CanonicalHostedZoneId"));
    let groups: Vec<&str> = found.each("SecurityGroups/member").map(Xml::own).collect();
    if let Some(group) = groups.first() {
        answer.bind("security_group", *group);
    }
    answer.line(Tone::Plain, format!("security groups: {}", groups.join(", ")));
    // Network load balancers have no web ACL.
    if kind == "application" {
        firewall::of_balancer(session, arn, &mut answer).await;
    }
    answer.summary(format!("{name} is {state}, {scheme}"));
    Ok(answer)
}

pub(super) async fn groups(session: &Session, balancer: &str) -> Result<Answer, AwsError> {
    let groups = groups_of(session, &arn_of(session, balancer).await?).await?;
    let mut rows = vec![["GROUP", "TARGETS", "PORT", "CHECK", "GOOD"].map(str::to_owned).to_vec()];
    for group in &groups {
        let check = |part: &str| group.text(&format!("HealthCheck{part}"));
        rows.push(vec![
            group.text("TargetGroupName").to_owned(),
            group.text("TargetType").to_owned(),
            group.text("Port").to_owned(),
            format!("{}:{}{}", check("Protocol"), check("Port"), check("Path")),
            group.some("Matcher/HttpCode").unwrap_or("–").to_owned(),
        ]);
    }
    let mut answer = Answer::new();
    answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
    if let [only] = &groups[..] {
        answer.bind("target_group", only.text("TargetGroupArn"));
    }
    if groups.is_empty() {
        answer.not_ok();
    }
    answer.summary(text::count(groups.len(), "target group"));
    Ok(answer)
}

pub(super) async fn health(session: &Session, of: &str) -> Result<Answer, AwsError> {
    let groups: Vec<(String, String)> = if of.contains(":targetgroup/") {
        vec![(of.rsplit('/').nth(1).unwrap_or(of).to_owned(), of.to_owned())]
    } else {
        let found = groups_of(session, &arn_of(session, of).await?).await?;
        let pair = |group: &Xml| (group.text("TargetGroupName").into(), group.text("TargetGroupArn").into());
        found.iter().map(pair).collect()
    };
    let mut answer = Answer::new();
    let mut rows = vec![["GROUP", "TARGET", "PORT", "STATE", "REASON"].map(str::to_owned).to_vec()];
    let (mut healthy, mut all, mut last) = (0, 0, String::new());
    for (name, arn) in groups {
        let asked = words(&[("TargetGroupArn", &arn)]);
        let found = session.load_balancing().describe("DescribeTargetHealth", asked).await?;
        for row in found.each("TargetHealthDescriptions/member") {
            all += 1;
            let state = row.some("TargetHealth/State").unwrap_or("?");
            let says = ["TargetHealth/Reason", "TargetHealth/Description"];
            let why = says.iter().filter_map(|part| row.some(part)).collect::<Vec<_>>().join(": ");
            if state == "healthy" {
                healthy += 1;
            } else {
                last.clone_from(&why);
            }
            let (id, port) = (row.text("Target/Id").to_owned(), row.text("Target/Port").to_owned());
            rows.push(vec![name.clone(), id, port, state.to_owned(), why]);
        }
    }
    let tone = |row: &str| if row.contains("unhealthy") { Tone::Bad } else { Tone::Plain };
    answer.lines(columns(&rows).into_iter().map(|line| (tone(&line), line)));
    answer.bind("targets_healthy", healthy.to_string());
    answer.bind("targets_all", all.to_string());
    if healthy == 0 {
        let says = if all == 0 {
            "no target is registered".to_owned()
        } else {
            format!("no target is healthy: {last}")
        };
        answer.not_ok();
        answer.line(Tone::Bad, &says);
        answer.summary(says);
    } else {
        answer.summary(format!("{healthy} of {} healthy", text::count(all, "target")));
    }
    Ok(answer)
}

/// What may come in, and whether the web ports may.
pub(super) async fn security(session: &Session, balancer: &str) -> Result<Answer, AwsError> {
    let found = the_one(session, balancer).await?;
    let ids = found.each("SecurityGroups/member").enumerate();
    let asked: Words =
        ids.map(|(place, id)| (format!("GroupId.{}", place + 1), id.own().to_owned())).collect();
    if asked.is_empty() {
        let mut answer = Answer::new();
        answer.summary("it has no security groups: nothing is filtered there");
        return Ok(answer);
    }
    let groups = session.ec2().describe("DescribeSecurityGroups", asked).await?;
    let mut answer = Answer::new();
    let mut open = Vec::new();
    for group in groups.each("securityGroupInfo/item") {
        let id = group.text("groupId");
        answer.line(Tone::Heading, format!("{id} {}", group.text("groupName")));
        for rule in group.each("ipPermissions/item") {
            let protocol = rule.text("ipProtocol");
            let ports: (i64, i64) =
                (rule.number("fromPort").unwrap_or(0), rule.number("toPort").unwrap_or(65_535));
            let mut sources: Vec<&str> =
                rule.each("ipRanges/item").map(|range| range.text("cidrIp")).collect();
            sources.extend(rule.each("ipv6Ranges/item").map(|range| range.text("cidrIpv6")));
            sources.extend(rule.each("groups/item").map(|pair| pair.text("groupId")));
            sources.extend(rule.each("prefixListIds/item").map(|list| list.text("prefixListId")));
            let shown = if protocol == "-1" {
                "all traffic".into()
            } else {
                format!("{protocol} {}-{}", ports.0, ports.1)
            };
            answer.line(Tone::Plain, format!("  {shown} from {}", sources.join(", ")));
            for port in [80, 443] {
                let covers = protocol == "-1" || (protocol == "tcp" && ports.0 <= port && port <= ports.1);
                if covers && !sources.is_empty() && !open.contains(&port) {
                    open.push(port);
                }
            }
        }
        answer.bind("security_group", id);
    }
    let has = |port| if open.contains(&port) { "open" } else { "closed" };
    if !open.contains(&443) {
        answer.line(Tone::Bad, "no rule lets anybody in on 443");
        answer.bind("closed_port", "443");
        answer.not_ok();
        answer.found(
            cause::SECURITY_GROUP_CLOSED,
            "no security group of the load balancer lets anybody in on 443",
        );
    }
    answer.summary(format!("443 is {}, 80 is {}", has(443), has(80)));
    Ok(answer)
}

/// The network ACLs in front of it, and which one its first subnet has.
pub(super) async fn acls(session: &Session, balancer: &str) -> Result<Answer, AwsError> {
    let found = the_one(session, balancer).await?;
    let mut asked = words(&[("Filter.1.Name", "association.subnet-id")]);
    for (place, zone) in found.each("AvailabilityZones/member").enumerate() {
        asked.push((format!("Filter.1.Value.{}", place + 1), zone.text("SubnetId").to_owned()));
    }
    let acls = session.ec2().describe("DescribeNetworkAcls", asked).await?;
    let mut answer = Answer::new();
    let mut ids = Vec::new();
    for acl in acls.each("networkAclSet/item") {
        let id = acl.text("networkAclId");
        ids.push(id.to_owned());
        answer.line(Tone::Heading, id);
        let mut rows: Vec<(u32, String)> = acl
            .each("entrySet/item")
            .filter(|entry| entry.text("egress") == "false")
            .map(|entry| {
                let from = [entry.text("cidrBlock"), entry.text("ipv6CidrBlock")].concat();
                let rule: u32 = entry.number("ruleNumber").unwrap_or_default();
                (rule, format!("  {rule:>5} {} {from}", entry.text("ruleAction")))
            })
            .collect();
        rows.sort();
        answer.lines(rows.into_iter().map(|(_, line)| (Tone::Plain, line)));
    }
    if let Some(first) = ids.first() {
        answer.bind("network_acl", first);
    } else {
        answer.not_ok();
    }
    if ids.len() > 1 {
        answer.line(Tone::Plain, "its subnets have different ACLs: a block is needed in each of them");
    }
    answer.summary(format!("{}: {}", text::count(ids.len(), "network ACL"), ids.join(", ")));
    Ok(answer)
}

async fn groups_of(session: &Session, arn: &str) -> Result<Vec<Xml>, AwsError> {
    let asked = words(&[("LoadBalancerArn", arn)]);
    let found = session.load_balancing().describe("DescribeTargetGroups", asked).await?;
    Ok(found.each("TargetGroups/member").cloned().collect())
}

async fn arn_of(session: &Session, balancer: &str) -> Result<String, AwsError> {
    if balancer.starts_with("arn:") {
        return Ok(balancer.to_owned());
    }
    Ok(the_one(session, balancer).await?.text("LoadBalancerArn").to_owned())
}

async fn the_one(session: &Session, host: &str) -> Result<Xml, AwsError> {
    // An unusual port may stand behind the address of an Ingress.
    let port = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let wanted = port.map_or(host, |(name, _)| name).trim_end_matches('.');
    let is = |balancer: &&Xml| {
        let dns = balancer.text("DNSName");
        // Route 53's aliases are written with `dualstack.` before them.
        [balancer.text("LoadBalancerArn"), balancer.text("LoadBalancerName")].contains(&wanted)
            || dns.eq_ignore_ascii_case(wanted)
            || dns.eq_ignore_ascii_case(wanted.trim_start_matches("dualstack."))
    };
    let of_page = |page: &Xml| page.each("LoadBalancers/member").find(is).cloned();
    let found = session.load_balancing().seek("DescribeLoadBalancers", Words::new(), of_page).await?;
    found.ok_or_else(|| {
        let says = format!("no load balancer in {} is {wanted}", session.region);
        AwsError::new(AwsTrouble::Absent, says)
            .repair("give the address of the Ingress or Service, or the load balancer's name")
    })
}
