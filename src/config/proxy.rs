//! Which proxy leads to a server, by the environment, as Go programs (and so kubectl) read it. Pure.

use std::net::IpAddr;

use http::Uri;

/// The proxy for a server; None to go straight there. `env` reads the environment.
pub(super) fn proxy_for(server: &Uri, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let either = |upper: &str, lower: &str| {
        env(upper)
            .or_else(|| env(lower))
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    };
    let secure = server.scheme_str() == Some("https");
    let proxy =
        if secure { either("HTTPS_PROXY", "https_proxy") } else { either("HTTP_PROXY", "http_proxy") }?;
    let host = server.host()?.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    if is_local(&host) {
        return None;
    }
    let address = host.parse::<IpAddr>().ok();
    let port = server.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let spared = either("NO_PROXY", "no_proxy").unwrap_or_default();
    if spared.split(',').any(|entry| spares(entry.trim(), &host, address, port)) {
        return None;
    }
    Some(if proxy.contains("://") { proxy } else { format!("http://{proxy}") })
}

/// Whether a host, as URLs write it, is this machine itself: no proxy leads there.
pub fn is_local(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// One entry of `NO_PROXY`: `*`, an address, a network, a domain with its subdomains, each maybe with a port.
fn spares(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    let entry = entry.to_ascii_lowercase();
    if entry.is_empty() {
        return false;
    }
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let known = (network.parse::<IpAddr>().ok(), bits.parse::<u32>().ok(), address);
        return matches!(known, (Some(network), Some(bits), Some(address)) if is_within(network, bits, address));
    }
    if let Ok(other) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == Some(other);
    }
    let (name, wanted) = match entry.rsplit_once(':') {
        Some((name, wanted)) => match wanted.parse::<u16>() {
            Ok(wanted) => (name.to_owned(), Some(wanted)),
            Err(_) => (entry.clone(), None),
        },
        None => (entry.clone(), None),
    };
    if wanted.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if let Ok(other) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        return address == Some(other);
    }
    let name = name.strip_prefix('*').unwrap_or(&name);
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn is_within(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
            bits <= 32 && network.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
            bits <= 128 && network.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(server: &str, env: &[(&str, &str)]) -> Option<String> {
        let find =
            |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        proxy_for(&server.parse().expect("a URL"), &find)
    }

    #[test]
    fn the_servers_own_name_decides_not_the_proxys() {
        let proxy = ("HTTPS_PROXY", "proxy.corp:3128");
        let through = Some("http://proxy.corp:3128".to_owned());
        assert_eq!(asked("https://api.k8s.example:6443", &[proxy]), through);
        for spared in
            ["api.k8s.example", ".k8s.example", "k8s.example", "*.k8s.example", "*", "x, k8s.example:6443"]
        {
            assert_eq!(
                asked("https://api.k8s.example:6443", &[proxy, ("NO_PROXY", spared)]),
                None,
                "{spared}"
            );
        }
        for other in ["", "example.org", "s.example", "k8s.example:443", ".api.k8s.example", "10.0.0.0/8"] {
            assert_eq!(
                asked("https://api.k8s.example:6443", &[proxy, ("no_proxy", other)]),
                through,
                "{other}"
            );
        }
    }

    #[test]
    fn addresses_networks_and_this_machine() {
        let proxy = ("https_proxy", "http://proxy:3128");
        assert_eq!(asked("https://10.1.2.3:6443", &[proxy, ("no_proxy", "10.0.0.0/8")]), None);
        assert_eq!(asked("https://10.1.2.3:6443", &[proxy, ("no_proxy", "10.1.2.3")]), None);
        assert!(asked("https://11.1.2.3:6443", &[proxy, ("no_proxy", "10.0.0.0/8")]).is_some());
        assert_eq!(asked("https://[fd00::1]:6443", &[proxy, ("no_proxy", "fd00::/8")]), None);
        assert_eq!(asked("https://127.0.0.1:6443", &[proxy]), None);
        assert_eq!(asked("https://localhost:6443", &[proxy]), None);
        assert_eq!(asked("http://10.1.2.3:8080", &[proxy]), None, "that proxy is for https");
        assert_eq!(asked("https://10.1.2.3:6443", &[]), None);
    }
}
