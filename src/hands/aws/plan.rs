//! What a change on AWS is made of, and which file knows each: how things are, what would become of them, the
//! call, and how to see that it happened.

use std::time::Duration;

use serde_json::Value;

use super::{
    acl, capacity, database, instance, ip_set, node_group, on_node, parameter, port, rate, record, refusal,
    secret, volume,
};
use crate::config::aws::{AwsError, AwsTrouble, Session};
use crate::domain::{AwsDoes, text};
use crate::guard::{Hazard, Refusal};
use crate::hands::Hands;

/// A change, against how things are.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) title: String,
    pub(super) targets: Vec<String>,
    /// What it touches, as it is. Compared again before acting.
    pub(super) before: Value,
    /// The same as it should become.
    pub(super) after: Value,
    pub(super) hazards: Vec<Hazard>,
    pub(super) undo: Option<(AwsDoes, String)>,
    /// The account a machine belongs to.
    pub(super) owner: Option<String>,
    /// What AWS wants back to see that nothing changed meanwhile.
    pub(super) token: Option<String>,
    /// How long to watch; None: as long as a rollout.
    pub(super) patience: Option<Duration>,
}

/// What AWS gave for it: the id of a change, of an update, the state it is in.
#[derive(Clone, Debug, Default)]
pub(super) struct Receipt(pub(super) Option<String>);

/// What a look shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    Yes(String),
    NotYet(String),
    No(String),
}

impl Plan {
    pub(super) fn hazard(mut self, hazard: Option<Hazard>) -> Self {
        self.hazards.extend(hazard);
        self
    }

    pub(super) fn undo(self, does: AwsDoes, says: impl Into<String>) -> Self {
        Self { undo: Some((does, says.into())), ..self }
    }
}

/// How what it touches is now. The same for a change and its way back.
pub(super) async fn image(session: &Session, does: &AwsDoes) -> Result<Value, AwsError> {
    use AwsDoes::*;
    match does {
        ReplaceInstance { instance } => instance::image(session, instance).await,
        RestartOnNode { instance, .. } => on_node::image(session, instance).await,
        UpdateNodeGroup { cluster, node_group } => node_group::image(session, cluster, node_group).await,
        GrowVolume { volume, .. } => volume::image(session, volume).await,
        SetDatabaseCapacity { cluster, .. } => capacity::image(session, cluster).await,
        SetDatabaseClass { instance, .. } | RebootDatabase { instance } => {
            database::instance_image(session, instance).await
        }
        FailOverDatabase { cluster } => database::cluster_image(session, cluster).await,
        SetDatabaseParameter { group, parameter, .. } => parameter::image(session, group, parameter).await,
        DenyAddress { network_acl, .. } | UndenyAddress { network_acl, .. } => {
            acl::image(session, network_acl).await
        }
        OpenPort { group, .. } | ClosePort { group, .. } => port::image(session, group).await,
        BlockAddresses { ip_set, .. } | UnblockAddresses { ip_set, .. } => {
            Ok(ip_set::image(session, ip_set).await?.0)
        }
        LimitRate { web_acl, .. } | UnlimitRate { web_acl, .. } => Ok(rate::image(session, web_acl).await?.0),
        SetRecord { zone, record } | DeleteRecord { zone, record } => {
            record::image(session, zone, record).await
        }
        RotateSecret { secret } | RestoreSecret { secret, .. } => secret::image(session, secret).await,
        _ => Err(AwsError::new(AwsTrouble::Refused, "a read needs no hands")),
    }
}

/// The plan of a change, or why there is none.
pub(super) async fn of(hands: &Hands, session: &Session, does: &AwsDoes) -> Result<Plan, Refusal> {
    use AwsDoes::*;
    // The firewall's lock token belongs to the very read that the plan is made of.
    if let BlockAddresses { .. } | UnblockAddresses { .. } = does {
        return ip_set::plan(hands, session, does).await;
    }
    if let LimitRate { .. } | UnlimitRate { .. } = does {
        return rate::plan(session, does).await;
    }
    if let SetDatabaseParameter { group, .. } = does {
        parameter::ours(group)?;
    }
    let before = image(session, does).await.map_err(refusal)?;
    match does {
        ReplaceInstance { instance } => instance::plan(session, instance, before).await,
        RestartOnNode { instance, service } => Ok(on_node::plan(instance, *service, before)),
        UpdateNodeGroup { cluster, node_group } => node_group::plan(cluster, node_group, before),
        GrowVolume { volume, size_gib } => volume::plan(volume, *size_gib, before, (hands.clock)()),
        SetDatabaseCapacity { cluster, min, max, may_lower } => {
            capacity::plan(cluster, *min, *max, *may_lower, before)
        }
        SetDatabaseClass { instance, class } => database::class(instance, class, before),
        RebootDatabase { instance } => database::reboot(instance, before),
        FailOverDatabase { cluster } => database::fail_over(cluster, before),
        SetDatabaseParameter { group, parameter, value, may_lower } => {
            parameter::plan(hands, group, parameter, *value, *may_lower, before).await
        }
        DenyAddress { network_acl, cidr } => acl::deny(hands, session, network_acl, cidr, before).await,
        UndenyAddress { network_acl, rule, cidr } => acl::undeny(network_acl, *rule, cidr, before),
        OpenPort { group, port, cidr } => port::open(group, *port, cidr, before),
        ClosePort { group, port, cidr } => port::close(group, *port, cidr, before),
        SetRecord { zone, record } => record::set(zone, record, before),
        DeleteRecord { zone, record } => record::delete(zone, record, before),
        RotateSecret { secret } => secret::rotate(secret, before),
        RestoreSecret { secret, version } => secret::restore(secret, version, before),
        _ => Err(Refusal::new("a read needs no hands")),
    }
}

