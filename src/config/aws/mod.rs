//! The way to AWS: the usual chain of credentials, a region, one HTTP stack, deadlines on every call. Knows how
//! to connect; must not know what is asked.

mod calls;
mod credentials;
mod database;
mod endpoint;
mod explain;
mod metrics;
mod signed;
mod xml;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use tokio::sync::OnceCell;

use super::settings::{AwsSettings, Source};
use super::{http_client, is_local};
use crate::domain::Timestamp;

use credentials::Kept;
use explain::no_credentials;
use signed::Signed;

pub use calls::{Buckets, Json, Query, Rest, words};
pub use database::{RdsCluster, RdsInstance, find_cluster, find_instance, host_of, is_rds, region_of};
pub use endpoint::{Endpoint, Service};
pub use explain::{AwsError, AwsTrouble, explain};
pub use metrics::database_metrics;
pub use signed::{Prepared, Words, prepare};
pub use xml::Xml;

/// From dialling to connected.
const CONNECT: Duration = Duration::from_secs(3);
/// One try.
const ATTEMPT: Duration = Duration::from_secs(8);
/// A call with its retries.
const CALL: Duration = Duration::from_secs(15);
/// Tries of a read, the first included. A write is tried once: whoever asked decides whether to ask again.
const TRIES: u32 = 3;

/// AWS as it is configured. Nothing is sent before the first session.
#[derive(Clone)]
pub struct Aws {
    ours: Arc<Ours>,
}

struct Ours {
    settings: AwsSettings,
    loaded: OnceCell<Loaded>,
}

/// What is read and built once.
struct Loaded {
    config: SdkConfig,
    /// For requests of our own; None when no client can be built.
    http: Option<reqwest::Client>,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("profile", &self.ours.settings.profile.value).finish_non_exhaustive()
    }
}

/// Clients for one region.
#[derive(Clone)]
pub struct Session {
    pub region: String,
    config: SdkConfig,
    http: Option<reqwest::Client>,
    clock: fn() -> Timestamp,
}

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    pub account: String,
    pub arn: String,
}

impl Aws {
    /// None when nothing says that AWS is to be used.
    pub fn of(settings: &AwsSettings) -> Option<Aws> {
        settings
            .is_configured()
            .then(|| Aws { ours: Arc::new(Ours { settings: settings.clone(), loaded: OnceCell::new() }) })
    }

    pub fn settings(&self) -> &AwsSettings {
        &self.ours.settings
    }

    /// Clients for the region of the settings, else of the profile, else `nodes_region`. `clock` dates what is
    /// signed, and tells when credentials end.
    ///
    /// # Errors
    /// No region is known, or there are no credentials.
    pub async fn session(
        &self,
        nodes_region: Option<&str>,
        clock: fn() -> Timestamp,
    ) -> Result<Session, AwsError> {
        let loaded = self.ours.loaded.get_or_init(|| load(&self.ours.settings, clock)).await;
        let config = &loaded.config;
        let own = config.region().map(ToString::to_string);
        let Some(region) = own.or_else(|| nodes_region.map(ToOwned::to_owned)) else {
            let says = "no AWS region is known: neither the settings, the profile nor the nodes name one";
            return Err(
                AwsError::new(AwsTrouble::NotConfigured, says).repair("set AWS_REGION or [aws] region")
            );
        };
        let config = config.to_builder().region(Region::new(region.clone())).build();
        if let Some(provider) = config.credentials_provider() {
            let profile = self.ours.settings.profile.as_deref();
            let asked = tokio::time::timeout(CALL, provider.provide_credentials()).await;
            match asked {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(no_credentials(&error, profile)),
                Err(_) => {
                    return Err(AwsError::new(
                        AwsTrouble::Credentials,
                        "AWS credentials take too long to come",
                    ));
                }
            }
        }
        Ok(Session { region, config, http: loaded.http.clone(), clock })
    }

    /// The same, and nowhere but in the nodes' region.
    ///
    /// # Errors
    /// No region is known, or settings or profile name another.
    pub async fn session_at(
        &self,
        nodes_region: Option<&str>,
        clock: fn() -> Timestamp,
    ) -> Result<Session, AwsError> {
        let session = self.session(nodes_region, clock).await?;
        match nodes_region {
            Some(region) if region != session.region => {
                let says = format!("the node is in {region}, but settings or profile say {}", session.region);
                let repair = format!("set AWS_REGION={region} or [aws] region, if this is the right account");
                Err(AwsError::new(AwsTrouble::Elsewhere, says).repair(repair))
            }
            _ => Ok(session),
        }
    }
}

impl Session {
    /// The same without retries, for calls that change something.
    #[must_use]
    pub fn once(&self) -> Session {
        let config = self.config.to_builder().retry_config(RetryConfig::disabled()).build();
        Session { config, ..self.clone() }
    }

