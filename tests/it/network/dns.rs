//! `dns-lookup` against BIND and dnsmasq that agree and disagree, refuse, and say nothing; judged by `dig`.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use covet_tui::config::Outside;
use covet_tui::config::net::Dns;
use covet_tui::domain::NetworkProbe;

use super::bench::{Started, ask, causes, dnsmasq, named, probes, run, told};

fn lookup(name: &str, record: &str) -> NetworkProbe {
    NetworkProbe::DnsLookup { name: name.into(), record: record.into(), namespace: None }
}

/// The zone's server, and two resolvers that hand its zone on to it.
struct World {
    zone: Started,
    ours: Started,
    public: Started,
}

const RECORDS: &str = "www IN CNAME lb\nlb 60 IN A 192.0.2.7\nold IN A 192.0.2.9\n\
                       _acme-challenge.www 30 IN TXT \"the-right-digest\"\nempty IN TXT \"x\"";

impl World {
    fn new(ours: &[&str], public: &[&str]) -> World {
        let zone = named(&[("shop.example", RECORDS)]);
        let handed = format!("--server=/shop.example/127.0.0.1#{}", zone.port);
        let with = |more: &[&str]| {
            let settings: Vec<&str> = std::iter::once(handed.as_str()).chain(more.iter().copied()).collect();
            dnsmasq(&settings)
        };
        World { ours: with(ours), public: with(public), zone }
    }

    fn outside(&self) -> Outside {
        Outside {
            dns: Dns {
                system: vec![self.ours.at()],
                public: vec![self.public.at()],
                authoritative: Vec::new(),
                port: self.zone.port,
            },
            ..Outside::default()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_views_that_agree_are_told_as_one_with_chain_and_time() {
    let world = World::new(&[], &[]);
    let port = world.zone.port.to_string();
    let judged = run("dig", &["@127.0.0.1", "-p", &port, "+noall", "+answer", "www.shop.example", "A"]);
    assert!(judged.contains("CNAME") && judged.contains("192.0.2.7"), "{judged}");
    let probes = probes(world.outside()).await;
    let reading = ask(&probes, lookup("www.shop.example", "A")).await;
    assert!(reading.ok, "{}", told(&reading));
    assert_eq!(reading.summary, "www.shop.example is 192.0.2.7: all who answered agree");
    let all = told(&reading);
    // The zone's name server was found by its NS record.
    assert!(all.contains("zone") && all.contains("ns1.shop.example"), "{all}");
    assert!(all.contains("CNAME lb.shop.example (300 s), A 192.0.2.7 (60 s)"), "{all}");
    let reading = ask(&probes, lookup("_acme-challenge.www.shop.example", "TXT")).await;
    assert_eq!(reading.summary, "_acme-challenge.www.shop.example TXT: the-right-digest");
    let reading = ask(&probes, lookup("_acme-challenge.other.shop.example", "TXT")).await;
    assert!(
        reading.summary.contains("no TXT record") && reading.summary.contains("DNS-01"),
        "{}",
        reading.summary
    );
    let reading = ask(&probes, lookup("lb.shop.example", "TXT")).await;
    assert!(told(&reading).contains("no such record"), "{}", told(&reading));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_nobody_knows_leads_nowhere() {
    let world = World::new(&[], &[]);
    let reading = ask(&probes(world.outside()).await, lookup("gone.shop.example", "A")).await;
    assert!(!reading.ok);
    assert_eq!(causes(&reading), ["dns-wrong"]);
    assert!(told(&reading).contains("NXDOMAIN"), "{}", told(&reading));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolver_of_ours_that_differs_is_our_trouble_alone() {
    let world = World::new(&["--host-record=www.shop.example,10.9.9.9"], &[]);
    let reading = ask(&probes(world.outside()).await, lookup("www.shop.example", "A")).await;
    assert!(reading.ok, "not an incident: {}", reading.summary);
    assert_eq!(causes(&reading), ["dns-local"]);
    assert!(
        reading.summary.contains("10.9.9.9") && reading.summary.contains("192.0.2.7"),
        "{}",
        reading.summary
    );
    // An old answer in the public resolvers' caches is told as such.
    let world = World::new(&[], &["--host-record=www.shop.example,192.0.2.99"]);
    let reading = ask(&probes(world.outside()).await, lookup("www.shop.example", "A")).await;
    assert!(reading.summary.contains("public resolvers still say 192.0.2.99"), "{}", reading.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_or_says_nothing_delays_nobody_and_proves_nothing() {
    let world = World::new(&[], &[]);
    // Bound, and never read: a resolver behind a firewall.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut outside = world.outside();
    // BIND refuses what is not its zone.
    outside.dns.public = vec![silent.local_addr().unwrap(), world.zone.at()];
    let probes = probes(outside).await;
    let began = Instant::now();
    let reading = ask(&probes, lookup("www.shop.example", "A")).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(reading.ok && told(&reading).contains("no answer within"), "{}", told(&reading));
    let reading = ask(&probes, lookup("www.elsewhere.example", "A")).await;
    assert!(!reading.ok && told(&reading).contains("Refused"), "{}", told(&reading));
    assert!(causes(&reading).is_empty(), "refusals prove nothing: {:?}", causes(&reading));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_zone_is_a_servfail_and_a_long_answer_comes_by_tcp() {
    let many: String = (0..60).map(|n| format!("many IN TXT \"{n:0>200}\"\n")).collect();
    let zone = named(&[("shop.example", &many), ("broken.example", "www IN A not-an-address")]);
    let dns =
        Dns { system: vec![zone.at()], public: vec![zone.at()], authoritative: vec![zone.at()], port: 53 };
    let probes = probes(Outside { dns, ..Outside::default() }).await;
    let reading = ask(&probes, lookup("many.shop.example", "TXT")).await;
    // More than one datagram carries (1232 bytes); what is told ends at its own bound.
    let beyond = format!("{:0>200}", 8);
    assert!(reading.ok && reading.summary.contains(&beyond), "{}", reading.summary);
    let reading = ask(&probes, lookup("www.broken.example", "A")).await;
    assert!(!reading.ok);
    assert!(told(&reading).contains("the server cannot say"), "{}", told(&reading));
}
