//! Jobs and CronJobs of the lab: they run at their time, try again with pauses, give up, and are run by hand; and the
//! real kubectl agrees.

use std::process::Stdio;

use covet_tui::lab;
use covet_tui::lab::world::{NAMESPACE, Options, drill};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::lab_kubectl::bench::kubectl;
use crate::lab_world::Bench;

const CRON: &str = "covetpy-cleanup";
const SEEDS: [u64; 4] = [1, 7, 42, 1234];

fn met(job: &Value, kind: &str) -> bool {
    let rows = job["status"]["conditions"].as_array();
    rows.is_some_and(|rows| rows.iter().any(|row| row["type"] == kind && row["status"] == "True"))
}

/// The runs of the CronJob, the oldest first.
fn runs(bench: &Bench) -> Vec<Value> {
    let all = bench.store.list("jobs", Some(NAMESPACE)).0;
    let mut runs: Vec<Value> = all.iter().map(|job| job.value()).collect();
    runs.retain(|job| job["metadata"]["ownerReferences"][0]["name"] == CRON);
    runs.sort_by_key(|job| job["metadata"]["creationTimestamp"].to_string());
    runs
}

fn pods_of(bench: &Bench, job: &Value) -> Vec<Value> {
    let all = bench.store.list("pods", Some(NAMESPACE)).0;
    let own = |pod: &Value| pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"];
    all.iter().map(|pod| pod.value()).filter(own).collect()
}

fn ends(pods: &[Value]) -> Vec<Timestamp> {
    let end =
        |pod: &Value| pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"].clone();
    let mut ends: Vec<Timestamp> = pods.iter().filter_map(|pod| end(pod).as_str()?.parse().ok()).collect();
    ends.sort();
    ends
}

/// As `kubectl create job --from` makes it.
fn run_by_hand(bench: &Bench, name: &str) {
    let cron = bench.get("cronjobs", CRON);
    let owner = json!([{"apiVersion": "batch/v1", "kind": "CronJob", "name": CRON, "uid": cron["metadata"]["uid"], "controller": true}]);
    let job = json!({"metadata": {"name": name, "namespace": NAMESPACE, "ownerReferences": owner,
        "annotations": {"cronjob.kubernetes.io/instantiate": "manual"}}, "spec": cron["spec"]["jobTemplate"]["spec"]});
    bench.store.create("jobs", job, bench.now).unwrap();
}

#[test]
fn the_nightly_run_fails_until_its_secret_is_mended_and_it_is_run_again() {
    let drill = drill("job-failed.secret");
    for seed in SEEDS {
        let mut bench = Bench::with(Options { drill, seed, back_fill_minutes: 3, ..Options::default() });
        let [before] = &runs(&bench)[..] else { panic!("seed {seed}: yesterday's run alone") };
        assert!(met(before, "Complete"), "seed {seed}: {before}");
        let failed = |bench: &Bench| runs(bench).iter().any(|job| met(job, "Failed"));
        assert!(bench.until(300, failed), "seed {seed}: {:?}", runs(&bench).last());
        let runs_now = runs(&bench);
        let last = runs_now.last().unwrap();
        let (pods, limit) = (pods_of(&bench, last), last["spec"]["backoffLimit"].as_u64().unwrap());
        assert_eq!((pods.len() as u64, &last["status"]["failed"]), (limit + 1, &json!(limit + 1)));
        let ends = ends(&pods);
        let pauses: Vec<i64> =
            ends.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
        assert!(pauses[0] >= 10 && pauses[1] >= 20, "seed {seed}: {pauses:?}");
        let log = |pod: &Value| {
            let name = pod["metadata"]["name"].as_str().unwrap();
            bench.logs.read(NAMESPACE, name, "job", 0, 0).unwrap()
        };
        assert!(log(&pods[0]).iter().any(|line| line.text.contains("password authentication failed")));
        let success = bench.get("cronjobs", CRON)["status"]["lastSuccessfulTime"].clone();

        // As it is, it only fails again, and what failed before is tidied away.
        run_by_hand(&bench, "too-early");
        let again = |bench: &Bench| met(&bench.get("jobs", "too-early"), "Failed");
        assert!(bench.until(300, again), "seed {seed}");
        bench.run(2);
        let names: Vec<Value> = runs(&bench).iter().map(|job| job["metadata"]["name"].clone()).collect();
        assert!(
            !names.contains(&last["metadata"]["name"]) && names.contains(&json!("too-early")),
            "{names:?}"
        );

        bench.change("externalsecrets", "covetpy-secrets", |secret| {
            secret["metadata"]["annotations"]["force-sync"] = "1772593920".into();
        });
        bench.run(2);
        run_by_hand(&bench, "again");
        let done = |bench: &Bench| met(&bench.get("jobs", "again"), "Complete");
        assert!(bench.until(60, done), "seed {seed}: {}", bench.get("jobs", "again"));
        bench.run(1);
        let cron = bench.get("cronjobs", CRON);
        assert!(cron["status"]["lastSuccessfulTime"].as_str() > success.as_str(), "seed {seed}: {cron}");
    }
}

