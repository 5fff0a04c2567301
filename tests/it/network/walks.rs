//! The walk from outside to a host against real servers: each layer fails alone, and is named; what fails on this
//! machine alone is not held against the host.

use std::net::TcpListener;

use covet_tui::config::net::Roots;
use covet_tui::config::net::dns::Dns;
use covet_tui::config::net::walk::{Way, walk};
use covet_tui::domain::{Ended, Layer, Timestamp, Walk};

use super::bench::{Started, dnsmasq, free_port, named, nginx};
use super::tls::certificates;

struct World {
    nginx: Started,
    roots: Roots,
}

impl World {
    fn new(answers: &str) -> World {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        let server = |name: &str| {
            format!(
                "server {{ listen 127.0.0.1:PORT ssl; listen 127.0.0.2:PORT ssl; server_name {name}.example; \
                 ssl_certificate {name}.crt; ssl_certificate_key {name}.key; location / {{ {answers} }} }}\n"
            )
        };
        let roots = Roots::native(Some(&folder.path().join("root.crt")));
        let servers = ["good", "expired", "wrong", "chainless"].map(server).concat();
        World { nginx: nginx(folder, &servers), roots }
    }

    async fn walk(&self, host: &str, balancers: &[&str], dns: &Dns) -> Walk {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let way = Way {
            host: host.into(),
            port: self.nginx.port,
            balancers: balancers.iter().map(|one| (*one).to_owned()).collect(),
            path: "/".into(),
            secured: true,
        };
        let walk = walk(&way, dns, &self.roots, Timestamp::now()).await;
        println!("{walk:?}");
        walk
    }
}

fn only(server: &Started) -> Dns {
    Dns { system: vec![server.at()], ..Dns::default() }
}

fn zone(records: &str) -> Started {
    named(&[("example", records)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_well_answers_and_each_layer_fails_by_its_own_name() {
    let world = World::new("return 200 ok;");
    let zone = zone(
        "good IN A 127.0.0.1\nexpired IN A 127.0.0.1\nwrong IN A 127.0.0.1\nchainless IN A 127.0.0.1\nfar IN A 127.0.0.3",
    );
    let dns = only(&zone);
    let well = world.walk("good.example", &["127.0.0.1"], &dns).await;
    assert_eq!(well.ended, Ended::Answered { status: 200 });
    assert!(well.note.is_none());
    for (host, layer, words) in [
        ("expired.example", Layer::Tls, "expired 3h ago"),
        ("wrong.example", Layer::Tls, "serves a certificate for other.example"),
        ("far.example", Layer::Tcp, "127.0.0.3"),
    ] {
        let walk = world.walk(host, &[], &dns).await;
        let (found, says) = walk.failed().expect(host);
        assert_eq!(found, layer, "{host}: {says}");
        assert!(says.contains(words), "{host}: {says}");
    }
    // What this machine does not trust may well be trusted by others.
    let walk = world.walk("chainless.example", &[], &dns).await;
    assert_eq!(walk.ended, Ended::Answered { status: 200 });
    assert!(walk.note.as_deref().is_some_and(|note| note.contains("does not trust")), "{:?}", walk.note);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_door_answers_but_nobody_is_behind_it() {
    let zone = zone("good IN A 127.0.0.1");
    let dns = only(&zone);
    for (answers, wanted) in [
        ("return 503;", Some("answers 503")),
        ("return 504;", Some("answers 504")),
        ("return 404 'default backend - 404';", Some("no Ingress rule")),
        ("return 404 'this page does not exist';", None),
        ("return 500;", None),
        ("return 401;", None),
    ] {
        let world = World::new(answers);
        let walk = world.walk("good.example", &["127.0.0.1"], &dns).await;
        match wanted {
            Some(words) => {
                let (layer, says) = walk.failed().expect(answers);
                assert!(layer == Layer::Http && says.contains(words), "{answers}: {says}");
            }
            None => assert!(walk.failed().is_none(), "{answers} is the application's own word"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dns_that_leads_past_the_load_balancer_is_told_from_a_proxy_in_front() {
    let world = World::new("return 200 ok;");
    // Nobody is at .3; the load balancer is at .2 and works.
    let astray = zone("good IN A 127.0.0.3");
    let walk = world.walk("good.example", &["127.0.0.2"], &only(&astray)).await;
    let (layer, says) = walk.failed().unwrap();
    assert_eq!(layer, Layer::Dns);
    assert!(says.contains("127.0.0.3") && says.contains("127.0.0.2, which answers 200"), "{says}");
    // The other address answers well: a CDN, or a proxy.
    let by_proxy = zone("good IN A 127.0.0.1");
    let walk = world.walk("good.example", &["127.0.0.2"], &only(&by_proxy)).await;
    assert_eq!(walk.ended, Ended::Answered { status: 200 });
    // Neither answers: the load balancer itself is down.
    let walk = world.walk("good.example", &["127.0.0.4"], &only(&astray)).await;
    assert_eq!(walk.failed().unwrap().0, Layer::Tcp);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_resolver_fails_and_that_is_no_incident() {
    let world = World::new("return 200 ok;");
    let zone = zone("good IN A 127.0.0.1");
    let handed = format!("--server=/example/127.0.0.1#{}", zone.port);
    let public = dnsmasq(&[&handed]);
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let dns = Dns { system: vec![nobody], public: vec![public.at()], ..Dns::default() };
    let walk = world.walk("good.example", &["127.0.0.1"], &dns).await;
    assert_eq!(walk.ended, Ended::Answered { status: 200 });
    assert!(
        walk.note.as_deref().is_some_and(|note| note.contains("this machine's resolver")),
        "{:?}",
        walk.note
    );
    // Ours leads astray (a VPN, a hosts file), the world's does not.
    let astray = dnsmasq(&["--host-record=good.example,127.0.0.3"]);
    let dns = Dns { system: vec![astray.at()], public: vec![public.at()], ..Dns::default() };
    let walk = world.walk("good.example", &[], &dns).await;
    assert_eq!(walk.ended, Ended::Answered { status: 200 });
    assert!(
        walk.note.as_deref().is_some_and(|note| note.contains("the world is led to 127.0.0.1")),
        "{:?}",
        walk.note
    );
    // Nobody else can be asked: that is doubt, not an incident.
    let dns = Dns { system: vec![nobody], ..Dns::default() };
    let walk = world.walk("good.example", &["127.0.0.1"], &dns).await;
    assert!(matches!(walk.ended, Ended::Doubtful { .. }), "{:?}", walk.ended);
    // The world's resolvers know no such name: that is one.
    let dns = Dns { system: vec![nobody], public: vec![public.at()], ..Dns::default() };
    let walk = world.walk("gone.example", &["127.0.0.1"], &dns).await;
    assert_eq!(walk.failed().unwrap().0, Layer::Dns);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_takes_connections_and_says_nothing_does_not_hang_us() {
    let world = World::new("return 200 ok;");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let zone = zone("good IN A 127.0.0.1");
    let way = Way {
        host: "good.example".into(),
        port: silent.local_addr().unwrap().port(),
        balancers: Vec::new(),
        path: "/".into(),
        secured: true,
    };
    let began = std::time::Instant::now();
    let walk = walk(&way, &only(&zone), &world.roots, Timestamp::now()).await;
    assert_eq!(walk.failed().unwrap().0, Layer::Tls);
    assert!(began.elapsed() < std::time::Duration::from_secs(15));
}
