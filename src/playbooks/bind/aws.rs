//! Actions on AWS from the arguments of a step. The region is the nodes', for whoever has no other.

use std::time::Duration;

use crate::domain::{Acu, AliasTarget, AwsCall, AwsDoes, NodeQuestion, NodeService, RecordSet, WafRef};

use super::{Args, Bound, missing, networks};

/// How far reads look back when a step does not say.
const WINDOW: Duration = Duration::from_hours(1);

pub(super) fn bind(args: &Args<'_>) -> Bound<AwsCall> {
    let region = args.values.get("region").map(|region| region.as_str().into());
    let does = match args.verb.effect {
        crate::domain::Effect::Read => read(args)?,
        _ => change(args)?,
    };
    Ok(AwsCall::new(region, does))
}

fn read(args: &Args<'_>) -> Bound<AwsDoes> {
    let window = || Ok(args.maybe_span("window")?.unwrap_or(WINDOW));
    let cluster = || Ok(args.maybe("cluster")?.map(Into::into));
    let line = |name: &str| args.text(name);
    Ok(match args.verb.name {
        "database-cluster" => AwsDoes::DatabaseCluster { cluster: cluster()? },
        "database-metrics" => AwsDoes::DatabaseMetrics { cluster: cluster()?, window: window()? },
        "database-load" => AwsDoes::DatabaseLoad { cluster: cluster()?, window: window()? },
        "instance-health" => AwsDoes::InstanceHealth { instance: args.name("instance")? },
        "instance-state" => AwsDoes::InstanceState { instance: args.name("instance")? },
        "node-group" => {
            AwsDoes::NodeGroup { cluster: args.name("cluster")?, node_group: args.name("node_group")? }
        }
        "instance-volumes" => AwsDoes::InstanceVolumes { instance: args.name("instance")? },
        "load-balancer" => AwsDoes::LoadBalancer { host: line("host")? },
        "target-groups" => AwsDoes::TargetGroups { load_balancer: line("load_balancer")? },
        "target-health" => AwsDoes::TargetHealth { of: line("of")? },
        "hosted-records" => {
            AwsDoes::HostedRecords { zone: args.maybe("zone")?.map(Into::into), name: line("name")? }
        }
        "security-groups" => AwsDoes::SecurityGroups { load_balancer: line("load_balancer")? },
        "network-acls" => AwsDoes::NetworkAcls { load_balancer: line("load_balancer")? },
        "access-logs" => AwsDoes::AccessLogs { bucket: args.name("bucket")?, window: window()? },
        "access-log-sources" => AwsDoes::AccessLogSources {
            bucket: args.name("bucket")?,
            window: window()?,
            path: args.maybe("path")?.unwrap_or_default(),
        },
        "api-denials" => AwsDoes::ApiDenials { cluster: args.name("cluster")?, window: window()? },
        "log-events" => {
            AwsDoes::LogEvents { group: line("group")?, pattern: line("pattern")?, window: window()? }
        }
        "account-events" => AwsDoes::AccountEvents { window: window()? },
        "ip-set" => AwsDoes::IpSet { ip_set: of_waf(args, "ip_set")? },
        "secret-rotation" => AwsDoes::SecretRotation { secret: line("secret")? },
        "ask-node" => AwsDoes::AskNode {
            instance: args.name("instance")?,
            question: NodeQuestion::parse(&line("question")?)
                .ok_or_else(|| missing("question", "not one of the known questions"))?,
        },
        _ => return Err(args.cannot()),
    })
}

