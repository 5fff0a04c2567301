//! The one way to the API server: kubeconfig found, merged and read, failures in words, a client that names itself
//! and never lets a credential plugin write on the screen. Eyes, probes and hands share it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError};
use thiserror::Error;

use super::settings::{Scope, Settings, Source, Sourced};
use super::{plugin, proxy, tls};
use crate::domain::{Blind, BlindKind, Timestamp, text};

/// How the cockpit names itself to servers; kubectl's own name would get pretty-printed, doubled answers.
pub const USER_AGENT: &str = concat!("covet-tui/", env!("CARGO_PKG_VERSION"));

/// Why there is no connection, and what to do about it.
#[derive(Clone, PartialEq, Debug, Error)]
#[error("{why}")]
pub struct ConnectError {
    pub kind: BlindKind,
    pub why: String,
    pub repair: Option<String>,
}

impl ConnectError {
    /// With everything secret or hostile taken out of the words.
    pub fn new(kind: BlindKind, why: impl AsRef<str>, repair: &str) -> Self {
        let why = text::redact(&text::clean(why.as_ref()));
        Self { kind, why, repair: (!repair.is_empty()).then(|| repair.to_owned()) }
    }

    pub fn into_blind(self, since: Timestamp) -> Blind {
        Blind { kind: self.kind, why: self.why, repair: self.repair, since }
    }
}

/// A client, and when its credentials end; None when they don't, or renew themselves.
pub struct Connected {
    pub client: kube::Client,
    pub expires: Option<Timestamp>,
}

/// A client for the settings' context.
///
/// # Errors
/// As for [`connect`].
pub async fn client(settings: &Settings) -> Result<kube::Client, ConnectError> {
    connect(settings).await.map(|connected| connected.client)
}

/// A client for the settings' context, with the life of its credentials.
///
/// # Errors
/// No kubeconfig, a broken one, a context that isn't there, unreadable credentials, a credential plugin that fails.
/// An unreachable server is no error here: nothing is sent yet.
pub async fn connect(settings: &Settings) -> Result<Connected, ConnectError> {
    tls::install_provider();
    let (mut config, expires) = cluster(settings).await?;
    config.connect_timeout = Some(Duration::from_secs(5));
    // Whoever asks decides whether to ask again: a retry nobody sees is not honest.
    config.default_retry = false;
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(USER_AGENT)));
    // Files are read while the client is built.
    let built = tokio::task::spawn_blocking(move || kube::Client::try_from(config)).await;
    match built {
        Ok(Ok(client)) => Ok(Connected { client, expires }),
        Ok(Err(error)) => Err(explain_client(&error)),
        Err(error) => Err(ConnectError::new(BlindKind::Broken, error.to_string(), "")),
    }
}

async fn cluster(settings: &Settings) -> Result<(Config, Option<Timestamp>), ConnectError> {
    if settings.kubeconfig.is_empty() {
        return Config::incluster().map(|config| (config, None)).map_err(|_| no_kubeconfig());
    }
    let kubeconfig = read(&settings.kubeconfig)?;
    let names: Vec<_> = kubeconfig.contexts.iter().map(|context| context.name.clone()).collect();
    let own_proxy = own_proxy(&kubeconfig, settings.context.as_deref());
    let options = KubeConfigOptions { context: settings.context.value.clone(), ..Default::default() };
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.map_err(|error| explain(&error, &names))?;
    let expires = plugin::resolve(&mut config.auth_info).await?;
    // The library asks `NO_PROXY` about the proxy instead of the server.
    config.proxy_url = match own_proxy.or_else(|| proxy::proxy_for(&config.cluster_url, &variable)) {
        Some(proxy) => Some(proxy.parse().map_err(|_| bad_proxy(&proxy))?),
        None => None,
    };
    Ok((config, expires))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `proxy-url` of the context's cluster.
fn own_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let named = kubeconfig.contexts.iter().find(|named| named.name == context)?;
    let cluster = &named.context.as_ref()?.cluster;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == *cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone().filter(|proxy| !proxy.is_empty())
}

fn bad_proxy(proxy: &str) -> ConnectError {
    ConnectError::new(
        BlindKind::Broken,
        format!("the proxy `{proxy}` is no URL"),
        "check proxy-url in the kubeconfig, and HTTPS_PROXY",
    )
}

/// The client certificate of the settings' user, if it has expired: since when. The API server only says 401.
pub fn expired_certificate(settings: &Settings, now: Timestamp) -> Option<Timestamp> {
    let kubeconfig = read(&settings.kubeconfig).ok()?;
    let context = settings.context.as_deref().or(kubeconfig.current_context.as_deref())?;
    let named = kubeconfig.contexts.iter().find(|named| named.name == context)?;
    let user = named.context.as_ref()?.user.as_deref()?;
    let user = kubeconfig.auth_infos.iter().find(|named| named.name == user)?.auth_info.as_ref()?;
    let pem = match (&user.client_certificate_data, &user.client_certificate) {
        (Some(data), _) => base64::engine::general_purpose::STANDARD.decode(data).ok()?,
        (None, Some(path)) => std::fs::read(path).ok()?,
        _ => return None,
    };
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).ok()?;
    let ends = pem.parse_x509().ok()?.validity().not_after.timestamp();
    Timestamp::from_second(ends).ok().filter(|ends| *ends < now)
}