/// Where EC2 can rehearse a call, it does.
pub(super) async fn rehearse(session: &Session, does: &AwsDoes, plan: &Plan) -> Result<(), AwsError> {
    use AwsDoes::*;
    let asked = match does {
        ReplaceInstance { instance } => instance::rehearse(session, instance, plan).await,
        GrowVolume { volume, size_gib } => volume::modify(session, volume, *size_gib, true).await,
        DenyAddress { .. } | UndenyAddress { .. } => acl::send(session, does, plan, true).await,
        OpenPort { .. } | ClosePort { .. } => port::send(session, does, true).await,
        _ => return Ok(()),
    };
    match asked {
        // This is how EC2 says that it would be done.
        Err(error) if error.is("DryRunOperation") => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Ok(()),
    }
}

/// The call itself, once.
pub(super) async fn send(session: &Session, does: &AwsDoes, plan: &Plan) -> Result<Receipt, AwsError> {
    use AwsDoes::*;
    let none = |()| Receipt(None);
    match does {
        ReplaceInstance { instance } => instance::send(session, instance, plan).await.map(none),
        RestartOnNode { instance, service } => on_node::send(session, instance, *service).await,
        UpdateNodeGroup { cluster, node_group } => node_group::send(session, cluster, node_group).await,
        GrowVolume { volume, size_gib } => volume::modify(session, volume, *size_gib, false).await.map(none),
        SetDatabaseCapacity { cluster, min, max, .. } => {
            capacity::send(session, cluster, *min, *max).await.map(none)
        }
        SetDatabaseClass { instance, class } => {
            database::send_class(session, instance, class).await.map(none)
        }
        RebootDatabase { instance } => database::send_reboot(session, instance).await,
        FailOverDatabase { cluster } => database::send_fail_over(session, cluster).await.map(none),
        SetDatabaseParameter { group, parameter, value, .. } => {
            parameter::send(session, group, parameter, *value).await.map(none)
        }
        DenyAddress { .. } | UndenyAddress { .. } => acl::send(session, does, plan, false).await.map(none),
        OpenPort { .. } | ClosePort { .. } => port::send(session, does, false).await.map(none),
        BlockAddresses { ip_set, .. } | UnblockAddresses { ip_set, .. } => {
            ip_set::send(session, ip_set, plan).await.map(none)
        }
        LimitRate { web_acl, .. } | UnlimitRate { web_acl, .. } => {
            rate::send(session, web_acl, plan).await.map(none)
        }
        SetRecord { zone, record } => record::send(session, zone, record, true).await,
        DeleteRecord { zone, record } => record::send(session, zone, record, false).await,
        RotateSecret { secret } => secret::send_rotation(session, secret).await.map(none),
        RestoreSecret { secret, version } => {
            secret::send_restore(session, secret, version, plan).await.map(none)
        }
        _ => Err(AwsError::new(AwsTrouble::Refused, "a read needs no hands")),
    }
}

/// Whether it happened.
pub(super) async fn look(
    hands: &Hands,
    session: &Session,
    does: &AwsDoes,
    plan: &Plan,
    receipt: &Receipt,
) -> Result<Seen, AwsError> {
    use AwsDoes::*;
    match does {
        RestartOnNode { .. } => return Ok(on_node::look(receipt)),
        UpdateNodeGroup { cluster, node_group } => {
            return node_group::look(session, cluster, node_group, receipt).await;
        }
        SetRecord { .. } | DeleteRecord { .. } => return record::look(session, does, plan, receipt).await,
        GrowVolume { volume, size_gib } => return volume::look(session, volume, *size_gib).await,
        _ => {}
    }
    let now = image(session, does).await?;
    Ok(match does {
        ReplaceInstance { .. } => instance::look(&now, plan),
        SetDatabaseClass { class, .. } => database::look_class(&now, class),
        RebootDatabase { .. } => database::look_reboot(&now),
        FailOverDatabase { .. } => database::look_fail_over(&now, plan),
        RotateSecret { .. } => secret::look(&now, plan),
        RestoreSecret { version, .. } => secret::look_restore(&now, version),
        SetDatabaseParameter { value, .. } => parameter::look(&now, *value),
        _ if now == plan.after => Seen::Yes("a look shows it".into()),
        _ => Seen::NotYet(format!("it does not show yet ({})", text::span(hands.patience.call))),
    })
}
