//! How AWS is reached, and what is said when it is not.

use std::sync::atomic::{AtomicI64, Ordering};

use covet_tui::config::aws::{Aws, AwsTrouble};
use covet_tui::config::{self, Flags};
use covet_tui::domain::{AwsDoes, Timestamp};

use super::bench::{Bench, REGION, now};

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_and_where_is_known() {
    let bench = Bench::new().await;
    let aws = Aws::of(&bench.settings.aws).unwrap();
    let session = aws.session(Some("eu-west-1"), now).await.unwrap();
    assert_eq!(session.region, REGION, "the settings go before the nodes");
    let identity = session.identity().await.unwrap();
    assert_eq!(identity.account, "123456789012");
    let error = aws.session_at(Some("eu-west-1"), now).await.err().unwrap();
    assert_eq!(error.kind, AwsTrouble::Elsewhere);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_region_the_nodes_are_asked_for_one() {
    let mut bench = Bench::new().await;
    bench.set(&[("AWS_REGION", "")]);
    let aws = Aws::of(&bench.settings.aws).unwrap();
    assert_eq!(aws.session(Some("eu-west-1"), now).await.unwrap().region, "eu-west-1");
    let error = aws.session(None, now).await.err().unwrap();
    assert!(
        error.kind == AwsTrouble::NotConfigured
            && error.repair.is_some_and(|repair| repair.contains("AWS_REGION"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_is_told_in_time() {
    let mut bench = Bench::new().await;
    bench.set(&[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]);
    let began = std::time::Instant::now();
    for does in [
        AwsDoes::InstanceHealth { instance: "i-1".into() },
        AwsDoes::DatabaseCluster { cluster: Some("x".into()) },
    ] {
        let reading = bench.read(does.clone()).await;
        assert!(!reading.ok && reading.summary.contains("can't be reached"), "{does:?}: {}", reading.summary);
    }
    assert!(began.elapsed().as_secs() < 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_sso_session_says_how_to_log_in_and_a_credential_process_works() {
    let bench = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let process = folder.path().join("keys.sh");
    std::fs::write(
        &process,
        "#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"AKIA\", \"SecretAccessKey\": \"x\"}'\n",
    )
    .unwrap();
    std::fs::set_permissions(&process, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let text = format!(
        "[sso]\nregion = us-east-1\nsso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = ops\n[process]\nregion = us-east-1\ncredential_process = {}\n",
        process.display()
    );
    std::fs::write(&file, text).unwrap();
    let path = file.display().to_string();
    let with = |profile: &str| {
        let named = [
            ("AWS_ENDPOINT_URL", bench.url.clone()),
            ("AWS_SHARED_CREDENTIALS_FILE", path.clone()),
            ("COVET_AWS_PROFILE", profile.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
        ];
        let find =
            |asked: &str| named.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.clone());
        Aws::of(&config::load(&Flags::default(), &find, None).unwrap().aws).unwrap()
    };
    let identity = with("process").session(None, now).await.unwrap().identity().await.unwrap();
    assert_eq!(identity.account, "123456789012");
    let error = with("sso").session(None, now).await.err().unwrap();
    assert_eq!(error.kind, AwsTrouble::Credentials, "{error}");
    assert!(
        error.repair.as_deref().is_some_and(|repair| repair.contains("aws sso login --profile sso")),
        "{error}"
    );
    let error = with("nobody").session(None, now).await.err().unwrap();
    assert_eq!(error.kind, AwsTrouble::Credentials, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_again_when_the_given_clock_says_so() {
    static LATER: AtomicI64 = AtomicI64::new(0);
    fn clock() -> Timestamp {
        now() + jiff::SignedDuration::from_mins(LATER.load(Ordering::SeqCst))
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, process) = (folder.path().join("config"), folder.path().join("keys.sh"));
    let asked = folder.path().join("asked");
    let script = format!(
        "#!/bin/sh\necho asked >> {}\necho '{{\"Version\": 1, \"AccessKeyId\": \"AKIA\", \"SecretAccessKey\": \"x\"}}'\n",
        asked.display()
    );
    std::fs::write(&process, script).unwrap();
    std::fs::set_permissions(&process, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let text = format!("[process]\nregion = us-east-1\ncredential_process = {}\n", process.display());
    std::fs::write(&file, text).unwrap();
    let path = file.display().to_string();
    let find = |name: &str| match name {
        "AWS_SHARED_CREDENTIALS_FILE" => Some(path.clone()),
        "COVET_AWS_PROFILE" => Some("process".to_owned()),
        _ => None,
    };
    let aws = Aws::of(&config::load(&Flags::default(), &find, None).unwrap().aws).unwrap();
    let times = || std::fs::read_to_string(&asked).unwrap().lines().count();
    for (minutes, expected) in [(0, 1), (9, 1), (11, 2), (20, 2), (22, 3)] {
        LATER.store(minutes, Ordering::SeqCst);
        aws.session(None, clock).await.unwrap();
        assert_eq!(times(), expected, "after {minutes} minutes");
    }
}
