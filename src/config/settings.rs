//! Every setting there is, each with where its value came from. Few, on purpose.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::Name;

/// What the cockpit was told, by flags, environment, file, and the kubeconfig.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Files to merge, the first of them wins; empty means inside a cluster, or none at all.
    pub kubeconfig: Sourced<Vec<PathBuf>>,
    /// The kubeconfig context; None when there is no kubeconfig.
    pub context: Sourced<Option<String>>,
    pub namespace: Sourced<Scope>,
    /// No write can be constructed. Any source that asks for it wins.
    pub read_only: Sourced<bool>,
    /// Regular expressions for contexts that are shown as production.
    pub protected_contexts: Sourced<Vec<String>>,
    pub prometheus: Prometheus,
    pub alertmanager_url: Sourced<Option<String>>,
    /// May hold a password: never shown as it is.
    pub database_url: Sourced<Option<String>>,
    /// How the database is reached: `direct`, `port-forward:[NAMESPACE/]POD:PORT`,
    /// `ssh:[USER@]HOST[:PORT]`.
    pub database_via: Sourced<Option<String>>,
    /// How many CPUs the database server has.
    pub database_cpus: Sourced<Option<String>>,
    /// The application's accounts: `table(id, name, active, failures, last login)`.
    pub database_users: Sourced<String>,
    /// May hold a password: never shown as it is.
    pub redis_url: Sourced<Option<String>>,
    pub aws: AwsSettings,
    /// Hosts to shake hands with beside those of the Ingresses: `host[:port][@address]`.
    pub tls_hosts: Sourced<Vec<String>>,
    /// A PEM file of authorities trusted beside the machine's own, such as a company's.
    pub tls_authority: Sourced<Option<PathBuf>>,
    /// Resolvers asked instead of this machine's own: `address[:port]`.
    pub dns_system: Sourced<Vec<String>>,
    /// Resolvers of the rest of the world, to compare with.
    pub dns_public: Sourced<Vec<String>>,
    /// Name servers of the public zones; found by NS when empty.
    pub dns_authoritative: Sourced<Vec<String>>,
    /// Registries to be asked elsewhere, as `host=url`.
    pub registry_endpoints: Sourced<Vec<String>>,
    /// What playbooks may ask over HTTP to see whether users are served.
    pub probe_url: Sourced<Option<String>>,
    /// Deployments that may be scaled down to make room, as `namespace/name`.
    pub sheddable: Sourced<Vec<String>>,
    pub ssh: SshSettings,
    /// The team's own scripts, by name.
    pub scripts: BTreeMap<String, Sourced<ScriptSetting>>,
    /// A team's own playbooks.
    pub playbooks: Sourced<Option<PathBuf>>,
    /// `auto`, or a theme's name.
    pub theme: Sourced<String>,
    pub mouse: Sourced<bool>,
    /// Overrides by `rule.threshold`.
    pub thresholds: BTreeMap<String, Sourced<f64>>,
}

/// Where Prometheus is and what its metrics are called. Names that nobody gave are discovered.
#[derive(Clone, Debug)]
pub struct Prometheus {
    /// None: looked for in the cluster. `off`: not used.
    pub url: Sourced<Option<String>>,
    /// The counter of requests, e.g. `http_requests_total`.
    pub requests: Sourced<Option<String>>,
    /// The latency histogram without `_bucket`, e.g. `http_request_duration_seconds`.
    pub latency: Sourced<Option<String>>,
    /// What the histogram counts in: `s`, `ms` or `us`; `auto`: what its name says.
    pub latency_unit: Sourced<String>,
    /// The label of the response code: `status`, `code` or `status_code`.
    pub status_label: Sourced<Option<String>>,
    /// Extra matchers, e.g. `job="shop"`.
    pub selector: Sourced<Option<String>>,
}

