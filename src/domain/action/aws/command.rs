//! Actions on AWS as lines of the `aws` command that a person could paste.

use super::{AwsCall, AwsDoes, RecordSet, WafRef};
use crate::domain::shell_quote;

impl AwsCall {
    /// The line a person could paste into a shell.
    pub(in crate::domain::action) fn as_command(&self) -> String {
        let region = self.region.as_deref().map(|region| format!(" --region {}", shell_quote(region)));
        let line = self.does.line();
        match region {
            // Several commands in one line: the region belongs to each of them.
            Some(region) => line.replace("aws ", &format!("aws{region} ")),
            None => line,
        }
    }
}

fn q(word: &impl AsRef<str>) -> String {
    shell_quote(word.as_ref())
}

impl AwsDoes {
    fn line(&self) -> String {
        use AwsDoes::*;
        match self {
            DatabaseCluster { cluster } => match cluster {
                Some(cluster) => {
                    format!("aws rds describe-db-clusters --db-cluster-identifier {}", q(cluster))
                }
                None => "aws rds describe-db-clusters".into(),
            },
            DatabaseMetrics { cluster, .. } => format!(
                "aws cloudwatch list-metrics --namespace AWS/RDS --dimensions Name=DBClusterIdentifier,Value={}",
                q(&cluster.as_deref().unwrap_or("CLUSTER"))
            ),
            DatabaseLoad { .. } => "aws pi describe-dimension-keys --service-type RDS --metric db.load.avg --group-by Group=db.sql_tokenized --start-time -1h --identifier DBI_RESOURCE_ID".into(),
            InstanceHealth { instance } => format!(
                "aws ec2 describe-instance-status --include-all-instances --instance-ids {}",
                q(instance)
            ),
            InstanceState { instance } => {
                format!("aws autoscaling describe-auto-scaling-instances --instance-ids {}", q(instance))
            }
            NodeGroup { cluster, node_group } => format!(
                "aws eks describe-nodegroup --cluster-name {} --nodegroup-name {}",
                q(cluster),
                q(node_group)
            ),
            InstanceVolumes { instance } => format!(
                "aws ec2 describe-volumes --filters Name=attachment.instance-id,Values={}",
                q(instance)
            ),
            LoadBalancer { .. } => "aws elbv2 describe-load-balancers".into(),
            TargetGroups { load_balancer } => format!(
                "aws elbv2 describe-target-groups --load-balancer-arn {}",
                q(load_balancer)
            ),
            TargetHealth { of } => {
                format!("aws elbv2 describe-target-health --target-group-arn {}", q(of))
            }
            HostedRecords { zone, name } => format!(
                "aws route53 list-resource-record-sets --hosted-zone-id {} --start-record-name {} --max-items 5",
                q(&zone.as_deref().unwrap_or("ZONE")),
                q(name)
            ),
            SecurityGroups { load_balancer } => format!(
                "aws ec2 describe-security-groups --group-ids $(aws elbv2 describe-load-balancers --load-balancer-arns {} --query 'LoadBalancers[].SecurityGroups[]' --output text)",
                q(load_balancer)
            ),
            NetworkAcls { .. } => "aws ec2 describe-network-acls".into(),
            AccessLogs { bucket, .. } | AccessLogSources { bucket, .. } => {
                format!("aws s3 ls --recursive {}", q(&format!("s3://{bucket}/AWSLogs/")))
            }
            ApiDenials { cluster, window } => log_events(
                &format!("/aws/eks/{cluster}/cluster"),
                AwsDoes::DENIALS,
                *window,
            ),
            LogEvents { group, pattern, window } => log_events(group, pattern, *window),
            AccountEvents { .. } => "aws cloudtrail lookup-events --max-results 50".into(),
            IpSet { ip_set } => format!("aws wafv2 get-ip-set {}", of_set(ip_set)),
            SecretRotation { secret } => {
                format!("aws secretsmanager describe-secret --secret-id {}", q(secret))
            }
            AskNode { instance, question } => send(instance, question.commands()),
            RestartOnNode { instance, service } => send(instance, service.commands()),
            _ => self.change_line(),
        }
    }

