//! The lab's API server under kube-rs: the client the cockpit is made of.
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use kube::api::{
    Api, AttachParams, DeleteParams, DynamicObject, EvictParams, ListParams, LogParams, Patch, PatchParams,
    PostParams, WatchEvent, WatchParams,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Config, ResourceExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab_kubectl::bench::{Bench, NAMESPACE};

async fn client(bench: &Bench, role: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(bench.kubeconfig(role)).unwrap();
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    // or a refusal by a budget (429) would be repeated for minutes
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(
        json!({"metadata": {"name": name, "labels": {"made": "here"}}, "data": {"key": value}}),
    )
    .unwrap()
}

/// The next event, which must come.
async fn next(
    stream: &mut (impl futures::Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin),
) -> watcher::Result<Event<ConfigMap>> {
    tokio::time::timeout(Duration::from_secs(20), stream.next()).await.expect("an event within 20 s").unwrap()
}

/// Names up to the end of an initial list.
async fn initial(
    stream: &mut (impl futures::Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin),
) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    loop {
        match next(stream).await {
            Ok(Event::InitApply(map)) => {
                names.insert(map.name_any());
            }
            Ok(Event::InitDone) => return names,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_list_by_stream_and_by_page() {
    let bench = Bench::new().await;
    let maps: Api<ConfigMap> = Api::namespaced(client(&bench, "admin").await, NAMESPACE);
    for number in 0..5 {
        maps.create(&PostParams::default(), &config_map(&format!("map-{number}"), "1")).await.unwrap();
    }
    let expected: BTreeSet<String> =
        ["settings", "map-0", "map-1", "map-2", "map-3", "map-4"].map(str::to_owned).into();
    let streamed = watcher::Config::default().streaming_lists();
    let paged = watcher::Config::default().page_size(2);
    for config in [streamed, paged] {
        let mut stream = watcher::watcher(maps.clone(), config.timeout(30)).boxed();
        assert_eq!(initial(&mut stream).await, expected);
        maps.create(&PostParams::default(), &config_map("late", "1")).await.unwrap();
        assert!(matches!(next(&mut stream).await.unwrap(), Event::Apply(map) if map.name_any() == "late"));
        maps.delete("late", &DeleteParams::default()).await.unwrap();
        assert!(matches!(next(&mut stream).await.unwrap(), Event::Delete(map) if map.name_any() == "late"));
    }
    let selected = watcher::Config::default().labels("made=here,!gone").timeout(30);
    let mut stream = watcher::watcher(maps.clone(), selected).boxed();
    assert_eq!(initial(&mut stream).await.len(), 5);
    let unlabel = Patch::Merge(json!({"metadata": {"labels": {"made": null}}}));
    maps.patch("map-2", &PatchParams::default(), &unlabel).await.unwrap();
    assert!(matches!(next(&mut stream).await.unwrap(), Event::Delete(map) if map.name_any() == "map-2"));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_is_said_and_survived() {
    let bench = Bench::new().await;
    let maps: Api<ConfigMap> = Api::namespaced(client(&bench, "admin").await, NAMESPACE);
    for number in 0..4 {
        maps.create(&PostParams::default(), &config_map(&format!("map-{number}"), "1")).await.unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (2, Some(3)));
    let token = first.metadata.continue_.unwrap();
    maps.create(&PostParams::default(), &config_map("map-9", "1")).await.unwrap();
    let second = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version, "pages are pinned");
    bench.store.compact();
    let gone = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap_err();
    assert!(matches!(gone, kube::Error::Api(status) if status.code == 410 && status.reason == "Expired"));

    let mut old = maps.watch(&WatchParams::default(), "2").await.unwrap().boxed();
    let event = old.try_next().await.unwrap().unwrap();
    assert!(matches!(event, WatchEvent::Error(status) if status.code == 410 && status.reason == "Expired"));

    // the watch ends every second, and meanwhile its revision is compacted away: it lists again by itself
    let mut stream = watcher::watcher(maps.clone(), watcher::Config::default().timeout(1)).boxed();
    assert_eq!(initial(&mut stream).await.len(), 6);
    bench
        .store
        .update("nodes", "", "node-1", jiff::Timestamp::now(), |node| {
            node["metadata"]["labels"]["a"] = "b".into();
        })
        .unwrap();
    bench.store.compact();
    let mut expired = false;
    loop {
        match next(&mut stream).await {
            Err(watcher::Error::WatchError(status)) => expired |= status.code == 410,
            Ok(Event::InitDone) => break,
            _ => {}
        }
    }
    assert!(expired, "it was told that its revision is gone");
    maps.create(&PostParams::default(), &config_map("after", "1")).await.unwrap();
    loop {
        if matches!(next(&mut stream).await, Ok(Event::Apply(map)) if map.name_any() == "after") {
            break;
        }
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_keep_their_preconditions() {
    let bench = Bench::new().await;
    let client = client(&bench, "admin").await;
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), NAMESPACE);
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let code = |error: kube::Error| match error {
        kube::Error::Api(status) => (status.code, status.reason.clone(), status.message.clone()),
        other => panic!("{other}"),
    };
    let before = deployments.get("web").await.unwrap();
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let scaled =
        deployments.patch_scale("web", &dry, &Patch::Merge(json!({"spec": {"replicas": 7}}))).await.unwrap();
    assert_eq!(scaled.spec.unwrap().replicas, Some(7));
    assert_eq!(deployments.get_scale("web").await.unwrap().spec.unwrap().replicas, Some(4));
    let test = |replicas: i32| -> json_patch::Patch {
        serde_json::from_value(json!([{"op": "test", "path": "/spec/replicas", "value": replicas},
                                      {"op": "replace", "path": "/spec/replicas", "value": 3}]))
        .unwrap()
    };
    let refused = deployments.patch_scale("web", &PatchParams::default(), &Patch::Json::<()>(test(9))).await;
    assert_eq!(code(refused.unwrap_err()).0, 422);
    deployments.patch_scale("web", &PatchParams::default(), &Patch::Json::<()>(test(4))).await.unwrap();
    let stale = deployments.replace("web", &PostParams::default(), &before).await.unwrap_err();
    assert_eq!(code(stale).0, 409);
    bench.until("three pods", || bench.pods("web").len() == 3).await;

    let name = bench.pods("web")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    bench
        .until("a spent budget", || {
            bench.get("poddisruptionbudgets", "web")["status"]["disruptionsAllowed"] == 0
        })
        .await;
    let (status, reason, message) = code(pods.evict(&name, &EvictParams::default()).await.unwrap_err());
    assert_eq!((status, reason.as_str()), (429, "TooManyRequests"));
    assert_eq!(message, "Cannot evict pod as it would violate the pod's disruption budget.");
    let not_this = DeleteParams::default()
        .preconditions(kube::api::Preconditions { uid: Some("other".into()), resource_version: None });
    assert_eq!(code(pods.delete(&name, &not_this).await.unwrap_err()).0, 409);
    pods.delete(&name, &DeleteParams { dry_run: true, ..DeleteParams::default() }).await.unwrap();
    assert!(bench.get("pods", &name)["metadata"]["deletionTimestamp"].is_null());
    deployments
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 5}})))
        .await
        .unwrap();
    bench
        .until("room in the budget", || {
            bench.get("poddisruptionbudgets", "web")["status"]["disruptionsAllowed"] == 2
        })
        .await;
    let uid = bench.get("pods", &name)["metadata"]["uid"].clone();
    pods.evict(
        &name,
        &EvictParams {
            delete_options: Some(DeleteParams { dry_run: true, ..DeleteParams::default() }),
            ..EvictParams::default()
        },
    )
    .await
    .unwrap();
    assert_eq!(bench.get("pods", &name)["metadata"]["uid"], uid);
    pods.evict(&name, &EvictParams::default()).await.unwrap();
    bench.until("it is gone", || bench.store.get("pods", NAMESPACE, &name).is_none()).await;

    let nodes: Api<Node> = Api::all(client.clone());
    nodes.cordon("node-2").await.unwrap();
    assert_eq!(bench.get("nodes", "node-2")["spec"]["unschedulable"], true);
    nodes.uncordon("node-2").await.unwrap();
    deployments.restart("web").await.unwrap();
    let apply = PatchParams::apply("covet-tui");
    let maps: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"level": "debug"}});
    maps.patch("settings", &apply, &Patch::Apply(&config)).await.unwrap();
    assert_eq!(bench.get("configmaps", "settings")["data"]["level"], "debug");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_can_be_read_and_entered() {
    let bench = Bench::new().await;
    let client = client(&bench, "admin").await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let name = bench.pods("web")[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let mut process = pods.exec(&name, ["df", "-hP"], &AttachParams::default().stderr(false)).await.unwrap();
    let status = process.take_status().unwrap();
    let mut text = String::new();
    process.stdout().unwrap().read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("Filesystem"), "{text}");
    assert_eq!(status.await.unwrap().status.as_deref(), Some("Success"));
    let mut process = pods.exec(&name, ["nothing"], &AttachParams::default()).await.unwrap();
    let status = process.take_status().unwrap().await.unwrap();
    assert_eq!(status.reason.as_deref(), Some("NonZeroExitCode"));

    let previous = LogParams { previous: true, ..LogParams::default() };
    assert_eq!(pods.logs("job-runner", &previous).await.unwrap(), "first run: out of memory\n");
    let follow = LogParams { follow: true, tail_lines: Some(1), ..LogParams::default() };
    let mut lines = pods.log_stream("job-runner", &follow).await.unwrap().lines();
    assert_eq!(lines.try_next().await.unwrap().unwrap(), "second run: started");
    bench.logs.append(NAMESPACE, "job-runner", "runner", 1, "more", jiff::Timestamp::now());
    assert_eq!(lines.try_next().await.unwrap().unwrap(), "more");

    let metadata = Api::<Secret>::namespaced(client.clone(), NAMESPACE)
        .list_metadata(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(metadata.items[0].metadata.name.as_deref(), Some("keys"));
    let kind = kube::core::GroupVersionKind::gvk("metrics.k8s.io", "v1beta1", "PodMetrics");
    let resource = kube::core::ApiResource::from_gvk_with_plural(&kind, "pods");
    let metrics: Api<DynamicObject> = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
    assert_eq!(metrics.list(&ListParams::default()).await.unwrap().items.len(), 4);

    let behind = hello().await;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/services/web:80/proxy/api/v1/query?query=up");
    let request = || http::Request::get(&path).body(Vec::new()).unwrap();
    let unrouted = client.request_text(request()).await.unwrap_err();
    assert!(matches!(unrouted, kube::Error::Api(status) if status.code == 503));
    bench.routes.add(NAMESPACE, "web", 80, behind);
    assert_eq!(client.request_text(request()).await.unwrap(), "GET /api/v1/query?query=up HTTP/1.1");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_viewers_are_told_so() {
    let bench = Bench::new().await;
    let code = |error: kube::Error| match error {
        kube::Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("{other}"),
    };
    let stranger: Api<Pod> = Api::namespaced(client(&bench, "wrong").await, NAMESPACE);
    assert_eq!(code(stranger.list(&ListParams::default()).await.unwrap_err()), (401, "Unauthorized".into()));
    let viewer = client(&bench, "view").await;
    let pods: Api<Pod> = Api::namespaced(viewer.clone(), NAMESPACE);
    assert_eq!(pods.list(&ListParams::default()).await.unwrap().items.len(), 5);
    assert_eq!(
        code(pods.delete("job-runner", &DeleteParams::default()).await.unwrap_err()),
        (403, "Forbidden".into())
    );
    let secrets: Api<Secret> = Api::namespaced(viewer, NAMESPACE);
    assert_eq!(code(secrets.list(&ListParams::default()).await.unwrap_err()), (403, "Forbidden".into()));
    bench.tokens.revoke("view-token");
    assert_eq!(code(pods.list(&ListParams::default()).await.unwrap_err()), (401, "Unauthorized".into()));
    let verbs: BTreeSet<String> = bench
        .server
        .audit
        .counts()
        .into_keys()
        .filter(|(user, ..)| user == "lab-viewer")
        .map(|(_, verb, _)| verb)
        .collect();
    assert_eq!(verbs, BTreeSet::from(["delete".to_owned(), "list".to_owned()]));
    bench.stop().await;
}

/// A server that answers with the request line it got.
async fn hello() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = socket.read(&mut request).await.unwrap();
            let line =
                String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_owned();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{line}", line.len());
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}