/// How AWS is reached, and the names there that cannot be found from the cluster.
#[derive(Clone, Debug)]
pub struct AwsSettings {
    pub profile: Sourced<Option<String>>,
    /// None: the profile's, else the nodes'.
    pub region: Sourced<Option<String>>,
    /// Another endpoint for every service, as for an emulator.
    pub endpoint_url: Sourced<Option<String>>,
    /// Keys by profile, beside the usual file.
    pub credentials_file: Sourced<Option<PathBuf>>,
    /// The RDS cluster; None: the one behind the database's host.
    pub db_cluster: Sourced<Option<String>>,
    pub eks_cluster: Sourced<Option<String>>,
    /// The bucket of the load balancer's access logs.
    pub access_logs: Sourced<Option<String>>,
    /// The log group that CloudTrail writes to.
    pub trail: Sourced<Option<String>>,
    /// The WAF IP set that blocks, as `name/id/scope`; None: looked for in the load balancer's web ACL.
    pub ip_set: Sourced<Option<String>>,
    /// The secret that signs tokens.
    pub signing_secret: Sourced<Option<String>>,
    /// Networks that are never blocked: offices, monitoring, partners.
    pub never_block: Sourced<Vec<String>>,
    /// The key in the environment.
    pub keys: Option<AwsKeys>,
    /// The file of profiles, where it is not the usual one.
    pub config_file: Option<PathBuf>,
    /// The environment or the home folder has credentials for the usual chain.
    pub has_chain: bool,
}

/// A key of AWS. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKeys {
    pub id: String,
    pub secret: String,
    /// The token that comes with temporary keys.
    pub session: Option<String>,
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsKeys")
    }
}

impl AwsSettings {
    /// Whether anything says that AWS is to be used.
    pub fn is_configured(&self) -> bool {
        self.has_chain
            || self.profile.is_some()
            || self.endpoint_url.is_some()
            || self.credentials_file.is_some()
    }
}

impl Default for AwsSettings {
    fn default() -> Self {
        Self {
            profile: Sourced::default(None),
            region: Sourced::default(None),
            endpoint_url: Sourced::default(None),
            credentials_file: Sourced::default(None),
            db_cluster: Sourced::default(None),
            eks_cluster: Sourced::default(None),
            access_logs: Sourced::default(None),
            trail: Sourced::default(None),
            ip_set: Sourced::default(None),
            signing_secret: Sourced::default(None),
            never_block: Sourced::default(Vec::new()),
            keys: None,
            config_file: None,
            has_chain: false,
        }
    }
}

/// How the nodes' machines are reached; the rest stands in ssh's own config file.
#[derive(Clone, Debug)]
pub struct SshSettings {
    pub user: Sourced<Option<String>>,
    pub port: Sourced<Option<u16>>,
    /// Read instead of `~/.ssh/config`.
    pub config: Sourced<Option<PathBuf>>,
    /// `[user@]host[:port]`.
    pub jump: Sourced<Option<String>>,
    /// `internal`, `external`, `hostname` or `name`.
    pub address: Sourced<String>,
}

/// A script of the team's own: exactly these words, with `{placeholders}` that are one word each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptSetting {
    pub argv: Vec<String>,
    /// After this long it is ended.
    pub timeout: Duration,
}

/// Which namespaces the cockpit looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    One(Name),
    All,
}

impl Scope {
    /// The namespace, if it is a single one.
    pub fn one(&self) -> Option<&Name> {
        match self {
            Scope::One(name) => Some(name),
            Scope::All => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::One(name) => f.write_str(name),
            Scope::All => f.write_str("*"),
        }
    }
}

/// A value and where it came from.
#[derive(Clone, PartialEq, Debug)]
pub struct Sourced<T> {
    pub value: T,
    pub from: Source,
}

impl<T> Sourced<T> {
    pub fn default(value: T) -> Self {
        Self { value, from: Source::Default }
    }
}

