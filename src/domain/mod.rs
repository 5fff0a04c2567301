//! What is true: the values that walk through the house, from Observation to Action.
//! No I/O, no async, no clock, no UI; imports nothing of ours.

mod action;
mod anomaly;
mod batch;
mod callee;
pub mod cause;
mod change;
mod cidr;
mod config_object;
mod controller;
mod database;
mod disk;
mod key;
mod kinship;
mod lock_tree;
mod mask;
mod monitoring;
mod network;
mod node;
mod noted;
mod observation;
mod outside;
mod pod;
mod quantity;
mod rbac;
mod rds;
mod reach;
mod reading;
mod schedule;
mod series;
mod sight;
mod snapshot;
mod statement;
mod strain;
mod system;
mod table;
pub mod text;
mod trigger;
mod workload;

pub use action::{
    Access, Action, Acu, Alerting, AliasTarget, AwsCall, AwsDoes, DockerWaste, DrainOptions, Effect, Folders,
    ImageChange, MachineCommand, NetworkProbe, NodeQuestion, NodeService, OnMachine, PatchKind, Pick,
    PodTarget, RIGHTS, RecordSet, RedisCommand, ResourceChange, Right, Rights, Script, SessionTarget, Sql,
    Unit, WafRef, Which, shell_quote,
};
pub use anomaly::{Anomaly, AnomalyId, Cause, Evidence, Severity, Subject};
pub use batch::{Concurrency, CronJob, Job};
pub use callee::{WrongPort, wrong_port};
pub use cause::{CAUSES, CauseName};
pub use change::{Change, ChangeKind};
pub use cidr::Cidr;
pub use config_object::{ConfigObject, Edit, Keeper, MANAGER, STEWARDS, is_made_by_the_cluster};
pub use controller::{Controller, ControllerRevision, Update};
pub use database::{Activity, ConnectionLimit, Holder, Limited, LockRoot, Replica, TopQuery};
pub use disk::{
    CLAIM, ClaimDisk, EVICTION, Filesystem, IMAGE_EVICTION, INODE_EVICTION, LOW, NodeDisk, PodDisk,
};
pub use key::{Key, Kind, Labels, Name, ObjectRef, Selector};
pub use lock_tree::{Locked, lock_roots, lock_tree, lock_waiters, longest_wait};
pub use mask::{is_telling, mask, masked};
pub use monitoring::{Delivery, Flapping, Monitoring, MonitoringPod, Noise, Target, Volume};
pub use network::{Backing, Certificate, DENYLIST, EndpointSlice, Ingress, PersistentVolumeClaim, Service};
pub use node::{Lease, Node, NodeCondition, Taint, aws_region};
pub use noted::CREATING;
pub use observation::{Age, Blind, BlindKind, Delta, Fact, Observation, Origin};
pub use outside::{
    Alert, AlertGrade, AlertState, Cache, Capacity, Database, Handshake, Served, Silence, Traffic, Usage,
    UsageSource, WorkloadTraffic,
};
pub use pod::{Condition, Container, ContainerState, Owner, Phase, Pod, Quantities, Status, Terminated};
pub use quantity::quantity;
pub use rbac::{Grant, refused_user};
pub use rds::{RdsLoad, RdsMetric, RdsSeries};
pub use reach::{Ended, Layer, Reach, Walk};
pub use reading::{Found, Reading, Tone};
pub use series::Series;
pub use sight::Sight;
pub use snapshot::{MonitoringSince, Snapshot, WATCHDOGS};
pub use statement::without_literals;
pub use strain::{DiskTrend, MemoryTrend, Strain, Throttled};
pub use system::System;
pub use table::{Keyed, Table};
pub use trigger::{Ask, Asked, Case, Trigger};
pub use workload::{
    Autoscaler, ConfigReference, Deployment, DisruptionBudget, Event, IntOrPercent, MetricReading, Probe,
    ReplicaSet, Strategy, Template, TemplateContainer,
};

/// A moment on the wall clock. Only `main` reads it from the machine; everybody else is told.
pub type Timestamp = jiff::Timestamp;

/// The time from `earlier` to `later`; zero if they are the other way round.
pub fn between(earlier: Timestamp, later: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}
