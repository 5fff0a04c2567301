//! Nodes' machines: their health, their group, their disks; replaced, grown, restarted.

use covet_tui::domain::{AwsDoes, Name, NodeQuestion, NodeService, cause};
use serde_json::{Value, json};

use super::bench::{Bench, text};

const IMAGE: &str = "ami-12c6146b";

/// A machine without a group.
fn machine(bench: &mut Bench) -> Name {
    let made =
        bench.boto.call("ec2", "run_instances", json!({"ImageId": IMAGE, "MinCount": 1, "MaxCount": 1}));
    text(&made, "/Instances/0/InstanceId").as_str().into()
}

/// A group of two machines.
fn group(bench: &mut Bench) -> Vec<Name> {
    let zones = bench.boto.call("ec2", "describe_subnets", json!({}));
    let subnet = text(&zones, "/Subnets/0/SubnetId");
    let launch = json!({"LaunchConfigurationName": "general", "ImageId": IMAGE, "InstanceType": "m6i.large"});
    bench.boto.call("autoscaling", "create_launch_configuration", launch);
    let group = json!({"AutoScalingGroupName": "general", "LaunchConfigurationName": "general", "MinSize": 1,
        "MaxSize": 4, "DesiredCapacity": 2, "VPCZoneIdentifier": subnet});
    bench.boto.call("autoscaling", "create_auto_scaling_group", group);
    members(bench)
}

fn members(bench: &mut Bench) -> Vec<Name> {
    let groups = bench.boto.call("autoscaling", "describe_auto_scaling_groups", json!({}));
    let list = groups.pointer("/AutoScalingGroups/0/Instances").and_then(Value::as_array).unwrap().clone();
    list.iter().map(|one| text(one, "/InstanceId").as_str().into()).collect()
}

