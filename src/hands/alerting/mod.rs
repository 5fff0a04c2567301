//! Hands on Prometheus and Alertmanager: silences, rules, configurations, and the server itself. Every change is
//! previewed with its effect, verified by reading, and has its way back.

mod alertmanager;
mod document;
mod prometheus;
mod rule;
mod running;
mod silence;
mod trial;
mod write;

use super::Hands;
use super::done::Done;
use super::task::Task;
use crate::domain::{Alerting, Timestamp};
use crate::guard::{Draft, Refusal, Warrant};

/// What would happen.
pub(super) async fn draft(hands: &Hands, call: Alerting, at: Timestamp) -> Result<Draft, Refusal> {
    match &call {
        Alerting::SilenceAlerts { matchers, lasts, comment } => {
            let wish = silence::Wish { matchers, lasts: *lasts, comment };
            silence::draft(hands, &call, &wish, at).await
        }
        Alerting::ExpireSilence { id } => silence::draft_expire(hands, id, at).await,
        Alerting::TuneRule { alert, group, expr, lasts } => {
            let wish = rule::Tuning { alert, group: group.as_ref(), expr: expr.as_deref(), lasts: *lasts };
            rule::draft(hands, &call, &wish, at).await
        }
        Alerting::GroupAlerts { .. } | Alerting::InhibitAlerts { .. } | Alerting::RouteAlerts { .. } => {
            alertmanager::draft(hands, &call, at).await
        }
        Alerting::RestoreDocument { object, entry, document } => {
            prometheus::draft_document(hands, &call, (object, entry, document), at).await
        }
        Alerting::RestorePrometheusConfig => prometheus::draft_restore(hands, &call, at).await,
        Alerting::GrowVolume { claim, size } => prometheus::draft_grow(hands, &call, claim, size, at).await,
        Alerting::RestartPrometheus { pod } => prometheus::draft_restart(hands, pod, at).await,
        Alerting::ScalePrometheus { object, replicas } => {
            prometheus::draft_scale(hands, object, *replicas, at).await
        }
        Alerting::LimitRetention { object, size } => {
            prometheus::draft_retention(hands, object, size, at).await
        }
        _ => Err(Refusal::new("a read needs no hands")),
    }
}

/// Does it. What was drafted as an action of the cluster is performed as one.
pub(super) async fn perform(hands: &Hands, warrant: &Warrant, call: &Alerting, task: &mut Task) -> Done {
    match call {
        Alerting::SilenceAlerts { matchers, lasts, comment } => {
            let wish = silence::Wish { matchers, lasts: *lasts, comment };
            silence::perform(hands, warrant, &wish, task).await
        }
        Alerting::ExpireSilence { id } => silence::expire(hands, id, task).await,
        Alerting::TuneRule { alert, group, expr, lasts } => {
            let wish = rule::Tuning { alert, group: group.as_ref(), expr: expr.as_deref(), lasts: *lasts };
            rule::perform(hands, warrant, &wish, task).await
        }
        Alerting::GroupAlerts { .. } | Alerting::InhibitAlerts { .. } | Alerting::RouteAlerts { .. } => {
            alertmanager::perform(hands, warrant, call, task).await
        }
        Alerting::RestoreDocument { object, entry, document } => {
            prometheus::document(hands, warrant, (object, entry, document), task).await
        }
        Alerting::RestorePrometheusConfig => prometheus::restore(hands, warrant, task).await,
        Alerting::GrowVolume { claim, size } => prometheus::grow(hands, warrant, claim, size, task).await,
        _ => Done::refused(Refusal::new("this is not performed as it was asked").repair("preview again")),
    }
}
