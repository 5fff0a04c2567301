//! Actions on AWS: calls with their parameters, no client. What is read and what is changed is fixed by the
//! word; where nothing brings the old state back, the name is typed.

mod acu;
mod command;
mod rate;
mod record;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{Effect, Name};

pub use acu::Acu;
pub use record::{AliasTarget, RecordSet};

/// A call on AWS, and the region it is for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AwsCall {
    /// The region of the nodes; used when settings and profile name none. A call on a node's machine is
    /// refused where they name another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Name>,
    /// Only on a way back: a hash of how the action left things. Refused when they are different by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Name>,
    #[serde(flatten)]
    pub does: AwsDoes,
}

/// What is asked of AWS, or changed there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case")]
pub enum AwsDoes {
    // Reads.
    /// The RDS cluster behind the database's host (or of this name): members, capacity, parameter groups.
    DatabaseCluster {
        cluster: Option<Name>,
    },
    /// CPU, load, capacity and connections of each of its instances.
    DatabaseMetrics {
        cluster: Option<Name>,
        window: Duration,
    },
    /// Performance Insights: load by wait and by statement.
    DatabaseLoad {
        cluster: Option<Name>,
        window: Duration,
    },
    /// Status checks and scheduled events, of stopped instances too.
    InstanceHealth {
        instance: Name,
    },
    /// Its state, and its place in an Auto Scaling group.
    InstanceState {
        instance: Name,
    },
    /// An EKS node group: versions, health issues, the last update.
    NodeGroup {
        cluster: Name,
        node_group: Name,
    },
    /// Disks of an instance and modifications under way.
    InstanceVolumes {
        instance: Name,
    },
    /// The load balancer behind a host or DNS name: state, zones, security groups, IP sets of its web ACL.
    LoadBalancer {
        host: String,
    },
    TargetGroups {
        load_balancer: String,
    },
    /// Health of each target of a target group, or of all groups of a load balancer.
    TargetHealth {
        of: String,
    },
    /// The records of a name in its hosted zone.
    HostedRecords {
        zone: Option<Name>,
        name: String,
    },
    /// The ingress rules of a load balancer's security groups.
    SecurityGroups {
        load_balancer: String,
    },
    /// The network ACLs of a load balancer's subnets.
    NetworkAcls {
        load_balancer: String,
    },
    /// Access log objects of the window in the bucket.
    AccessLogs {
        bucket: Name,
        window: Duration,
    },
    /// Who was refused at the login, by the access logs: requests with 401, 403 or 429 by source address.
    AccessLogSources {
        bucket: Name,
        window: Duration,
        path: String,
    },
    /// Who was refused by the Kubernetes API, by the cluster's audit log.
    ApiDenials {
        cluster: Name,
        window: Duration,
    },
    /// Lines of a log group that match a filter pattern.
    LogEvents {
        group: String,
        pattern: String,
        window: Duration,
    },
    /// Refused or telling calls to AWS itself, by CloudTrail.
    AccountEvents {
        window: Duration,
    },
    /// Addresses that are blocked at the WAF.
    IpSet {
        ip_set: WafRef,
    },
    /// Whether a secret rotates, and its versions' stages; never its value.
    SecretRotation {
        secret: String,
    },
    /// One of the known questions to a node's machine, through SSM.
    AskNode {
        instance: Name,
        question: NodeQuestion,
    },

