//! The lab's Prometheus beside the real one: the same samples, the same questions, the same answers.
//! Needs `prometheus` and `promtool` (2.42) on the PATH.

mod made_up;
mod samples;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use covet_tui::lab::prometheus::{Prometheus, router};
use covet_tui::lab::promql;
use covet_tui::lab::rules::{RULES, Rules};
use covet_tui::lab::tsdb::Tsdb;
use jiff::Timestamp;
use serde_json::Value;

use made_up::made_up;
use samples::{END, MINUTE, Sampled, samples};

const EXPRESSIONS: &str = include_str!("lab_promql/expressions.txt");

/// Both servers, filled with the same samples.
struct Pair {
    ours: String,
    real: String,
    client: reqwest::Client,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Pair {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let samples = samples();
        let tsdb = Tsdb::default();
        for (name, labels, points) in &samples {
            let labels: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            for (at, value) in points {
                tsdb.append(name, &labels, Timestamp::from_millisecond(*at).unwrap(), *value);
            }
        }
        let ours = serve(tsdb).await;
        let (process, real) = start_real(folder.path(), &samples);
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pair = Self { ours, real, client: reqwest::Client::new(), process, _folder: folder };
        pair.wait_until_ready().await;
        pair
    }

    async fn wait_until_ready(&self) {
        for _ in 0..200 {
            let answer = self.client.get(format!("{}/-/ready", self.real)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("prometheus did not become ready in 20 s");
    }

    async fn ask(&self, server: &str, path: &str, form: &[(&str, String)]) -> (u16, Value) {
        let request = self.client.post(format!("{server}/api/v1/{path}")).form(form);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    /// Puts one question to both; says how the answers differ.
    async fn compare(&self, path: &str, form: &[(&str, String)], elements: &mut usize) -> Option<String> {
        let (our_status, ours) = self.ask(&self.ours, path, form).await;
        let (real_status, real) = self.ask(&self.real, path, form).await;
        if (our_status, &ours["status"], &ours["errorType"])
            != (real_status, &real["status"], &real["errorType"])
        {
            return Some(format!("status: ours {our_status} {ours:.300}\n  real {real_status} {real:.300}"));
        }
        if ours["status"] != "success" {
            return None;
        }
        if ours["data"]["resultType"] != real["data"]["resultType"] {
            return Some(format!("type: ours {ours:.200} real {real:.200}"));
        }
        *elements += real["data"]["result"].as_array().map_or(0, Vec::len);
        let ordered = form.iter().any(|(name, value)| *name == "query" && value.starts_with("sort"));
        difference(&ours["data"]["result"], &real["data"]["result"], ordered && path == "query")
    }
}

fn difference(ours: &Value, real: &Value, ordered: bool) -> Option<String> {
    let (Value::Array(ours_), Value::Array(real_)) = (ours, real) else {
        return Some("not arrays".to_owned());
    };
    if ours_.first().is_some_and(|first| !first.is_object()) {
        return (!same(ours, real)).then(|| format!("ours {ours} real {real}"));
    }
    let key = |item: &Value| item["metric"].to_string();
    if ordered {
        let metrics = |items: &[Value]| items.iter().map(key).collect::<Vec<_>>();
        if metrics(ours_) != metrics(real_) {
            return Some(format!("order: ours {:?} real {:?}", metrics(ours_), metrics(real_)));
        }
    }
    let index = |items: &[Value]| -> BTreeMap<String, Value> {
        items.iter().map(|item| (key(item), item.clone())).collect()
    };
    let (ours_, real_) = (index(ours_), index(real_));
    let missing: Vec<_> = real_.keys().filter(|metric| !ours_.contains_key(*metric)).collect();
    let surplus: Vec<_> = ours_.keys().filter(|metric| !real_.contains_key(*metric)).collect();
    if !missing.is_empty() || !surplus.is_empty() {
        return Some(format!("missing {missing:?} surplus {surplus:?}"));
    }
    real_.iter().find_map(|(metric, real)| {
        let ours = &ours_[metric];
        let field = if real["value"].is_null() { "values" } else { "value" };
        (!same(&ours[field], &real[field]))
            .then(|| format!("{metric}: {}", first_difference(&ours[field], &real[field])))
    })
}

fn first_difference(ours: &Value, real: &Value) -> String {
    match (ours, real) {
        (Value::Array(a), Value::Array(b))
            if a.len() == b.len() && a.first().is_some_and(Value::is_array) =>
        {
            let (a, b) = a.iter().zip(b).find(|(a, b)| !same(a, b)).unwrap();
            format!("ours {a} real {b}")
        }
        _ => format!("ours {ours:.300} real {real:.300}"),
    }
}

/// Equal, numbers (also those in strings) within a relative 1e-9.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(a), Value::Number(b)) => close(a.as_f64().unwrap(), b.as_f64().unwrap()),
        (Value::String(a), Value::String(b)) => match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(x), Ok(y)) => close(x, y) && (x.is_finite() || a == b),
            _ => a == b,
        },
        _ => a == b,
    }
}

