//! Causes recognised in what reads bring back: real lines of real programs.

use std::collections::BTreeMap;
use std::time::Duration;

use covet_tui::domain::{CAUSES, Found, Reading, Tone};
use covet_tui::playbooks::{Library, find};

fn reading(lines: &[&str]) -> Reading {
    Reading {
        at: super::world::now(),
        took: Duration::from_millis(80),
        summary: "read".into(),
        lines: lines.iter().map(|line| (Tone::Plain, (*line).to_owned())).collect(),
        found: Vec::new(),
        bindings: BTreeMap::new(),
        dropped: 0,
        ok: true,
        unseen: false,
    }
}

fn found(playbook: &str, step: &str, reading: &Reading) -> Vec<String> {
    let library = Library::built_in();
    let step = library.get(playbook).unwrap().steps.iter().find(|found| found.id == step).unwrap();
    find(step, reading).into_iter().map(|found| found.cause).collect()
}

#[test]
fn logs_give_their_cause_away() {
    let cases: &[(&str, &[&str])] = &[
        ("FATAL:  password authentication failed for user \"app\"", &["database-auth"]),
        ("asyncpg.exceptions.InvalidPasswordError: 28P01", &["database-auth"]),
        ("botocore.exceptions.ClientError: AccessDenied", &["database-auth"]),
        ("requests.exceptions.HTTPError: HTTP 403 for url", &["database-auth"]),
        ("FATAL: remaining connection slots are reserved for roles with SUPERUSER", &["database-exhausted"]),
        (
            "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached",
            &["database-exhausted"],
        ),
        (
            "psycopg2.OperationalError: could not translate host name \"db\" to address",
            &["database-unreachable"],
        ),
        ("dial tcp 10.0.0.3:5432: connect: connection refused", &["database-unreachable"]),
        ("lookup redis.shop.svc: no such host", &["database-unreachable"]),
        ("KeyError: 'DB_POOL_SIZE'", &["config-error"]),
        ("pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings", &["config-error"]),
        ("ModuleNotFoundError: No module named 'uvloop'", &["config-error"]),
        ("yaml.scanner.ScannerError: mapping values are not allowed here", &["config-error"]),
        ("environment variable DATABASE_URL is not set", &["config-error"]),
        ("MemoryError", &["oom-killed"]),
        ("OSError: [Errno 28] No space left on device", &["no-space"]),
        ("exec /app/serve: exec format error", &["command-error"]),
        (
            "configmaps is forbidden: User \"system:serviceaccount:tools:operator\" cannot list resource \"configmaps\" in API group \"\"",
            &["api-denied"],
        ),
        ("x509: certificate has expired or is not yet valid: current time 2026-03-01", &["peer-certificate"]),
        ("ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED]", &["peer-certificate"]),
        ("dial tcp: lookup orders on 10.0.0.10:53: read udp: i/o timeout", &["database-unreachable"]),
        ("INFO listening on 0.0.0.0:8000", &[]),
        ("served 40312 requests, 403 bytes each", &[]),
        ("retrying 53301 items", &[]),
        ("loaded 28P016 parts", &[]),
    ];
    for (line, causes) in cases {
        assert_eq!(found("crash-loop", "previous-logs", &reading(&["starting", line])), *causes, "{line}");
    }
}

#[test]
fn what_was_not_looked_at_gives_no_cause_away() {
    let words =
        "Get \"https://10.0.3.7:10250/containerLogs\": dial tcp 10.0.3.7:10250: connect: connection refused";
    assert_eq!(found("crash-loop", "previous-logs", &reading(&[words])), ["database-unreachable"]);
    let unseen = Reading { summary: words.into(), unseen: true, ok: false, ..reading(&[]) };
    assert_eq!(found("crash-loop", "previous-logs", &unseen), Vec::<String>::new());
    let aside = Reading { lines: vec![(Tone::Dim, words.into())], ..reading(&[]) };
    assert_eq!(found("crash-loop", "previous-logs", &aside), Vec::<String>::new());
}