    fn change_line(&self) -> String {
        use AwsDoes::*;
        match self {
            ReplaceInstance { instance } => format!(
                "aws autoscaling terminate-instance-in-auto-scaling-group --no-should-decrement-desired-capacity --instance-id {}",
                q(instance)
            ),
            UpdateNodeGroup { cluster, node_group } => format!(
                "aws eks update-nodegroup-version --cluster-name {} --nodegroup-name {}",
                q(cluster),
                q(node_group)
            ),
            GrowVolume { volume, size_gib } => {
                format!("aws ec2 modify-volume --volume-id {} --size {size_gib}", q(volume))
            }
            SetDatabaseCapacity { cluster, min, max, .. } => format!(
                "aws rds modify-db-cluster --db-cluster-identifier {} --serverless-v2-scaling-configuration MinCapacity={min},MaxCapacity={max} --apply-immediately",
                q(cluster)
            ),
            SetDatabaseClass { instance, class } => format!(
                "aws rds modify-db-instance --db-instance-identifier {} --db-instance-class {} --apply-immediately",
                q(instance),
                q(class)
            ),
            SetDatabaseParameter { group, parameter, value: Some(value), .. } => format!(
                "aws rds modify-db-parameter-group --db-parameter-group-name {} --parameters ParameterName={},ParameterValue={value},ApplyMethod=pending-reboot",
                q(group),
                q(parameter)
            ),
            SetDatabaseParameter { group, parameter, value: None, .. } => format!(
                "aws rds reset-db-parameter-group --db-parameter-group-name {} --parameters ParameterName={},ApplyMethod=pending-reboot",
                q(group),
                q(parameter)
            ),
            RebootDatabase { instance } => {
                format!("aws rds reboot-db-instance --db-instance-identifier {}", q(instance))
            }
            FailOverDatabase { cluster } => {
                format!("aws rds failover-db-cluster --db-cluster-identifier {}", q(cluster))
            }
            DenyAddress { network_acl, cidr } => format!(
                "aws ec2 create-network-acl-entry --network-acl-id {} --ingress --rule-number FREE_RULE --protocol -1 --rule-action deny --cidr-block {}",
                q(network_acl),
                q(cidr)
            ),
            UndenyAddress { network_acl, rule, .. } => format!(
                "aws ec2 delete-network-acl-entry --network-acl-id {} --ingress --rule-number {rule}",
                q(network_acl)
            ),
            OpenPort { group, port, cidr } => port_line("authorize", group, *port, cidr),
            ClosePort { group, port, cidr } => port_line("revoke", group, *port, cidr),
            BlockAddresses { ip_set, addresses } => format!(
                "aws wafv2 update-ip-set {} --lock-token TOKEN --addresses OLD_ONES {}",
                of_set(ip_set),
                words(addresses)
            ),
            UnblockAddresses { ip_set, addresses } => format!(
                "aws wafv2 update-ip-set {} --lock-token TOKEN --addresses OLD_ONES_WITHOUT {}",
                of_set(ip_set),
                words(addresses)
            ),
            LimitRate { web_acl, path, limit } => {
                rules_line(web_acl, &format!("+ [{}]", AwsDoes::limit_rule(path, *limit)))
            }
            UnlimitRate { web_acl, rule } => {
                let name = serde_json::Value::from(&**rule);
                rules_line(web_acl, &format!("| map(select(.Name != {name}))"))
            }
            SetRecord { zone, record } => record_line("UPSERT", zone, record),
            DeleteRecord { zone, record } => record_line("DELETE", zone, record),
            RotateSecret { secret } => {
                format!("aws secretsmanager rotate-secret --secret-id {}", q(secret))
            }
            RestoreSecret { secret, version } => format!(
                "aws secretsmanager update-secret-version-stage --secret-id {} --version-stage AWSCURRENT --move-to-version-id {} --remove-from-version-id CURRENT",
                q(secret),
                q(version)
            ),
            _ => String::new(),
        }
    }

    /// The filter pattern of refused calls in an EKS audit log.
    pub const DENIALS: &str = r"{ ($.responseStatus.code = 401) || ($.responseStatus.code = 403) }";
}

fn log_events(group: &str, pattern: &str, window: std::time::Duration) -> String {
    format!(
        "aws logs filter-log-events --log-group-name {} --filter-pattern {} --start-time $(( ($(date +%s) - {}) * 1000 ))",
        shell_quote(group),
        shell_quote(pattern),
        window.as_secs()
    )
}

/// A web ACL is written whole: what it held is read, and changed by jq.
fn rules_line(web_acl: &WafRef, change: &str) -> String {
    let named = of_set(web_acl);
    // The priority of a new rule is one more than the highest.
    let rules = format!(
        "(([.WebACL.Rules[].Priority] | max // -1) + 1) as $next | .WebACL.Rules {change} | map(.Priority //= $next)"
    );
    format!(
        "acl=$(aws wafv2 get-web-acl {named}); aws wafv2 update-web-acl {named} --lock-token \"$(jq -r .LockToken <<<\"$acl\")\" \
         --default-action \"$(jq .WebACL.DefaultAction <<<\"$acl\")\" --visibility-config \"$(jq .WebACL.VisibilityConfig <<<\"$acl\")\" \
         --rules \"$(jq {} <<<\"$acl\")\"",
        shell_quote(&rules)
    )
}

fn of_set(ip_set: &WafRef) -> String {
    format!("--name {} --id {} --scope {}", q(&ip_set.name), q(&ip_set.id), q(&ip_set.scope))
}

fn words(list: &[String]) -> String {
    list.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" ")
}

fn port_line(verb: &str, group: &str, port: u16, cidr: &str) -> String {
    format!(
        "aws ec2 {verb}-security-group-ingress --group-id {} --protocol tcp --port {port} --cidr {}",
        shell_quote(group),
        shell_quote(cidr)
    )
}

fn record_line(verb: &str, zone: &str, record: &RecordSet) -> String {
    let mut set = serde_json::json!({"Name": record.name, "Type": &*record.kind});
    if let Some(ttl) = record.ttl {
        let values: Vec<_> = record.values.iter().map(|value| serde_json::json!({"Value": value})).collect();
        set["TTL"] = ttl.into();
        set["ResourceRecords"] = values.into();
    }
    if let Some(alias) = &record.alias {
        set["AliasTarget"] = serde_json::json!({"HostedZoneId": &*alias.zone, "DNSName": alias.dns_name,
            "EvaluateTargetHealth": alias.evaluate_health});
    }
    let batch = serde_json::json!({"Changes": [{"Action": verb, "ResourceRecordSet": set}]});
    format!(
        "aws route53 change-resource-record-sets --hosted-zone-id {} --change-batch {}",
        shell_quote(zone),
        shell_quote(&batch.to_string())
    )
}

fn send(instance: &str, commands: &[&str]) -> String {
    let parameters = serde_json::json!({"commands": commands});
    format!(
        "aws ssm send-command --document-name AWS-RunShellScript --instance-ids {} --parameters {}",
        shell_quote(instance),
        shell_quote(&parameters.to_string())
    )
}