    // Changes.
    /// Terminates it; its Auto Scaling group makes a new one.
    ReplaceInstance {
        instance: Name,
    },
    /// Rolls every node of the group to its newest image.
    UpdateNodeGroup {
        cluster: Name,
        node_group: Name,
    },
    /// Volumes grow and never shrink.
    GrowVolume {
        volume: Name,
        size_gib: u32,
    },
    /// Bounds of Aurora Serverless v2 in ACUs, in halves.
    SetDatabaseCapacity {
        cluster: Name,
        min: Acu,
        max: Acu,
        may_lower: bool,
    },
    SetDatabaseClass {
        instance: Name,
        class: Name,
    },
    /// A numeric parameter of an instance parameter group, in force after a reboot. None: its default.
    SetDatabaseParameter {
        group: Name,
        parameter: Name,
        value: Option<u64>,
        may_lower: bool,
    },
    RebootDatabase {
        instance: Name,
    },
    /// Another member becomes the writer.
    FailOverDatabase {
        cluster: Name,
    },
    /// A deny entry in a network ACL, before those that allow.
    DenyAddress {
        network_acl: Name,
        cidr: String,
    },
    /// Takes such an entry away again.
    UndenyAddress {
        network_acl: Name,
        rule: u16,
        cidr: String,
    },
    OpenPort {
        group: Name,
        port: u16,
        cidr: String,
    },
    ClosePort {
        group: Name,
        port: u16,
        cidr: String,
    },
    /// Adds to a WAF IP set.
    BlockAddresses {
        ip_set: WafRef,
        addresses: Vec<String>,
    },
    UnblockAddresses {
        ip_set: WafRef,
        addresses: Vec<String>,
    },
    /// Blocks, at the firewall, each address that asks for a path more often than so many times in five minutes.
    LimitRate {
        web_acl: WafRef,
        path: String,
        limit: u32,
    },
    /// Takes such a rule away again.
    UnlimitRate {
        web_acl: WafRef,
        rule: Name,
    },
    /// UPSERT of one record set in a hosted zone.
    SetRecord {
        zone: Name,
        record: RecordSet,
    },
    DeleteRecord {
        zone: Name,
        record: RecordSet,
    },
    RestartOnNode {
        instance: Name,
        service: NodeService,
    },
    RotateSecret {
        secret: String,
    },
    /// Makes an older version the current one again.
    RestoreSecret {
        secret: String,
        version: Name,
    },
}

/// An IP set or a web ACL of the web application firewall is named by three things.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WafRef {
    pub name: Name,
    pub id: Name,
    /// `REGIONAL`, or `CLOUDFRONT` (which lives in us-east-1).
    pub scope: Name,
}

/// What a node's machine can be asked through SSM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeQuestion {
    KubeletLog,
    Resources,
    KubeletActive,
}

/// What can be restarted there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeService {
    Kubelet,
    Containerd,
}

impl NodeQuestion {
    /// The commands, one line each.
    pub fn commands(self) -> &'static [&'static str] {
        match self {
            NodeQuestion::KubeletLog => &["journalctl -u kubelet --since -1h --no-pager -n 500"],
            NodeQuestion::Resources => &["df -hP", "df -iP", "free -m", "top -b -n1 -o %MEM | head -n 20"],
            NodeQuestion::KubeletActive => {
                &["systemctl is-active kubelet", "systemctl status kubelet --no-pager -n 30"]
            }
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(word.into()).ok()
    }
}

impl NodeService {
    /// Restarts it and says whether it is active, which is also how the command ends.
    pub fn commands(self) -> &'static [&'static str] {
        match self {
            NodeService::Kubelet => &["systemctl restart kubelet", "systemctl is-active kubelet"],
            NodeService::Containerd => &["systemctl restart containerd", "systemctl is-active containerd"],
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        serde_json::from_value(word.into()).ok()
    }
}

impl AwsCall {
    pub fn new(region: Option<Name>, does: AwsDoes) -> Self {
        Self { region, left: None, does }
    }

    /// Fixed by the type.
    pub fn effect(&self) -> Effect {
        self.does.effect()
    }

    /// What is typed to confirm it.
    pub fn target(&self) -> Option<Name> {
        self.does.target()
    }

    /// Nothing in these calls is secret: secrets are named, never carried.
    #[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "the same for every family")]
    pub(in crate::domain) fn mask(&mut self) {}
}