/// A world whose CronJob is changed before anything else happens.
fn changed(seed: u64, change: impl FnOnce(&mut Value)) -> Bench {
    let bench = Bench::with(Options { seed, back_fill_minutes: 0, ..Options::default() });
    bench.change("cronjobs", CRON, change);
    bench
}

#[test]
fn a_cron_job_runs_at_its_minutes_and_keeps_what_it_is_told_to() {
    for seed in SEEDS {
        let mut bench = changed(seed, |cron| cron["spec"]["schedule"] = "*/2 * * * *".into());
        bench.run(9 * 60);
        let cron = bench.get("cronjobs", CRON);
        let ran: Timestamp = cron["status"]["lastScheduleTime"].as_str().unwrap().parse().unwrap();
        assert!(ran.as_second() % 120 == 0 && bench.now.duration_since(ran) <= SignedDuration::from_mins(2));
        let left = runs(&bench);
        let ended = left.iter().filter(|job| met(job, "Complete")).count();
        assert_eq!(ended, 1, "seed {seed}: successfulJobsHistoryLimit is 1");
        let name = format!("{CRON}-{}", ran.as_second() / 60);
        assert!(left.iter().any(|job| job["metadata"]["name"] == *name), "seed {seed}: {name}");
    }
}

fn hang(cron: &mut Value) {
    cron["spec"]["schedule"] = "* * * * *".into();
    let pods = &mut cron["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    // Only what no Job runs in usual images goes on for so long.
    pods["containers"][0]["image"] = "ghcr.io/yourorg/covetpy:v0.0.0".into();
}

#[test]
fn a_run_in_the_way_forbids_is_replaced_or_is_run_beside() {
    for (policy, wanted) in [("Forbid", 1), ("Replace", 1), ("Allow", 4)] {
        let mut bench = changed(7, |cron| {
            hang(cron);
            cron["spec"]["concurrencyPolicy"] = policy.into();
        });
        bench.run(4 * 60 - 20);
        let open: Vec<Value> = runs(&bench).into_iter().filter(|job| !met(job, "Complete")).collect();
        assert_eq!(open.len(), wanted, "{policy}");
        let active = &bench.get("cronjobs", CRON)["status"]["active"];
        assert_eq!(active.as_array().unwrap().len(), wanted, "{policy}: {active}");
    }
}

#[test]
fn a_suspended_cron_job_rests_and_a_deadline_ends_a_job() {
    let mut bench = changed(42, |cron| {
        hang(cron);
        cron["spec"]["suspend"] = true.into();
    });
    let before = runs(&bench).len();
    bench.run(180);
    assert_eq!(runs(&bench).len(), before);
    bench.change("cronjobs", CRON, |cron| {
        cron["spec"]["suspend"] = false.into();
        cron["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] = 30.into();
    });
    let late = |bench: &Bench| runs(bench).iter().any(|job| met(job, "Failed"));
    assert!(bench.until(120, late));
    let job = runs(&bench).into_iter().find(|job| met(job, "Failed")).unwrap();
    assert!(job["status"]["conditions"].to_string().contains("DeadlineExceeded"), "{job}");
}

struct Said {
    ok: bool,
    out: String,
    err: String,
}

async fn shell(kubeconfig: &std::path::Path, line: &str) -> Said {
    let folder = kubectl().parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(line).env("KUBECONFIG", kubeconfig).env("PATH", path);
    let output = shell.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(std::time::Duration::from_mins(2), output).await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { ok: output.status.success(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// The lines that the cockpit shows for its actions, done by the real kubectl.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_runs_jobs_by_hand() {
    use covet_tui::domain::{Action, Key, Kind, ObjectRef};
    let lab = lab::start(lab::Options { speed: 20.0, ..lab::Options::default() }).await.unwrap();
    let done = async |line: &str| {
        let said = shell(lab.kubeconfig(), line).await;
        assert!(said.ok, "{line}\n{}{}", said.out, said.err);
        said.out
    };
    let again = |kind: Kind, from: &str, name: Option<&str>| {
        let from = ObjectRef::new(kind, Key::new(NAMESPACE, from));
        Action::RunJobAgain { from, name: name.map(Into::into) }.as_command()
    };
    let space = format!("-n {NAMESPACE}");
    done(&again(Kind::CronJob, CRON, Some("by-hand"))).await;
    done(&format!("kubectl wait {space} --for=condition=complete job/by-hand --timeout=60s")).await;
    let listed = done(&format!("kubectl get jobs {space}")).await;
    let row = listed.lines().find(|line| line.starts_with("by-hand ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>()[1..3], ["Complete", "1/1"], "{listed}");
    // It came by protobuf, and lost nothing on the way.
    let read = async |what: &str| {
        serde_json::from_str::<Value>(&done(&format!("kubectl get {space} {what} -o json")).await).unwrap()
    };
    let (job, cron) = (read("job/by-hand").await, read(&format!("cronjob/{CRON}")).await);
    let template = &cron["spec"]["jobTemplate"];
    assert_eq!(job["metadata"]["labels"], template["metadata"]["labels"]);
    for field in ["image", "args", "envFrom", "resources"] {
        let of = |spec: &Value| spec["template"]["spec"]["containers"][0][field].clone();
        assert_eq!(of(&job["spec"]), of(&template["spec"]), "{field}");
    }
    for field in ["restartPolicy", "imagePullSecrets"] {
        assert_eq!(
            job["spec"]["template"]["spec"][field], template["spec"]["template"]["spec"][field],
            "{field}"
        );
    }
    assert_eq!(job["spec"]["backoffLimit"], template["spec"]["backoffLimit"]);
    assert!(done(&format!("kubectl logs {space} job/by-hand")).await.contains("done"));
    let described = done(&format!("kubectl describe job {space} by-hand")).await;
    assert!(described.contains("cronjob.kubernetes.io/instantiate: manual"), "{described}");
    assert!(
        described.contains("Controlled By:") && described.contains("CronJob/covetpy-cleanup"),
        "{described}"
    );
    done(&again(Kind::Job, "covetpy-migrate-v1-2-3", Some("migrate-again"))).await;
    done(&format!("kubectl wait {space} --for=condition=complete job/migrate-again --timeout=60s")).await;

    // What the server knows better.
    let copied = format!(
        "kubectl get job {space} by-hand -o json | jq '.metadata |= {{name: \"other\", namespace}}' | kubectl create -f -"
    );
    let refused = shell(lab.kubeconfig(), &copied).await;
    assert!(refused.err.contains("`selector` not auto-generated"), "{}", refused.err);
    let always = "kubectl create -f - <<< '{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"x\",\"image\":\"x:1\"}]}}}}'";
    let refused = shell(lab.kubeconfig(), always).await;
    assert!(refused.err.contains("supported values: \"OnFailure\", \"Never\""), "{}", refused.err);
    done(&format!("kubectl delete job {space} by-hand")).await;
    let gone = done(&format!("kubectl get pods {space} -l job-name=by-hand -o name")).await;
    assert!(gone.is_empty(), "{gone}");
    // Without a name of our own, by the clock of the shell.
    done(&again(Kind::CronJob, CRON, None)).await;
    lab.stop().await;
}
