//! The field numbers of Jobs and of the pods they make (k8s.io/api generated.proto), as far as Jobs here use them. What
//! is not among them is refused, not lost.

use super::protobuf::{Kind, METADATA, Schema};

pub const JOB: Schema = &[
    (1, "metadata", Kind::Message(METADATA)),
    (2, "spec", Kind::Message(SPEC)),
    // Only the server writes it.
    (3, "status", Kind::Message(&[])),
];

const SPEC: Schema = &[
    (1, "parallelism", Kind::Number),
    (2, "completions", Kind::Number),
    (3, "activeDeadlineSeconds", Kind::Number),
    (4, "selector", Kind::Message(&[(1, "matchLabels", Kind::TextMap)])),
    (5, "manualSelector", Kind::Flag),
    (
        6,
        "template",
        Kind::Message(&[(1, "metadata", Kind::Message(METADATA)), (2, "spec", Kind::Message(PODS))]),
    ),
    (7, "backoffLimit", Kind::Number),
    (8, "ttlSecondsAfterFinished", Kind::Number),
    (9, "completionMode", Kind::Text),
    (10, "suspend", Kind::Flag),
    (14, "podReplacementPolicy", Kind::Text),
];

const PODS: Schema = &[
    (1, "volumes", Kind::Messages(VOLUME)),
    (2, "containers", Kind::Messages(CONTAINER)),
    (3, "restartPolicy", Kind::Text),
    (4, "terminationGracePeriodSeconds", Kind::Number),
    (5, "activeDeadlineSeconds", Kind::Number),
    (6, "dnsPolicy", Kind::Text),
    (7, "nodeSelector", Kind::TextMap),
    (8, "serviceAccountName", Kind::Text),
    (9, "serviceAccount", Kind::Text),
    (14, "securityContext", Kind::Message(&[])),
    (15, "imagePullSecrets", Kind::Messages(NAMED)),
    (19, "schedulerName", Kind::Text),
    (20, "initContainers", Kind::Messages(CONTAINER)),
];

const CONTAINER: Schema = &[
    (1, "name", Kind::Text),
    (2, "image", Kind::Text),
    (3, "command", Kind::Texts),
    (4, "args", Kind::Texts),
    (5, "workingDir", Kind::Text),
    (7, "env", Kind::Messages(VARIABLE)),
    (8, "resources", Kind::Message(&[(1, "limits", Kind::Quantities), (2, "requests", Kind::Quantities)])),
    (
        9,
        "volumeMounts",
        Kind::Messages(&[(1, "name", Kind::Text), (2, "readOnly", Kind::Flag), (3, "mountPath", Kind::Text)]),
    ),
    (13, "terminationMessagePath", Kind::Text),
    (14, "imagePullPolicy", Kind::Text),
    (19, "envFrom", Kind::Messages(SOURCE)),
    (20, "terminationMessagePolicy", Kind::Text),
];

const NAMED: Schema = &[(1, "name", Kind::Text)];
/// Of a ConfigMap or a Secret as a whole.
const WHOLE: Schema = &[(1, "", Kind::Inline(NAMED)), (2, "optional", Kind::Flag)];
const OF_KEY: Schema = &[(1, "", Kind::Inline(NAMED)), (2, "key", Kind::Text), (3, "optional", Kind::Flag)];
const SOURCE: Schema = &[
    (1, "prefix", Kind::Text),
    (2, "configMapRef", Kind::Message(WHOLE)),
    (3, "secretRef", Kind::Message(WHOLE)),
];
const VARIABLE: Schema = &[
    (1, "name", Kind::Text),
    (2, "value", Kind::Text),
    (
        3,
        "valueFrom",
        Kind::Message(&[
            (1, "fieldRef", Kind::Message(&[(1, "apiVersion", Kind::Text), (2, "fieldPath", Kind::Text)])),
            (3, "configMapKeyRef", Kind::Message(OF_KEY)),
            (4, "secretKeyRef", Kind::Message(OF_KEY)),
        ]),
    ),
];
const VOLUME: Schema = &[
    (1, "name", Kind::Text),
    (
        2,
        "",
        Kind::Inline(&[
            (
                6,
                "secret",
                Kind::Message(&[
                    (1, "secretName", Kind::Text),
                    (3, "defaultMode", Kind::Number),
                    (4, "optional", Kind::Flag),
                ]),
            ),
            (
                10,
                "persistentVolumeClaim",
                Kind::Message(&[(1, "claimName", Kind::Text), (2, "readOnly", Kind::Flag)]),
            ),
            (
                19,
                "configMap",
                Kind::Message(&[
                    (1, "", Kind::Inline(NAMED)),
                    (3, "defaultMode", Kind::Number),
                    (4, "optional", Kind::Flag),
                ]),
            ),
        ]),
    ),
];
