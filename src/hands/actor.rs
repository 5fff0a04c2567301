//! Who we are to the API server, the machine and tmux: for the journal's lines.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, PostParams};

use crate::guard::Actor;

/// Asks the API server who we are (SelfSubjectReview); in case it doesn't say, the `context` of the kubeconfig has
/// to name us. `env` reads the environment. Never takes longer than 5 s.
pub async fn actor(
    client: Option<kube::Client>,
    context: &str,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Actor {
    let kube_user = match client {
        Some(client) => tokio::time::timeout(Duration::from_secs(5), review(client)).await.ok().flatten(),
        None => None,
    };
    Actor {
        kube_user: kube_user.unwrap_or_else(|| format!("{context} (by kubeconfig)")),
        os_user: env("SUDO_USER").or_else(|| env("USER")).or_else(|| env("LOGNAME")).unwrap_or_else(by_uid),
        host: host().await,
        tmux: match env("TMUX") {
            Some(_) => said("tmux", &["display-message", "-p", "#S"]).await,
            None => None,
        },
        context: context.to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a self review is created and changes nothing")]
pub(super) async fn review(client: kube::Client) -> Option<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(client);
    let answer = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
    answer.status?.user_info?.username
}

/// The name that this machine knows us by, where the environment has none.
fn by_uid() -> String {
    let uid = rustix::process::getuid().as_raw();
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(uid, &known).unwrap_or_else(|| format!("uid {uid}"))
}

/// `ann:x:1000:1000:Ann:/home/ann:/bin/sh`, as in passwd(5).
fn name_of(uid: u32, known: &str) -> Option<String> {
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid) && !name.is_empty()).then(|| name.to_owned())
    };
    known.lines().find_map(of_line)
}

async fn host() -> String {
    let kernel = tokio::fs::read_to_string("/proc/sys/kernel/hostname").await.unwrap_or_default();
    match kernel.trim() {
        "" => said("hostname", &[]).await.unwrap_or_else(|| "unknown host".into()),
        name => name.to_owned(),
    }
}

/// What a program of this machine says, if it says it within 2 s.
async fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let mut ask = tokio::process::Command::new(program);
    ask.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let answer = tokio::time::timeout(Duration::from_secs(2), ask.output()).await.ok()?.ok()?;
    let name = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    answer.status.success().then_some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_without_a_name_in_the_environment_has_one_on_the_machine() {
        let known = "# people\nroot:x:0:0:root:/root:/bin/bash\n+::::::\nann:x:1000:100::/home/ann:/bin/sh\n";
        assert_eq!(name_of(1000, known).as_deref(), Some("ann"));
        assert_eq!(name_of(0, known).as_deref(), Some("root"));
        assert_eq!(name_of(100, known), None, "a group is not a person");
        assert_eq!(name_of(1000, ""), None);
    }
}
