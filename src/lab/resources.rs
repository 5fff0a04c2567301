//! The table of resources the lab serves: group, version, names and what may be selected on.
//! It knows names only, not what the objects mean.

/// One kind of object. `plural` is unique in the lab; `path` is what the URL says (they differ only for
/// `podmetrics` and `nodemetrics`, which metrics.k8s.io serves as `pods` and `nodes`).
#[derive(Debug)]
pub struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub path: &'static str,
    pub singular: &'static str,
    pub kind: &'static str,
    pub namespaced: bool,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub subresources: &'static [&'static str],
    /// Field selectors beyond `metadata.name` and `metadata.namespace`; the store keeps these beside the bytes.
    pub fields: &'static [&'static str],
}

impl Resource {
    const fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        singular: &'static str,
        kind: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            plural,
            path: plural,
            singular,
            kind,
            namespaced: true,
            short_names: &[],
            categories: &[],
            subresources: &[],
            fields: &[],
        }
    }
    const fn cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }
    const fn at(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }
    const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }
    const fn all(mut self) -> Self {
        self.categories = &["all"];
        self
    }
    const fn categories(mut self, categories: &'static [&'static str]) -> Self {
        self.categories = categories;
        self
    }
    const fn sub(mut self, subresources: &'static [&'static str]) -> Self {
        self.subresources = subresources;
        self
    }
    const fn fields(mut self, fields: &'static [&'static str]) -> Self {
        self.fields = fields;
        self
    }

    /// `v1` for the core group, `apps/v1` otherwise.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods`, or `deployments.apps`: how the API server names a resource in messages.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.path.to_owned() } else { format!("{}.{}", self.path, self.group) }
    }

    pub fn has(&self, subresource: &str) -> bool {
        self.subresources.contains(&subresource)
    }

    /// Computed elsewhere and only shown: it can be read, not written.
    pub fn is_read_only(&self) -> bool {
        self.group == "metrics.k8s.io"
    }
}

/// The row whose `plural` is this.
pub fn resource(plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|row| row.plural == plural)
}

