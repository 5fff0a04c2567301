//! The services that are spoken to without an SDK's client, and where each is reached. Must not know what is asked.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// The services that are spoken to here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    Ec2,
    AutoScaling,
    LoadBalancing,
    Rds,
    S3,
    SystemsManager,
    SecretsManager,
    CloudTrail,
    Logs,
    Firewall,
    Eks,
}

/// Where a service is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// AWS's own; with cryptography that FIPS 140 validates, and by IPv6 too, when these are asked for.
    Aws {
        fips: bool,
        dual_stack: bool,
    },
    Other(String),
}

impl Service {
    /// The host's first label, which is also the name that is signed; the service id, by which endpoints are
    /// configured; and the version of a query, or the target of JSON.
    pub(super) fn facts(self) -> [&'static str; 3] {
        match self {
            Service::Ec2 => ["ec2", "EC2", "2016-11-15"],
            Service::AutoScaling => ["autoscaling", "Auto Scaling", "2011-01-01"],
            Service::LoadBalancing => ["elasticloadbalancing", "Elastic Load Balancing v2", "2015-12-01"],
            Service::Rds => ["rds", "RDS", "2014-10-31"],
            Service::S3 => ["s3", "S3", ""],
            Service::SystemsManager => ["ssm", "SSM", "AmazonSSM"],
            Service::SecretsManager => ["secretsmanager", "Secrets Manager", "secretsmanager"],
            Service::CloudTrail => {
                ["cloudtrail", "CloudTrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"]
            }
            Service::Logs => ["logs", "CloudWatch Logs", "Logs_20140328"],
            Service::Firewall => ["wafv2", "WAFV2", "AWSWAF_20190729"],
            Service::Eks => ["eks", "EKS", ""],
        }
    }

    /// The host of AWS's own endpoint (as botocore's endpoint rules have it; S3's buckets are named before it).
    pub(super) fn host(self, region: &str, fips: bool, dual_stack: bool) -> String {
        let [name, ..] = self.facts();
        // The usual names of Secrets Manager are those of both stacks.
        let dual_stack = dual_stack && self != Service::SecretsManager;
        let zone = match (dual_stack, region.starts_with("cn-")) {
            (true, false) => "api.aws",
            (true, true) => "api.amazonwebservices.com.cn",
            (false, false) => "amazonaws.com",
            (false, true) => "amazonaws.com.cn",
        };
        // In GovCloud most endpoints are of FIPS as they are.
        let apart = matches!(self, Service::SecretsManager | Service::Firewall);
        let already = region.starts_with("us-gov-") && !dual_stack && !apart;
        match (self, fips && !already) {
            (Service::Eks, true) if !dual_stack => format!("fips.eks.{region}.{zone}"),
            (_, true) => format!("{name}-fips.{region}.{zone}"),
            (_, false) => format!("{name}.{region}.{zone}"),
        }
    }

    pub(super) fn endpoint(self, config: &SdkConfig) -> Endpoint {
        let asked = |wanted: Option<bool>| wanted.unwrap_or_default();
        let aws =
            Endpoint::Aws { fips: asked(config.use_fips()), dual_stack: asked(config.use_dual_stack()) };
        self.configured(config).map_or(aws, Endpoint::Other)
    }

    /// Its endpoint when it is not AWS's own. One for all services from our settings goes before the others,
    /// as in the SDK's clients.
    fn configured(self, config: &SdkConfig) -> Option<String> {
        let [_, id, _] = self.facts();
        let for_all = || config.endpoint_url().map(ToOwned::to_owned);
        if config.get_origin("endpoint_url").is_client_config() {
            return for_all();
        }
        let key = ServiceConfigKey::builder().service_id(id).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let own = config.service_config().zip(key.build().ok()).and_then(|(all, key)| all.load_config(key));
        own.or_else(for_all)
    }
}

/// With an endpoint of one's own, and for names with dots (which no certificate fits), the bucket is in the path.
pub(super) fn bucket_url(bucket: &str, region: &str, endpoint: &Endpoint) -> String {
    let (fips, dual_stack) = match endpoint {
        Endpoint::Other(url) => return format!("{}/{bucket}", url.trim_end_matches('/')),
        Endpoint::Aws { fips, dual_stack } => (*fips, *dual_stack),
    };
    let name = if fips { "s3-fips" } else { "s3" };
    let stack = if dual_stack { "dualstack." } else { "" };
    let zone = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let host = format!("{name}.{stack}{region}.{zone}");
    if bucket.contains('.') {
        format!("https://{host}/{bucket}")
    } else {
        format!("https://{bucket}.{host}/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_ones_own_goes_before_what_is_asked_of_awss() {
        let aws = Service::Ec2.endpoint(&SdkConfig::builder().use_fips(true).build());
        assert_eq!(aws, Endpoint::Aws { fips: true, dual_stack: false });
        let both = SdkConfig::builder().use_dual_stack(true).endpoint_url("http://127.0.0.1:4566").build();
        assert_eq!(Service::Ec2.endpoint(&both), Endpoint::Other("http://127.0.0.1:4566".into()));
    }
}
