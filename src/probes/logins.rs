//! Failed logins in the logs of an application, by the address and the user they name. Lines themselves are not
//! kept: they hold names of people.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use super::answer::{Answer, columns};
use super::cluster::Cluster;
use super::logs::gather;
use super::trouble::Trouble;
use crate::domain::{Cidr, Key, Tone, cause, text};

/// Lines that are read of each container.
const TAIL: u32 = 20_000;
/// Failures from one address that make it an attacker, and users that make it a spray (audit, section 3).
const FROM_ONE: usize = 10;
const USERS: usize = 5;
/// Failures after which a success is telling (audit, section 3).
const TELLING: usize = 5;
/// More attacking addresses than this are not blocked one by one.
const FEW: usize = 20;

/// What applications write when a login fails, and when it succeeds.
static FAILED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)authentication fail|auth(?:entication)?[ _-]?failure|(?:login|logon|sign[ -]?in) (?:failed|failure|rejected|denied)|failed (?:login|logon|password|sign[ -]?in)|invalid (?:credentials|password|username)|bad credentials|wrong password",
    )
    .ok()
});
static SUCCEEDED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:login|logon|sign[ -]?in|authentication) (?:succe\w+|ok|accepted)|(?:logged|signed) in|accepted password",
    )
    .ok()
});
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?:^|[^\w.:])((?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})(?:$|[^\w.])",
    )
    .ok()
});
static USER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)\b(?:user(?:name)?|account|for)["']?\s*[=: ]\s*["']?(?:invalid\s+)?(?:user(?:name)?[\s=]+)?([\w.@+-]{2,64})"#,
    )
    .ok()
});

static PATH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:\b(?:path|uri|url)["']?\s*[=:]\s*["']?|\b(?:POST|GET) )(/[\w./-]*)"#).ok()
});

/// What the lines tell.
#[derive(Debug, Default)]
struct Failures {
    by_address: BTreeMap<String, (usize, BTreeSet<String>)>,
    by_user: BTreeMap<String, usize>,
    by_path: BTreeMap<String, usize>,
    all: usize,
    /// Addresses that were let in after many failures.
    let_in: BTreeSet<String>,
}

pub(super) async fn read(cluster: &Cluster, pods: &[Key], since: Duration) -> Result<Answer, Trouble> {
    if pods.is_empty() {
        return Ok(Answer::failed("no pod to read logs of"));
    }
    let logs = gather(cluster, pods, None, false, TAIL, Some(since)).await;
    let mut failures = Failures::default();
    let mut answer = Answer::new();
    let mut unread = 0;
    for log in &logs {
        match &log.text {
            Ok(text) => text.lines().for_each(|line| failures.line(line)),
            Err(trouble) => {
                unread += 1;
                answer.line(Tone::Dim, format!("{}: {trouble}", log.of));
            }
        }
    }
    if unread == logs.len() {
        return Ok(answer.unseen("no log could be read"));
    }
    failures.tell(&mut answer);
    Ok(answer)
}

impl Failures {
    fn line(&mut self, line: &str) {
        let is = |pattern: &LazyLock<Option<Regex>>| {
            pattern.as_ref().is_some_and(|pattern| pattern.is_match(line))
        };
        let failed = is(&FAILED);
        if !failed && !is(&SUCCEEDED) {
            return;
        }
        let address = address(line);
        if !failed {
            let known = address
                .filter(|address| self.by_address.get(address).is_some_and(|(times, _)| *times >= TELLING));
            self.let_in.extend(known);
            return;
        }
        self.all += 1;
        let user =
            USER.as_ref().and_then(|pattern| Some(pattern.captures(line)?.get(1)?.as_str().to_owned()));
        if let Some(address) = address {
            let row = self.by_address.entry(address).or_default();
            row.0 += 1;
            row.1.extend(user.clone());
        }
        if let Some(user) = user {
            *self.by_user.entry(user).or_default() += 1;
        }
        let path = PATH.as_ref().and_then(|pattern| pattern.captures(line)?.get(1));
        if let Some(path) = path {
            *self.by_path.entry(path.as_str().to_owned()).or_default() += 1;
        }
    }