const EVENT_FIELDS: &[&str] = &[
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// Everything the lab serves, in the order `kubectl get all` and discovery show it.
pub static RESOURCES: &[Resource] = &[
    Resource::new("", "v1", "pods", "pod", "Pod")
        .short(&["po"])
        .all()
        .sub(&["eviction", "exec", "log", "portforward", "proxy", "status"])
        .fields(&[
            "spec.nodeName",
            "status.phase",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.podIP",
            "status.nominatedNodeName",
        ]),
    Resource::new("", "v1", "services", "service", "Service")
        .short(&["svc"])
        .all()
        .sub(&["proxy", "status"])
        .fields(&["spec.clusterIP", "spec.type"]),
    Resource::new("", "v1", "nodes", "node", "Node")
        .short(&["no"])
        .cluster()
        .sub(&["proxy", "status"])
        .fields(&["spec.unschedulable"]),
    Resource::new("", "v1", "namespaces", "namespace", "Namespace")
        .short(&["ns"])
        .cluster()
        .sub(&["status"])
        .fields(&["status.phase"]),
    Resource::new("", "v1", "configmaps", "configmap", "ConfigMap").short(&["cm"]),
    Resource::new("", "v1", "secrets", "secret", "Secret").fields(&["type"]),
    Resource::new("", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount").short(&["sa"]),
    Resource::new("", "v1", "events", "event", "Event").short(&["ev"]).fields(EVENT_FIELDS),
    Resource::new("", "v1", "endpoints", "endpoints", "Endpoints").short(&["ep"]),
    Resource::new("", "v1", "persistentvolumeclaims", "persistentvolumeclaim", "PersistentVolumeClaim")
        .short(&["pvc"])
        .sub(&["status"]),
    Resource::new("", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume")
        .short(&["pv"])
        .cluster()
        .sub(&["status"]),
    Resource::new("", "v1", "resourcequotas", "resourcequota", "ResourceQuota")
        .short(&["quota"])
        .sub(&["status"]),
    Resource::new("", "v1", "limitranges", "limitrange", "LimitRange").short(&["limits"]),
    Resource::new("", "v1", "replicationcontrollers", "replicationcontroller", "ReplicationController")
        .short(&["rc"])
        .all(),
    Resource::new("apps", "v1", "deployments", "deployment", "Deployment")
        .short(&["deploy"])
        .all()
        .sub(&["scale", "status"]),
    Resource::new("apps", "v1", "replicasets", "replicaset", "ReplicaSet")
        .short(&["rs"])
        .all()
        .sub(&["scale", "status"])
        .fields(&["status.replicas"]),
    Resource::new("apps", "v1", "statefulsets", "statefulset", "StatefulSet")
        .short(&["sts"])
        .all()
        .sub(&["scale", "status"]),
    Resource::new("apps", "v1", "daemonsets", "daemonset", "DaemonSet").short(&["ds"]).all().sub(&["status"]),
    Resource::new("apps", "v1", "controllerrevisions", "controllerrevision", "ControllerRevision"),
    Resource::new(
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        "horizontalpodautoscaler",
        "HorizontalPodAutoscaler",
    )
    .short(&["hpa"])
    .all()
    .sub(&["status"]),
    Resource::new("batch", "v1", "jobs", "job", "Job").all().sub(&["status"]).fields(&["status.successful"]),
    Resource::new("batch", "v1", "cronjobs", "cronjob", "CronJob").short(&["cj"]).all().sub(&["status"]),
    Resource::new("policy", "v1", "poddisruptionbudgets", "poddisruptionbudget", "PodDisruptionBudget")
        .short(&["pdb"])
        .sub(&["status"]),
    Resource::new("networking.k8s.io", "v1", "ingresses", "ingress", "Ingress")
        .short(&["ing"])
        .sub(&["status"]),
    Resource::new("networking.k8s.io", "v1", "ingressclasses", "ingressclass", "IngressClass").cluster(),
    Resource::new("networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy")
        .short(&["netpol"]),
    Resource::new("discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice"),
    Resource::new("coordination.k8s.io", "v1", "leases", "lease", "Lease"),
    Resource::new("storage.k8s.io", "v1", "storageclasses", "storageclass", "StorageClass")
        .short(&["sc"])
        .cluster(),
    Resource::new(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "customresourcedefinition",
        "CustomResourceDefinition",
    )
    .short(&["crd", "crds"])
    .categories(&["api-extensions"])
    .cluster()
    .sub(&["status"]),
    Resource::new("cert-manager.io", "v1", "certificates", "certificate", "Certificate")
        .short(&["cert", "certs"])
        .categories(&["cert-manager"])
        .sub(&["status"]),
    Resource::new("cert-manager.io", "v1", "certificaterequests", "certificaterequest", "CertificateRequest")
        .short(&["cr", "crs"])
        .categories(&["cert-manager"])
        .sub(&["status"]),
    Resource::new("cert-manager.io", "v1", "issuers", "issuer", "Issuer")
        .categories(&["cert-manager"])
        .sub(&["status"]),
    Resource::new("cert-manager.io", "v1", "clusterissuers", "clusterissuer", "ClusterIssuer")
        .categories(&["cert-manager"])
        .cluster()
        .sub(&["status"]),
    Resource::new("acme.cert-manager.io", "v1", "orders", "order", "Order")
        .categories(&["cert-manager", "cert-manager-acme"])
        .sub(&["status"]),
    Resource::new("acme.cert-manager.io", "v1", "challenges", "challenge", "Challenge")
        .categories(&["cert-manager", "cert-manager-acme"])
        .sub(&["status"]),
    Resource::new("external-secrets.io", "v1", "externalsecrets", "externalsecret", "ExternalSecret")
        .short(&["es"])
        .categories(&["external-secrets"])
        .sub(&["status"]),
    Resource::new("monitoring.coreos.com", "v1", "prometheuses", "prometheus", "Prometheus")
        .short(&["prom"])
        .categories(&["prometheus-operator"])
        .sub(&["scale", "status"]),
    Resource::new("monitoring.coreos.com", "v1", "alertmanagers", "alertmanager", "Alertmanager")
        .short(&["am"])
        .categories(&["prometheus-operator"])
        .sub(&["scale", "status"]),
    Resource::new("monitoring.coreos.com", "v1", "prometheusrules", "prometheusrule", "PrometheusRule")
        .short(&["promrule"])
        .categories(&["prometheus-operator"]),
    Resource::new("metrics.k8s.io", "v1beta1", "podmetrics", "podmetrics", "PodMetrics").at("pods"),
    Resource::new("metrics.k8s.io", "v1beta1", "nodemetrics", "nodemetrics", "NodeMetrics")
        .at("nodes")
        .cluster(),
];
