//! Passwords tried at the lab's login: seen the same in metrics, logs and accounts; what the Ingress is told ends it,
//! for whom it is told.

use covet_tui::lab::tsdb::Series;
use covet_tui::lab::world::{AclEntry, NAMESPACE, drill};
use serde_json::json;

use super::lab_world::Bench;

const SEEDS: [u64; 3] = [1, 7, 42];

fn bench(seed: u64) -> Bench {
    Bench::new(drill("auth-attack.spray"), seed)
}

impl Bench {
    fn annotate(&self, name: &str, value: &str) {
        let key = format!("nginx.ingress.kubernetes.io/{name}");
        let change =
            |ingress: &mut serde_json::Value| ingress["metadata"]["annotations"][&key] = value.into();
        self.store.update("ingresses", NAMESPACE, "covetpy-ingress", self.now, change).unwrap();
    }

    fn count(&self, metric: &str, label: &str, value: &str) -> f64 {
        let series = self.tsdb.select(Some(metric), |labels| labels.get(label) == value, 0, i64::MAX);
        // A pod that was scaled away ends its series with a marker that is no number.
        let last = |series: &Series| {
            series.samples.iter().rev().map(|sample| sample.value).find(|value| value.is_finite())
        };
        series.iter().filter_map(last).sum()
    }

    /// Per second over the next minutes, by what Prometheus scraped.
    fn rate(&mut self, metric: &str, label: &str, value: &str) -> f64 {
        self.run(15);
        let before = self.count(metric, label, value);
        self.run(120);
        (self.count(metric, label, value) - before) / 120.0
    }

    fn refused(&mut self) -> f64 {
        self.rate("http_requests_total", "status", "401")
    }

    /// Addresses in the app's own lines of failed logins, of those that the attack uses.
    fn seen(&self, network: &str) -> Vec<String> {
        let pods = self.store.list("pods", Some(NAMESPACE)).0;
        let mut found = Vec::new();
        for pod in pods {
            for line in self.logs.read(NAMESPACE, &pod.name, "covetpy", 0, 0).unwrap_or_default() {
                let address = line.text.split("\"ip\":\"").nth(1).and_then(|rest| rest.split('"').next());
                found.extend(address.filter(|address| address.starts_with(network)).map(str::to_owned));
            }
        }
        found.sort();
        found.dedup();
        found
    }
}

#[test]
fn every_source_tells_of_the_same_attack() {
    for seed in SEEDS {
        let mut bench = bench(seed);
        bench.run(60);
        let refused = bench.refused();
        assert!((15.0..22.0).contains(&refused), "{refused} a second, seed {seed}");
        assert_eq!(bench.seen("203.0.113.").len(), 6, "seed {seed}");
        let failures: i64 =
            bench.signals.read(|shown| shown.database.users.iter().map(|user| user.failed_attempts).sum());
        assert!(failures > 100, "{failures} on the accounts, seed {seed}");
    }
}

#[test]
fn whoever_is_turned_away_comes_from_elsewhere_and_then_gives_up() {
    for seed in SEEDS {
        let mut bench = bench(seed);
        bench.run(60);
        bench.annotate("denylist-source-range", &bench.seen("203.0.113.").join(","));
        assert!(bench.refused() < 1.0, "seed {seed}");
        let away = bench.rate("nginx_ingress_controller_requests", "status", "403");
        assert!(away > 10.0, "{away} turned away, seed {seed}");
        bench.run(120);
        let moved = bench.refused();
        assert!((4.0..9.0).contains(&moved), "{moved} a second, seed {seed}");
        let others = bench.seen("198.51.100.");
        assert_eq!(others.len(), 2, "seed {seed}");
        let all = [bench.seen("203.0.113."), others].concat();
        bench.annotate("denylist-source-range", &all.join(","));
        assert!(bench.refused() < 1.0, "seed {seed}");
        bench.run(400);
        assert!(bench.refused() < 1.0, "it has given up, seed {seed}");
    }
}