    fn tell(&self, answer: &mut Answer) {
        let mut addresses: Vec<_> = self.by_address.iter().collect();
        addresses.sort_by_key(|(_, (times, _))| std::cmp::Reverse(*times));
        let mut users: Vec<_> = self.by_user.iter().collect();
        users.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
        let mut rows = vec![["FAILURES", "ADDRESS", "USERS", ""].map(str::to_owned).to_vec()];
        for (address, (times, names)) in addresses.iter().take(30) {
            let note = if self.let_in.contains(*address) { "let in afterwards" } else { "" };
            rows.push(vec![times.to_string(), (*address).clone(), names.len().to_string(), note.into()]);
        }
        answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
        let mut rows = vec![["FAILURES", "USER"].map(str::to_owned).to_vec()];
        rows.extend(users.iter().take(30).map(|(user, times)| vec![times.to_string(), (*user).clone()]));
        answer.lines(columns(&rows).into_iter().map(|line| (Tone::Plain, line)));
        let attacks = |(times, names): &(usize, BTreeSet<String>)| *times >= FROM_ONE || names.len() >= USERS;
        let networks: Vec<String> = addresses
            .iter()
            .filter(|(_, row)| attacks(row))
            .filter_map(|(address, _)| Some(Cidr::host(address.parse().ok()?).to_string()))
            .collect();
        if let Some(worst) = networks.first() {
            answer.bind("attacking_address", worst);
            answer.bind(
                "attacking_addresses",
                networks.iter().take(FEW).cloned().collect::<Vec<_>>().join(","),
            );
        }
        match networks.len() {
            0 => {}
            1..=FEW => answer
                .found(cause::ATTACK_FEW, format!("{} from few addresses", text::count(self.all, "failure"))),
            many => answer.found(cause::ATTACK_MANY, format!("{many} addresses try passwords")),
        }
        if let Some(address) = self.let_in.first() {
            answer.found(
                cause::ACCOUNT_TAKEN,
                format!("{address} was let in after {TELLING} failures or more"),
            );
        }
        answer.bind("login_failures", self.all.to_string());
        if let Some((path, _)) = self.by_path.iter().max_by_key(|(_, times)| **times) {
            answer.bind("login_path", path);
        }
        answer.summary(format!(
            "{} from {} addresses against {} users",
            text::count(self.all, "failed login"),
            self.by_address.len(),
            self.by_user.len()
        ));
    }
}

/// The first address of a line that is one of the internet.
fn address(line: &str) -> Option<String> {
    let found = ADDRESS.as_ref()?.captures_iter(line).filter_map(|found| found.get(1)?.as_str().parse().ok());
    let outside = found.filter(|address: &IpAddr| !Cidr::host(*address).is_internal());
    outside.map(|address| address.to_string()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_address_and_user_whatever_the_format() {
        let mut failures = Failures::default();
        for line in [
            "2026-11-26T07:01:02Z WARNING authentication failed for user ann from 203.0.113.9",
            r#"{"level":"warn","msg":"login failed","username":"bob","ip":"203.0.113.9","path":"/sign-in","at":"07:01:02"}"#,
            "Failed password for invalid user root from 203.0.113.9 port 22",
            "INFO GET /products 200 from 198.51.100.1",
            "auth_failure user=ann client=2001:db8::7",
            "authentication failed for user=eve peer=10.0.0.3",
        ] {
            failures.line(line);
        }
        assert_eq!(failures.all, 5);
        assert_eq!(failures.by_address["203.0.113.9"].0, 3);
        assert_eq!(failures.by_address.len(), 2, "{:?}", failures.by_address);
        assert_eq!(failures.by_user["ann"], 2);
        assert_eq!(failures.by_path["/sign-in"], 1);
        failures.line("login succeeded for bob from 203.0.113.9");
        assert!(failures.let_in.is_empty(), "three failures are a person who mistypes");
        for _ in 0..2 {
            failures.line("login failed for bob from 203.0.113.9");
        }
        failures.line("login succeeded for bob from 203.0.113.9");
        assert!(failures.let_in.contains("203.0.113.9"));
    }

    #[test]
    fn attackers_are_told_from_people_who_mistype() {
        let mut failures = Failures::default();
        for user in ["ann", "bob", "eve", "root", "test"] {
            failures.line(&format!("authentication failed for user {user} from 203.0.113.9"));
        }
        for _ in 0..10 {
            failures.line("authentication failed for user ann from 203.0.113.77");
        }
        for _ in 0..9 {
            failures.line("authentication failed for user zoe from 198.51.100.4");
        }
        let mut answer = Answer::new();
        failures.tell(&mut answer);
        let told = answer.into_reading(crate::domain::Timestamp::UNIX_EPOCH, Duration::ZERO);
        assert_eq!(told.bindings["attacking_addresses"], "203.0.113.77/32,203.0.113.9/32");
        assert_eq!(told.bindings["attacking_address"], "203.0.113.77/32", "the one with most failures");
        assert_eq!(told.bindings["login_failures"], "24");
        assert!(told.found.iter().any(|found| found.cause == cause::ATTACK_FEW), "{:?}", told.found);
        assert!(!told.found.iter().any(|found| found.cause == cause::ACCOUNT_TAKEN));
    }
}