    pub fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&self.config)
    }

    pub fn eks(&self) -> Rest {
        Rest(self.signed(Service::Eks))
    }

    pub fn insights(&self) -> aws_sdk_pi::Client {
        aws_sdk_pi::Client::new(&self.config)
    }

    pub fn dns(&self) -> aws_sdk_route53::Client {
        aws_sdk_route53::Client::new(&self.config)
    }

    pub fn ec2(&self) -> Query {
        Query(self.signed(Service::Ec2))
    }

    pub fn autoscaling(&self) -> Query {
        Query(self.signed(Service::AutoScaling))
    }

    pub fn load_balancing(&self) -> Query {
        Query(self.signed(Service::LoadBalancing))
    }

    pub fn rds(&self) -> Query {
        Query(self.signed(Service::Rds))
    }

    pub fn buckets(&self) -> Buckets {
        Buckets(self.signed(Service::S3))
    }

    pub fn systems_manager(&self) -> Json {
        Json(self.signed(Service::SystemsManager))
    }

    pub fn secrets(&self) -> Json {
        Json(self.signed(Service::SecretsManager))
    }

    pub fn trail(&self) -> Json {
        Json(self.signed(Service::CloudTrail))
    }

    pub fn logs(&self) -> Json {
        Json(self.signed(Service::Logs))
    }

    /// The firewall of a scope: CloudFront's lives in one region alone.
    pub fn firewall(&self, scope: &str) -> Json {
        match scope {
            "CLOUDFRONT" => Json(self.signed(Service::Firewall).in_region("us-east-1")),
            _ => Json(self.signed(Service::Firewall)),
        }
    }

    fn signed(&self, service: Service) -> Signed {
        Signed::new(service, self)
    }

    /// Who calls, by STS.
    ///
    /// # Errors
    /// No credentials, or refused ones.
    pub async fn identity(&self) -> Result<Identity, AwsError> {
        let client = aws_sdk_sts::Client::new(&self.config);
        let answer = client.get_caller_identity().send().await.map_err(|error| explain(&error))?;
        Ok(Identity {
            account: answer.account().unwrap_or_default().to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
        })
    }
}

async fn load(settings: &AwsSettings, clock: fn() -> Timestamp) -> Loaded {
    // Companies send their traffic through proxies; the AWS clients of others honour them too. To an emulator on
    // this machine no proxy leads.
    let endpoint = settings.endpoint_url.as_deref().and_then(|url| reqwest::Url::parse(url).ok());
    let is_here = endpoint.as_ref().and_then(reqwest::Url::host_str).is_some_and(is_local);
    let sdks = aws_smithy_http_client::Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = aws_smithy_http_client::Connector::builder();
        builder.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        builder
            .proxy_config(if is_here { ProxyConfig::disabled() } else { ProxyConfig::from_env() })
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .build()
    });
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(sdks.clone())
        .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(CALL)
                .build(),
        );
    if let Ok(name) = AppName::new("covet-tui") {
        loader = loader.app_name(name);
    }
    if let Some(region) = &settings.region.value {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(url) = &settings.endpoint_url.value {
        // Whoever names an endpoint means no other; together with these the SDK refuses it.
        loader = loader.endpoint_url(url.trim_end_matches('/')).use_fips(false).use_dual_stack(false);
    }
    let files = files(settings);
    if let Some(profile) = &settings.profile.value {
        loader = loader.profile_name(profile);
    }
    if let Some(files) = files.clone() {
        loader = loader.profile_files(files);
    }
    // As with the aws command: a profile that was named outright goes before keys of the environment.
    let named = settings.profile.is_some() && settings.profile.from != Source::Env("AWS_PROFILE");
    if named || settings.credentials_file.is_some() {
        // Without a client of its own it would ask for the SDK's default one, which is not built in.
        let with = ProviderConfig::without_region().with_http_client(sdks);
        let mut provider = ProfileFileCredentialsProvider::builder().configure(&with);
        if let Some(profile) = &settings.profile.value {
            provider = provider.profile_name(profile);
        }
        if let Some(files) = files {
            provider = provider.profile_files(files);
        }
        loader = loader.credentials_provider(provider.build());
    } else if let Some(keys) = settings.keys.clone() {
        // From the environment as it was handed to us: in a drill that is not the process's own.
        let keys = Credentials::new(keys.id, keys.secret, keys.session, None, "environment");
        loader = loader.credentials_provider(keys);
    }
    let mut config = loader.load().await;
    if let Some(provider) = config.credentials_provider() {
        let kept = SharedCredentialsProvider::new(Kept::new(provider, clock));
        config = config.to_builder().credentials_provider(kept).build();
    }
    Loaded { config, http: http_client(endpoint.as_ref()).ok() }
}

/// Files in the place of the usual ones, where there are any; the others stay.
#[expect(deprecated, reason = "the new name is in a crate of its own, of the same version")]
fn files(settings: &AwsSettings) -> Option<aws_config::profile::profile_file::ProfileFiles> {
    use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};
    let (keys, profiles) = (settings.credentials_file.as_deref(), settings.config_file.as_deref());
    if keys.is_none() && profiles.is_none() {
        return None;
    }
    let files = ProfileFiles::builder();
    let files = match keys {
        Some(path) => files.with_file(ProfileFileKind::Credentials, path),
        None => files.include_default_credentials_file(true),
    };
    let files = match profiles {
        Some(path) => files.with_file(ProfileFileKind::Config, path),
        None => files.include_default_config_file(true),
    };
    Some(files.build())
}
