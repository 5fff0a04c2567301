//! Secrets Manager: rotated, and back to the version before. Values are never asked for.

use covet_tui::domain::AwsDoes;
use serde_json::{Value, json};

use super::bench::Bench;

fn current(bench: &mut Bench) -> String {
    let found = bench.boto.call("secretsmanager", "describe_secret", json!({"SecretId": "shop/jwt"}));
    let stages = found["VersionIdsToStages"].as_object().unwrap().clone();
    let is = |stages: &Value| stages.as_array().unwrap().contains(&json!("AWSCURRENT"));
    stages.iter().find(|(_, stages)| is(stages)).unwrap().0.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_and_the_older_version_made_current_again() {
    let mut bench = Bench::new().await;
    bench.boto.call(
        "secretsmanager",
        "create_secret",
        json!({"Name": "shop/jwt", "SecretString": "hunter22"}),
    );
    let rotate = AwsDoes::RotateSecret { secret: "shop/jwt".into() };
    assert!(bench.refused(rotate.clone()).await.contains("no rotation set up"));
    let still = bench.read(AwsDoes::SecretRotation { secret: "shop/jwt".into() }).await;
    assert!(!still.ok && still.summary.contains("does not rotate"), "{}", still.summary);
    bench.boto.call(
        "secretsmanager",
        "rotate_secret",
        json!({"SecretId": "shop/jwt", "RotationRules": {"AutomaticallyAfterDays": 30}}),
    );
    let before = current(&mut bench);
    let outcome = bench.act(rotate).await;
    assert_ne!(current(&mut bench), before);
    let seen = bench.read(AwsDoes::SecretRotation { secret: "shop/jwt".into() }).await;
    assert!(seen.ok && !format!("{seen:?}{outcome:?}").contains("hunter22"), "values are never read");
    bench.undo(&outcome).await;
    assert_eq!(current(&mut bench), before);
}
