//! The decision table of the playbooks for certificates and for the way in (audit, section 4).

use covet_tui::domain::*;

use super::decisions::not_advised;
use super::world::World;

fn ingress(name: &'static str) -> World {
    World::new("ingress-down", "shop", "web", 3, 3)
        .cause(name, "so it is")
        .binding("ingress", "shop")
        .binding("host", "shop.example.org")
        .binding("service", "web")
        .binding("balancer", "lb.example.org")
}

#[test]
fn the_first_failing_layer_decides_where_to_look() {
    for name in [cause::EXPIRED, cause::NAME_MISMATCH, cause::DEFAULT_CERTIFICATE] {
        let plan = ingress(name).read().plan();
        assert_eq!(plan.parent.as_deref(), Some("cert-expiry"), "{name}");
        assert_eq!(plan.suggestion().unwrap().effect, Effect::Read);
    }
    let plan = ingress(cause::NO_ENDPOINTS).read().plan();
    assert_eq!(plan.parent.as_deref(), Some("rollout-stuck"), "pods first");
    let plan = ingress(cause::DNS_LOCAL).read().plan();
    assert_eq!(plan.suggestion().unwrap().id, "dns");
    assert!(plan.why.contains("the world is served"), "{}", plan.why);
}

#[test]
fn a_wrong_selector_is_replaced_in_that_one_label() {
    let world = ingress(cause::NO_ENDPOINTS)
        .cause(cause::SERVICE_SELECTOR, "its selector fits no pod")
        .binding("selector_key", "app.kubernetes.io~1name")
        .binding("selector_service", "web")
        .binding("selector_wrong", "wep")
        .binding("selector_right", "web")
        .read();
    let plan = world.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "fix-selector");
    let Some(Action::Patch { object, kind: PatchKind::Json, body }) = &step.action else {
        panic!("{:?}", step.action)
    };
    assert_eq!((object.kind, &*object.key.name), (Kind::Service, "web"));
    let path = "/spec/selector/app.kubernetes.io~1name";
    let wanted = serde_json::json!([{"op": "test", "path": path, "value": "wep"}, {"op": "replace", "path": path, "value": "web"}]);
    assert_eq!(body, &wanted);
}

#[test]
fn a_service_that_does_not_exist_is_not_patched() {
    let world = ingress(cause::SERVICE_ABSENT).binding("absent_service", "nosuch").read();
    let plan = world.plan();
    assert_eq!((plan.suggestion().unwrap().id.as_str(), plan.parent.as_deref()), ("ingress", None));
    assert!(plan.why.contains("sends to nosuch, a Service that does not exist"), "{}", plan.why);
    let mut lost = ingress(cause::DNS_WRONG).cause(cause::SERVICE_ABSENT, "no such Service").read();
    lost.systems.remove(&System::Aws);
    let (step, why) = lost.binding("absent_service", "nosuch").suggested();
    assert_eq!(step, "ingress", "a record cannot be set from here");
    assert!(why.contains("nosuch"), "{why}");
    // What is known of the selector of another is for that other.
    let both = world
        .binding("service", "nosuch")
        .cause(cause::SERVICE_SELECTOR, "its selector asks for app=wbe")
        .binding("selector_service", "web")
        .binding("selector_key", "app")
        .binding("selector_wrong", "wbe")
        .binding("selector_right", "web");
    let plan = both.plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(
        (step.id.as_str(), step.title.as_str()),
        ("fix-selector", "Let the Service web select web again")
    );
    let Some(Action::Patch { object, .. }) = &step.action else { panic!("{:?}", step.action) };
    assert_eq!(&*object.key.name, "web");
}

#[test]
fn where_no_step_helps_it_is_said_what_does() {
    for (name, step, words) in [
        (cause::DNS_WRONG, "dns", "where its zone is kept"),
        (cause::INGRESS_CLASS, "ingress", "name a class that one serves"),
        (cause::BALANCER_PENDING, "ingress", "its controller's log"),
    ] {
        let mut world = ingress(name).read();
        world.systems.remove(&System::Aws);
        let (suggested, why) = world.suggested();
        assert_eq!(suggested, step, "{name}: {why}");
        assert!(why.contains(words), "{name}: {why}");
    }
}

