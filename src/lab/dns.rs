//! The lab's name server: authoritative for the public names of the pretend production, over UDP and TCP; and the
//! resolver that everybody else asks. It knows the records it is shown, not whom they lead to.

use std::io;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NS, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::signals::{DnsRecord, Signals};

/// Longest chain of aliases that is followed.
const CHAIN: usize = 8;
/// Largest answer by UDP without EDNS (RFC 1035).
const DATAGRAM: usize = 512;

/// Serves until dropped; both listen on the same port.
///
/// # Errors
/// When a socket breaks.
pub async fn serve(datagrams: UdpSocket, listener: TcpListener, signals: Signals) -> io::Result<()> {
    let by_stream = signals.clone();
    tokio::select! {
        ended = over_udp(datagrams, signals) => ended,
        ended = over_tcp(listener, by_stream) => ended,
    }
}

async fn over_udp(socket: UdpSocket, signals: Signals) -> io::Result<()> {
    let socket = Arc::new(socket);
    let mut buffer = [0; 4096];
    loop {
        // A client that is gone by the time of its answer is reported here, and is nobody's trouble.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = answer(&buffer[..length], &signals) {
            let short = answer.to_vec().ok().filter(|bytes| bytes.len() <= DATAGRAM);
            let bytes = short.or_else(|| answer.truncate().to_vec().ok());
            let _ = socket.send_to(&bytes.unwrap_or_default(), from).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, signals: Signals) -> io::Result<()> {
    let mut talks = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        while talks.try_join_next().is_some() {}
        talks.spawn(talk(stream, signals.clone()));
    }
}

async fn talk(mut stream: TcpStream, signals: Signals) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut query = vec![0; usize::from(length)];
        stream.read_exact(&mut query).await?;
        let Some(bytes) = answer(&query, &signals).and_then(|answer| answer.to_vec().ok()) else {
            return Ok(());
        };
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        stream.write_all(&[&length[..], &bytes].concat()).await?;
    }
}

/// None for what is no question.
fn answer(query: &[u8], signals: &Signals) -> Option<Message> {
    let query = Message::from_vec(query).ok()?;
    let question = query.queries.first()?.clone();
    let mut answer = Message::response(query.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.add_query(question.clone());
    // Whoever wants recursion asks a resolver, which remembers; a zone's own server is asked without.
    let recursive = query.metadata.recursion_desired;
    let zone = signals.read(|shown| if recursive { shown.remembered_dns.clone() } else { shown.dns.clone() });
    let asked = question.name.to_lowercase().to_string();
    let asked = asked.trim_end_matches('.').to_owned();
    let origins = zone.iter().filter(|record| record.kind == "SOA").map(|record| record.name.clone());
    let ours = origins.into_iter().find(|origin| asked == *origin || asked.ends_with(&format!(".{origin}")));
    let Some(origin) = ours else {
        answer.metadata.response_code = ResponseCode::Refused;
        return Some(answer);
    };
    answer.metadata.authoritative = true;
    let mut name = asked;
    for _ in 0..CHAIN {
        let here: Vec<&DnsRecord> = zone.iter().filter(|record| record.name == name).collect();
        let wanted = question.query_type.to_string();
        let hits: Vec<&&DnsRecord> = here.iter().filter(|record| record.kind == wanted).collect();
        if hits.is_empty()
            && let Some(alias) = here.iter().find(|record| record.kind == "CNAME")
        {
            answer.answers.extend(record(alias));
            name.clone_from(&alias.value);
            continue;
        }
        answer.answers.extend(hits.into_iter().filter_map(|one| record(one)));
        let beneath = format!(".{name}");
        let exists = !here.is_empty() || zone.iter().any(|record| record.name.ends_with(&beneath));
        if answer.answers.is_empty() && !exists {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        break;
    }
    if answer.answers.is_empty() {
        answer
            .authorities
            .extend(zone.iter().filter(|one| one.kind == "SOA" && one.name == origin).filter_map(record));
    }
    Some(answer)
}

fn record(shown: &DnsRecord) -> Option<Record> {
    let name = |text: &str| {
        let mut name = Name::from_str(text).ok()?;
        name.set_fqdn(true);
        Some(name)
    };
    let data = match RecordType::from_str(shown.kind).ok()? {
        RecordType::A => RData::A(A(shown.value.parse::<Ipv4Addr>().ok()?)),
        RecordType::CNAME => RData::CNAME(CNAME(name(&shown.value)?)),
        RecordType::NS => RData::NS(NS(name(&shown.value)?)),
        RecordType::TXT => RData::TXT(TXT::new(vec![shown.value.clone()])),
        RecordType::SOA => {
            let admin = name(&format!("admin.{}", shown.name))?;
            RData::SOA(SOA::new(name(&shown.value)?, admin, 1, 3600, 600, 86_400, 60))
        }
        _ => return None,
    };
    Some(Record::from_rdata(name(&shown.name)?, shown.ttl, data))
}
