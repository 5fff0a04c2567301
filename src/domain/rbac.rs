//! Permissions in words: the kubectl lines with which an admin grants what is missing.

use super::action::shell_quote;

/// What somebody would need to be allowed to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grant<'a> {
    /// `["get", "list", "watch"]`.
    pub verbs: &'a [&'a str],
    /// Empty for the core group.
    pub group: &'a str,
    /// `pods`, or `pods/log`.
    pub resource: &'a str,
    /// None for the whole cluster.
    pub namespace: Option<&'a str>,
    /// As the API server names them; None when that is not known.
    pub user: Option<&'a str>,
}

impl Grant<'_> {
    /// The resource with its group, as kubectl takes it: `deployments.apps/scale`.
    pub fn full_resource(&self) -> String {
        let (resource, part) = match self.resource.split_once('/') {
            Some((resource, part)) => (resource, format!("/{part}")),
            None => (self.resource, String::new()),
        };
        match self.group {
            "" => format!("{resource}{part}"),
            group => format!("{resource}.{group}{part}"),
        }
    }

    /// The lines an admin runs: a role with exactly this, and its binding. Roles for other verbs have other
    /// names, so that the lines for all of them can be run one after another.
    pub fn as_command(&self) -> String {
        let full = self.full_resource();
        let verbs = self.verbs.join(",");
        let name = format!("covet-tui-{}-{}", self.verbs.join("-"), full.replace(['/', '.'], "-"));
        let (whose, subject) = self.subject();
        let (kind, scope) = match self.namespace {
            Some(namespace) => ("role", format!(" -n {}", shell_quote(namespace))),
            None => ("clusterrole", String::new()),
        };
        format!(
            "kubectl create {kind} {name}{scope} --verb={verbs} --resource={full} && \
             kubectl create {kind}binding {name}{scope} --{kind}={name} --{whose}={subject}"
        )
    }

    fn subject(&self) -> (&'static str, String) {
        let Some(user) = self.user.filter(|user| !user.is_empty()) else { return ("user", "YOU".into()) };
        match user.strip_prefix("system:serviceaccount:") {
            Some(account) => ("serviceaccount", shell_quote(account)),
            None => ("user", shell_quote(user)),
        }
    }
}

/// The user in a refusal of the API server: `User "ann" cannot list resource …`.
pub fn refused_user(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("User \"")?;
    rest.split_once('"').map(|(user, _)| user).filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_kubectl_takes() {
        let grant = Grant {
            verbs: &["get", "list"],
            group: "",
            resource: "nodes",
            namespace: None,
            user: Some("ann"),
        };
        assert_eq!(
            grant.as_command(),
            "kubectl create clusterrole covet-tui-get-list-nodes --verb=get,list --resource=nodes && \
             kubectl create clusterrolebinding covet-tui-get-list-nodes --clusterrole=covet-tui-get-list-nodes --user=ann"
        );
        let user = Some("system:serviceaccount:ops:viewer");
        let grant = Grant {
            verbs: &["patch"],
            group: "apps",
            resource: "deployments/scale",
            namespace: Some("shop"),
            user,
        };
        assert_eq!(
            grant.as_command(),
            "kubectl create role covet-tui-patch-deployments-apps-scale -n shop --verb=patch --resource=deployments.apps/scale && \
             kubectl create rolebinding covet-tui-patch-deployments-apps-scale -n shop \
             --role=covet-tui-patch-deployments-apps-scale --serviceaccount=ops:viewer"
        );
        let words = "nodes is forbidden: User \"jane@acme.example\" cannot list resource \"nodes\" in API group \"\" at the cluster scope";
        assert_eq!(refused_user(words), Some("jane@acme.example"));
        assert_eq!(refused_user("no"), None);
    }
}