impl<T> Deref for Sourced<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Who decided a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    Flag,
    /// An environment variable.
    Env(&'static str),
    /// A settings file and the line in it.
    File(PathBuf, usize),
    Kubeconfig(PathBuf),
    /// Found in the cluster, by this object.
    Discovered(String),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Flag => f.write_str("flag"),
            Source::Env(name) => write!(f, "${name}"),
            Source::File(path, line) => write!(f, "{}:{line}", path.display()),
            Source::Kubeconfig(path) => write!(f, "{}", path.display()),
            Source::Discovered(object) => write!(f, "discovered: {object}"),
            Source::Default => f.write_str("default"),
        }
    }
}

/// What the command line said. Filled by the parser of flags; only what was given is Some (or true).
#[derive(Clone, Debug, Default)]
pub struct Flags {
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<String>,
    pub namespace: Option<String>,
    pub all_namespaces: bool,
    pub read_only: bool,
    pub playbooks: Option<PathBuf>,
    pub theme: Option<String>,
}

/// The application's accounts, if nobody says otherwise.
const USERS: &str = "users(id, username, is_active, failed_attempts, last_login)";

impl Default for Settings {
    fn default() -> Self {
        Self {
            kubeconfig: Sourced::default(Vec::new()),
            context: Sourced::default(None),
            namespace: Sourced::default(Scope::One("default".into())),
            read_only: Sourced::default(false),
            protected_contexts: Sourced::default(vec!["prod".into()]),
            prometheus: Prometheus {
                url: Sourced::default(None),
                requests: Sourced::default(None),
                latency: Sourced::default(None),
                latency_unit: Sourced::default("auto".into()),
                status_label: Sourced::default(None),
                selector: Sourced::default(None),
            },
            alertmanager_url: Sourced::default(None),
            database_url: Sourced::default(None),
            database_via: Sourced::default(None),
            database_cpus: Sourced::default(None),
            database_users: Sourced::default(USERS.into()),
            redis_url: Sourced::default(None),
            aws: AwsSettings::default(),
            tls_hosts: Sourced::default(Vec::new()),
            tls_authority: Sourced::default(None),
            dns_system: Sourced::default(Vec::new()),
            dns_public: Sourced::default(super::net::dns::WORLD.map(str::to_owned).to_vec()),
            dns_authoritative: Sourced::default(Vec::new()),
            registry_endpoints: Sourced::default(Vec::new()),
            probe_url: Sourced::default(None),
            sheddable: Sourced::default(Vec::new()),
            ssh: SshSettings {
                user: Sourced::default(None),
                port: Sourced::default(None),
                config: Sourced::default(None),
                jump: Sourced::default(None),
                address: Sourced::default("internal".into()),
            },
            scripts: BTreeMap::new(),
            playbooks: Sourced::default(None),
            theme: Sourced::default("auto".into()),
            mouse: Sourced::default(false),
            thresholds: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Whether anything says where a cluster is: a kubeconfig, or the account of the pod we run in.
    pub fn has_cluster(&self) -> bool {
        !self.kubeconfig.is_empty() || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }

    /// Whether the context is one that must look like production.
    pub fn is_protected(&self) -> bool {
        let Some(context) = self.context.as_deref() else { return false };
        self.protected_contexts
            .iter()
            .any(|pattern| regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(context)))
    }

    /// Values that playbooks may use as placeholders.
    pub fn bindings(&self) -> BTreeMap<String, String> {
        let aws = &self.aws;
        let named = [
            ("probe_url", &self.probe_url),
            ("eks_cluster", &aws.eks_cluster),
            ("access_logs", &aws.access_logs),
            ("trail", &aws.trail),
            ("ip_set", &aws.ip_set),
            ("signing_secret", &aws.signing_secret),
            ("db_cluster", &aws.db_cluster),
        ];
        let given =
            named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.value.clone()?)));
        let sheddable = self.sheddable.join(",");
        let sheddable = (!sheddable.is_empty()).then(|| ("sheddable".to_owned(), sheddable));
        given.chain(sheddable).collect()
    }

    /// The overrides of thresholds alone, by `rule.threshold`.
    pub fn threshold_values(&self) -> BTreeMap<String, f64> {
        self.thresholds.iter().map(|(key, value)| (key.clone(), value.value)).collect()
    }
}
