//! The lab's store: revisions, watching, expiry and what a server fills in.
use covet_tui::lab::store::{Change, Expired, Store, StoreError};
use jiff::Timestamp;
use serde_json::json;

fn map(name: &str) -> serde_json::Value {
    json!({"metadata": {"name": name, "namespace": "shop", "labels": {"a": "b"}}, "data": {"k": "v"}})
}

#[test]
fn objects_are_completed_and_revised() {
    let (store, now) = (Store::new(1), Timestamp::UNIX_EPOCH);
    let created = store.create("configmaps", map("one"), now).unwrap();
    let value = created.value();
    assert_eq!((&value["apiVersion"], &value["kind"]), (&json!("v1"), &json!("ConfigMap")));
    assert_eq!(value["metadata"]["creationTimestamp"], "1970-01-01T00:00:00Z");
    assert_eq!(value["metadata"]["resourceVersion"], created.revision.to_string());
    assert_eq!(value["metadata"]["uid"].as_str().unwrap().len(), 36);
    assert_eq!(
        store.create("configmaps", map("one"), now).unwrap_err(),
        StoreError::Exists("configmaps", "one".into())
    );
    let same = store.update("configmaps", "shop", "one", now, |_| ()).unwrap();
    assert_eq!(same.revision, created.revision, "nothing changed, nothing is stored");
    let web = json!({"metadata": {"generateName": "web-", "namespace": "shop"}, "spec": {"replicas": 1}});
    let web = store.create("deployments", web, now).unwrap();
    assert!(web.name.starts_with("web-") && web.name.len() == 9);
    let scaled =
        store.update("deployments", "shop", &web.name, now, |object| object["spec"]["replicas"] = 2.into());
    assert_eq!(scaled.unwrap().value()["metadata"]["generation"], 2);
    let noted =
        store.update("deployments", "shop", &web.name, now, |object| object["status"] = json!({"x": 1}));
    assert_eq!(noted.unwrap().value()["metadata"]["generation"], 2);
    assert_eq!(
        Store::new(1).create("configmaps", map("one"), now).unwrap().uid,
        created.uid,
        "one seed, one world"
    );
}

#[test]
fn namespaces_are_ranges() {
    let (store, now) = (Store::new(1), Timestamp::UNIX_EPOCH);
    for (namespace, name) in [("shop", "b"), ("shop", "a"), ("shop-2", "c"), ("sho", "d")] {
        store.create("configmaps", json!({"metadata": {"name": name, "namespace": namespace}}), now).unwrap();
    }
    let names = |namespace| -> Vec<String> {
        store.list("configmaps", namespace).0.iter().map(|object| object.name.clone()).collect()
    };
    assert_eq!(names(Some("shop")), ["a", "b"]);
    assert_eq!(names(None).len(), 4);
}

#[tokio::test]
async fn watches_see_every_change_in_order_or_expire() {
    let (store, now) = (Store::new(1), Timestamp::UNIX_EPOCH);
    let before = store.revision();
    let mut watch = store.watch("configmaps", before).unwrap();
    assert!(watch.drain().unwrap().is_empty());
    store.create("configmaps", map("one"), now).unwrap();
    store.update("configmaps", "shop", "one", now, |object| object["data"]["k"] = "w".into()).unwrap();
    store.delete("configmaps", "shop", "one").unwrap();
    let changes = watch.next().await.unwrap();
    let kinds: Vec<Change> = changes.iter().map(|changed| changed.change).collect();
    assert_eq!(kinds, [Change::Added, Change::Modified, Change::Deleted]);
    assert!(changes.windows(2).all(|pair| pair[0].revision < pair[1].revision));
    assert_eq!(changes[1].before.as_ref().unwrap().value()["data"]["k"], "v");
    assert_eq!(watch.revision(), store.revision());

    let waiting = tokio::spawn(async move { watch.next().await });
    tokio::task::yield_now().await;
    store.compact();
    store.create("configmaps", map("two"), now).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().len(), 1, "a running watch survives compaction");
    assert!(matches!(store.watch("configmaps", before), Err(Expired { .. })));
    let mut slow = store.watch("configmaps", store.revision()).unwrap();
    for _ in 0..9000 {
        let flip = |object: &mut serde_json::Value| {
            object["data"]["k"] = if object["data"]["k"] == "x" { "y".into() } else { "x".into() }
        };
        store.update("configmaps", "shop", "two", now, flip).unwrap();
    }
    assert!(slow.drain().is_err(), "more changed than the log holds");
}
