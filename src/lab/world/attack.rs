//! Somebody tries passwords: from a few addresses against every account, and from others once these are shut out.
//! It knows what the ingress turns away and which accounts there are, not what a request costs.

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};

use super::cluster::{Cluster, later};
use super::drill::Guess;
use super::edge::CONTROLLER;
use super::objects::Pod;
use super::perimeter::{Gates, Passage, USERS, Visitor};
use super::shelf::Key;
use super::traffic::targets;
use crate::lab::signals::Signals;

/// Seconds for which an attacker who is shut out tries on before it moves.
const PATIENCE: f64 = 300.0;
/// Whoever gets through with less than this share of its tries is as good as shut out.
const WORTH: f64 = 0.1;
/// Where it comes from, and where it moves to (RFC 5737: for documentation).
const NETWORKS: [Ipv4Addr; 2] = [Ipv4Addr::new(203, 0, 113, 0), Ipv4Addr::new(198, 51, 100, 0)];
/// Names from a list that leaked elsewhere, beside the accounts there are.
const LEAKED: [&str; 18] = [
    "root", "test", "info", "sales", "support", "backup", "oracle", "jenkins", "deploy", "erin", "frank",
    "grace", "heidi", "ivan", "judy", "mallory", "oscar", "peggy",
];

/// What happens at the login, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Knocking {
    /// Tries that reach the app, which refuses them.
    pub reach: f64,
    /// Requests that the ingress turns away.
    pub away: f64,
}

pub struct Attack {
    addresses: Vec<Ipv4Addr>,
    /// They are machines in the users' homes, which somebody else took over.
    at_homes: bool,
    /// When these addresses began.
    began: Timestamp,
    /// Tries of each address, per second.
    per_second: f64,
    /// How many addresses it has for each move.
    moves: Vec<usize>,
    guess: Option<(Guess, Timestamp)>,
    shut_out: Option<Timestamp>,
    /// Tries that are due, as a fraction, by address.
    owed: f64,
    last: Timestamp,
    rng: fastrand::Rng,
}

impl Attack {
    pub fn new(
        (addresses, per_second, at_homes): (usize, f64, bool),
        moves: &[usize],
        guess: Option<&Guess>,
        cluster: &mut Cluster,
    ) -> Self {
        let mut rng = cluster.rng.fork();
        let found = guess.map(|guess| (guess.clone(), cluster.after(guess.after)));
        Self {
            addresses: some(&mut rng, place(at_homes, 0), addresses),
            at_homes,
            began: cluster.now,
            per_second,
            moves: moves.iter().rev().copied().collect(),
            guess: found,
            shut_out: None,
            owed: 0.0,
            last: cluster.now,
            rng,
        }
    }

    /// Tries what is due since the last call.
    pub fn advance(&mut self, gates: &Gates, cluster: &mut Cluster, signals: &Signals) -> Knocking {
        let now = cluster.now;
        let elapsed = now.duration_since(self.last).as_secs_f64().clamp(0.0, 60.0);
        self.last = now;
        let lasts = now.duration_since(self.began).as_secs_f64() * cluster.speed;
        let since = SignedDuration::from_secs(lasts as i64);
        let (per_second, logins) = (self.per_second, self.per_second);
        let passage = |address: Ipv4Addr| gates.passage(Visitor { address, per_second, logins, since });
        let (mut open, mut turned_away) = (Vec::new(), Vec::new());
        for address in self.addresses.iter().copied() {
            match passage(address) {
                Passage::Open => open.push(address),
                Passage::TurnedAway => turned_away.push(address),
                Passage::Stopped => {}
            }
        }
        let wanted = self.per_second * (0.8 + 0.4 * self.rng.f64());
        let let_through = wanted.min(gates.per_second.unwrap_or(f64::MAX));
        self.move_on(open.is_empty() || let_through < wanted * WORTH, cluster);
        let serving = targets(cluster);
        let comes = wanted * (open.len() + turned_away.len()) as f64;
        let reach = if serving.is_empty() { 0.0 } else { let_through * open.len() as f64 };
        let away = comes - reach;
        self.owed += let_through * elapsed;
        let tries = self.owed.floor();
        self.owed -= tries;
        if serving.is_empty() {
            return Knocking { reach, away };
        }
        for address in &open {
            for _ in 0..tries as usize {
                self.try_one(*address, &serving, cluster, signals);
            }
        }
        self.succeed(&open, &serving, cluster, signals);
        self.log_denials(&turned_away, cluster);
        Knocking { reach, away }
    }