impl AwsDoes {
    fn effect(&self) -> Effect {
        use AwsDoes::*;
        match self {
            DatabaseCluster { .. } | DatabaseMetrics { .. } | DatabaseLoad { .. } => Effect::Read,
            InstanceHealth { .. } | InstanceState { .. } | NodeGroup { .. } => Effect::Read,
            InstanceVolumes { .. } | LoadBalancer { .. } | TargetGroups { .. } => Effect::Read,
            TargetHealth { .. } | HostedRecords { .. } | SecurityGroups { .. } => Effect::Read,
            NetworkAcls { .. } | AccessLogs { .. } | AccessLogSources { .. } => Effect::Read,
            ApiDenials { .. } | LogEvents { .. } | AccountEvents { .. } => Effect::Read,
            IpSet { .. } | SecretRotation { .. } | AskNode { .. } => Effect::Read,
            // More capacity costs money and moves nothing; a lower bound can starve the database.
            SetDatabaseCapacity { may_lower: false, .. } => Effect::Change,
            SetDatabaseCapacity { may_lower: true, .. } => Effect::Disruptive,
            // In force only after a reboot, which is asked for by itself.
            SetDatabaseParameter { .. } => Effect::Change,
            // No capacity is lost, but volumes do not shrink.
            GrowVolume { .. } => Effect::Disruptive,
            SetDatabaseClass { .. } | RebootDatabase { .. } | FailOverDatabase { .. } => Effect::Disruptive,
            DenyAddress { .. } | UndenyAddress { .. } => Effect::Disruptive,
            OpenPort { .. } | ClosePort { .. } => Effect::Disruptive,
            BlockAddresses { .. } | UnblockAddresses { .. } => Effect::Disruptive,
            LimitRate { .. } | UnlimitRate { .. } => Effect::Disruptive,
            SetRecord { .. } | DeleteRecord { .. } => Effect::Disruptive,
            RestartOnNode { .. } => Effect::Disruptive,
            ReplaceInstance { .. } | UpdateNodeGroup { .. } => Effect::Destructive,
            // Everything signed with the old one ends.
            RotateSecret { .. } | RestoreSecret { .. } => Effect::Destructive,
        }
    }

    fn target(&self) -> Option<Name> {
        use AwsDoes::*;
        match self {
            ReplaceInstance { instance } | RestartOnNode { instance, .. } => Some(instance.clone()),
            UpdateNodeGroup { node_group, .. } => Some(node_group.clone()),
            GrowVolume { volume, .. } => Some(volume.clone()),
            SetDatabaseCapacity { cluster, .. } | FailOverDatabase { cluster } => Some(cluster.clone()),
            SetDatabaseClass { instance, .. } | RebootDatabase { instance } => Some(instance.clone()),
            SetDatabaseParameter { group, .. } => Some(group.clone()),
            DenyAddress { cidr, .. } | UndenyAddress { cidr, .. } => Some(cidr.as_str().into()),
            OpenPort { group, .. } | ClosePort { group, .. } => Some(group.clone()),
            BlockAddresses { ip_set, .. } | UnblockAddresses { ip_set, .. } => Some(ip_set.name.clone()),
            LimitRate { web_acl, .. } | UnlimitRate { web_acl, .. } => Some(web_acl.name.clone()),
            SetRecord { record, .. } | DeleteRecord { record, .. } => {
                Some(record.name.trim_end_matches('.').into())
            }
            RotateSecret { secret } | RestoreSecret { secret, .. } => Some(secret.as_str().into()),
            _ => None,
        }
    }

    /// On a node's machine or its disk, so in the node's region and account or not at all.
    pub fn is_on_node(&self) -> bool {
        use AwsDoes::*;
        matches!(
            self,
            InstanceHealth { .. }
                | InstanceState { .. }
                | InstanceVolumes { .. }
                | AskNode { .. }
                | ReplaceInstance { .. }
                | RestartOnNode { .. }
                | GrowVolume { .. }
        )
    }
}
