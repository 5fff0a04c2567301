//! The verbs of the nodes' machines.

use super::ParamKind::{Count, Image, Line, Name, OneOf};
use super::{Param, Verb, destroys, disrupts, may, must, reads};
use crate::domain::System::Ssh;

const NODE: Param = must("node", Name);
const UNIT: Param = must("unit", OneOf(&["kubelet", "containerd"]));

pub(super) static VERBS: &[Verb] = &[
    reads("disk-space", &[NODE]).on(Ssh),
    reads("host-resources", &[NODE]).on(Ssh),
    reads("kubelet-log", &[NODE, may("lines", Count)]).on(Ssh),
    reads("service-status", &[NODE, UNIT]).on(Ssh),
    reads("folder-sizes", &[NODE, must("folders", OneOf(&["runtime", "pods", "logs"]))]).on(Ssh),
    reads("machine-images", &[NODE]).on(Ssh),
    reads("block-devices", &[NODE]).on(Ssh),
    reads("large-logs", &[NODE]).on(Ssh),
    disrupts("restart-service", &[NODE, UNIT]).on(Ssh),
    disrupts("prune-images", &[NODE]).on(Ssh),
    destroys("vacuum-journal", &[NODE, must("size", Line)]).on(Ssh),
    disrupts("grow-filesystem", &[NODE, may("path", Line)]).on(Ssh),
    destroys("truncate-logs", &[NODE, must("files", Line)]).on(Ssh),
    disrupts("pull-image", &[NODE, must("image", Image)]).on(Ssh),
    disrupts("remove-image", &[NODE, must("image", Image)]).on(Ssh),
    disrupts("docker-prune", &[NODE, must("what", OneOf(&["system", "images"]))]).on(Ssh),
    destroys("docker-prune-volumes", &[NODE]).on(Ssh),
];