/// Which kubeconfig files apply: the flag's, those of `$KUBECONFIG`, or the usual one if it exists.
pub(super) fn kubeconfig_paths(
    flag: Option<&PathBuf>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Sourced<Vec<PathBuf>> {
    if let Some(path) = flag {
        return Sourced { value: vec![path.clone()], from: Source::Flag };
    }
    if let Some(list) = env("KUBECONFIG").filter(|list| !list.is_empty()) {
        let value = std::env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect();
        return Sourced { value, from: Source::Env("KUBECONFIG") };
    }
    let usual = env("HOME").map(|home| Path::new(&home).join(".kube").join("config"));
    Sourced::default(usual.into_iter().filter(|path| path.exists()).collect())
}

/// The context and namespace that apply when nobody chose them. Errors wait for [`client`].
pub(super) fn fill_from_kubeconfig(settings: &mut Settings) {
    let chosen = settings.namespace.from != Source::Default;
    if settings.kubeconfig.is_empty() {
        let mounted = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
        if let Some(own) = std::fs::read_to_string(mounted).ok().filter(|_| !chosen) {
            let from = Source::Kubeconfig(mounted.into());
            settings.namespace = Sourced { value: Scope::One(own.trim().into()), from };
        }
        return;
    }
    let Ok(kubeconfig) = read(&settings.kubeconfig) else { return };
    let from = Source::Kubeconfig(settings.kubeconfig[0].clone());
    if settings.context.is_none() {
        settings.context = Sourced { value: kubeconfig.current_context.clone(), from: from.clone() };
    }
    let context = kubeconfig
        .contexts
        .iter()
        .find(|context| Some(&context.name) == settings.context.as_ref())
        .and_then(|named| named.context.as_ref());
    if let Some(namespace) = context.and_then(|context| context.namespace.as_deref()).filter(|_| !chosen) {
        settings.namespace = Sourced { value: Scope::One(namespace.into()), from };
    }
}

/// Reads and merges; files of `$KUBECONFIG` that don't exist are skipped, as kubectl does.
fn read(paths: &[PathBuf]) -> Result<Kubeconfig, ConnectError> {
    let mut merged: Option<Kubeconfig> = None;
    for path in paths.iter().filter(|path| paths.len() == 1 || path.exists()) {
        let one = Kubeconfig::read_from(path).map_err(|error| explain(&error, &[]))?;
        merged = Some(match merged {
            Some(before) => before.merge(one).map_err(|error| explain(&error, &[]))?,
            None => one,
        });
    }
    merged.ok_or_else(no_kubeconfig)
}

fn no_kubeconfig() -> ConnectError {
    ConnectError::new(
        BlindKind::NotConfigured,
        "no kubeconfig",
        "set KUBECONFIG or --context, or try the pretend production: covet-tui drill",
    )
}

fn explain(error: &KubeconfigError, contexts: &[String]) -> ConnectError {
    let broken = |why: String, repair: &str| ConnectError::new(BlindKind::Broken, why, repair);
    match error {
        KubeconfigError::CurrentContextNotSet => broken(
            "the kubeconfig has no current context".into(),
            &format!("choose one with --context: {}", contexts.join(", ")),
        ),
        KubeconfigError::LoadContext(name) => broken(
            format!("the kubeconfig has no context `{name}`"),
            &format!("choose one of: {}", contexts.join(", ")),
        ),
        KubeconfigError::ReadConfig(io, path) => broken(
            format!("the kubeconfig {} cannot be read: {io}", path.display()),
            "check the path in KUBECONFIG and the file's permissions",
        ),
        KubeconfigError::Parse(error) => broken(
            format!("the kubeconfig is not valid YAML: {}", first_line(&error.to_string())),
            "check it with: kubectl config view",
        ),
        KubeconfigError::LoadClientCertificate(inner) => {
            broken(format!("the client certificate cannot be loaded: {inner}"), "renew the credentials")
        }
        KubeconfigError::LoadClientKey(inner) => {
            broken(format!("the client key cannot be loaded: {inner}"), "renew the credentials")
        }
        other => broken(format!("the kubeconfig is broken: {other}"), "check it with: kubectl config view"),
    }
}

fn explain_client(error: &kube::Error) -> ConnectError {
    use kube::client::AuthError;
    match error {
        kube::Error::Auth(AuthError::ReadTokenFile(io, path)) => ConnectError::new(
            BlindKind::Refused,
            format!("the token file {} cannot be read: {io}", path.display()),
            "check tokenFile in the kubeconfig",
        ),
        kube::Error::Auth(AuthError::AuthExec(why)) => ConnectError::new(
            BlindKind::Refused,
            format!("the kubeconfig's way to log in is not one this program has: {why}"),
            "let the kubeconfig use an exec plugin, a token or a certificate",
        ),
        kube::Error::InferKubeconfig(error) => explain(error, &[]),
        other => ConnectError::new(
            BlindKind::Broken,
            format!("no client can be built: {}", whole(other)),
            "check the cluster and user in the kubeconfig: kubectl config view --minify",
        ),
    }
}

/// An error and what it was caused by, in one line.
pub fn whole(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        next = cause.source();
    }
    text::redact(&text::clean(&words))
}

/// The last cause in the chain, which says the most: `Connection refused`, not `client error (Connect)`. Without the
/// number of the system's error.
pub fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let said = deepest.to_string();
    said.split(" (os error").next().unwrap_or(&said).to_owned()
}

fn first_line(words: &str) -> &str {
    words.lines().next().unwrap_or_default()
}
