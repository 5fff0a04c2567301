//! DNS, one question to one server: the machine's own resolvers, public ones, and the name servers of a zone.
//! Answers are told apart as operators do: records, none of that type, no such name, refused, silent.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
pub use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::proto::rr::{Name as DnsName, RData, Record};
use hickory_resolver::system_conf::read_system_conf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::{Instant, timeout};

use crate::config::Settings;
use crate::config::connect::deepest;
use crate::domain::text;

/// A packet may be lost once; each try waits this long.
const TRIES: [Duration; 2] = [Duration::from_millis(1200), Duration::from_millis(1800)];
/// Where name servers listen.
const PORT: u16 = 53;
/// Most name servers of a zone that are asked.
const SERVERS: usize = 4;

/// Who is asked.
#[derive(Clone, Debug)]
pub struct Dns {
    /// Instead of the machine's own resolvers.
    pub system: Vec<SocketAddr>,
    /// Resolvers that the rest of the world uses.
    pub public: Vec<SocketAddr>,
    /// Instead of the name servers found by NS.
    pub authoritative: Vec<SocketAddr>,
    /// Where the name servers found by NS are asked.
    pub port: u16,
}

impl Default for Dns {
    fn default() -> Self {
        Self { system: Vec::new(), public: Vec::new(), authoritative: Vec::new(), port: PORT }
    }
}

/// One record of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsRecord {
    pub name: String,
    /// `A`, `CNAME`, …
    pub kind: String,
    /// Seconds.
    pub ttl: u32,
    pub value: String,
}

/// What one server said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answered {
    Records(Vec<DnsRecord>),
    /// The name exists, without records of that type.
    Nothing,
    /// NXDOMAIN.
    NoSuchName,
    /// SERVFAIL, REFUSED, …: the server cannot say.
    Refused(String),
    /// No answer, or none that can be understood.
    Silent(String),
}

impl Answered {
    /// The addresses among the records, sorted.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let Answered::Records(records) = self else { return Vec::new() };
        let found: BTreeSet<IpAddr> =
            records.iter().filter_map(|record| record.value.parse::<IpAddr>().ok()).collect();
        found.into_iter().collect()
    }

    /// Values of one type, in the order of the answer.
    pub fn values(&self, kind: &str) -> Vec<&str> {
        let Answered::Records(records) = self else { return Vec::new() };
        records.iter().filter(|record| record.kind == kind).map(|record| record.value.as_str()).collect()
    }

    /// For a person.
    pub fn says(&self) -> String {
        match self {
            Answered::Records(records) => records
                .iter()
                .map(|record| format!("{} {} ({} s)", record.kind, record.value, record.ttl))
                .collect::<Vec<_>>()
                .join(", "),
            Answered::Nothing => "no such record".into(),
            Answered::NoSuchName => "no such name (NXDOMAIN)".into(),
            Answered::Refused(code) => format!("the server cannot say: {code}"),
            Answered::Silent(why) => why.clone(),
        }
    }
}

/// Resolvers of the world, where nobody names others.
pub const WORLD: [&str; 2] = ["1.1.1.1", "8.8.8.8"];

impl Dns {
    pub fn of(settings: &Settings) -> Self {
        let all = |list: &[String]| list.iter().filter_map(|text| server(text)).collect();
        Self {
            system: all(&settings.dns_system),
            public: all(&settings.dns_public),
            authoritative: all(&settings.dns_authoritative),
            port: PORT,
        }
    }

