//! Somebody tries passwords: from a few addresses against every account, and from others once these are shut out.
//! It knows what the ingress turns away and which accounts there are, not what a request costs.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::cluster::{Cluster, later};
use super::drill::Guess;
use super::edge::{self, CONTROLLER};
use super::objects::Pod;
use super::shelf::Key;
use super::traffic::targets;
use crate::lab::signals::Signals;

/// Seconds for which an attacker who is shut out tries on before it moves.
const PATIENCE: f64 = 300.0;
/// Where it comes from, and where it moves to (RFC 5737: for documentation).
const NETWORKS: [[u8; 3]; 2] = [[203, 0, 113], [198, 51, 100]];
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
        (addresses, per_second): (usize, f64),
        moves: &[usize],
        guess: Option<&Guess>,
        cluster: &mut Cluster,
    ) -> Self {
        let mut rng = cluster.rng.fork();
        let found = guess.map(|guess| (guess.clone(), cluster.after(guess.after)));
        Self {
            addresses: some(&mut rng, NETWORKS[0], addresses),
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
    pub fn advance(&mut self, cluster: &mut Cluster, signals: &Signals) -> Knocking {
        let now = cluster.now;
        let elapsed = now.duration_since(self.last).as_secs_f64().clamp(0.0, 60.0);
        self.last = now;
        let denied = edge::denied(cluster);
        let open: Vec<Ipv4Addr> = self
            .addresses
            .iter()
            .copied()
            .filter(|address| !denied.iter().any(|network| network.holds(*address)))
            .collect();
        self.move_on(&open, cluster);
        let wanted = self.per_second * (0.8 + 0.4 * self.rng.f64());
        let let_through = wanted.min(edge::limit_per_second(cluster).unwrap_or(f64::MAX));
        let serving = targets(cluster);
        let reach = if serving.is_empty() { 0.0 } else { let_through * open.len() as f64 };
        let away = wanted * self.addresses.len() as f64 - reach;
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
        self.log_denials(&open, cluster);
        Knocking { reach, away }
    }

    /// Where no address gets through for long enough, others take over; without others it gives up.
    fn move_on(&mut self, open: &[Ipv4Addr], cluster: &Cluster) {
        if !open.is_empty() || self.addresses.is_empty() {
            self.shut_out = None;
            return;
        }
        let since = *self.shut_out.get_or_insert(cluster.now);
        if cluster.now.duration_since(since) < cluster.lasting(PATIENCE) {
            return;
        }
        self.shut_out = None;
        let more = self.moves.pop().unwrap_or_default();
        self.addresses = some(&mut self.rng, NETWORKS[1], more);
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
    fn log_denials(&mut self, open: &[Ipv4Addr], cluster: &mut Cluster) {
        let away = self.addresses.iter().filter(|address| !open.contains(address));
        let away: Vec<Ipv4Addr> = away.copied().filter(|_| self.rng.f64() < 0.1).collect();
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

/// So many addresses of a network, each once.
fn some(rng: &mut fastrand::Rng, [a, b, c]: [u8; 3], many: usize) -> Vec<Ipv4Addr> {
    let mut last: Vec<u8> = (2..250).collect();
    rng.shuffle(&mut last);
    last.into_iter().take(many).map(|d| Ipv4Addr::new(a, b, c, d)).collect()
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
