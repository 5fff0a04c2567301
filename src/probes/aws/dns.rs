//! What Route 53 answers for a name: its hosted zone and the record sets in it.

use aws_sdk_route53::types::{HostedZone, ResourceRecordSet};

use crate::config::aws::{AwsError, AwsTrouble, Session, explain};
use crate::domain::{AliasTarget, RecordSet, Tone, text};
use crate::probes::answer::Answer;

pub(super) async fn records(session: &Session, zone: Option<&str>, name: &str) -> Result<Answer, AwsError> {
    let zone = match zone {
        Some(zone) => zone.trim_start_matches("/hostedzone/").to_owned(),
        None => zone_of(session, name).await?,
    };
    let mut answer = Answer::new();
    answer.bind("hosted_zone", &zone);
    answer.bind("record_name", name.trim_end_matches('.'));
    let mut count = 0;
    for set in sets_of(session, &zone, name).await? {
        count += 1;
        match plain(&set) {
            Ok(record) => {
                answer.line(Tone::Plain, record.says());
                if ["A", "CNAME"].contains(&&*record.kind) {
                    answer.bind("record_type", &record.kind);
                    answer.bind("record_values", values(&record));
                    answer.bind("record_ttl", record.ttl.unwrap_or(60).to_string());
                }
            }
            Err(policy) => {
                answer.line(Tone::Bad, format!("{} {}: {policy}", set.name(), set.r#type().as_str()));
            }
        }
    }
    if count == 0 {
        answer.not_ok();
        answer.line(Tone::Bad, format!("the zone {zone} has no record for {name}"));
    }
    answer.summary(format!("{name} in zone {zone}: {}", text::count(count, "record set")));
    Ok(answer)
}

/// As a step's `values` writes it.
fn values(record: &RecordSet) -> String {
    match &record.alias {
        Some(alias) => format!("alias:{}:{}", alias.zone, alias.dns_name),
        None => record.values.join(","),
    }
}

/// All record sets of exactly this name.
///
/// # Errors
/// Route 53 cannot be asked, or does not know the zone.
pub async fn sets_of(session: &Session, zone: &str, name: &str) -> Result<Vec<ResourceRecordSet>, AwsError> {
    let asked =
        session.dns().list_resource_record_sets().hosted_zone_id(zone).start_record_name(name).send().await;
    let asked = asked.map_err(|error| explain(&error))?;
    let wanted = name.trim_end_matches('.');
    // They come in the order of names, from this one on.
    let is = |set: &&ResourceRecordSet| set.name().trim_end_matches('.').eq_ignore_ascii_case(wanted);
    Ok(asked.resource_record_sets().iter().filter(is).cloned().collect())
}

/// A record set that can be put back exactly.
///
/// # Errors
/// It has a routing policy, in words.
pub fn plain(set: &ResourceRecordSet) -> Result<RecordSet, String> {
    if let Some(id) = set.set_identifier() {
        return Err(format!("has a routing policy ({id}); change it by hand"));
    }
    if set.traffic_policy_instance_id().is_some() || set.health_check_id().is_some() {
        return Err("belongs to a traffic policy or a health check; change it by hand".into());
    }
    Ok(RecordSet {
        name: set.name().to_owned(),
        kind: set.r#type().as_str().into(),
        ttl: set.ttl().and_then(|ttl| u32::try_from(ttl).ok()),
        values: set.resource_records().iter().map(|record| record.value().to_owned()).collect(),
        alias: set.alias_target().map(|alias| AliasTarget {
            zone: alias.hosted_zone_id().into(),
            dns_name: alias.dns_name().to_owned(),
            evaluate_health: alias.evaluate_target_health(),
        }),
    })
}

/// The public zone whose name is the longest end of this one.
async fn zone_of(session: &Session, name: &str) -> Result<String, AwsError> {
    let mut best: Option<(usize, String)> = None;
    let mut marker = None;
    loop {
        let asked = session.dns().list_hosted_zones().set_marker(marker).send().await;
        let asked = asked.map_err(|error| explain(&error))?;
        for zone in asked.hosted_zones() {
            let is_private =
                zone.config().is_some_and(aws_sdk_route53::types::HostedZoneConfig::private_zone);
            if !is_private
                && holds(zone, name)
                && best.as_ref().is_none_or(|(length, _)| zone.name().len() > *length)
            {
                best = Some((zone.name().len(), zone.id().trim_start_matches("/hostedzone/").to_owned()));
            }
        }
        marker = asked.next_marker().filter(|_| asked.is_truncated()).map(ToOwned::to_owned);
        if marker.is_none() {
            break;
        }
    }
    best.map(|(_, id)| id).ok_or_else(|| {
        AwsError::new(AwsTrouble::Absent, format!("no public hosted zone of this account holds {name}"))
            .repair("its DNS may be elsewhere: ask an authoritative server which (dig NS)")
    })
}

fn holds(zone: &HostedZone, name: &str) -> bool {
    let (zone, name) =
        (zone.name().trim_end_matches('.').to_lowercase(), name.trim_end_matches('.').to_lowercase());
    name == zone || name.ends_with(&format!(".{zone}"))
}
