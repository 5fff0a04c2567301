//! The verbs of Kubernetes.

use super::ParamKind::{
    AnyKind, Count, Flag, Image, Json, Kind, Line, Name, OneOf, Pairs, Pods, Quantity, Runs, Span, Variable,
    Words, Workload,
};
use super::{IN, Param, Verb, changes, destroys, disrupts, may, must, reads};

const DEPLOYMENT: &[Param] = &[must("deployment", Name), IN];
const OBJECT: &[Param] = &[must("kind", AnyKind), must("name", Name), IN];

pub(super) static VERBS: &[Verb] = &[
    reads("list-pods", &[IN, may("selector", Line), may("node", Name), may("waiting", Words)]),
    reads("list-nodes", &[]),
    reads("list-replica-sets", DEPLOYMENT),
    reads("list-events", OBJECT),
    reads("describe", OBJECT),
    reads("login-failures", &[must("pods", Pods), may("since", Span)]),
    reads(
        "logs",
        &[
            must("pods", Pods),
            may("container", Name),
            may("previous", Flag),
            may("tail", Count),
            may("since", Span),
        ],
    ),
    reads("pod-usage", &[may("pods", Pods), IN]),
    reads("node-usage", &[]),
    reads("node-allocation", &[may("node", Name)]),
    reads("check-config-maps", &[may("kind", AnyKind), must("name", Name), IN]),
    reads("check-secrets", &[may("kind", AnyKind), must("name", Name), IN]),
    reads("list-external-secrets", &[IN]),
    reads("compare-revisions", &[may("kind", Workload), must("name", Name), IN]),
    reads("rollout-status", &[may("kind", Workload), must("name", Name), IN, may("timeout", Span)]),
    reads("check-pull-secrets", &[must("pod", Name), IN]),
    reads("node-disk", &[must("node", Name)]),
    reads("node-events", &[must("node", Name)]),
    reads("node-lease", &[must("node", Name)]),
    disrupts("scale", &[may("kind", Kind), must("name", Name), IN, must("replicas", Count)]),
    disrupts("autoscaler-bounds", &[must("hpa", Name), IN, must("min", Count), must("max", Count)]),
    disrupts(
        "patch",
        &[
            must("kind", Kind),
            must("name", Name),
            IN,
            must("type", OneOf(&["strategic", "merge", "json"])),
            must("body", Json),
        ],
    ),
    disrupts("rollout-restart", &[may("kind", Workload), must("name", Name), IN]),
    disrupts("rollout-undo", &[may("kind", Workload), must("name", Name), IN, must("to_revision", Count)]),
    changes("rollout-pause", DEPLOYMENT),
    changes("rollout-resume", DEPLOYMENT),
    disrupts("delete-pods", &[must("pods", Pods)]),
    disrupts("evict", &[must("pods", Pods)]),
    changes("cordon", &[must("node", Name)]),
    changes("uncordon", &[must("node", Name)]),
    disrupts(
        "drain",
        &[must("node", Name), may("delete_empty_dir", Flag), may("force", Flag), may("timeout", Span)],
    ),
    changes("annotate", &[must("kind", Kind), must("name", Name), IN, must("annotations", Pairs)]),
    disrupts("deny-at-ingress", &[must("ingress", Name), IN, must("networks", Words)]),
    changes("label", &[must("kind", Kind), must("name", Name), IN, must("labels", Pairs)]),
    disrupts(
        "taint",
        &[
            must("node", Name),
            must("key", Line),
            may("value", Line),
            must("effect", OneOf(&["NoSchedule", "PreferNoSchedule", "NoExecute"])),
            may("remove", Flag),
        ],
    ),
    disrupts("apply", &[must("manifest", Json), may("force", Flag)]),
    changes(
        "pull-secret",
        &[
            must("secret", Name),
            IN,
            must("registry", Line),
            must("username", Line),
            must("token_env", Variable),
        ],
    ),
    disrupts("reference-pull-secret", &[must("deployment", Name), IN, must("secret", Name)]),
    disrupts(
        "set-image",
        &[may("kind", Workload), must("name", Name), IN, must("container", Name), must("image", Image)],
    ),
    disrupts(
        "set-resources",
        &[
            may("kind", Workload),
            must("name", Name),
            IN,
            must("container", Name),
            may("cpu_request", Quantity),
            may("cpu_limit", Quantity),
            may("memory_request", Quantity),
            may("memory_limit", Quantity),
        ],
    ),
    changes("run-job-again", &[must("kind", Runs), must("name", Name), IN]),
    changes("set-config", &[must("config_map", Name), IN, must("data", Pairs)]),
    disrupts("exec", &[must("pod", Name), IN, must("container", Name), must("argv", Words)]),
    changes("patch-status", &[must("kind", Kind), must("name", Name), IN, must("body", Json)]),
    destroys("delete-node", &[must("node", Name)]),
];
