//! What is wrong with an Ingress as it is written: ports that its Services do not have, a certificate's Secret that
//! does not exist. Plain from the objects, wherever DNS leads.

use jiff::SignedDuration;

use crate::domain::{Cause, Ingress, Key, Kind, Service, Timestamp, cause};

use super::Scene;
use super::workload::Bindings;

/// cert-manager makes the Secret when the first certificate is issued; ACME takes a few minutes.
const ISSUING: SignedDuration = SignedDuration::from_mins(10);

/// What is wrong, and since when it must be.
pub(super) fn faults(
    scene: &Scene<'_>,
    ingress: &Ingress,
    bindings: &mut Bindings,
) -> Vec<(Timestamp, Cause)> {
    let written = ingress.edited.as_ref().map_or(ingress.created, |edit| edit.at);
    let mut faults = Vec::new();
    faults.extend(absent_port(scene, ingress, written, bindings));
    faults.extend(absent_secret(scene, ingress, written, bindings));
    faults
}

fn absent_port(
    scene: &Scene<'_>,
    ingress: &Ingress,
    written: Timestamp,
    bindings: &mut Bindings,
) -> Option<(Timestamp, Cause)> {
    let (service, port) = ingress.backends.iter().find_map(|backend| {
        let key = Key::new(ingress.key.namespace.clone(), backend.service.clone());
        let (service, port) = (scene.snapshot.services.get(&key)?, backend.port.as_ref()?);
        (!service.ports.is_empty() && !has_port(service, port)).then_some((service, port))
    })?;
    let known: Vec<String> = service
        .ports
        .iter()
        .map(|(name, number)| name.as_ref().map_or(number.to_string(), |name| format!("{number} ({name})")))
        .collect();
    let name = &service.key.name;
    bindings.insert("service", name.to_string());
    let edited = service.edited.as_ref().map_or(service.created, |edit| edit.at);
    let says = format!("it sends to port {port} of Service {name}, which has {}", known.join(", "));
    Some((written.max(edited), Cause { name: cause::BACKEND_PORT, says, weight: 0.95 }))
}

fn has_port(service: &Service, wanted: &str) -> bool {
    service.ports.iter().any(|(name, number)| name.as_deref() == Some(wanted) || number.to_string() == wanted)
}

fn absent_secret(
    scene: &Scene<'_>,
    ingress: &Ingress,
    written: Timestamp,
    bindings: &mut Bindings,
) -> Option<(Timestamp, Cause)> {
    let secrets = &scene.snapshot.secrets;
    let absent = |secret: &crate::domain::Name| {
        let key = Key::new(ingress.key.namespace.clone(), secret.clone());
        !secret.is_empty() && secrets.is_listed() && secrets.get(&key).is_none()
    };
    let secret = ingress.tls.iter().map(|(_, secret)| secret).find(|secret| absent(secret))?;
    if scene.now.duration_since(written) < ISSUING {
        return None;
    }
    bindings.insert("missing_kind", Kind::Secret.as_str().to_owned());
    bindings.insert("missing_object", secret.to_string());
    let says = format!("Secret {secret}, which should hold its certificate, does not exist");
    Some((written, Cause { name: cause::CERTIFICATE_ABSENT, says, weight: 0.8 }))
}