#[test]
fn the_controller_is_touched_only_when_it_is_down() {
    for name in [cause::NO_ENDPOINTS, cause::BAD_GATEWAY, cause::BALANCER_UNREACHABLE, cause::DNS_WRONG] {
        let plan = ingress(name)
            .binding("controller", "nginx")
            .binding("controller_namespace", "ingress-nginx")
            .binding("controller_kind", "Deployment")
            .read()
            .plan();
        let suggested = plan.suggestion().map(|step| step.id.clone()).unwrap_or_default();
        assert!(!suggested.contains("controller"), "{name}: {suggested}");
    }
    let down = || {
        ingress(cause::BALANCER_UNREACHABLE)
            .cause(cause::CONTROLLER_DOWN, "none of its pods is available")
            .binding("controller", "nginx")
            .binding("controller_namespace", "ingress-nginx")
            .binding("controller_kind", "Deployment")
            .binding("controller_replicas", "2")
    };
    let plan = down().binding("controller_wanted", "0").read().plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "scale-controller");
    let object = ObjectRef::new(Kind::Deployment, Key::new("ingress-nginx", "nginx"));
    assert_eq!(step.action, Some(Action::Scale { object, replicas: 2 }));
    let plan = down().binding("controller_wanted", "2").read().plan();
    assert_eq!(plan.suggestion().unwrap().id, "restart-controller");
}

#[test]
fn dns_is_not_touched_when_the_load_balancer_itself_fails() {
    let plan = ingress(cause::DNS_WRONG).cause(cause::BALANCER_PENDING, "no address").read().plan();
    let library = covet_tui::playbooks::Library::built_in();
    let step = library.get("ingress-down").unwrap().steps.iter().find(|step| step.id == "point-dns").unwrap();
    assert!(step.not_for_causes.iter().any(|name| name == cause::BALANCER_PENDING));
    assert_ne!(plan.suggestion().unwrap().id, "point-dns");
}

#[test]
fn a_port_is_opened_only_when_its_rule_is_known_to_be_gone() {
    let plan = ingress(cause::BALANCER_UNREACHABLE).read().plan();
    assert_eq!(plan.suggestion().unwrap().effect, Effect::Read);
    let closed = ingress(cause::BALANCER_UNREACHABLE)
        .binding("security_group", "sg-1")
        .binding("closed_port", "443")
        .read()
        .found("security-groups", cause::SECURITY_GROUP_CLOSED, "nobody is let in on 443");
    let plan = closed.plan();
    let step = plan.suggestion().unwrap();
    let Some(Action::Aws(call)) = &step.action else { panic!("{}: {:?}", step.id, step.action) };
    let open = AwsDoes::OpenPort { group: "sg-1".into(), port: 443, cidr: "0.0.0.0/0".into() };
    assert_eq!(call.does, open);
}

fn certificate(name: &'static str) -> World {
    World::new("cert-expiry", "shop", "web", 1, 1)
        .cause(name, "so it is")
        .binding("certificate", "shop-tls")
        .binding("host", "shop.example.org")
        .binding("dns_names", "shop.example.org,www.shop.example.org")
        .binding("issuer", "letsencrypt")
        .binding("issuer_kind", "ClusterIssuer")
        .binding("ingress", "shop")
        .binding("tls_index", "1")
        .binding("tls_secret", "shop-tls")
}

#[test]
fn served_older_than_the_secret_is_a_matter_of_loading_not_of_renewing() {
    let world = certificate(cause::SERVED_STALE)
        .binding("controller", "nginx")
        .binding("controller_namespace", "ingress-nginx")
        .binding("controller_kind", "Deployment")
        .read();
    let plan = world.plan();
    assert_eq!(plan.suggestion().unwrap().id, "reload");
    let plan = world.cause(cause::NOT_RENEWED, "late").plan();
    assert_eq!(plan.suggestion().unwrap().id, "reload");
    not_advised(&plan, "renew", "");
}

