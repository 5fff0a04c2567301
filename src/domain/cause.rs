//! The vocabulary of causes: the words that join what rules prove, what reads find and what playbooks mend.
//! Closed, so that a playbook that mentions anything else is a mistake its linter can name.

/// One word of the vocabulary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CauseName {
    /// As in `for_causes`: `oom-killed`.
    pub name: &'static str,
    /// What it means, in a sentence.
    pub says: &'static str,
}

macro_rules! causes {
    ($($constant:ident = $name:literal: $says:literal;)+) => {
        /// Every cause that rules and reads may name.
        pub static CAUSES: &[CauseName] = &[$(CauseName { name: $name, says: $says }),+];
        $(#[doc = $says] pub const $constant: &str = $name;)+
    };
}

causes! {
    // Why a container does not stay up.
    OOM_KILLED = "oom-killed": "The kernel killed it at its memory limit.";
    MEMORY_LEAK = "memory-leak": "It ran well for a long time and then reached its memory limit.";
    LIVENESS_KILLED = "liveness-killed": "The kubelet killed it because its liveness probe failed.";
    STARTUP_KILLED = "startup-killed": "The kubelet killed it because its startup probe failed: it had not started by then.";
    KILLED = "killed": "Something killed it (SIGKILL); who is not recorded.";
    NATIVE_CRASH = "native-crash": "It crashed in native code (SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE).";
    COMMAND_ERROR = "command-error": "Its command cannot be run (exit 126, 127, 128, StartError).";
    CORRECTED = "corrected": "What it reads at its start was written after its last try: it has not tried again yet.";
    MISSING_REFERENCE = "missing-reference": "A ConfigMap, a Secret or a key in one that it needs does not exist.";
    INIT_WAITS = "init-waits": "A container that runs before the others has not ended for minutes: it waits for something.";
    RUNTIME_LACKS = "runtime-lacks": "The container runtime of its node lacks what it needs to start it: a program, a handler, a profile.";
    SPEC_REFUSED = "spec-refused": "The kubelet refuses to start it as specified (security context, mounts).";
    CONFIG_ERROR = "config-error": "It starts and then rejects its configuration.";
    CONFIG_CHANGED = "config-changed": "A ConfigMap or Secret it uses was changed shortly before.";
    NETWORK_POLICY = "network-policy": "A NetworkPolicy of its namespace was written shortly before.";
    SECRET_NOT_SYNCED = "secret-not-synced": "An ExternalSecret could not be synchronised, so its Secret is old or missing.";
    API_DENIED = "api-denied": "The API server refuses its ServiceAccount what it asks for.";
    PEER_CERTIFICATE = "peer-certificate": "What it calls shows a certificate that has expired or that it does not trust.";
    DATABASE_AUTH = "database-auth": "The database, or another service, rejects its credentials.";
    DATABASE_UNREACHABLE = "database-unreachable": "It cannot reach the database or another service it needs.";
    WRONG_PORT = "wrong-port": "It calls a Service at a port that the Service does not have.";
    DATABASE_EXHAUSTED = "database-exhausted": "The database has no free connection slot for it.";
    COMPLETES = "completes": "It ends by itself with exit code 0 although it should keep running.";
    NO_SPACE = "no-space": "It cannot write: no space is left.";
    EPHEMERAL_LIMIT = "ephemeral-limit": "The kubelet evicts its pods: they write more than their limit of ephemeral storage.";
    INJECTED = "injected": "The container that fails is none of the workload's own: something adds it to new pods.";
    CRASH = "crash": "It exits with an error; the status does not say why, its log may.";
    OPERATED = "operated": "An operator, or a file on its node, makes its pods: they are mended there.";
    BAD_REVISION = "bad-revision": "Only the newest revision is affected, older ones were healthy.";
    ROLLOUT_PAUSED = "rollout-paused": "Somebody paused its rollout, and a change waits.";
    // Why an image does not come.
    BAD_IMAGE_REFERENCE = "bad-image-reference": "The image reference is not a valid name.";
    IMAGE_NOT_FOUND = "image-not-found": "The registry does not have this repository or tag.";
    IMAGE_AUTH = "image-auth": "The registry refuses the credentials, or there are none.";
    IMAGE_RATE_LIMIT = "image-rate-limit": "The registry limits our pulls (429).";
    IMAGE_NETWORK = "image-network": "The node cannot reach the registry.";
    IMAGE_TRUST = "image-trust": "The node reaches the registry and does not trust it: its certificate, or that it has none.";
    IMAGE_ARCH = "image-arch": "The image does not exist for the node's architecture.";
    IMAGE_DISK = "image-disk": "The node has no space left for the image.";
    IMAGE_SIGNATURE = "image-signature": "The image's signature is not accepted.";
    IMAGE_NEVER_PULLED = "image-never-pulled": "imagePullPolicy is Never and the node does not have the image.";
    IMAGE_BROKEN = "image-broken": "The node has the image but cannot inspect it.";
    REGISTRY_DOWN = "registry-down": "The registry itself fails, or cannot be reached from here either.";
    IMAGE_PULL = "image-pull": "The image cannot be pulled; the status does not say why.";
    // Why new pods do not come up.
    SCHEDULING_GATED = "scheduling-gated": "A scheduling gate keeps the pod from the scheduler.";
    SPREAD_CONSTRAINT = "spread-constraint": "No node fits the pod's topology spread constraint.";
    HOST_PORT = "host-port": "The port that it wants is taken: on its node, or on every node that would do.";
    RESOURCE_ABSENT = "resource-absent": "No node offers a resource that the pod asks for, as device plugins do.";
    VOLUME_ELSEWHERE = "volume-elsewhere": "Its volume can only be had on nodes that are not there or do not take the pod.";
    POD_SECURITY = "pod-security": "The PodSecurity level of the namespace forbids the pods.";
    READINESS_GATE = "readiness-gate": "Its containers are ready, and a readiness gate of the pod is not true.";
    UNSCHEDULABLE = "unschedulable": "No node has room for the pod, or none may take it.";
    PREEMPTED = "preempted": "Pods of a higher priority took the place of its pods, and no other node has room.";
    NODES_AWAY = "nodes-away": "There is no node for the pod, or those there are take none: not ready, cordoned, about to go.";
    CLOSED_FROM_HERE = "closed-from-here": "A node that may take the pods was cordoned from here, and is well.";
    NO_NODE_MATCHES = "no-node-matches": "No node has the labels the pod asks for, or all have taints it does not tolerate.";
    VOLUME_HELD = "volume-held": "Its volume is attached to another node, where another pod holds it.";
    VOLUME_STUCK = "volume-stuck": "Its volume cannot be had, attached or mounted where the pod is.";
    SCHEDULER_SILENT = "scheduler-silent": "No scheduler has looked at the pod: the one it names does not exist, or does not work.";
    CONTROLLER_SILENT = "controller-silent": "The controller has not acted on the last change: it does not work.";
    STUCK_TERMINATING = "stuck-terminating": "A pod that should be gone stays, and its place with it: a finalizer, a volume or the runtime holds it.";
    QUOTA = "quota": "A ResourceQuota or LimitRange forbids the pod.";
    QUOTA_DEMANDS = "quota-demands": "A ResourceQuota counts what the pod does not say: it has to name its requests or limits.";
    WEBHOOK = "webhook": "An admission webhook refuses the pod or does not answer.";
    POD_REFUSED = "pod-refused": "The API server refuses the pod for another reason.";
    ONE_NODE = "one-node": "All that fail are on one node, and the same works elsewhere.";
    TURNED_AWAY = "turned-away": "The kubelet of its node turns the pod away before anything of it runs.";
    LEFT_BEHIND = "left-behind": "A StatefulSet waits for a pod of a revision that it is done with: it has to be deleted by hand.";
    READINESS = "readiness": "The containers run but do not become ready.";
    FELL_SILENT = "fell-silent": "All its pods were ready, and none of them is any more.";
    STARTING_SLOWLY = "starting-slowly": "The pods are still being created; nothing has failed so far.";
    // Why work that runs to its end does not get done.
    JOB_GAVE_UP = "job-gave-up": "The Job failed as often as its backoffLimit lets it, and does not try again.";
    JOB_DEADLINE = "job-deadline": "The Job was stopped at its deadline (activeDeadlineSeconds) before it was done.";
    RUN_OUTDATED = "run-outdated": "What made the last run fail was changed since, or is over: another run may succeed.";
    RUN_INTERRUPTED = "run-interrupted": "The cluster ended the last run (a node went, an eviction), not its own work.";
    CRON_SUSPENDED = "cron-suspended": "The CronJob is suspended: it does not run until somebody resumes it.";
    CRON_OVERDUE = "cron-overdue": "The CronJob should have run several times since its last run.";
    RUNS_REPLACED = "runs-replaced": "Each run of a CronJob is replaced by the next before it ends.";
    RUNS_PILE_UP = "runs-pile-up": "Runs of a CronJob do not end before the next ones begin.";
    // Who attacks the login, and how far they got.
    ATTACK_FEW = "attack-few-addresses": "A few addresses try passwords: they can be blocked.";
    ATTACK_MANY = "attack-many-addresses": "Many addresses try passwords: blocking them one by one does not help.";
    ACCOUNT_TAKEN = "account-taken": "Somebody was let in after many failures: an account may be taken over.";
    PASSWORD_GUESSING = "password-guessing": "Many more logins are refused than usual, and nothing of ours was changed: somebody guesses.";
    OWN_CLIENTS = "own-clients": "Our own clients fail since a secret or a release changed: no attack.";
    SECURITY_GROUP_CLOSED = "security-group-closed": "No security group of the load balancer lets anybody in.";
    // Why a node is not ready.
    KUBELET_SILENT = "kubelet-silent": "The kubelet stopped reporting: dead, cut off, or the machine is.";
    NEVER_REPORTED = "never-reported": "Its kubelet has never reported: the machine never joined, or somebody made the Node object.";
    NODE_IMPAIRED = "node-impaired": "The cloud says that the machine is impaired.";
    NODE_STOPPED = "node-stopped": "The cloud says that the machine is shut down.";
    NODE_NETWORK = "node-network": "The node's network plugin is not ready.";
    NODE_PRESSURE = "node-pressure": "The node runs out of disk, memory or process ids.";
    CLOCK_OFF = "clock-off": "The node's clock is wrong: tokens and certificates seem not valid yet, or not any more.";
    NODE_FLAPPING = "node-flapping": "The node goes and comes back.";
    RUNTIME = "runtime": "The node's container runtime is down or hangs (PLEG).";
    NODE_PROBLEM = "node-problem": "node-problem-detector reports trouble of its kernel, file system, runtime or kubelet.";
    NODE_UNREADY = "node-unready": "The kubelet says it is not ready, for a reason we do not know.";
    CONTROL_PLANE = "control-plane": "Many nodes at once: the control plane or the network between, not the nodes.";
    NODE_OOM = "node-oom": "The kernel kills processes of the node for want of memory.";
    API_UNREACHABLE = "api-unreachable": "The node cannot reach the API server.";
    KUBELET_CERTIFICATE = "kubelet-certificate": "The kubelet's own certificate has expired or is refused.";
    // Why a node's disk is full.
    POD_FILLS_DISK = "pod-fills-disk": "One pod takes more of the disk than everything else.";
    IMAGES_FILL_DISK = "images-fill-disk": "Images take most of the disk, or their own disk is full.";
    UNUSED_IMAGES = "unused-images": "Images that no container uses take gigabytes.";
    JOURNAL_LARGE = "journal-large": "The system journal takes more than 2 GB.";
    LARGE_LOGS = "large-logs": "Files under /var/log take more than 1 GB.";
    INODES_EXHAUSTED = "inodes-exhausted": "No inodes are left: too many small files.";
    DISK_HAS_ROOM = "disk-has-room": "The disk is larger than its file system: it only has to be grown.";
    DISK_FULL = "disk-full": "The disk is full of what is needed: it is too small.";
    CLAIM_FULL = "claim-full": "A persistent volume is full; the node is not.";
    // Why there is not enough of something.
    AUTOSCALER_SIGHTLESS = "autoscaler-sightless": "The autoscaler gets no metric, or cannot find what it scales, and keeps the replicas as they are.";
    AT_CAPACITY = "at-capacity": "The autoscaler wants more replicas than it may have.";
    REPLICAS_NOT_READY = "replicas-not-ready": "Replicas exist but are not ready, so the others carry their load.";
    IDLE_IN_TRANSACTION = "idle-in-transaction": "Sessions keep transactions open and do nothing.";
    CONNECTION_LIMIT = "connection-limit": "A role or a database has as many connections as it may have, whatever the server has left.";
    LOCK_CHAIN = "lock-chain": "Sessions wait for each other's locks.";
    POOL_BUDGET = "pool-budget": "Replicas times pool size is more than the database has.";
    CONNECTIONS_IDLE = "connections-idle": "Most slots are held by idle connections of pools.";
    CONNECTIONS_BUSY = "connections-busy": "Most slots are really working.";
    HOT_QUERY = "hot-query": "One statement takes most of the database's time.";
    LOAD_SPREAD = "load-spread": "The database's time is spread over many statements.";
    MISSING_INDEX = "missing-index": "The statement reads a whole table where an index would do.";
    EXPLAIN_DENIED = "explain-denied": "Our role may not read what the statement reads, so it may not explain it either.";
    INVALID_INDEX = "invalid-index": "An index was begun and never finished: it slows writes and helps no read.";
    REPLICA_LAGS = "replica-lags": "A replica shows what the primary wrote some time ago.";
    LONG_QUERY = "long-query": "One execution of a statement has been running for long.";
    DATABASE_BUSY = "database-busy": "More sessions want a CPU of the database than it has.";
    DATABASE_AT_MOST = "database-at-most": "The database uses all the capacity (ACUs) that it may have.";
    POOL_TOO_SMALL = "pool-too-small": "The application waits for its own pool while the server has room.";
    ONE_POD = "one-pod": "One pod causes most of the errors.";
    CACHE_EVICTING = "cache-evicting": "The cache is full and evicts what is still needed.";
    CACHE_COLD = "cache-cold": "The cache answers too few of the lookups.";
    CACHE_FULL = "cache-full": "The cache is full and may evict nothing: it refuses writes.";
    CACHE_DOWN = "cache-down": "The cache does not answer.";
    TRAFFIC_GONE = "traffic-gone": "Requests stopped arriving while the pods are ready: something in front of them fails.";
    CPU_THROTTLED = "cpu-throttled": "Containers are stopped by their CPU limit.";
    // Why a certificate is a problem.
    NOT_RENEWED = "not-renewed": "It should have been renewed by now and was not.";
    ISSUANCE_FAILING = "issuance-failing": "Attempts to issue it fail.";
    ISSUANCE_RATE_LIMITED = "issuance-rate-limited": "The issuer limits our attempts (429).";
    SERVED_STALE = "served-stale": "A newer certificate exists than the one that is served.";
    DEFAULT_CERTIFICATE = "default-certificate": "The ingress controller serves its own placeholder certificate.";
    NAME_MISMATCH = "name-mismatch": "The served certificate is for other names.";
    UNTRUSTED = "untrusted": "Clients do not trust the served chain.";
    EXPIRED = "expired": "It has expired.";
    HANDSHAKE_FAILED = "handshake-failed": "The TLS handshake fails.";
    NOT_MANAGED = "not-managed": "No Certificate object renews it.";
    CHALLENGE_PATH = "challenge-path": "The authority cannot fetch its challenge over HTTP (HTTP-01).";
    CHALLENGE_DNS = "challenge-dns": "The authority does not find its challenge in DNS (DNS-01).";
    SOLVER_CLASS = "solver-class": "The issuer's solver uses an ingress class that no controller serves.";
    ISSUER_NOT_READY = "issuer-not-ready": "The issuer of the certificate is not ready.";
    // Why a public host is not reached.
    DNS_WRONG = "dns-wrong": "DNS does not lead to the load balancer, or nowhere.";
    DNS_LOCAL = "dns-local": "Only this machine's resolver or path fails; the world is served.";
    BALANCER_UNREACHABLE = "balancer-unreachable": "The load balancer does not take connections.";
    BALANCER_PENDING = "balancer-pending": "The Ingress has no load balancer address.";
    CONTROLLER_DOWN = "controller-down": "No replica of the ingress controller is available.";
    INGRESS_CLASS = "ingress-class": "No controller serves the class of the Ingress.";
    NO_ROUTE = "no-route": "The controller has no rule for the host.";
    BAD_GATEWAY = "bad-gateway": "The load balancer gets no answer from the pods (502, 504).";
    NO_ENDPOINTS = "no-endpoints": "The Service has no ready endpoint.";
    ENDPOINTS_BY_HAND = "endpoints-by-hand": "The Service selects no pods: its endpoints are written by hand, and there is none.";
    SCALED_TO_ZERO = "scaled-to-zero": "All that the Service leads to is scaled to 0.";
    WORKLOAD_ABSENT = "workload-absent": "Nothing exists any more that the Service selects.";
    BACKEND_PORT = "backend-port": "The Ingress sends to a port that its Service does not have.";
    CERTIFICATE_ABSENT = "certificate-absent": "The Secret that should hold the certificate does not exist.";
    SERVICE_ABSENT = "service-absent": "The Ingress sends to a Service that does not exist.";
    SERVICE_SELECTOR = "service-selector": "The Service does not select the pods it is meant for.";
    SERVICE_PORT = "service-port": "The Service sends to a port on which no container listens.";
    READINESS_PATH = "readiness-path": "The readiness probe asks a path that the application does not serve.";
    // Why Prometheus does not work.
    STORAGE_FULL = "storage-full": "Its volume is full: it can neither start nor write.";
    MONITORING_CONFIG = "monitoring-config": "Its configuration or a rules file is refused.";
    MONITORING_OOM = "monitoring-oom": "It was killed at its memory limit.";
    WAL_REPLAY = "wal-replay": "It replays its write-ahead log and will be ready by itself.";
    STORAGE_CORRUPT = "storage-corrupt": "A block or the write-ahead log is damaged.";
    MONITORING_STOPPED = "monitoring-stopped": "It is scaled to 0: somebody stopped it.";
    MONITORING_UNPLACED = "monitoring-unplaced": "Its pod waits for a node.";
    TARGETS_DOWN = "targets-down": "Most of what it should scrape does not answer.";
    INGEST_STOPPED = "ingest-stopped": "It runs and takes no samples.";
    // Why nobody would be told of anything.
    ALERTMANAGER_DOWN = "alertmanager-down": "Alertmanager does not answer: nobody is notified of anything.";
    ALERTMANAGER_CONFIG = "alertmanager-config": "Alertmanager refuses its configuration: it goes on with the one before, and would not start with this one.";
    // Why there is too much alerting.
    ALERT_STORM = "alert-storm": "Many alerts at once share a node or namespace: one incident, not a rule's fault.";
    ALERT_FLAPPING = "alert-flapping": "A rule fires and resolves again and again.";
    ALERT_DOMINANT = "alert-dominant": "One alert makes a large part of all the noise.";
    ALERT_UNGROUPED = "alert-ungrouped": "Alerts of one cause are notified one by one.";
    ALERT_UNINHIBITED = "alert-uninhibited": "Consequences are notified beside their cause.";
    ALERT_UNROUTED = "alert-unrouted": "Alerts have no severity, or a severity no route expects.";
    ALERT_STANDING = "alert-standing": "Alerts have been active for more than a day.";
    TEAM_TRIGGER = "team-trigger": "A trigger of the team's own playbook holds.";
}

/// The word of the vocabulary with this name.
pub fn cause(name: &str) -> Option<&'static CauseName> {
    CAUSES.iter().find(|cause| cause.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_there_once() {
        for word in CAUSES {
            assert_eq!(cause(word.name), Some(word));
        }
        assert_eq!(cause("bad-luck"), None);
        assert_eq!(cause(OOM_KILLED).map(|word| word.name), Some("oom-killed"));
    }
}
