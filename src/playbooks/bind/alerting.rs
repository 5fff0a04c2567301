//! Actions on Prometheus and Alertmanager from the arguments of a step.

use std::time::Duration;

use super::{Args, Bound, missing};
use crate::domain::{Alerting, Key, Kind, Name, ObjectRef, PodTarget};
use crate::playbooks::Verb;
use crate::playbooks::verb::{ALERTING, is_workload};

/// How far back the history of alerts is looked at (audit, section 3).
const HISTORY: Duration = Duration::from_hours(6);

/// Whether a verb is of these.
pub(super) fn knows(verb: &Verb) -> bool {
    ALERTING.iter().any(|own| own.name == verb.name)
}

pub(super) fn bind(args: &Args<'_>) -> Bound<Alerting> {
    Ok(match args.verb.name {
        "prometheus-health" => Alerting::PrometheusHealth,
        "prometheus-targets" => Alerting::PrometheusTargets,
        "prometheus-logs" => Alerting::PrometheusLogs,
        "prometheus-config" => Alerting::PrometheusConfig,
        "volume-usage" => Alerting::VolumeUsage { claim: args.key("claim")? },
        "alert-rules" => Alerting::AlertRules { alert: args.maybe("alert")?.map(Name::from) },
        "promql" => Alerting::Promql {
            expr: args.text("expr")?,
            window: args.maybe_span("window")?,
            step: args.maybe_span("step")?,
        },
        "alert-history" => Alerting::AlertHistory { window: args.maybe_span("window")?.unwrap_or(HISTORY) },
        "alert-groups" => Alerting::AlertGroups,
        "alert-silences" => Alerting::AlertSilences,
        "alertmanager-config" => Alerting::AlertmanagerConfig,
        "silence-alerts" => Alerting::SilenceAlerts {
            matchers: some(args, "matchers")?,
            lasts: args.maybe_span("for")?.ok_or_else(|| missing("for", "for how long: 1h to 4h"))?,
            comment: args.text("comment")?,
        },
        "expire-silence" => Alerting::ExpireSilence { id: args.name("id")? },
        "tune-rule" => Alerting::TuneRule {
            alert: args.name("alert")?,
            group: args.maybe("group")?.map(Name::from),
            expr: args.maybe("expr")?,
            lasts: args.maybe_span("for")?,
        },
        "group-alerts" => Alerting::GroupAlerts {
            by: names(args, "by")?,
            wait: args.maybe_span("wait")?,
            interval: args.maybe_span("interval")?,
            repeat: args.maybe_span("repeat")?,
        },
        "inhibit-alerts" => Alerting::InhibitAlerts {
            source: some(args, "source")?,
            target: some(args, "target")?,
            equal: names(args, "equal")?,
        },
        "route-alerts" => {
            Alerting::RouteAlerts { matchers: some(args, "matchers")?, receiver: args.name("receiver")? }
        }
        "restore-document" => Alerting::RestoreDocument {
            object: args.object()?,
            entry: args.text("entry")?,
            document: args.words("lines")?.join("\n"),
        },
        "restore-prometheus-config" => Alerting::RestorePrometheusConfig,
        "grow-volume" => Alerting::GrowVolume { claim: args.key("claim")?, size: args.text("size")? },
        "restart-prometheus" => {
            Alerting::RestartPrometheus { pod: PodTarget { key: args.key("pod")?, uid: args.name("uid")? } }
        }
        "scale-prometheus" => {
            Alerting::ScalePrometheus { object: workload(args)?, replicas: args.count("replicas")? }
        }
        "limit-retention" => Alerting::LimitRetention { object: workload(args)?, size: args.text("size")? },
        _ => return Err(args.cannot()),
    })
}

/// Words of a list, or of one text with commas between: an input is one line.
fn some(args: &Args<'_>, param: &str) -> Bound<Vec<String>> {
    let words: Vec<String> = args.words(param)?.iter().flat_map(|word| split(word)).collect();
    if words.is_empty() {
        return Err(missing(param, format!("`{param}` is empty")));
    }
    Ok(words)
}

fn names(args: &Args<'_>, param: &str) -> Bound<Vec<Name>> {
    Ok(some(args, param)?.into_iter().map(Name::from).collect())
}

/// At commas outside quotation marks.
fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for character in text.chars() {
        match character {
            ',' if !quoted => {
                words.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = character == '\\' && !escaped;
        if let Some(last) = words.last_mut() {
            last.push(character);
        }
    }
    words.iter().map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
}

fn workload(args: &Args<'_>) -> Bound<ObjectRef> {
    let kind = args.text("kind")?;
    let known = Kind::parse(&kind).filter(|_| is_workload(&kind));
    let kind = known.ok_or_else(|| missing("kind", format!("`{kind}` is not what Prometheus runs as")))?;
    Ok(ObjectRef::new(kind, Key { namespace: args.namespace()?, name: args.name("name")? }))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn commas_inside_quotation_marks_are_part_of_a_matcher() {
        assert_eq!(split(r#"alertname="A", pod=~"a|b,c""#), [r#"alertname="A""#, r#"pod=~"a|b,c""#]);
        assert!(split(" , ").is_empty());
    }
}
