//! The lab's Alertmanager and HTTPS endpoint, met by `amtool`, `curl` and `openssl` (all on the PATH).

use std::sync::Arc;

use covet_tui::lab::alertmanager::{self, Alertmanager};
use covet_tui::lab::https::{Authority, Https};
use covet_tui::lab::rules::Rules;
use covet_tui::lab::signals::{Certificate, Signals};
use covet_tui::lab::tsdb::Tsdb;
use jiff::{SignedDuration, Timestamp};

use super::lab_wire::{in_background, listener, run};

/// An Alertmanager fed by the lab's rules over a world in which two containers wait and a node is not ready.
async fn alerts() -> (Alertmanager, String) {
    let now = Timestamp::now();
    let tsdb = Tsdb::default();
    let rules = Rules::load(1000.0).unwrap();
    let alertmanager = Alertmanager::new(now);
    for step in 0..4 {
        let at = now - SignedDuration::from_secs(15 * (3 - step));
        for pod in ["covetpy-app-1", "covetpy-app-2"] {
            let of = [("namespace", "covetpy-production"), ("pod", pod), ("container", "covetpy")];
            let labels: Vec<_> = of.into_iter().chain([("reason", "CrashLoopBackOff")]).collect();
            tsdb.append("kube_pod_container_status_waiting_reason", &labels, at, 1.0);
        }
        tsdb.append(
            "up",
            &[("job", "app"), ("instance", "10.0.0.1:80")],
            at,
            if step > 1 { 0.0 } else { 1.0 },
        );
        alertmanager.tell(rules.evaluate(&tsdb, at), "http://prometheus", at);
    }
    let (listener, address) = listener().await;
    let router = alertmanager::router(alertmanager.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (alertmanager, format!("http://{address}"))
}

async fn amtool(url: &str, words: &[&str]) -> String {
    let arguments = words.iter().chain(&["--alertmanager.url", url]).map(|word| (*word).to_owned()).collect();
    let (ok, out, err) = in_background("amtool", arguments).await;
    assert!(ok, "amtool {words:?}: {err}");
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn amtool_silences_an_alert() {
    let (_, url) = alerts().await;
    let all = amtool(&url, &["alert", "query", "-o", "simple"]).await;
    assert_eq!(all.matches("KubePodCrashLooping").count(), 2, "{all}");
    assert!(all.contains("Watchdog") && all.contains("TargetDown"), "{all}");
    let one = amtool(&url, &["alert", "query", "-o", "json", "pod=covetpy-app-1"]).await;
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one[0]["annotations"]["summary"], "Container covetpy of pod covetpy-app-1 is crash looping");
    let id = amtool(
        &url,
        &[
            "silence",
            "add",
            "alertname=KubePodCrashLooping",
            "pod=~.*-1",
            "-c",
            "known",
            "-a",
            "me",
            "-d",
            "1h",
        ],
    )
    .await;
    let active = amtool(&url, &["alert", "query", "-o", "simple", "--active"]).await;
    assert_eq!(active.matches("KubePodCrashLooping").count(), 1, "{active}");
    let silenced = amtool(&url, &["alert", "query", "-o", "simple", "--silenced"]).await;
    assert!(silenced.contains("covetpy-app-1") && !silenced.contains("covetpy-app-2"), "{silenced}");
    assert!(amtool(&url, &["silence", "query", "-q"]).await.contains(id.trim()));
    amtool(&url, &["silence", "expire", id.trim()]).await;
    let active = amtool(&url, &["alert", "query", "-o", "simple", "--active"]).await;
    assert_eq!(active.matches("KubePodCrashLooping").count(), 2, "{active}");
    assert_eq!(amtool(&url, &["silence", "query", "-q"]).await.trim(), "");
    assert!(amtool(&url, &["silence", "query", "-q", "--expired"]).await.contains(id.trim()));
    assert!(amtool(&url, &["config", "show"]).await.contains("receiver: on-call"));
    amtool(&url, &["alert", "add", "alertname=ByHand", "severity=info", "instance=here"]).await;
    assert!(amtool(&url, &["alert", "query", "-o", "simple"]).await.contains("ByHand"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_is_resolved_and_bad_silences_are_refused() {
    let (alertmanager, url) = alerts().await;
    let rules = Rules::load(1.0).unwrap();
    let now = Timestamp::now();
    // a world without crash loops tells of nothing, and what is not told again ends
    alertmanager.tell(rules.evaluate(&Tsdb::default(), now), &url, now + SignedDuration::from_mins(5));
    let left = amtool(&url, &["alert", "query", "-o", "simple"]).await;
    assert!(!left.contains("KubePodCrashLooping") && left.contains("Watchdog"), "{left}");
    let post = |body: &str| {
        let url = format!("{url}/api/v2/silences");
        ["-s", "-w", " %{http_code}", "-H", "Content-Type: application/json", "-d", body, url.as_str()]
            .map(str::to_owned)
            .to_vec()
    };
    let silence = |matcher: &str, ends: &str| {
        format!(
            r#"{{"matchers":[{matcher}],"startsAt":"2026-01-01T00:00:00Z","endsAt":"{ends}","createdBy":"me","comment":"c"}}"#
        )
    };
    let matcher = r#"{"name":"a","value":"b","isRegex":false}"#;
    for (body, code) in [
        ("nonsense".to_owned(), "400"),
        (silence("", "2099-01-01T00:00:00Z"), "400"),
        (silence(matcher, "2026-01-02T00:00:00Z"), "400"),
        (silence(r#"{"name":"a","value":"(","isRegex":true}"#, "2099-01-01T00:00:00Z"), "400"),
        (silence(matcher, "2099-01-01T00:00:00Z"), "200"),
    ] {
        let (_, out, _) = in_background("curl", post(&body)).await;
        assert!(out.ends_with(&format!(" {code}")), "{body}: {out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_sees_the_certificate_of_the_chosen_age() {
    let signals = Signals::default();
    let now = Timestamp::now();
    let days = |days: i64| now + SignedDuration::from_hours(24 * days);
    let certificate = |left| Certificate {
        hosts: vec!["app.covetpy.example".to_owned(), "*.api.covetpy.example".to_owned()],
        not_before: days(-30),
        not_after: days(left),
    };
    signals.write(|shown| shown.certificates = vec![certificate(5)]);
    signals.write(|shown| shown.service.ready = true);
    let authority = Arc::new(Authority::new("covet lab").unwrap());
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.crt");
    std::fs::write(&ca, authority.pem()).unwrap();
    let (listener, address) = listener().await;
    tokio::spawn(Https::new(signals.clone(), authority).unwrap().serve(listener));
    let curl = |host: &str| {
        let to = format!("{host}:{port}:127.0.0.1:{port}", port = address.port());
        let url = format!("https://{host}:{}/health/ready", address.port());
        ["-sS", "-v", "--max-time", "10", "--cacert", ca.to_str().unwrap(), "--connect-to", &to, &url]
            .map(str::to_owned)
            .to_vec()
    };
    let (ok, out, err) = in_background("curl", curl("app.covetpy.example")).await;
    assert!(ok && out == "ready\n", "{err}");
    let serial = || {
        let to = format!("127.0.0.1:{}", address.port());
        let script = format!(
            "openssl s_client -connect {to} -servername app.covetpy.example </dev/null 2>/dev/null | openssl x509 -noout -enddate -serial"
        );
        let (ok, out, err) = run("sh", &["-c", &script]);
        assert!(ok, "{err}");
        out
    };
    let first = serial();
    assert_eq!(first, serial(), "the same certificate is served again");
    let until = days(5).to_zoned(jiff::tz::TimeZone::UTC).strftime("%b %e").to_string();
    assert!(first.contains(&until), "{first} does not end on {until}");
    let (ok, ..) = in_background("curl", curl("eu.api.covetpy.example")).await;
    assert!(ok, "a wildcard stands for one label");
    let (ok, _, err) = in_background("curl", curl("other.example")).await;
    assert!(!ok && err.contains("certificate"), "{err}");
    signals.write(|shown| {
        shown.certificates = vec![certificate(90)];
        shown.service.ready = false;
    });
    assert_ne!(first, serial(), "a renewed certificate is another one");
    let (ok, out, err) = in_background("curl", curl("app.covetpy.example")).await;
    assert!(ok && out == "not ready\n", "{err}");
    signals.write(|shown| shown.certificates = vec![certificate(-1)]);
    let (ok, _, err) = in_background("curl", curl("app.covetpy.example")).await;
    assert!(!ok && err.contains("expired"), "{err}");
}
