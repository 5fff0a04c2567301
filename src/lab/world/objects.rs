//! The few fields of Kubernetes objects the controllers read, decoded from stored bytes.
//! It knows shapes, not behaviour; writes go through JSON, so nothing unknown here is ever lost.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::quantity::Quantity;

pub type Map<T = String> = BTreeMap<String, T>;

/// Decodes stored bytes. Clients may write `null` where a list or map belongs: those count as absent.
pub fn decode<T: DeserializeOwned>(json: &[u8]) -> Option<T> {
    if let Ok(object) = serde_json::from_slice(json) {
        return Some(object);
    }
    let mut value: Value = serde_json::from_slice(json).ok()?;
    drop_nulls(&mut value);
    serde_json::from_value(value).ok()
}

pub fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// What every stored kind has.
pub trait Named {
    fn meta(&self) -> &Meta;
}

macro_rules! slim {
    ($($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $field:ident : $kind:ty),* $(,)? })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name { $($(#[$note])* pub $field: $kind),* }
    )* };
}

macro_rules! named {
    ($($name:ident),*) => { $( impl Named for $name { fn meta(&self) -> &Meta { &self.metadata } } )* };
}

slim! {
    Meta {
        name: String, namespace: String, uid: String, labels: Map, annotations: Map, generation: i64,
        creation_timestamp: Option<Timestamp>, deletion_timestamp: Option<Timestamp>,
        owner_references: Vec<Owner>,
    }
    Owner { kind: String, name: String, uid: String, controller: bool }

    Pod { metadata: Meta, spec: PodSpec, status: PodStatus }
    PodSpec {
        node_name: String, containers: Vec<Container>, init_containers: Vec<Container>, restart_policy: String,
        termination_grace_period_seconds: Option<i64>, tolerations: Vec<Toleration>, node_selector: Map,
        image_pull_secrets: Vec<Reference>, topology_spread_constraints: Vec<Spread>, volumes: Vec<Volume>,
        readiness_gates: Vec<Value>,
    }
    Container {
        name: String, image: String, image_pull_policy: String, command: Vec<String>, args: Vec<String>,
        env: Vec<EnvVar>, env_from: Vec<EnvFrom>, resources: Resources, ports: Vec<Port>,
        liveness_probe: Option<Probe>, readiness_probe: Option<Probe>, startup_probe: Option<Probe>,
        termination_message_policy: String,
    }
    Port { name: String, container_port: u16 }
    EnvVar { name: String, value: String, value_from: Option<EnvSource> }
    EnvSource {
        #[serde(rename = "configMapKeyRef")] config_map: Option<KeyRef>,
        #[serde(rename = "secretKeyRef")] secret: Option<KeyRef>,
        #[serde(rename = "fieldRef")] field: Option<Value>,
    }
    EnvFrom { prefix: String, config_map_ref: Option<Reference>, secret_ref: Option<Reference> }
    KeyRef { name: String, key: String, optional: bool }
    Reference { name: String, optional: bool }
    Volume { name: String, config_map: Option<Reference>, secret: Option<SecretVolume> }
    SecretVolume { secret_name: String, optional: bool }
    Resources { limits: Map<Quantity>, requests: Map<Quantity> }
    Probe {
        http_get: Option<HttpGet>, tcp_socket: Option<HttpGet>, initial_delay_seconds: u32,
        period_seconds: u32, failure_threshold: u32, timeout_seconds: u32,
    }
    HttpGet { path: String, port: Value }
    Toleration { key: String, operator: String, value: String, effect: String, #[serde(rename = "tolerationSeconds")] seconds: Option<i64> }
    Spread { max_skew: i64, topology_key: String, when_unsatisfiable: String, label_selector: Selector }
    Selector { match_labels: Map, match_expressions: Vec<Expression> }
    Expression { key: String, operator: String, values: Vec<String> }
    PodStatus {
        phase: String, conditions: Vec<Condition>, container_statuses: Vec<ContainerStatus>,
        start_time: Option<Timestamp>, reason: String, #[serde(rename = "podIP")] pod_ip: String,
    }
    Condition {
        r#type: String, status: String, reason: String, message: String, last_transition_time: Option<Timestamp>,
        last_update_time: Option<Timestamp>,
    }
    ContainerStatus { name: String, ready: bool, restart_count: u32, state: ContainerState, last_state: ContainerState }
    ContainerState { running: Option<Started>, waiting: Option<Waiting>, terminated: Option<Terminated> }
    Started { started_at: Option<Timestamp> }
    Waiting { reason: String, message: String }
    Terminated {
        reason: String, exit_code: i32, started_at: Option<Timestamp>, finished_at: Option<Timestamp>,
    }

    Deployment { metadata: Meta, spec: DeploymentSpec, status: DeploymentStatus }
    DeploymentSpec {
        replicas: Option<i32>, selector: Selector, template: Value, strategy: Strategy, paused: bool,
        revision_history_limit: Option<usize>, progress_deadline_seconds: Option<u32>, min_ready_seconds: u32,
    }
    Strategy { r#type: String, rolling_update: RollingUpdate }
    RollingUpdate { max_surge: Option<IntOrPercent>, max_unavailable: Option<IntOrPercent> }
    DeploymentStatus {
        observed_generation: i64, replicas: i32, updated_replicas: i32, ready_replicas: i32,
        available_replicas: i32, conditions: Vec<Condition>,
    }
    /// Also a StatefulSet, as far as it is read here.
    ReplicaSet { metadata: Meta, spec: ReplicaSetSpec, status: ReplicaSetStatus }
    ReplicaSetSpec { replicas: Option<i32>, selector: Selector, template: Value, min_ready_seconds: u32, service_name: String }
    ReplicaSetStatus {
        replicas: i32, ready_replicas: i32, available_replicas: i32, observed_generation: i64, conditions: Vec<Condition>,
    }
    DaemonSet { metadata: Meta, spec: ReplicaSetSpec }
    Job { metadata: Meta, spec: JobSpec, status: JobStatus }
    JobSpec {
        template: Value, backoff_limit: Option<usize>, suspend: bool, completions: Option<usize>, parallelism: Option<usize>,
        active_deadline_seconds: Option<i64>, ttl_seconds_after_finished: Option<i64>,
    }
    JobStatus { start_time: Option<Timestamp>, completion_time: Option<Timestamp>, conditions: Vec<Condition> }
    CronJob { metadata: Meta, spec: CronJobSpec, status: CronJobStatus }
    CronJobSpec {
        schedule: String, suspend: bool, concurrency_policy: String, starting_deadline_seconds: Option<i64>,
        successful_jobs_history_limit: Option<usize>, failed_jobs_history_limit: Option<usize>, job_template: Value,
    }
    CronJobStatus { last_schedule_time: Option<Timestamp>, last_successful_time: Option<Timestamp> }

    Node { metadata: Meta, spec: NodeSpec, status: NodeStatus }
    NodeSpec { unschedulable: bool, taints: Vec<Taint>, #[serde(rename = "providerID")] provider_id: String }
    Taint { key: String, value: String, effect: String, time_added: Option<Timestamp> }
    NodeStatus { allocatable: Map<Quantity>, capacity: Map<Quantity>, conditions: Vec<Condition>, addresses: Vec<Address> }
    Address { address: String }

    /// A ConfigMap or a Secret (whose values stay base64).
    Config { metadata: Meta, data: Map, r#type: String }
    Service { metadata: Meta, spec: ServiceSpec }
    ServiceSpec { selector: Map, ports: Vec<ServicePort>, r#type: String }
    ServicePort { name: String, port: u16, target_port: Value, protocol: String }
    Hpa { metadata: Meta, spec: HpaSpec, status: HpaStatus }
    HpaSpec { min_replicas: Option<i32>, max_replicas: i32, scale_target_ref: Owner, metrics: Vec<Metric> }
    Metric { r#type: String, resource: MetricResource }
    MetricResource { name: String, target: MetricTarget }
    MetricTarget { average_utilization: Option<i32> }
    HpaStatus { current_replicas: i32, desired_replicas: i32, last_scale_time: Option<Timestamp>, conditions: Vec<Condition> }
    Pdb { metadata: Meta, spec: PdbSpec, status: PdbStatus }
    PdbStatus { disruptions_allowed: i32 }
    PdbSpec { selector: Selector, min_available: Option<IntOrPercent>, max_unavailable: Option<IntOrPercent> }
    Quota { metadata: Meta, spec: QuotaSpec }
    QuotaSpec { hard: Map<Quantity> }
    ExternalSecret { metadata: Meta, spec: ExternalSecretSpec }
    ExternalSecretSpec { target: Reference }
    /// Objects of which only the name and the owners matter.
    Bare { metadata: Meta }
}

named!(
    Pod,
    Deployment,
    ReplicaSet,
    DaemonSet,
    Job,
    CronJob,
    Node,
    Config,
    Service,
    Hpa,
    Pdb,
    Quota,
    ExternalSecret,
    Bare
);

/// `25%` or `1`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum IntOrPercent {
    Int(i32),
    Text(String),
}

impl IntOrPercent {
    /// The number of pods out of `whole`; percentages round up or down as Kubernetes asks.
    pub fn of(&self, whole: i32, up: bool) -> i32 {
        match self {
            Self::Int(count) => *count,
            Self::Text(text) => {
                let percent: f64 = text.trim_end_matches('%').parse().unwrap_or(0.0);
                let exact = f64::from(whole) * percent / 100.0;
                (if up { exact.ceil() } else { exact.floor() }) as i32
            }
        }
    }
}

impl Selector {
    /// An empty selector selects everything.
    pub fn matches(&self, labels: &Map) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|expression| expression.matches(labels))
    }
}

impl Expression {
    fn matches(&self, labels: &Map) -> bool {
        let value = labels.get(&self.key);
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    }
}

impl Meta {
    pub fn controller(&self) -> Option<&Owner> {
        self.owner_references.iter().find(|owner| owner.controller)
    }

    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).map(String::as_str)
    }
}

pub fn condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.r#type == kind)
}