#[test]
fn a_limit_at_the_firewall_stops_many_slow_addresses_once_it_has_counted() {
    let limit = |limit: u64| {
        let path = json!({"ByteMatchStatement": {"SearchString": "L2xvZ2lu", "FieldToMatch": {"UriPath": {}},
            "PositionalConstraint": "STARTS_WITH", "TextTransformations": [{"Priority": 0, "Type": "NONE"}]}});
        let rate = json!({"Limit": limit, "AggregateKeyType": "IP", "ScopeDownStatement": path});
        vec![
            json!({"Name": "limit", "Priority": 0, "Action": {"Block": {}}, "Statement": {"RateBasedStatement": rate}}),
        ]
    };
    for seed in SEEDS {
        let mut bench = Bench::new(drill("auth-attack.botnet"), seed);
        bench.run(60);
        assert!((15.0..25.0).contains(&bench.refused()), "seed {seed}");
        bench.world.set_rules(limit(200));
        bench.run(400);
        assert!(bench.refused() > 15.0, "each asks less often than that, seed {seed}");
        bench.world.set_rules(limit(100));
        bench.run(120);
        assert!(bench.refused() > 15.0, "it has to count first, seed {seed}");
        bench.run(120);
        assert!(bench.refused() < 1.0, "seed {seed}");
    }
}

#[test]
fn what_the_firewall_blocks_is_gone_before_the_ingress() {
    for seed in SEEDS {
        let mut bench = bench(seed);
        bench.run(60);
        let others = ["203.0.113.1/32".to_owned()];
        bench.world.set_blocked(others.to_vec());
        bench.run(60);
        assert!(bench.refused() > 15.0, "it was somebody else, seed {seed}");
        let all = bench.seen("203.0.113.").iter().map(|address| format!("{address}/32")).collect();
        bench.world.set_blocked(all);
        bench.run(60);
        assert!(bench.refused() < 1.0, "seed {seed}");
        let away = bench.rate("nginx_ingress_controller_requests", "status", "403");
        assert!(away < 0.1, "{away} at the ingress, seed {seed}");
        bench.run(200);
        let moved = bench.refused();
        assert!((4.0..9.0).contains(&moved), "{moved} a second, seed {seed}");
    }
}

#[test]
fn an_entry_of_the_network_acl_drops_whom_it_names() {
    for seed in SEEDS {
        let mut bench = Bench::new(drill("auth-attack.taken"), seed);
        bench.run(60);
        let deny = |rule: u16, cidr: &str| AclEntry {
            rule,
            allows: false,
            egress: false,
            protocol: "-1".to_owned(),
            cidr: cidr.to_owned(),
            ports: None,
        };
        assert!(bench.world.add_entry(deny(101, "203.0.113.0/24")).is_ok());
        assert!(bench.refused() > 15.0, "the entry before it allows, seed {seed}");
        assert!(bench.world.add_entry(deny(99, "203.0.113.0/24")).is_ok());
        bench.run(15);
        assert!(bench.refused() < 1.0, "seed {seed}");
        assert!(bench.world.delete_entry(false, 99));
        bench.run(15);
        assert!(bench.refused() > 15.0, "undone, seed {seed}");
    }
}

#[test]
fn our_own_programs_and_an_office_come_from_one_address_each() {
    for seed in SEEDS {
        let mut bench = bench(seed);
        let served = |bench: &mut Bench| bench.rate("nginx_ingress_controller_requests", "status", "200");
        let usual = served(&mut bench);
        bench.world.set_blocked(["192.0.2.10/32", "192.0.2.129/32"].map(str::to_owned).to_vec());
        bench.run(60);
        let left = served(&mut bench);
        assert!(left < usual * 0.97, "{left} of {usual}, seed {seed}");
        bench.world.set_blocked(vec!["198.18.0.0/15".to_owned()]);
        bench.run(60);
        let left = served(&mut bench);
        assert!(left < usual * 0.2, "{left} of {usual}, seed {seed}");
    }
}

#[test]
fn a_limit_holds_for_addresses_that_nobody_knows_yet() {
    let mut bench = bench(7);
    bench.run(60);
    bench.annotate("limit-rpm", "5");
    assert!(bench.refused() < 1.0);
}

#[test]
fn a_list_that_is_too_wide_locks_users_out_and_one_with_a_mistake_nobody() {
    let mut bench = bench(42);
    bench.run(60);
    bench.annotate("denylist-source-range", "203.0.113.0/24,somewhere");
    assert!(bench.refused() > 15.0, "ingress-nginx ignores a list that it cannot read");
    bench.annotate("denylist-source-range", "198.18.0.0/15");
    let served = bench.rate("http_requests_total", "status", "200");
    assert!(served < 10.0, "{served} a second: only those of other networks");
}
