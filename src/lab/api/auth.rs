//! Who is calling, by bearer token, and what that role may do, with RBAC's own words for a refusal.
//! It knows the roles' names; what `view` and `edit` allow is another file's.
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, header};
use serde_json::json;

use super::call::Target;
use super::rbac;
use super::status::Status;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `cluster-admin` in the whole cluster.
    Admin,
    /// `view` in the whole cluster.
    View,
    /// `edit` in one namespace, and nothing outside of it.
    Edit(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
    pub role: Role,
}

/// The tokens the server accepts. Cheap to clone; tokens can be added and revoked while it runs.
#[derive(Clone, Default)]
pub struct Tokens(Arc<RwLock<HashMap<String, User>>>);

/// One question RBAC answers.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

impl Tokens {
    pub fn grant(&self, token: &str, name: &str, role: Role) {
        let group = match role {
            Role::Admin => "lab:admins",
            Role::View => "lab:viewers",
            Role::Edit(_) => "lab:editors",
        };
        let groups = vec![group.to_owned(), "system:authenticated".to_owned()];
        let user = User { name: name.to_owned(), groups, role };
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), user);
    }

    /// From now on the token is as unknown as an expired one.
    pub fn revoke(&self, token: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// 401 for an unknown token and for none.
    pub fn caller(&self, headers: &HeaderMap) -> Result<User, Status> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::trim)
            .ok_or_else(Status::unauthorized)?;
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(token).cloned().ok_or_else(Status::unauthorized)
    }
}

impl User {
    pub fn may(&self, wish: &Wish<'_>) -> bool {
        is_own_review(wish) || rbac::allows(self.role, wish)
    }

    /// 403 in the words of RBAC.
    pub fn require(&self, wish: &Wish<'_>) -> Result<(), Status> {
        if self.may(wish) {
            return Ok(());
        }
        let Wish { verb, group, resource, subresource, namespace, name } = wish;
        let path =
            if subresource.is_empty() { (*resource).to_owned() } else { format!("{resource}/{subresource}") };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let qualified = if group.is_empty() { (*resource).to_owned() } else { format!("{resource}.{group}") };
        let object = if name.is_empty() { qualified } else { format!("{qualified} \"{name}\"") };
        let user = &self.name;
        let why =
            format!("User \"{user}\" cannot {verb} resource \"{path}\" in API group \"{group}\" {place}");
        let details = json!({"name": name, "group": group, "kind": resource});
        Err(Status::new(403, "Forbidden", format!("{object} is forbidden: {why}")).with(details))
    }
}

impl<'a> Wish<'a> {
    pub fn of(verb: &'a str, target: &'a Target) -> Self {
        Self {
            verb,
            group: &target.group,
            resource: target.resource.path,
            subresource: target.subresource.as_deref().unwrap_or_default(),
            namespace: target.place(),
            name: target.name(),
        }
    }
}

fn is_own_review(wish: &Wish<'_>) -> bool {
    wish.verb == "create"
        && ["selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"]
            .contains(&wish.resource)
}
