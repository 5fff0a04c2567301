//! Why a machine does not let us in, in words, with what mends it. Knows OpenSSH's phrases.

use super::{NoResult, Ran, Ssh};
use crate::config::ConnectError;
use crate::domain::{BlindKind, text};

/// ssh itself could not be started.
pub(super) fn spawning(error: &std::io::Error) -> ConnectError {
    if error.kind() == std::io::ErrorKind::NotFound {
        let repair = "install openssh-client, and see that ssh is in PATH";
        return ConnectError::new(BlindKind::NotConfigured, "there is no ssh on this machine", repair);
    }
    ConnectError::new(BlindKind::Broken, format!("ssh could not be started: {error}"), "see its permissions")
}

/// Where a person changes how a machine is reached.
pub(super) struct Hints {
    user: &'static str,
    port: &'static str,
    jump: &'static str,
    address: &'static str,
}

impl Hints {
    pub(super) const NODE: Hints = Hints {
        user: "set [ssh] user",
        port: "[ssh] port",
        jump: "[ssh] jump",
        address: "choose another address with [ssh] address",
    };
    pub(super) const TUNNEL: Hints = Hints {
        user: "write ssh:USER@HOST in [database] via",
        port: "ssh:HOST:PORT in [database] via",
        jump: "ProxyJump in ssh's config file",
        address: "see the host in [database] via",
    };
}

/// What ssh says when it is logged in, and the machine will not or cannot reach the target.
pub(super) fn not_forwarded(log: &str, machine: &str, target: &str) -> Option<ConnectError> {
    let reason = between(log, "open failed: ", "\n")?.trim();
    let lower = reason.to_lowercase();
    let (kind, why, repair) = match () {
        () if lower.starts_with("administratively prohibited") => (
            BlindKind::Refused,
            format!("{machine} lets nobody through to {target}"),
            "see AllowTcpForwarding and PermitOpen in its sshd_config, and the key's own restrictions",
        ),
        () if lower.contains("not known") || lower.contains("resolution") || lower.contains("no address") => {
            (
                BlindKind::Unreachable,
                format!("{machine} does not know the name in {target}"),
                "check the host in DATABASE_URL: that machine resolves it",
            )
        }
        () if lower.contains("refused") => (
            BlindKind::Unreachable,
            format!("nothing listens at {target}, seen from {machine}"),
            "check host and port in DATABASE_URL, and that the database runs",
        ),
        () => (
            BlindKind::Unreachable,
            format!("{machine} does not reach {target}: {}", text::clean(reason)),
            "see the network between both: the database's security group must let that machine in",
        ),
    };
    Some(ConnectError::new(kind, why, repair))
}

