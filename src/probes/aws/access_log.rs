//! One line of an Application Load Balancer's access log, and the counts made of many. Field 4 is the client,
//! field 9 the load balancer's status, field 13 the request (ELB user guide, "Access logs"). No client, no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is kept of a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request<'a> {
    pub at: &'a str,
    pub client: IpAddr,
    pub status: u16,
    pub path: &'a str,
}

impl<'a> Request<'a> {
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = Fields(line).take(13).collect();
        let client = fields.get(3)?.rsplit_once(':')?.0.trim_matches(['[', ']']);
        // `-` when the client went away before there was an answer.
        let status = fields.get(8)?.parse().unwrap_or(0);
        let url = fields.get(12)?.split(' ').nth(1)?;
        let after_host =
            url.split_once("://").map_or(url, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        Some(Request {
            at: fields.get(1)?,
            client: client.parse().ok()?,
            status,
            path: after_host.split('?').next().unwrap_or(after_host),
        })
    }

    /// Refused at the door.
    pub(super) fn is_refused(&self) -> bool {
        [401, 403, 429].contains(&self.status)
    }
}

/// Fields between spaces; a quoted one may hold spaces.
struct Fields<'a>(&'a str);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(' ');
        if rest.is_empty() {
            return None;
        }
        let (field, left) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        self.0 = left;
        Some(field)
    }
}

/// What one address did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Source {
    pub refused: usize,
    pub all: usize,
    /// Accepted after at least [`Counts::MANY`] refusals: it may have found a password.
    pub accepted_after: Option<String>,
}

/// By address.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub lines: usize,
    pub unread: usize,
    sources: BTreeMap<IpAddr, Source>,
    pub paths: BTreeSet<String>,
}

impl Counts {
    /// Refusals after which a success is telling (audit section 3: success after ≥ 5 failures).
    pub(super) const MANY: usize = 5;

    /// Counts a line when its path is the wanted one; an empty path wants all.
    pub(super) fn line(&mut self, line: &str, path: &str) {
        if line.is_empty() {
            return;
        }
        self.lines += 1;
        let Some(request) = Request::parse(line) else {
            self.unread += 1;
            return;
        };
        if !path.is_empty() && !request.path.contains(path) {
            return;
        }
        let source = self.sources.entry(request.client).or_default();
        source.all += 1;
        if request.is_refused() {
            source.refused += 1;
            if self.paths.len() < 20 {
                self.paths.insert(request.path.to_owned());
            }
        } else if (200..400).contains(&request.status) && source.refused >= Self::MANY {
            source.accepted_after.get_or_insert_with(|| request.at.to_owned());
        }
    }

    /// Addresses that were refused, the most often first.
    pub(super) fn ranked(&self) -> Vec<(IpAddr, &Source)> {
        let mut rows: Vec<_> = self
            .sources
            .iter()
            .filter(|(_, source)| source.refused > 0)
            .map(|(ip, source)| (*ip, source))
            .collect();
        rows.sort_by_key(|(ip, source)| (std::cmp::Reverse(source.refused), *ip));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(client: &str, status: &str, request: &str) -> String {
        format!(
            r#"https 2026-11-26T07:01:02.123456Z app/shop/50dc6c495c0c9188 {client} 10.0.1.7:8080 0.001 0.020 0.000 {status} {status} 520 310 "{request}" "curl/8.5 (x; y)" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/t/1 "Root=1-2-3" "shop.example.com" "-" 0 2026-11-26T07:01:02.100000Z "forward" "-" "-" "10.0.1.7:8080" "{status}" "-" "-""#
        )
    }

    #[test]
    fn client_status_and_path_are_fields_4_9_and_13() {
        let whole =
            line("203.0.113.9:41234", "401", "POST https://shop.example.com:443/auth/login?next=/a HTTP/2.0");
        let request = Request::parse(&whole).unwrap();
        assert_eq!(
            (request.client.to_string().as_str(), request.status, request.path),
            ("203.0.113.9", 401, "/auth/login")
        );
        let six = line("[2001:db8::7]:41234", "-", "GET https://shop.example.com:443/ HTTP/1.1");
        let request = Request::parse(&six).unwrap();
        assert_eq!(
            (request.client.to_string().as_str(), request.status, request.path),
            ("2001:db8::7", 0, "/")
        );
        assert_eq!(Request::parse("not a line"), None);
    }

    #[test]
    fn a_success_after_many_refusals_is_telling_and_the_other_way_round_is_not() {
        let mut counts = Counts::default();
        let login = "POST https://shop.example.com:443/auth/login HTTP/2.0";
        counts.line(&line("198.51.100.2:1", "200", login), "/auth/login");
        for _ in 0..5 {
            counts.line(&line("198.51.100.2:1", "401", login), "/auth/login");
            counts.line(&line("198.51.100.1:1", "401", login), "/auth/login");
        }
        counts.line(&line("198.51.100.1:1", "200", login), "/auth/login");
        counts.line(
            &line("198.51.100.3:1", "401", "GET https://shop.example.com:443/other HTTP/1.1"),
            "/auth/login",
        );
        let ranked = counts.ranked();
        assert_eq!(ranked.len(), 2);
        assert!(ranked[0].1.accepted_after.is_some() && ranked[1].1.accepted_after.is_none());
    }
}
