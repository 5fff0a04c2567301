//! Instances, their status, their group and their volumes.

use std::time::Duration;

use serde_json::json;

use super::super::bench::{Boto, text};
use super::{lab, list, nodes, ready, running, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_stands_behind_each_node_and_is_replaced_when_it_is_terminated() {
    let (lab, mut boto) = lab(None).await;
    let machines = until("three instances", || Some(running(&mut boto)).filter(|found| found.len() == 3));
    let mut names: Vec<String> = machines.iter().map(|one| text(one, "/PrivateDnsName")).collect();
    names.sort();
    assert_eq!(names, nodes(&lab), "one for each node");
    let id = text(&machines[0], "/InstanceId");
    let asked = json!({"InstanceIds": [id], "IncludeAllInstances": true});
    let status = boto.call("ec2", "describe_instance_status", asked.clone());
    let status = &status["InstanceStatuses"][0];
    assert_eq!(
        (&status["SystemStatus"]["Status"], &status["InstanceStatus"]["Status"]),
        (&json!("ok"), &json!("ok"))
    );
    let says = boto.refused("ec2", "describe_instances", json!({"InstanceIds": ["i-0123456789abcdef0"]}));
    assert!(says.contains("InvalidInstanceID.NotFound"), "{says}");

    let place = boto.call("autoscaling", "describe_auto_scaling_instances", json!({"InstanceIds": [id]}));
    assert_eq!(text(&place, "/AutoScalingInstances/0/LifecycleState"), "InService");
    let group = text(&place, "/AutoScalingInstances/0/AutoScalingGroupName");
    let groups =
        boto.call("autoscaling", "describe_auto_scaling_groups", json!({"AutoScalingGroupNames": [group]}));
    assert_eq!(groups["AutoScalingGroups"][0]["DesiredCapacity"], 3);
    assert_eq!(list(&groups, "/AutoScalingGroups/0/Instances").len(), 3);
    assert!(list(&groups, "/AutoScalingGroups/0/SuspendedProcesses").is_empty());
    let eks = json!({"clusterName": "covet-cluster", "nodegroupName": "general"});
    let node_group = boto.call("eks", "describe_nodegroup", eks.clone());
    assert_eq!(text(&node_group, "/nodegroup/status"), "ACTIVE");
    assert_eq!(text(&node_group, "/nodegroup/resources/autoScalingGroups/0/name"), group);
    assert!(
        list(
            &boto.call("eks", "list_updates", json!({"name": "covet-cluster", "nodegroupName": "general"})),
            "/updateIds"
        )
        .is_empty()
    );
    assert!(
        boto.refused("eks", "describe_nodegroup", json!({"clusterName": "x", "nodegroupName": "y"}))
            .contains("ResourceNotFoundException")
    );

    // A rehearsal changes nothing; the call itself does.
    let says = boto.refused("ec2", "terminate_instances", json!({"InstanceIds": [id], "DryRun": true}));
    assert!(says.contains("DryRunOperation"), "{says}");
    let terminate = json!({"InstanceId": id, "ShouldDecrementDesiredCapacity": false});
    assert_eq!(running(&mut boto).len(), 3);
    let activity = boto.call("autoscaling", "terminate_instance_in_auto_scaling_group", terminate);
    assert_eq!(text(&activity, "/Activity/StatusCode"), "InProgress");
    let node = text(&machines[0], "/PrivateDnsName");
    until("the node is gone", || (!nodes(&lab).contains(&node)).then_some(()));
    let ended = boto.call("ec2", "describe_instances", json!({"InstanceIds": [id]}));
    assert_eq!(text(&ended, "/Reservations/0/Instances/0/State/Name"), "terminated");
    let after = until("another in its place", || Some(running(&mut boto)).filter(|found| found.len() == 3));
    assert!(after.iter().all(|one| one["InstanceId"] != id.as_str()));
    let mut names: Vec<String> = after.iter().map(|one| text(one, "/PrivateDnsName")).collect();
    names.sort();
    assert_eq!(names, nodes(&lab));
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_group_is_rolled_one_node_after_the_other() {
    let (lab, mut boto) = lab(None).await;
    let old = nodes(&lab);
    let eks = json!({"clusterName": "covet-cluster", "nodegroupName": "general"});
    let group = |boto: &mut Boto| boto.call("eks", "describe_nodegroup", eks.clone())["nodegroup"].clone();
    let release = text(&group(&mut boto), "/releaseVersion");
    let begun = boto.call("eks", "update_nodegroup_version", eks.clone());
    let id = text(&begun, "/update/id");
    assert_eq!(text(&begun, "/update/status"), "InProgress");
    assert_eq!(text(&group(&mut boto), "/status"), "UPDATING");
    assert!(boto.refused("eks", "update_nodegroup_version", eks.clone()).contains("ResourceInUseException"));
    let of = json!({"name": "covet-cluster", "nodegroupName": "general"});
    assert_eq!(list(&boto.call("eks", "list_updates", of.clone()), "/updateIds")[0], id.as_str());
    let asked = |id: &str| json!({"name": "covet-cluster", "nodegroupName": "general", "updateId": id});
    assert!(boto.refused("eks", "describe_update", asked("x")).contains("ResourceNotFoundException"));
    let mut fewest = old.len();
    until("the end of the update", || {
        fewest = fewest.min(ready(&lab));
        let update = boto.call("eks", "describe_update", asked(&id));
        assert_ne!(text(&update, "/update/status"), "Failed", "{update}");
        (text(&update, "/update/status") == "Successful").then_some(())
    });
    assert!(fewest >= old.len(), "a new node came before the first old one left: {fewest}");
    let new = nodes(&lab);
    assert_eq!(new.len(), old.len());
    assert!(new.iter().all(|node| !old.contains(node)), "{old:?} and {new:?}");
    assert_eq!(text(&group(&mut boto), "/status"), "ACTIVE");
    assert_ne!(text(&group(&mut boto), "/releaseVersion"), release);
    assert_eq!(running(&mut boto).len(), old.len());
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_volume_grows_once_in_six_hours_and_the_machine_sees_it() {
    let (lab, mut boto) = lab(None).await;
    let machines = until("instances", || Some(running(&mut boto)).filter(|found| !found.is_empty()));
    let id = text(&machines[0], "/InstanceId");
    let asked = json!({"Filters": [{"Name": "attachment.instance-id", "Values": [id]}]});
    let found = boto.call("ec2", "describe_volumes", asked);
    let [volume] = &list(&found, "/Volumes")[..] else { panic!("{found}") };
    assert_eq!(text(volume, "/Attachments/0/Device"), text(&machines[0], "/RootDeviceName"));
    let (volume, size) = (text(volume, "/VolumeId"), volume["Size"].as_u64().unwrap());
    let changes = |boto: &mut Boto| {
        let found = boto.call("ec2", "describe_volumes_modifications", json!({"VolumeIds": [volume]}));
        list(&found, "/VolumesModifications").clone()
    };
    assert!(changes(&mut boto).is_empty());
    let to = |size: u64, dry: bool| json!({"VolumeId": volume, "Size": size, "DryRun": dry});
    assert!(boto.refused("ec2", "modify_volume", to(size, false)).contains("InvalidParameterValue"));
    assert!(boto.refused("ec2", "modify_volume", to(size + 20, true)).contains("DryRunOperation"));
    let begun = boto.call("ec2", "modify_volume", to(size + 20, false));
    assert_eq!(text(&begun, "/VolumeModification/ModificationState"), "modifying");
    until("its new size", || {
        (text(&changes(&mut boto)[0], "/ModificationState") != "modifying").then_some(())
    });
    let node = text(&machines[0], "/PrivateDnsName");
    let disk = ["lsblk", "-bnro"].map(str::to_owned);
    let wanted = ((size + 20) * 1024 * 1024 * 1024).to_string();
    until("the machine sees it", || {
        lab.world(|world| world.on_machine(&node, &disk)).out.contains(&wanted).then_some(())
    });
    let shown = boto.call("ec2", "describe_volumes", json!({"VolumeIds": [volume]}));
    assert_eq!(shown["Volumes"][0]["Size"], size + 20);
    let says = boto.refused("ec2", "modify_volume", to(size + 40, false));
    assert!(says.contains("VolumeModificationRateExceeded"), "{says}");
    assert!(
        boto.refused("ec2", "describe_volumes", json!({"VolumeIds": ["vol-0"]}))
            .contains("InvalidVolume.NotFound")
    );
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_hardware_is_impaired_and_its_group_leaves_it_when_it_was_told_to() {
    let (lab, mut boto) = lab(Some("node-notready.impaired")).await;
    let ill = until("an impaired instance", || {
        let all = boto.call("ec2", "describe_instance_status", json!({}));
        list(&all, "/InstanceStatuses")
            .iter()
            .find(|one| one["SystemStatus"]["Status"] == "impaired")
            .cloned()
    });
    assert_eq!(text(&ill, "/SystemStatus/Details/0/Status"), "failed");
    let id = text(&ill, "/InstanceId");
    let place = boto.call("autoscaling", "describe_auto_scaling_instances", json!({"InstanceIds": [id]}));
    assert_eq!(text(&place, "/AutoScalingInstances/0/HealthStatus"), "Unhealthy");
    let groups = boto.call("autoscaling", "describe_auto_scaling_groups", json!({}));
    assert_eq!(text(&groups, "/AutoScalingGroups/0/SuspendedProcesses/0/ProcessName"), "ReplaceUnhealthy");
    // Ten minutes of the lab.
    std::thread::sleep(Duration::from_secs(10));
    let found = boto.call("ec2", "describe_instances", json!({"InstanceIds": [id]}));
    assert_eq!(text(&found, "/Reservations/0/Instances/0/State/Name"), "running");

    // Rolling the whole group is no cure: its pods end nowhere, so its node never becomes empty.
    let eks = json!({"clusterName": "covet-cluster", "nodegroupName": "general"});
    let begun = boto.call("eks", "update_nodegroup_version", eks);
    let id = text(&begun, "/update/id");
    let failed = until("the end of the update", || {
        let asked = json!({"name": "covet-cluster", "nodegroupName": "general", "updateId": id});
        let update = boto.call("eks", "describe_update", asked);
        (update["update"]["status"] != "InProgress").then_some(update)
    });
    assert_eq!(text(&failed, "/update/status"), "Failed");
    assert_eq!(text(&failed, "/update/errors/0/errorCode"), "PodEvictionFailure");
    lab.stop().await;
}