    /// Where hardly a try gets through for long enough, others take over; without others it gives up.
    fn move_on(&mut self, shut_out: bool, cluster: &Cluster) {
        if !shut_out || self.addresses.is_empty() {
            self.shut_out = None;
            return;
        }
        let since = *self.shut_out.get_or_insert(cluster.now);
        if cluster.now.duration_since(since) < cluster.lasting(PATIENCE) {
            return;
        }
        self.shut_out = None;
        let more = self.moves.pop().unwrap_or_default();
        self.addresses = some(&mut self.rng, place(self.at_homes, 1), more);
        self.began = cluster.now;
    }

    fn try_one(
        &mut self,
        address: Ipv4Addr,
        serving: &[std::sync::Arc<Pod>],
        cluster: &mut Cluster,
        signals: &Signals,
    ) {
        let name = signals.write(|shown| {
            let accounts = &mut shown.database.users;
            let chosen = self.rng.usize(..accounts.len() + LEAKED.len());
            match accounts.get_mut(chosen) {
                Some(account) => {
                    account.failed_attempts += 1;
                    account.username.clone()
                }
                None => LEAKED[chosen - accounts.len()].to_owned(),
            }
        });
        let pod = &serving[self.rng.usize(..serving.len())];
        log_login(cluster, pod, ("warning", "authentication failed", 401), &name, &address.to_string());
    }

    /// One password was right, where the account is open and somebody gets through to try it.
    fn succeed(
        &mut self,
        open: &[Ipv4Addr],
        serving: &[std::sync::Arc<Pod>],
        cluster: &mut Cluster,
        signals: &Signals,
    ) {
        let now = cluster.now;
        let Some((guess, _)) = self.guess.as_ref().filter(|(_, due)| *due <= now) else { return };
        let Some(address) = open.first() else { return };
        let in_use = signals.write(|shown| {
            let account = shown.database.users.iter_mut().find(|account| account.username == guess.username);
            account
                .filter(|account| account.is_active)
                .map(|account| account.last_login = Some(now))
                .is_some()
        });
        // It comes back with the same password, until that is no longer good.
        let next = later(now, cluster.lasting(60.0).max(jiff::SignedDuration::from_secs(1)));
        let name = guess.username.clone();
        if let Some((_, due)) = &mut self.guess {
            *due = next;
        }
        let pod = &serving[self.rng.usize(..serving.len())];
        let what = if in_use { ("info", "login succeeded", 200) } else { ("warning", "login rejected", 401) };
        log_login(cluster, pod, what, &name, &address.to_string());
    }

    /// Now and then the controller's own line of a request that it turned away.
    fn log_denials(&mut self, turned_away: &[Ipv4Addr], cluster: &mut Cluster) {
        let away: Vec<Ipv4Addr> = turned_away.iter().copied().filter(|_| self.rng.f64() < 0.1).collect();
        let pods = cluster.pods.within(CONTROLLER.0).filter(|(_, pod)| pod.is_ready());
        let Some((key, pod)) = pods.map(|(key, pod)| (key.clone(), pod.clone())).next() else { return };
        let Some(container) = pod.spec.containers.first() else { return };
        let at = cluster.now.strftime("%d/%b/%Y:%H:%M:%S +0000");
        for address in away {
            let line = format!(
                r#"{address} - - [{at}] "POST /login HTTP/2.0" 403 548 "-" "python-requests/2.31.0""#
            );
            let (now, instance) = (cluster.now, pod.restarts());
            cluster.logs.append(&key.namespace, &key.name, &container.name, instance, &line, now);
        }
    }
}

/// The network that the addresses are of, before the attacker moves or after: its address and prefix.
fn place(at_homes: bool, moved: usize) -> (u32, u32) {
    if at_homes { USERS } else { (u32::from(NETWORKS[moved]), 24) }
}

/// So many addresses of a network, each once.
fn some(rng: &mut fastrand::Rng, (from, prefix): (u32, u32), many: usize) -> Vec<Ipv4Addr> {
    let mut found = std::collections::BTreeSet::new();
    while found.len() < many {
        found.insert(from + rng.u32(2..(1 << (32 - prefix)) - 5));
    }
    let mut found: Vec<u32> = found.into_iter().collect();
    rng.shuffle(&mut found);
    found.into_iter().map(Ipv4Addr::from).collect()
}

/// What the app prints of a login: level, event and status.
pub(super) fn log_login(
    cluster: &mut Cluster,
    pod: &Pod,
    (level, event, status): (&str, &str, u16),
    name: &str,
    address: &str,
) {
    let (key, at, id) = (Key::of(pod), cluster.now, cluster.rng.u32(..));
    let stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
    let line = format!(
        r#"{{"timestamp":"{stamp}","level":"{level}","event":"{event}","username":"{name}","ip":"{address}","path":"/login","status":{status},"request_id":"{id:08x}"}}"#
    );
    cluster.logs.append(&key.namespace, &key.name, "covetpy", pod.restarts(), &line, at);
}
