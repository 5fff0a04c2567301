//! The one table of settings: key, environment variables, what it says, and where its value lives.

use std::path::PathBuf;

use super::settings::{Scope, Settings, Sourced};

/// One setting.
pub(super) struct Row {
    /// As in the file: `table.key`, or `key` at the top.
    pub key: &'static str,
    /// Environment variables, the first that is set wins.
    pub env: &'static [&'static str],
    /// For the commented file.
    pub says: &'static str,
    /// For the commented file when there is no value: a TOML literal.
    pub example: &'static str,
    /// Its value holds a password or may.
    pub secret: bool,
    pub slot: fn(&mut Settings) -> Slot<'_>,
}

/// Where a value of some type goes.
pub(super) enum Slot<'a> {
    Text(&'a mut Sourced<String>),
    Maybe(&'a mut Sourced<Option<String>>),
    Path(&'a mut Sourced<Option<PathBuf>>),
    Flag(&'a mut Sourced<bool>),
    List(&'a mut Sourced<Vec<String>>),
    Scope(&'a mut Sourced<Scope>),
    Port(&'a mut Sourced<Option<u16>>),
    /// One of these words.
    Word(&'a mut Sourced<String>, &'static [&'static str]),
}

const fn row(
    key: &'static str,
    env: &'static [&'static str],
    example: &'static str,
    slot: fn(&mut Settings) -> Slot<'_>,
    says: &'static str,
) -> Row {
    Row { key, env, says, example, secret: false, slot }
}

const fn secret(mut row: Row) -> Row {
    row.secret = true;
    row
}

pub(super) static ROWS: &[Row] = &[
    row(
        "context",
        &["COVET_CONTEXT"],
        r#""staging""#,
        |s| Slot::Maybe(&mut s.context),
        "kubeconfig context; the current one if not set",
    ),
    row(
        "namespace",
        &["COVET_NAMESPACE"],
        r#""shop""#,
        |s| Slot::Scope(&mut s.namespace),
        "namespace to look at, \"*\" for all; the context's if not set",
    ),
    row(
        "read_only",
        &["COVET_READ_ONLY"],
        "true",
        |s| Slot::Flag(&mut s.read_only),
        "look, never touch; whoever asks for it (flag, environment, file) wins",
    ),
    row(
        "protected_contexts",
        &["COVET_PROTECTED_CONTEXTS"],
        r#"["prod"]"#,
        |s| Slot::List(&mut s.protected_contexts),
        "contexts matching one of these regular expressions are shown as production",
    ),
    row(
        "prometheus.url",
        &["COVET_PROMETHEUS_URL", "PROMETHEUS_URL"],
        r#""http://prometheus:9090""#,
        |s| Slot::Maybe(&mut s.prometheus.url),
        "\"off\" to do without; found in the cluster by its labels if not set",
    ),
    row(
        "prometheus.requests",
        &["COVET_PROMETHEUS_REQUESTS"],
        r#""http_requests_total""#,
        |s| Slot::Maybe(&mut s.prometheus.requests),
        "counter of requests",
    ),
    row(
        "prometheus.latency",
        &["COVET_PROMETHEUS_LATENCY"],
        r#""http_request_duration_seconds""#,
        |s| Slot::Maybe(&mut s.prometheus.latency),
        "latency histogram, without _bucket",
    ),
    row(
        "prometheus.latency_unit",
        &["COVET_PROMETHEUS_LATENCY_UNIT"],
        r#""ms""#,
        |s| Slot::Word(&mut s.prometheus.latency_unit, &["auto", "s", "ms", "us"]),
        "what that histogram counts in; auto: what its name says (_seconds, _milliseconds, _ms)",
    ),
    row(
        "prometheus.status_label",
        &["COVET_PROMETHEUS_STATUS_LABEL"],
        r#""status""#,
        |s| Slot::Maybe(&mut s.prometheus.status_label),
        "label of the response code",
    ),
    row(
        "prometheus.selector",
        &["COVET_PROMETHEUS_SELECTOR"],
        r#"'job="shop"'"#,
        |s| Slot::Maybe(&mut s.prometheus.selector),
        "further matchers for the application's series",
    ),
    row(
        "alertmanager.url",
        &["COVET_ALERTMANAGER_URL", "ALERTMANAGER_URL"],
        r#""http://alertmanager:9093""#,
        |s| Slot::Maybe(&mut s.alertmanager_url),
        "\"off\" to do without; found in the cluster by its labels if not set",
    ),
    secret(row(
        "database.url",
        &["COVET_DATABASE_URL", "DATABASE_URL"],
        r#""postgresql://reader@db.example.com/shop?sslmode=verify-full""#,
        |s| Slot::Maybe(&mut s.database_url),
        "the database to watch, read-only; keep the password in DATABASE_URL",
    )),
    row(
        "database.via",
        &["COVET_DATABASE_VIA"],
        r#""port-forward:tools/pg-forwarder:5432""#,
        |s| Slot::Maybe(&mut s.database_via),
        "how to reach it: direct, port-forward:[NAMESPACE/]POD:PORT or ssh:[USER@]HOST[:PORT] (never by psql in a pod)",
    ),
    row(
        "database.cpus",
        &["COVET_DATABASE_CPUS"],
        r#""4""#,
        |s| Slot::Maybe(&mut s.database_cpus),
        "how many CPUs its server has; without it only lock chains are judged, not load",
    ),
    row(
        "database.users",
        &["COVET_DATABASE_USERS"],
        r#""users(id, username, is_active, failed_attempts, last_login)""#,
        |s| Slot::Text(&mut s.database_users),
        "the application's accounts: table(id, name, active, failed logins, last login)",
    ),
    secret(row(
        "redis.url",
        &["COVET_REDIS_URL", "REDIS_URL"],
        r#""redis://cache.example.com:6379""#,
        |s| Slot::Maybe(&mut s.redis_url),
        "the cache to watch; keep the password in REDIS_URL",
    )),
    row(
        "aws.profile",
        &["COVET_AWS_PROFILE", "AWS_PROFILE"],
        r#""ops""#,
        |s| Slot::Maybe(&mut s.aws.profile),
        "profile of the AWS configuration; SSO and credential_process work",
    ),
    row(
        "aws.region",
        &["COVET_AWS_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"],
        r#""eu-west-1""#,
        |s| Slot::Maybe(&mut s.aws.region),
        "region; the profile's or the nodes' if not set",
    ),
    row(
        "aws.endpoint_url",
        &["COVET_AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL"],
        r#""http://127.0.0.1:5000""#,
        |s| Slot::Maybe(&mut s.aws.endpoint_url),
        "another endpoint for every service, as for an emulator",
    ),
    row(
        "aws.credentials_file",
        &["COVET_AWS_CREDENTIALS_FILE", "AWS_SHARED_CREDENTIALS_FILE"],
        r#""/run/secrets/aws""#,
        |s| Slot::Path(&mut s.aws.credentials_file),
        "file of keys by profile, instead of the usual one",
    ),
    row(
        "aws.db_cluster",
        &["COVET_AWS_DB_CLUSTER"],
        r#""shop-aurora""#,
        |s| Slot::Maybe(&mut s.aws.db_cluster),
        "RDS cluster; the one behind the database's host if not set",
    ),
    row(
        "aws.eks_cluster",
        &["COVET_AWS_EKS_CLUSTER"],
        r#""shop""#,
        |s| Slot::Maybe(&mut s.aws.eks_cluster),
        "name of this cluster at EKS",
    ),
    row(
        "aws.access_logs",
        &["COVET_AWS_ACCESS_LOGS"],
        r#""shop-alb-logs""#,
        |s| Slot::Maybe(&mut s.aws.access_logs),
        "bucket of the load balancer's access logs",
    ),
    row(
        "aws.trail",
        &["COVET_AWS_TRAIL"],
        r#""CloudTrail/shop""#,
        |s| Slot::Maybe(&mut s.aws.trail),
        "log group that CloudTrail writes to",
    ),
    row(
        "aws.ip_set",
        &["COVET_AWS_IP_SET"],
        r#""blocked/0f6c1f0e-7a3e-4d3b-9a52-1e7c0a1b2c3d/REGIONAL""#,
        |s| Slot::Maybe(&mut s.aws.ip_set),
        "WAF IP set that blocks: name/id/scope; looked for in the web ACL if not set",
    ),
    row(
        "aws.signing_secret",
        &["COVET_AWS_SIGNING_SECRET"],
        r#""shop/jwt""#,
        |s| Slot::Maybe(&mut s.aws.signing_secret),
        "secret that signs tokens, in Secrets Manager",
    ),
    row(
        "aws.never_block",
        &["COVET_AWS_NEVER_BLOCK"],
        r#"["203.0.113.0/24"]"#,
        |s| Slot::List(&mut s.aws.never_block),
        "networks that are never blocked: offices, monitoring, partners",
    ),
    row(
        "tls.hosts",
        &["COVET_TLS_HOSTS"],
        r#"["www.example.com", "api.example.com:8443@10.0.0.7"]"#,
        |s| Slot::List(&mut s.tls_hosts),
        "hosts whose certificates are checked, beside those of the Ingresses: host[:port][@address]",
    ),
    row(
        "tls.authority",
        &["COVET_TLS_AUTHORITY"],
        r#""/etc/ssl/company-ca.pem""#,
        |s| Slot::Path(&mut s.tls_authority),
        "PEM file of authorities that clients trust beside those of this machine",
    ),
    row(
        "dns.system",
        &["COVET_DNS_SYSTEM"],
        r#"["10.0.0.2"]"#,
        |s| Slot::List(&mut s.dns_system),
        "resolvers asked instead of this machine's own: address[:port]",
    ),
    row(
        "dns.public",
        &["COVET_DNS_PUBLIC"],
        r#"["1.1.1.1", "8.8.8.8"]"#,
        |s| Slot::List(&mut s.dns_public),
        "resolvers of the rest of the world, to compare with; [] asks nobody outside",
    ),
    row(
        "dns.authoritative",
        &["COVET_DNS_AUTHORITATIVE"],
        r#"["192.0.2.53"]"#,
        |s| Slot::List(&mut s.dns_authoritative),
        "name servers of your public zones; found by their NS records if not set",
    ),
    row(
        "registry.endpoints",
        &["COVET_REGISTRY_ENDPOINTS"],
        r#"["ghcr.io=https://mirror.example.com"]"#,
        |s| Slot::List(&mut s.registry_endpoints),
        "registries that are asked elsewhere than at their own host: host=URL",
    ),
    row(
        "probe_url",
        &["COVET_PROBE_URL"],
        r#""https://www.example.com/health/ready""#,
        |s| Slot::Maybe(&mut s.probe_url),
        "what playbooks ask to see whether users are served",
    ),
    row(
        "sheddable",
        &["COVET_SHEDDABLE"],
        r#"["shop/reports"]"#,
        |s| Slot::List(&mut s.sheddable),
        "deployments that may be scaled down to make room",
    ),
    row(
        "ssh.user",
        &["COVET_SSH_USER"],
        r#""ec2-user""#,
        |s| Slot::Maybe(&mut s.ssh.user),
        "who logs in to the nodes' machines; keys, agent and known hosts are ssh's own",
    ),
    row("ssh.port", &["COVET_SSH_PORT"], "22", |s| Slot::Port(&mut s.ssh.port), "if it is not 22"),
    row(
        "ssh.config",
        &["COVET_SSH_CONFIG"],
        r#""/home/ann/.ssh/nodes""#,
        |s| Slot::Path(&mut s.ssh.config),
        "ssh's config file for the nodes and a tunnel to the database, read instead of ~/.ssh/config",
    ),
    row(
        "ssh.jump",
        &["COVET_SSH_JUMP"],
        r#""ann@bastion.example.com""#,
        |s| Slot::Maybe(&mut s.ssh.jump),
        "the host to go through: [user@]host[:port]",
    ),
    row(
        "ssh.address",
        &["COVET_SSH_ADDRESS"],
        r#""internal""#,
        |s| Slot::Word(&mut s.ssh.address, &["internal", "external", "hostname", "name"]),
        "which of a node's addresses is connected to",
    ),
    row(
        "playbooks",
        &["COVET_PLAYBOOKS"],
        r#""playbooks.toml""#,
        |s| Slot::Path(&mut s.playbooks),
        "the team's own playbooks; ./playbooks.toml if it exists",
    ),
    row("theme", &["COVET_THEME"], r#""auto""#, |s| Slot::Text(&mut s.theme), "colours"),
    row("mouse", &["COVET_MOUSE"], "true", |s| Slot::Flag(&mut s.mouse), "listen to the mouse"),
];

pub(super) fn find(key: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.key == key)
}