impl Pod {
    pub fn is_ready(&self) -> bool {
        condition(&self.status.conditions, "Ready").is_some_and(|ready| ready.status == "True")
    }

    pub fn ready_since(&self) -> Option<Timestamp> {
        let ready = condition(&self.status.conditions, "Ready").filter(|ready| ready.status == "True")?;
        ready.last_transition_time
    }

    pub fn is_deleting(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Succeeded or Failed: it never runs again.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.phase.as_str(), "Succeeded" | "Failed")
    }

    /// Counts for its controller.
    pub fn is_active(&self) -> bool {
        !self.is_deleting() && !self.is_finished()
    }

    /// Sum of the containers' requests (a limit alone is also the request); cores, or bytes.
    pub fn requests(&self, resource: &str) -> f64 {
        self.spec.containers.iter().map(|container| container.request(resource)).sum()
    }

    pub fn limits(&self, resource: &str) -> f64 {
        let limit = |container: &Container| {
            container.resources.limits.get(resource).map_or(0.0, |amount| amount.value())
        };
        self.spec.containers.iter().map(limit).sum()
    }

    pub fn restarts(&self) -> u32 {
        self.status.container_statuses.iter().map(|status| status.restart_count).sum()
    }
}

impl Container {
    pub fn request(&self, resource: &str) -> f64 {
        let Resources { limits, requests } = &self.resources;
        requests.get(resource).or_else(|| limits.get(resource)).map_or(0.0, |amount| amount.value())
    }

    pub fn limit(&self, resource: &str) -> Option<f64> {
        self.resources.limits.get(resource).map(|amount| amount.value())
    }

    /// The port number a probe or a service means by a number or a name.
    pub fn port(&self, wanted: &Value) -> Option<u16> {
        match wanted {
            Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
            Value::String(name) => {
                self.ports.iter().find(|port| port.name == *name).map(|port| port.container_port)
            }
            _ => None,
        }
    }
}

impl Node {
    pub fn is_ready(&self) -> bool {
        condition(&self.status.conditions, "Ready").is_some_and(|ready| ready.status == "True")
    }

    pub fn allocatable(&self, resource: &str) -> f64 {
        self.status.allocatable.get(resource).map_or(0.0, |amount| amount.value())
    }
}

impl Toleration {
    pub fn tolerates(&self, taint: &Taint) -> bool {
        let effect = self.effect.is_empty() || self.effect == taint.effect;
        let key = self.key.is_empty() || self.key == taint.key;
        effect && key && (self.operator == "Exists" || self.value == taint.value)
    }
}