fn close(a: f64, b: f64) -> bool {
    a.total_cmp(&b).is_eq() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

async fn serve(tsdb: Tsdb) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let prometheus = Prometheus {
        signals: Default::default(),
        speed: 1.0,
        tsdb,
        rules: Rules::load(1.0).unwrap(),
        started: Timestamp::now(),
        clock: Timestamp::now,
        alertmanager_url: "http://127.0.0.1:9".to_owned(),
    };
    tokio::spawn(async move { axum::serve(listener, router(prometheus)).await });
    url
}

fn start_real(folder: &Path, samples: &[Sampled]) -> (Child, String) {
    let text = folder.join("samples.txt");
    std::fs::write(&text, open_metrics(samples)).unwrap();
    let blocks = folder.join("data");
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&text, &blocks])
        .output()
        .expect("promtool must be on the PATH (Debian package prometheus)");
    assert!(made.status.success(), "promtool: {}", String::from_utf8_lossy(&made.stderr));
    let config = folder.join("prometheus.yml");
    std::fs::write(&config, "global:\n  evaluation_interval: 1m\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let process = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", blocks.display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--log.level=error", "--enable-feature=promql-at-modifier,promql-negative-offset"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus must be on the PATH (Debian package prometheus)");
    (process, format!("http://127.0.0.1:{port}"))
}

fn open_metrics(samples: &[Sampled]) -> String {
    let mut lines: Vec<(&str, i64, String)> = Vec::new();
    for (name, labels, points) in samples {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        for (at, value) in points {
            let value =
                if value.is_nan() { "NaN".to_owned() } else { format!("{value:e}").replace("inf", "Inf") };
            let line = format!("{name}{{{}}} {value} {}.{:03}\n", labels.join(","), at / 1000, at % 1000);
            lines.push((name, *at, line));
        }
    }
    lines.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    let mut text: String = lines.into_iter().map(|(.., line)| line).collect();
    text.push_str("# EOF\n");
    text
}

/// Moments that fall on, between and far from samples.
fn moments() -> [i64; 6] {
    [END, END - 1, END - 7 * MINUTE, END - 31 * MINUTE - 123, END - 100 * MINUTE, END + 6 * MINUTE]
}

