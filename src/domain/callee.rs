//! Whom a program says that it called in vain, where that can be told from the objects: a Service at a port that it
//! does not have. Knows words and Services; why nobody answered at a port that is there is for others to find out.

use super::{Key, Service, Table};

/// A Service that words name with a port which it does not have.
#[derive(Clone, PartialEq, Debug)]
pub struct WrongPort<'a> {
    pub service: &'a Service,
    pub port: u16,
}

impl WrongPort<'_> {
    /// `Service cache has no port 6379: it has 6380`.
    pub fn says(&self) -> String {
        let has: Vec<String> = self.service.ports.iter().map(|(_, number)| number.to_string()).collect();
        format!("Service {} has no port {}: it has {}", self.service.key.name, self.port, has.join(", "))
    }
}

/// The first Service that these words of a program in namespace `home` name with a port that it lacks. A headless one
/// and one without ports lead to whatever listens.
pub fn wrong_port<'a>(services: &'a Table<Service>, home: &str, words: &str) -> Option<WrongPort<'a>> {
    called(words).find_map(|(host, port)| {
        let mut labels = host.split('.');
        let (name, namespace) = (labels.next()?, labels.next().unwrap_or(home));
        // What follows is the cluster's own domain, or it is a host of the world.
        labels.next().is_none_or(|label| label.eq_ignore_ascii_case("svc")).then_some(())?;
        let key = Key::new(namespace.to_lowercase(), name.to_lowercase());
        let service = services.get(&key).filter(|service| !service.is_headless)?;
        let has = service.ports.is_empty() || service.ports.iter().any(|(_, number)| *number == port);
        (!has).then_some(WrongPort { service, port })
    })
}

/// Hosts with the port that they were asked at: `cache:6379`, `"db" (10.0.3.4), port 5432`.
fn called(words: &str) -> impl Iterator<Item = (&str, u16)> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | ':');
    let joined = words.split(move |letter| !is_part(letter)).filter_map(|word| {
        let (host, port) = word.trim_end_matches([':', '.']).rsplit_once(':')?;
        Some((host.rsplit(':').next()?, port.parse().ok()?))
    });
    let apart = words.match_indices(" port ").filter_map(|(at, sign)| {
        let digits = words[at + sign.len()..].split(|letter: char| !letter.is_ascii_digit()).next()?;
        let before = &words[..at];
        let host = before.rsplit('"').nth(1).filter(|_| before.contains(" at \""))?;
        Some((host, digits.parse().ok()?))
    });
    joined.chain(apart).filter(|(host, _)| host.bytes().any(|byte| byte.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::super::{Delta, Labels, Selector, Timestamp};
    use super::*;

    fn table(ports: &[u16], is_headless: bool) -> Table<Service> {
        let mut table = Table::default();
        table.fold(Delta::Seen(vec![Service {
            key: Key::new("shop", "cache"),
            created: Timestamp::UNIX_EPOCH,
            labels: Labels::default(),
            selector: Selector { labels: Labels::default(), has_expressions: false },
            ports: ports.iter().map(|port| (None, *port)).collect(),
            is_headless,
            edited: None,
        }]));
        table
    }

    #[test]
    fn a_port_that_the_service_does_not_have() {
        let services = table(&[6380, 9121], false);
        for words in [
            "Error 111 connecting to cache:6379. Connection refused.",
            "dial tcp: connect cache.shop.svc.cluster.local:6379: connection refused",
            "redis://cache.shop:6379/0 refused",
            "connection to server at \"cache\" (10.0.3.4), port 6379 failed: Connection refused",
        ] {
            let found = wrong_port(&services, "shop", words).map(|wrong| wrong.says());
            assert_eq!(
                found.as_deref(),
                Some("Service cache has no port 6379: it has 6380, 9121"),
                "{words}"
            );
        }
    }

    #[test]
    fn what_is_nobody_s_wrong_port() {
        let services = table(&[6379], false);
        for words in [
            "Error 111 connecting to cache:6379. Connection refused.",
            "cache.example.com:6380 refused",
            "cache.other:6380 refused",
            "10.0.0.3:6380: connection refused",
            "at 10:31:22 cache: connection refused",
            "File \"cache\", line 7, port 3 of 9",
        ] {
            assert_eq!(wrong_port(&services, "shop", words), None, "{words}");
        }
        assert_eq!(wrong_port(&services, "bank", "cache:6380 refused"), None, "of another namespace");
        assert_eq!(wrong_port(&table(&[6379], true), "shop", "cache:6380 refused"), None, "headless");
        assert_eq!(wrong_port(&table(&[], false), "shop", "cache:6380 refused"), None, "without ports");
    }
}