fn state(bench: &mut Bench, instance: &str) -> String {
    let found = bench.boto.call("ec2", "describe_instances", json!({"InstanceIds": [instance]}));
    text(&found, "/Reservations/0/Instances/0/State/Name")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_looked_at_and_a_stopped_one_is_found_stopped() {
    let mut bench = Bench::new().await;
    let instance = machine(&mut bench);
    let health = bench.read(AwsDoes::InstanceHealth { instance: instance.clone() }).await;
    assert!(health.ok && health.summary.contains("is running; hardware ok, system ok"), "{}", health.summary);
    let state = bench.read(AwsDoes::InstanceState { instance: instance.clone() }).await;
    assert!(state.summary.contains("in no Auto Scaling group"), "{}", state.summary);
    bench.boto.call("ec2", "stop_instances", json!({"InstanceIds": [&*instance]}));
    let health = bench.read(AwsDoes::InstanceHealth { instance: instance.clone() }).await;
    assert!(health.found.iter().any(|found| &*found.cause == cause::NODE_STOPPED), "{:?}", health.found);
    // Another region than the settings': nothing is asked there.
    let elsewhere = bench.read_at(Some("eu-west-1"), AwsDoes::InstanceHealth { instance }).await;
    assert!(!elsewhere.ok && elsewhere.summary.contains("the node is in eu-west-1"), "{}", elsewhere.summary);
    let unknown = bench.read(AwsDoes::InstanceState { instance: "i-0123456789abcdef0".into() }).await;
    assert!(!unknown.ok && unknown.summary.contains("InvalidInstanceID.NotFound"), "{}", unknown.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_a_group_is_terminated_and_the_group_makes_a_new_one() {
    let mut bench = Bench::new().await;
    let before = group(&mut bench);
    let old = before[0].clone();
    let place = bench.read(AwsDoes::InstanceState { instance: old.clone() }).await;
    assert_eq!(place.bindings.get("auto_scaling_group").map(String::as_str), Some("general"));
    let replace = AwsDoes::ReplaceInstance { instance: old.clone() };
    let preview = bench.preview(replace.clone()).await.unwrap();
    assert!(
        preview.title.contains("its group general makes a new one") && preview.undo.is_none(),
        "{}",
        preview.title
    );
    assert!(matches!(&preview.confirmation, covet_tui::guard::Confirmation::Type(name) if *name == old));
    let outcome = bench.act(replace.clone()).await;
    assert!(outcome.undo.is_none());
    assert_eq!(state(&mut bench, &old), "terminated");
    let after = members(&mut bench);
    assert_eq!(after.len(), 2, "the group keeps its size");
    assert!(!after.contains(&old));
    assert!(bench.refused(replace).await.contains("terminated already"));

    // A group that may not launch: refused, because nothing would come in its place.
    bench.boto.call(
        "autoscaling",
        "suspend_processes",
        json!({"AutoScalingGroupName": "general", "ScalingProcesses": ["Launch"]}),
    );
    let preview = bench.preview(AwsDoes::ReplaceInstance { instance: after[0].clone() }).await.unwrap();
    assert_eq!(preview.worst(), Some(covet_tui::guard::Level::Stop));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_a_group_is_terminated_only_with_a_warning_and_never_elsewhere() {
    let mut bench = Bench::new().await;
    let instance = machine(&mut bench);
    let replace = AwsDoes::ReplaceInstance { instance: instance.clone() };
    let elsewhere = bench.preview_at("eu-west-1", replace.clone()).await.unwrap_err();
    assert!(elsewhere.says.contains("the node is in eu-west-1"), "{elsewhere}");
    let preview = bench.preview_at("us-east-1", replace.clone()).await.unwrap();
    assert!(preview.hazards.iter().any(|hazard| hazard.says.contains("no machine comes in its place")));
    // EC2's dry run left it alone.
    assert_eq!(state(&mut bench, &instance), "running");
    bench.act(replace).await;
    assert_eq!(state(&mut bench, &instance), "terminated");

    // One that Karpenter made is Karpenter's to replace.
    let other = machine(&mut bench);
    bench.boto.call(
        "ec2",
        "create_tags",
        json!({"Resources": [&*other], "Tags": [{"Key": "karpenter.sh/nodepool", "Value": "spot"}]}),
    );
    let preview = bench.preview(AwsDoes::ReplaceInstance { instance: other }).await.unwrap();
    assert_eq!(preview.worst(), Some(covet_tui::guard::Level::Stop));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_grows_and_never_shrinks() {
    let mut bench = Bench::new().await;
    let instance = machine(&mut bench);
    let disks = bench.read(AwsDoes::InstanceVolumes { instance }).await;
    let volume: Name = disks.bindings.get("volume").expect("the root").as_str().into();
    let size: u32 = disks.bindings["volume_gib"].parse().unwrap();
    let grow = |size_gib| AwsDoes::GrowVolume { volume: volume.clone(), size_gib };
    assert!(bench.refused(grow(size)).await.contains("volumes only grow"));
    assert!(bench.refused(grow(size - 1)).await.contains("volumes only grow"));
    let preview = bench.preview(grow(size + 50)).await.unwrap();
    let shown = bench.boto.call("ec2", "describe_volumes", json!({"VolumeIds": [&*volume]}));
    assert_eq!(shown.pointer("/Volumes/0/Size"), Some(&json!(size)), "the preview changed nothing");
    // It moved between preview and confirmation: refused, with a fresh preview.
    bench.boto.call("ec2", "modify_volume", json!({"VolumeId": &*volume, "Size": size + 10}));
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    let covet_tui::journal::Ending::Refused(refusal, fresh) = outcome.result else {
        panic!("{:?}", outcome.result)
    };
    assert!(refusal.says.contains("changed since you saw it") && fresh.is_some(), "{refusal}");
    let outcome = bench.act(grow(size + 60)).await;
    assert!(outcome.undo.is_none(), "there is no way back");
    let shown = bench.boto.call("ec2", "describe_volumes", json!({"VolumeIds": [&*volume]}));
    assert_eq!(shown.pointer("/Volumes/0/Size"), Some(&json!(size + 60)));
    // Twice within six hours is warned of.
    let preview = bench.preview(grow(size + 70)).await.unwrap();
    assert!(preview.hazards.iter().any(|hazard| hazard.says.contains("within 6 h")), "{:?}", preview.hazards);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_asked_and_its_kubelet_restarted_through_ssm() {
    let mut bench = Bench::new().await;
    let instance = machine(&mut bench);
    // moto runs nothing: it says Success and has no output. What was sent is what counts here.
    let asked =
        bench.read(AwsDoes::AskNode { instance: instance.clone(), question: NodeQuestion::KubeletLog }).await;
    assert!(asked.summary.contains("by SSM: Success"), "{}", asked.summary);
    let restart = AwsDoes::RestartOnNode { instance: instance.clone(), service: NodeService::Kubelet };
    bench.act(restart.clone()).await;
    let sent = bench.boto.call("ssm", "list_commands", json!({}));
    let commands: Vec<Value> = sent["Commands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["Parameters"]["commands"].clone())
        .collect();
    assert!(
        commands.contains(&json!(["systemctl restart kubelet", "systemctl is-active kubelet"])),
        "{commands:?}"
    );
    assert!(
        commands.contains(&json!(["journalctl -u kubelet --since -1h --no-pager -n 500"])),
        "{commands:?}"
    );
    bench.boto.call("ec2", "stop_instances", json!({"InstanceIds": [&*instance]}));
    let preview = bench.preview(restart).await.unwrap();
    assert_eq!(preview.worst(), Some(covet_tui::guard::Level::Stop), "nothing runs on a stopped machine");
}

/// moto has no updates of node groups: they are answered from a script that botocore's models have judged.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_group_is_rolled_and_a_failed_update_is_told() {
    let mut bench = Bench::new().await;
    let role = "arn:aws:iam::123456789012:role/eks";
    let zones = bench.boto.call("ec2", "describe_subnets", json!({}));
    let subnet = text(&zones, "/Subnets/0/SubnetId");
    bench.boto.call(
        "eks",
        "create_cluster",
        json!({"name": "shop", "roleArn": role, "resourcesVpcConfig": {"subnetIds": [subnet]}}),
    );
    bench.boto.call(
        "eks",
        "create_nodegroup",
        json!({"clusterName": "shop", "nodegroupName": "general", "nodeRole": role,
        "subnets": [subnet], "scalingConfig": {"minSize": 1, "maxSize": 4, "desiredSize": 3}}),
    );
    let update = |status: &str, errors: Value| json!({"update": {"id": "u-1", "status": status, "type": "VersionUpdate", "params": [], "errors": errors}});
    bench
        .script(json!({
            "eks.UpdateNodegroupVersion": [update("InProgress", json!([]))],
            "eks.ListUpdates": [{"updateIds": ["u-1"]}],
            "eks.DescribeUpdate": [update("InProgress", json!([])), update("Successful", json!([]))],
        }))
        .await;
    let roll = AwsDoes::UpdateNodeGroup { cluster: "shop".into(), node_group: "general".into() };
    let preview = bench.preview(roll.clone()).await.unwrap();
    assert!(
        preview.hazards.iter().any(|hazard| hazard.says.contains("all 3 nodes")),
        "{:?}",
        preview.hazards
    );
    assert!(preview.undo.is_none());
    bench.act(roll.clone()).await;
    let asked = bench.asked().await;
    let sent = asked.iter().find(|call| call["operation"] == "UpdateNodegroupVersion").unwrap();
    assert_eq!(sent["params"]["force"], false, "{sent}");
    let group = bench.read(AwsDoes::NodeGroup { cluster: "shop".into(), node_group: "general".into() }).await;
    assert!(
        group.lines.iter().any(|(_, line)| line.contains("last update: VersionUpdate, Successful")),
        "{:?}",
        group.lines
    );

    let trouble = json!([{"errorCode": "PodEvictionFailure", "errorMessage": "Reached max retries while trying to evict pods"}]);
    bench.script(json!({"eks.DescribeUpdate": [update("Failed", trouble)]})).await;
    let preview = bench.preview(roll).await.unwrap();
    let entry = bench.confirm(preview);
    let outcome = bench.perform(entry).await;
    let covet_tui::journal::Ending::Unverified(says) = outcome.result else { panic!("{:?}", outcome.result) };
    assert!(says.contains("Reached max retries"), "{says}");
}