/// What ssh's last words mean.
pub(super) fn refused(log: &str, ssh: &Ssh, host: &str, hints: &Hints) -> ConnectError {
    let lower = log.to_lowercase();
    let has = |words: &str| lower.contains(words);
    let by_hand = ssh.as_command(host);
    let (kind, why, repair) = match () {
        () if has("remote host identification has changed") => (
            BlindKind::Refused,
            format!("the host key of {host} is not the one we know: {}", offending(log)),
            format!(
                "if the machine was rebuilt, forget the old key (ssh-keygen -R {host}) and compare the new one; \
                 if not, somebody stands in between"
            ),
        ),
        () if has("host key is known for") || has("host key verification failed") => (
            BlindKind::Refused,
            format!("the host key of {} is not known, and is not believed unseen", unknown(log, host)),
            format!("connect once by hand and compare its fingerprint: {by_hand}"),
        ),
        () if has("permission denied (") => {
            let accepts = between(log, "Permission denied (", ")").unwrap_or_default();
            let who = log
                .lines()
                .find_map(|line| line.split_once(": Permission denied"))
                .map_or(host, |(who, _)| who.trim());
            denied(who, accepts, hints)
        }
        () if has("too many authentication failures") => (
            BlindKind::Refused,
            format!("{host} gave up after too many keys"),
            "name the right one in ssh's config file: IdentityFile and IdentitiesOnly yes".to_owned(),
        ),
        () if has("bad configuration option")
            || has("bad owner or permissions")
            || has("no argument after") =>
        {
            (
                BlindKind::Broken,
                format!("ssh does not accept its config file: {}", last(log)),
                "mend it, or name another with [ssh] config".to_owned(),
            )
        }
        () if has("could not resolve hostname") => (
            BlindKind::Unreachable,
            format!("the name {} is not known", between(log, "resolve hostname ", ":").unwrap_or(host)),
            format!("{}, or see the resolver", hints.address),
        ),
        () if has("connection refused") => (
            BlindKind::Unreachable,
            format!("nothing takes SSH connections there: {}", last(log)),
            format!("see that sshd runs, and on which port ({})", hints.port),
        ),
        () if has("timed out") || has("not responding") => (
            BlindKind::Unreachable,
            format!("{host} does not answer: {}", last(log)),
            format!(
                "is there a way to it from here? A security group, a VPN, or a jump host ({})",
                hints.jump
            ),
        ),
        () if has("no route to host") || has("network is unreachable") => (
            BlindKind::Unreachable,
            format!("there is no way to {host} from here: {}", last(log)),
            format!("go through a jump host ({}), or connect the VPN", hints.jump),
        ),
        () if has("connection closed")
            || has("closed by remote host")
            || has("connection reset")
            || has("broken pipe") =>
        {
            (
                BlindKind::Unreachable,
                format!("{host}, or a host on the way, closed the connection: {}", last(log)),
                format!("see what it says: {by_hand} -v"),
            )
        }
        () => (
            BlindKind::Broken,
            format!("ssh to {host} failed: {}", last(log)),
            format!("see what it says: {by_hand} -v"),
        ),
    };
    ConnectError::new(kind, why, &repair)
}

fn denied(who: &str, accepts: &str, hints: &Hints) -> (BlindKind, String, String) {
    let repair = if accepts.split(',').any(|method| method == "publickey") {
        format!("load the key (ssh-add), name it in ssh's config file, or {}", hints.user)
    } else {
        "a password is never asked for here: let it accept a key".to_owned()
    };
    (BlindKind::Refused, format!("{who} is not let in; accepted: {accepts}"), repair)
}

/// Which host on the way: `No ED25519 host key is known for 10.0.0.7 and …`.
fn unknown<'a>(log: &'a str, host: &'a str) -> &'a str {
    between(log, "host key is known for ", " and").unwrap_or(host)
}

fn offending(log: &str) -> String {
    match log.lines().find_map(|line| line.trim().strip_prefix("Offending ")) {
        Some(line) => format!("it stands {}", text::clean(line.trim_start_matches(|c| c != ' ').trim())),
        None => "another key answers".to_owned(),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

fn last(log: &str) -> String {
    let line = log.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
    text::redact(&text::clean(line.strip_prefix("ssh: ").unwrap_or(line)))
}

/// A command that sudo did not let through.
pub(super) fn of_sudo(ran: &Ran, host: &str) -> Option<NoResult> {
    let said = ran.err.lines().find(|line| line.trim_start().starts_with("sudo:"))?;
    let lower = said.to_lowercase();
    let (says, repair) = match () {
        () if ran.code == 0 => return None,
        () if lower.contains("password is required") || lower.contains("terminal is required") => (
            format!("sudo on {host} asks for a password, and nothing here can type one"),
            "allow it without one (NOPASSWD in sudoers), or log in as root: [ssh] user",
        ),
        () if lower.contains("not allowed") || lower.contains("not in the sudoers") => {
            (format!("sudo on {host} does not allow it: {}", text::clean(said)), "see sudoers there")
        }
        () => return None,
    };
    Some(NoResult { says, repair: Some(repair.to_owned()) })
}