/// A certificate that is not cert-manager's: what is to be done is said, although no hand of ours can do it.
#[test]
fn a_certificate_that_nobody_renews_is_renewed_where_it_is_issued_and_replaced_where_it_is_kept() {
    for (name, words) in [
        (
            cause::NOT_MANAGED,
            "renew it where it is issued, then replace Secret kiosk-tls; served by Ingress tills",
        ),
        (cause::NAME_MISMATCH, "have one issued that names kiosk.example, then replace Secret kiosk-tls"),
        (cause::UNTRUSTED, "put the intermediate certificates behind it, then replace Secret kiosk-tls"),
        (
            cause::SERVED_STALE,
            "reload the ingress controller, or restart its pods (Secret kiosk-tls; served by",
        ),
    ] {
        let world = World::new("cert-expiry", "kiosk", "web", 1, 1)
            .cause(name, "so it is")
            .binding("host", "kiosk.example")
            .binding("served_at", "kiosk.example:8443")
            .binding("certificate_kept", "Secret kiosk-tls; served by Ingress tills")
            .read();
        let plan = world.plan();
        let step = plan.suggestion().unwrap();
        assert_eq!(step.id, "served-well", "{name}");
        assert!(plan.why.contains(words), "{name}: {}", plan.why);
        assert!(step.title.contains("kiosk.example:8443"), "{}", step.title);
        let command = step.action.as_ref().unwrap().as_command();
        assert!(command.contains("-connect kiosk.example:8443 -servername kiosk.example "), "{command}");
    }
}

#[test]
fn a_challenge_that_cannot_be_seen_is_mended_before_anything_is_renewed() {
    let plan = certificate(cause::ISSUANCE_FAILING).cause(cause::CHALLENGE_PATH, "404").read().plan();
    assert_eq!(plan.parent.as_deref(), Some("ingress-down"));
    not_advised(&plan, "renew", "");
    let plan = certificate(cause::ISSUANCE_FAILING)
        .cause(cause::SOLVER_CLASS, "class nginx-old does not exist")
        .binding("solver_index", "0")
        .binding("solver_field", "ingressClassName")
        .binding("solver_wrong", "nginx-old")
        .binding("solver_right", "nginx")
        .read()
        .plan();
    let step = plan.suggestion().unwrap();
    assert_eq!(step.id, "fix-solver");
    let Some(Action::Patch { object, body, .. }) = &step.action else { panic!("{:?}", step.action) };
    assert_eq!((object.kind, &*object.key.namespace), (Kind::ClusterIssuer, ""));
    assert_eq!(
        body.pointer("/1/path"),
        Some(&serde_json::json!("/spec/acme/solvers/0/http01/ingress/ingressClassName"))
    );
    let plan = certificate(cause::ISSUANCE_FAILING).read().plan();
    assert_eq!(plan.suggestion().unwrap().id, "renew", "nothing stands in the way any more");
}

#[test]
fn a_limit_is_waited_for_and_a_second_set_is_another_way() {
    let world = certificate(cause::ISSUANCE_RATE_LIMITED).read();
    let plan = world.plan();
    assert_eq!(plan.suggestion().unwrap().id, "issuance");
    assert!(plan.why.contains("every further one makes the wait longer"), "{}", plan.why);
    let others: Vec<&str> = plan.alternatives.iter().map(|index| plan.steps[*index].id.as_str()).collect();
    assert!(others.contains(&"second"), "{others:?}");
    let Ok(Action::Apply { manifest, force: false }) =
        world.bind("second", &std::collections::BTreeMap::new())
    else {
        panic!("all of it has a default")
    };
    assert_eq!(
        manifest.pointer("/spec/dnsNames"),
        Some(&serde_json::json!(["shop.example.org", "www.shop.example.org"])),
        "every host is in it"
    );
    assert_eq!(manifest.pointer("/metadata/name"), Some(&serde_json::json!("shop-tls-manual")));
    let world = world.did("second");
    let Ok(Action::Patch { body, .. }) = world.bind("point", &std::collections::BTreeMap::new()) else {
        panic!()
    };
    assert_eq!(
        body.pointer("/0"),
        Some(&serde_json::json!({"op": "test", "path": "/spec/tls/1/secretName", "value": "shop-tls"}))
    );
}