fn change(args: &Args<'_>) -> Bound<AwsDoes> {
    let name = |param: &str| args.name(param);
    Ok(match args.verb.name {
        "replace-instance" => AwsDoes::ReplaceInstance { instance: name("instance")? },
        "update-node-group" => {
            AwsDoes::UpdateNodeGroup { cluster: name("cluster")?, node_group: name("node_group")? }
        }
        "grow-volume" => AwsDoes::GrowVolume { volume: name("volume")?, size_gib: args.count("size_gib")? },
        "set-database-capacity" => AwsDoes::SetDatabaseCapacity {
            cluster: name("cluster")?,
            min: acu(args, "min")?,
            max: acu(args, "max")?,
            may_lower: args.flag("may_lower"),
        },
        "set-database-class" => {
            AwsDoes::SetDatabaseClass { instance: name("instance")?, class: name("class")? }
        }
        "set-database-parameter" => AwsDoes::SetDatabaseParameter {
            group: name("group")?,
            parameter: name("parameter")?,
            value: args.maybe_count("value")?.map(u64::from),
            may_lower: args.flag("may_lower"),
        },
        "reboot-database" => AwsDoes::RebootDatabase { instance: name("instance")? },
        "fail-over-database" => AwsDoes::FailOverDatabase { cluster: name("cluster")? },
        "deny-address" => {
            AwsDoes::DenyAddress { network_acl: name("network_acl")?, cidr: args.text("cidr")? }
        }
        "undeny-address" => AwsDoes::UndenyAddress {
            network_acl: name("network_acl")?,
            rule: port(args, "rule")?,
            cidr: args.text("cidr")?,
        },
        "open-port" => {
            AwsDoes::OpenPort { group: name("group")?, port: port(args, "port")?, cidr: args.text("cidr")? }
        }
        "close-port" => {
            AwsDoes::ClosePort { group: name("group")?, port: port(args, "port")?, cidr: args.text("cidr")? }
        }
        "block-addresses" => AwsDoes::BlockAddresses {
            ip_set: of_waf(args, "ip_set")?,
            addresses: networks(args, "addresses")?,
        },
        "unblock-addresses" => AwsDoes::UnblockAddresses {
            ip_set: of_waf(args, "ip_set")?,
            addresses: networks(args, "addresses")?,
        },
        "limit-rate" => AwsDoes::LimitRate {
            web_acl: of_waf(args, "web_acl")?,
            path: args.text("path")?,
            limit: args.count("limit")?,
        },
        "unlimit-rate" => AwsDoes::UnlimitRate { web_acl: of_waf(args, "web_acl")?, rule: name("rule")? },
        "set-record" => AwsDoes::SetRecord { zone: name("zone")?, record: record(args)? },
        "delete-record" => AwsDoes::DeleteRecord { zone: name("zone")?, record: record(args)? },
        "restart-on-node" => AwsDoes::RestartOnNode {
            instance: name("instance")?,
            service: NodeService::parse(&args.text("service")?)
                .ok_or_else(|| missing("service", "not one of the known services"))?,
        },
        "rotate-secret" => AwsDoes::RotateSecret { secret: args.text("secret")? },
        "restore-secret" => {
            AwsDoes::RestoreSecret { secret: args.text("secret")?, version: name("version")? }
        }
        _ => return Err(args.cannot()),
    })
}

fn acu(args: &Args<'_>, param: &str) -> Bound<Acu> {
    let text = args.text(param)?;
    let value: f64 = text.parse().map_err(|_| missing(param, format!("`{text}` is not a number")))?;
    Acu::try_from(value).map_err(|says| missing(param, says))
}

fn port(args: &Args<'_>, param: &str) -> Bound<u16> {
    let value = args.count(param)?;
    u16::try_from(value).map_err(|_| missing(param, format!("{value} is more than 65535")))
}

/// `name/id/scope`, as settings write it and reads bind it.
fn of_waf(args: &Args<'_>, param: &str) -> Bound<WafRef> {
    let text = args.text(param)?;
    match text.split('/').collect::<Vec<_>>()[..] {
        [name, id, scope @ ("REGIONAL" | "CLOUDFRONT")] if !name.is_empty() && !id.is_empty() => {
            Ok(WafRef { name: name.into(), id: id.into(), scope: scope.into() })
        }
        _ => Err(missing(param, format!("`{text}` is not name/id/REGIONAL or name/id/CLOUDFRONT"))),
    }
}

fn record(args: &Args<'_>) -> Bound<RecordSet> {
    let values = args.text("values")?;
    let alias =
        values.strip_prefix("alias:").and_then(|rest| rest.split_once(':')).map(|(zone, dns_name)| {
            AliasTarget { zone: zone.into(), dns_name: dns_name.to_owned(), evaluate_health: false }
        });
    let split = values.split(',').map(str::trim).filter(|value| !value.is_empty()).map(ToOwned::to_owned);
    Ok(RecordSet {
        name: args.text("name")?,
        kind: args.name("type")?,
        ttl: if alias.is_some() { None } else { Some(args.maybe_count("ttl")?.unwrap_or(60)) },
        values: if alias.is_some() { Vec::new() } else { split.collect() },
        alias,
    })
}