#[test]
fn a_registrys_words_give_their_class_away() {
    let pull = "Failed to pull image \"ghcr.io/org/app:v9\": rpc error: ";
    for (words, cause) in [
        ("ghcr.io/org/app:v9: not found", "image-not-found"),
        ("manifest unknown", "image-not-found"),
        ("unexpected status from GET request: 401 Unauthorized", "image-auth"),
        ("insufficient_scope: authorization failed", "image-auth"),
        ("toomanyrequests: You have reached your pull rate limit", "image-rate-limit"),
        ("dial tcp: lookup ghcr.io: no such host", "image-network"),
        ("x509: certificate signed by unknown authority", "image-trust"),
        (
            "unexpected status from HEAD request to https://ghcr.io/v2: 503 Service Unavailable",
            "registry-down",
        ),
        ("no match for platform in manifest", "image-arch"),
        ("write /var/lib/containerd/tmp: no space left on device", "image-disk"),
    ] {
        assert_eq!(
            found("image-pull", "describe", &reading(&[&format!("{pull}{words}")])),
            [cause],
            "{words}"
        );
    }
}

#[test]
fn nodes_and_events_speak_too() {
    for (playbook, step, line, cause) in [
        (
            "node-notready",
            "describe",
            "KubeletNotReady: PLEG is not healthy: pleg was last seen active 5m",
            "runtime",
        ),
        (
            "node-notready",
            "describe",
            "container runtime network not ready: cni plugin not initialized",
            "node-network",
        ),
        ("node-notready", "describe", "NetworkReady=false: cni plugin not initialized", "node-network"),
        (
            "rollout-stuck",
            "events",
            "FailedScheduling 0/3 nodes are available: 3 Insufficient cpu",
            "unschedulable",
        ),
        ("rollout-stuck", "events", "FailedCreate pods \"x\" is forbidden: exceeded quota: compute", "quota"),
        ("rollout-stuck", "newest-pods", "Unhealthy Readiness probe failed: HTTP 503", "readiness"),
        (
            "crash-loop",
            "describe",
            "Killing Container web failed liveness probe, will be restarted",
            "liveness-killed",
        ),
        (
            "cert-expiry",
            "describe",
            "acme: 429 urn:ietf:params:acme:error:rateLimited",
            "issuance-rate-limited",
        ),
    ] {
        let causes = found(playbook, step, &reading(&[line]));
        assert!(causes.iter().any(|found| found == cause), "{line}: {causes:?}");
    }
}

#[test]
fn what_the_probe_found_stays_first_and_nothing_is_found_twice() {
    let mut reading = reading(&["connection refused", "connection refused", "KeyError: 'X'"]);
    reading.found.push(Found { cause: "database-unreachable".into(), says: "the probe's words".into() });
    let library = Library::built_in();
    let step =
        library.get("crash-loop").unwrap().steps.iter().find(|step| step.id == "previous-logs").unwrap();
    let found = find(step, &reading);
    let causes: Vec<&str> = found.iter().map(|found| found.cause.as_str()).collect();
    assert_eq!(causes, ["database-unreachable", "config-error"]);
    assert_eq!(found[0].says, "the probe's words");
}

#[test]
fn quotations_are_short_harmless_and_without_secrets() {
    let long = "x".repeat(500);
    let line = format!("KeyError \x1b[31mred\x1b[0m password=hunter2secret {long}");
    let library = Library::built_in();
    let step =
        library.get("crash-loop").unwrap().steps.iter().find(|step| step.id == "previous-logs").unwrap();
    let found = find(step, &reading(&[&line]));
    let says = &found[0].says;
    assert!(!says.contains('\x1b') && !says.contains("hunter2"), "{says}");
    assert!(says.chars().count() <= 122, "{}", says.chars().count());
}

#[test]
fn of_a_long_line_the_words_that_matter_are_quoted() {
    let line =
        format!("Failed to pull image: {} ghcr.io/org/app:v9: not found, sorry", "rpc error: ".repeat(30));
    let library = Library::built_in();
    let step = library.get("image-pull").unwrap().steps.iter().find(|step| step.id == "describe").unwrap();
    let found = find(step, &reading(&[&line]));
    assert!(found[0].says.contains("ghcr.io/org/app:v9: not found"), "{}", found[0].says);
    assert!(found[0].says.starts_with('…') && found[0].says.chars().count() <= 124, "{}", found[0].says);
}

#[test]
fn only_words_of_the_vocabulary_are_found() {
    for playbook in Library::built_in().iter() {
        for finder in playbook.steps.iter().flat_map(|step| &step.finds) {
            assert!(CAUSES.iter().any(|cause| cause.name == finder.cause), "{}", finder.cause);
        }
    }
}