    /// Whether nobody anywhere can look this name up: it is reserved for examples and tests (RFC 2606, RFC 6761), and no
    /// resolver was named that might know it all the same.
    pub fn is_example(&self, host: &str) -> bool {
        const RESERVED: [&str; 7] =
            ["test", "example", "invalid", "localhost", "example.com", "example.net", "example.org"];
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let within =
            |zone: &&str| host.strip_suffix(*zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let world: Vec<SocketAddr> = WORLD.iter().filter_map(|text| server(text)).collect();
        self.public == world && RESERVED.iter().any(within)
    }

    /// The machine's resolvers.
    pub fn system_servers(&self) -> Vec<SocketAddr> {
        if !self.system.is_empty() {
            return self.system.clone();
        }
        let Ok((config, _)) = read_system_conf() else { return Vec::new() };
        let mut servers: Vec<SocketAddr> =
            config.name_servers().iter().map(|server| SocketAddr::new(server.ip, PORT)).collect();
        servers.dedup();
        servers
    }

    /// The addresses of a name as this machine's programs find them, hosts file included.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        if !self.system.is_empty() {
            let answered = ask_any(&self.system, name, RecordType::A, true).await;
            let found = answered.addresses();
            return if found.is_empty() { Err(answered.says()) } else { Ok(found) };
        }
        let patience = TRIES.iter().sum();
        match timeout(patience, lookup_host((name, 0))).await {
            Ok(Ok(found)) => {
                let found: BTreeSet<IpAddr> = found.map(|address| address.ip()).collect();
                Ok(found.into_iter().collect())
            }
            Ok(Err(error)) => Err(deepest(&error)),
            Err(_) => Err(format!("DNS does not answer within {}", text::span(patience))),
        }
    }

    /// The first public resolver that answers with addresses; else the first refusal, if any answered.
    pub async fn public_addresses(&self, name: &str) -> Option<Result<Vec<IpAddr>, String>> {
        let asked = self.public.iter().copied().map(|server| ask(server, name, RecordType::A, true));
        let answers: Vec<Answered> = futures::future::join_all(asked).await;
        if let Some(found) = answers.iter().map(Answered::addresses).find(|found| !found.is_empty()) {
            return Some(Ok(found));
        }
        let spoke = answers.iter().find(|answer| matches!(answer, Answered::NoSuchName | Answered::Nothing));
        spoke.map(|answer| Err(answer.says()))
    }

    /// The name servers of the zone that holds a name, each with its own name.
    pub async fn authoritative_servers(&self, name: &str) -> Result<Vec<(String, SocketAddr)>, String> {
        if !self.authoritative.is_empty() {
            return Ok(self.authoritative.iter().map(|server| (server.to_string(), *server)).collect());
        }
        let resolvers: Vec<SocketAddr> =
            self.system_servers().into_iter().chain(self.public.clone()).collect();
        let mut zone = name.trim_end_matches('.');
        while zone.contains('.') {
            let answered = ask_any(&resolvers, zone, RecordType::NS, true).await;
            let names: Vec<String> = answered.values("NS").into_iter().map(str::to_owned).collect();
            if !names.is_empty() {
                return Ok(self.found(&resolvers, names).await);
            }
            zone = zone.split_once('.').map_or("", |(_, parent)| parent);
        }
        Err(format!("no name server of {name} was found"))
    }

    async fn found(&self, resolvers: &[SocketAddr], names: Vec<String>) -> Vec<(String, SocketAddr)> {
        let mut servers = Vec::new();
        for name in names.into_iter().take(SERVERS) {
            let answered = ask_any(resolvers, &name, RecordType::A, true).await;
            let address = answered.addresses().into_iter().next();
            servers.extend(
                address.map(|ip| (name.trim_end_matches('.').to_owned(), SocketAddr::new(ip, self.port))),
            );
        }
        servers
    }
}

/// `1.1.1.1`, `1.1.1.1:5353`.
pub fn server(text: &str) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| Some(SocketAddr::new(text.parse().ok()?, PORT)))
}

/// The first of several servers that says anything of use.
pub async fn ask_any(servers: &[SocketAddr], name: &str, kind: RecordType, recurse: bool) -> Answered {
    let mut last = Answered::Silent("no resolver is known".into());
    for server in servers {
        last = ask(*server, name, kind, recurse).await;
        if !matches!(last, Answered::Silent(_) | Answered::Refused(_)) {
            break;
        }
    }
    last
}