fn seconds(at: i64) -> String {
    format!("{}.{:03}", at / 1000, at % 1000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lab_evaluates_promql_like_prometheus() {
    let pair = Pair::start().await;
    let mut differences = String::new();
    let mut asked = 0;
    let (mut answered, mut elements) = (0, 0);
    let listed = EXPRESSIONS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let listed: Vec<String> = listed.map(str::to_owned).chain(made_up()).collect();
    for expression in &listed {
        let mut questions: Vec<(&str, Vec<(&str, String)>)> = Vec::new();
        for at in moments() {
            questions.push(("query", vec![("query", expression.clone()), ("time", seconds(at))]));
        }
        for (span, step) in [(20 * MINUTE, "37"), (140 * MINUTE, "5m")] {
            let span = [("start", seconds(END - span)), ("end", seconds(END)), ("step", step.to_owned())];
            questions
                .push(("query_range", [("query", expression.clone())].into_iter().chain(span).collect()));
        }
        for (path, form) in questions {
            asked += 1;
            match pair.compare(path, &form, &mut elements).await {
                None => answered += 1,
                Some(why) => {
                    let _ = writeln!(differences, "{expression}\n  {path} {:?}\n  {why}", &form[1..]);
                    break;
                }
            }
        }
    }
    assert!(asked > 2000 && elements > 5_000, "only {asked} questions, {elements} elements in the answers");
    assert!(differences.is_empty(), "{answered} of {asked} alike; these differ:\n{differences}");
}

#[test]
fn an_ended_series_disappears_at_once_and_a_silent_one_after_five_minutes() {
    let tsdb = Tsdb::default();
    let at = |seconds: i64| Timestamp::from_millisecond(END + seconds * 1000).unwrap();
    for seconds in [0, 15, 30] {
        tsdb.append("pods", &[("pod", "ended")], at(seconds), seconds as f64);
        tsdb.append("pods", &[("pod", "silent")], at(seconds), seconds as f64);
    }
    tsdb.end("pods", &[("pod", "ended")], at(45));
    let pods = |query: &str, seconds: i64| {
        let expr = promql::parse(query).unwrap();
        match promql::instant(&tsdb, &expr, at(seconds).as_millisecond()).unwrap() {
            promql::Value::Vector(points) => points
                .iter()
                .map(|point| (point.labels.get("pod").to_owned(), point.value))
                .collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    let (ended, silent) = (String::from("ended"), String::from("silent"));
    assert_eq!(pods("pods", 44), [(ended.clone(), 30.0), (silent.clone(), 30.0)]);
    assert_eq!(pods("pods", 45), [(silent.clone(), 30.0)]);
    assert_eq!(pods("pods", 330), [(silent.clone(), 30.0)]);
    assert_eq!(pods("pods", 331), []);
    assert_eq!(pods("count_over_time(pods[1m])", 50), [(ended, 3.0), (silent, 3.0)]);
}

#[test]
fn hopeless_nesting_is_refused() {
    let nested = |depth: usize| {
        [
            "(".repeat(depth) + "1" + &")".repeat(depth),
            "1 -".repeat(depth) + "1",
            "- ".repeat(depth) + "1",
            "up or ".repeat(depth) + "up",
        ]
    };
    for query in nested(100_000) {
        assert!(matches!(promql::parse(&query), Err(promql::QueryError::BadData(_))));
    }
    for query in nested(190) {
        let expr = promql::parse(&query).unwrap();
        assert!(promql::instant(&Tsdb::default(), &expr, END).is_ok());
    }
    let pods = vec!["covetpy-app-7d9c5b6f4-x2x4q"; 200].join("|");
    assert!(promql::parse(&format!("up{{pod=~\"{pods}\"}}")).is_ok(), "hyphens in strings are no operators");
}

#[test]
fn promtool_accepts_the_labs_rules() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yml");
    std::fs::write(&file, RULES).unwrap();
    let checked = Command::new("promtool")
        .args(["check", "rules"])
        .arg(&file)
        .output()
        .expect("promtool must be on the PATH (Debian package prometheus)");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[tokio::test]
async fn listings_look_like_prometheus() {
    let pair = Pair::start().await;
    let span = [("start", seconds(END - 30 * MINUTE)), ("end", seconds(END))];
    for (path, form) in [
        ("series", vec![("match[]", "gauge{job=\"app\"}".to_owned()), ("match[]", "up".to_owned())]),
        ("series", vec![("match[]", "{__name__=~\"kube_node.*\"}".to_owned())]),
        ("series", vec![]),
        ("series", vec![("match[]", "gauge{".to_owned())]),
        ("labels", vec![("match[]", "gauge".to_owned())]),
        ("query", vec![]),
        ("query", vec![("query", "up".to_owned()), ("time", "soon".to_owned())]),
        ("query_range", vec![("query", "up".to_owned()), ("step", "0".to_owned())]),
        ("query_range", vec![("query", "up[5m]".to_owned()), ("step", "15".to_owned())]),
        ("query_range", vec![("query", "up".to_owned()), ("step", "1ms".to_owned())]),
    ] {
        let form: Vec<_> = form.into_iter().chain(span.clone()).collect();
        let (our_status, ours) = pair.ask(&pair.ours, path, &form).await;
        let (real_status, real) = pair.ask(&pair.real, path, &form).await;
        assert_eq!(
            (our_status, &ours["errorType"]),
            (real_status, &real["errorType"]),
            "{path} {form:?}\n{ours}\n{real}"
        );
        if ours["status"] == "success" {
            let sorted = |answer: &Value| {
                let mut items: Vec<String> =
                    answer["data"].as_array().unwrap().iter().map(Value::to_string).collect();
                items.sort();
                items
            };
            assert_eq!(sorted(&ours), sorted(&real), "{path} {form:?}");
        }
    }
    for path in ["label/job/values", "label/nothing/values"] {
        let get = |server: &str| {
            let url = format!("{server}/api/v1/{path}?start={}&end={}", span[0].1, span[1].1);
            let request = pair.client.get(url);
            async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
        };
        assert_eq!(get(&pair.ours).await["data"], get(&pair.real).await["data"], "{path}");
    }
}