/// One question to one server, within its own deadline of three seconds.
pub async fn ask(server: SocketAddr, name: &str, kind: RecordType, recurse: bool) -> Answered {
    let Ok(mut question) = DnsName::from_str(name) else {
        return Answered::Silent(format!("{name} is no name"));
    };
    question.set_fqdn(true);
    let mut query = Message::query();
    query.metadata.recursion_desired = recurse;
    query.add_query(Query::query(question, kind));
    let Ok(bytes) = query.to_vec() else { return Answered::Silent(format!("{name} is no name")) };
    let id = query.metadata.id;
    let began = Instant::now();
    let mut why = String::new();
    for patience in TRIES {
        match timeout(patience, by_datagram(server, &bytes, id)).await {
            Ok(Ok(answer)) if answer.metadata.truncation => {
                return match timeout(patience, by_stream(server, &bytes)).await {
                    Ok(Ok(answer)) => understood(answer, kind),
                    Ok(Err(error)) => Answered::Silent(error),
                    Err(_) => Answered::Silent("the long answer over TCP does not come".into()),
                };
            }
            Ok(Ok(answer)) => return understood(answer, kind),
            // Nobody listens there: asking again changes nothing.
            Ok(Err(error)) => return Answered::Silent(error),
            Err(_) => why = format!("no answer within {}", text::span(began.elapsed())),
        }
    }
    Answered::Silent(why)
}

async fn by_datagram(server: SocketAddr, query: &[u8], id: u16) -> Result<Message, String> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let failed = |error: std::io::Error| format!("cannot be asked: {}", deepest(&error));
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    socket.send(query).await.map_err(failed)?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(failed)?;
        // What does not answer our question is somebody else's.
        match Message::from_vec(&buffer[..length]) {
            Ok(answer) if answer.metadata.id == id => return Ok(answer),
            _ => {}
        }
    }
}

async fn by_stream(server: SocketAddr, query: &[u8]) -> Result<Message, String> {
    let failed = |error: std::io::Error| format!("cannot be asked over TCP: {}", deepest(&error));
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let length = u16::try_from(query.len()).unwrap_or_default().to_be_bytes();
    stream.write_all(&[&length[..], query].concat()).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.map_err(failed)?;
    Message::from_vec(&answer).map_err(|error| format!("the answer is not understood: {error}"))
}

fn understood(answer: Message, kind: RecordType) -> Answered {
    match answer.metadata.response_code {
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Answered::NoSuchName,
        other => return Answered::Refused(text::clean(other.to_str())),
    }
    let records: Vec<DnsRecord> = answer.answers.iter().map(record).collect();
    // A chain of aliases that ends nowhere answers nothing, but is worth seeing.
    if records.is_empty() || (kind == RecordType::NS && !records.iter().any(|record| record.kind == "NS")) {
        return Answered::Nothing;
    }
    Answered::Records(records)
}

fn record(record: &Record) -> DnsRecord {
    let value = match &record.data {
        RData::TXT(words) => {
            words.txt_data.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect::<String>()
        }
        other => other.to_string(),
    };
    DnsRecord {
        name: text::clean(&record.name.to_string()),
        kind: record.record_type().to_string(),
        ttl: record.ttl,
        value: text::clean(value.trim_end_matches('.')),
    }
}

/// The type of a record by its name.
pub fn record_type(name: &str) -> Option<RecordType> {
    RecordType::from_str(&name.to_uppercase()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_written_with_or_without_a_port() {
        assert_eq!(server("1.1.1.1"), Some(([1, 1, 1, 1], 53).into()));
        assert_eq!(server("127.0.0.1:5353"), Some(([127, 0, 0, 1], 5353).into()));
        assert_eq!(server("dns.example"), None);
    }

    #[tokio::test]
    async fn a_resolver_that_is_not_there_is_silent_and_quick() {
        let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let began = Instant::now();
        assert!(matches!(ask(gone, "a.example", RecordType::A, true).await, Answered::Silent(_)));
        assert!(began.elapsed() < Duration::from_secs(4));
    }
}
