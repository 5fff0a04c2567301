//! A load balancer's access logs in S3: which files fall into the window, and who was refused by them. Files are
//! read piece by piece and never kept.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use flate2::write::MultiGzDecoder;
use tokio::time::Instant;

use super::access_log::Counts;
use crate::config::aws::{AwsError, Session, Xml};
use crate::domain::{Timestamp, Tone, cause, text};
use crate::probes::answer::{Answer, columns};

/// Files that are read at most, the youngest first.
const FILES: usize = 200;
/// Bytes of log text that are read at most.
const BYTES: u64 = 512 << 20;
/// Reading together.
const PATIENCE: Duration = Duration::from_secs(60);
/// A file covers five minutes and is delivered some minutes later (ELB user guide).
const SPAN: Duration = Duration::from_mins(5);
/// An address with this many refusals is attacking (audit section 3: ≥ 10 from one address in 5 minutes).
const ATTACKING: usize = 10;
/// More attacking addresses than this are not blocked one by one.
const FEW: usize = 20;

struct File {
    key: String,
    size: u64,
    end: Timestamp,
}

pub(super) async fn list(
    session: &Session,
    bucket: &str,
    window: Duration,
    now: Timestamp,
) -> Result<Answer, AwsError> {
    let files = files(session, bucket, window, now).await?;
    let mut answer = Answer::new();
    for file in files.iter().take(50) {
        answer.line(Tone::Plain, format!("{} {}", text::bytes(file.size), file.key));
    }
    let all: u64 = files.iter().map(|file| file.size).sum();
    answer.bind("access_log_files", files.len().to_string());
    if files.is_empty() {
        answer.not_ok();
        answer.summary(format!("no access logs of the last {} in {bucket}", text::span(window)));
    } else {
        answer.summary(format!("{}, {} packed", text::count(files.len(), "file"), text::bytes(all)));
    }
    Ok(answer)
}

pub(super) async fn sources(
    session: &Session,
    bucket: &str,
    window: Duration,
    path: &str,
    now: Timestamp,
) -> Result<Answer, AwsError> {
    let mut files = files(session, bucket, window, now).await?;
    let skipped = files.len().saturating_sub(FILES);
    files.truncate(FILES);
    // Oldest first: a success counts only after the refusals before it.
    files.reverse();
    let (name, _) = split(bucket);
    let deadline = Instant::now() + PATIENCE;
    let mut sink = Sink { counts: Counts::default(), path: path.to_owned(), rest: Vec::new(), taken: 0 };
    let mut unread = 0;
    for file in &files {
        if Instant::now() >= deadline || sink.taken >= BYTES {
            unread += 1;
            continue;
        }
        sink = read(session, name, file, sink, deadline).await?;
    }
    Ok(answer(&sink.counts, skipped + unread, files.len(), path))
}

fn answer(counts: &Counts, unread: usize, files: usize, path: &str) -> Answer {
    let mut answer = Answer::new();
    let ranked = counts.ranked();
    let mut rows = vec![["REFUSED", "OF", "ADDRESS", ""].map(str::to_owned).to_vec()];
    for (ip, source) in ranked.iter().take(50) {
        let note = source.accepted_after.as_ref().map(|at| format!("let in at {at}")).unwrap_or_default();
        rows.push(vec![source.refused.to_string(), source.all.to_string(), ip.to_string(), note]);
    }
    let tone = |line: &String| if line.contains("let in at") { Tone::Bad } else { Tone::Plain };
    answer.lines(columns(&rows).into_iter().map(|line| (tone(&line), line)));
    if !counts.paths.is_empty() {
        let paths: Vec<&str> = counts.paths.iter().map(String::as_str).collect();
        answer.line(Tone::Plain, format!("paths: {}", paths.join(" ")));
    }
    let attacking: Vec<_> = ranked.iter().filter(|(_, source)| source.refused >= ATTACKING).collect();
    let networks: Vec<String> =
        attacking.iter().map(|(ip, _)| crate::domain::Cidr::host(*ip).to_string()).collect();
    if let Some(worst) = networks.first() {
        answer.bind("attacking_address", worst);
        answer.bind("attacking_addresses", networks.iter().take(FEW).cloned().collect::<Vec<_>>().join(","));
    }
    let refused: usize = ranked.iter().map(|(_, source)| source.refused).sum();
    match attacking.len() {
        0 => {}
        1..=FEW => {
            answer.found(cause::ATTACK_FEW, format!("the attack comes from {}", addresses(attacking.len())));
        }
        many => {
            answer
                .found(cause::ATTACK_MANY, format!("{many} addresses attack: too many to block one by one"));
        }
    }
    if let Some((ip, _)) = ranked.iter().find(|(_, source)| source.accepted_after.is_some()) {
        answer
            .found(cause::ACCOUNT_TAKEN, format!("{ip} was let in after {} refusals or more", Counts::MANY));
    }
    if unread > 0 {
        answer.line(Tone::Dim, format!("{} not read: too many for now", text::count(unread, "file")));
    }
    if counts.unread > 0 {
        answer.line(Tone::Dim, format!("{} not understood", text::count(counts.unread, "line")));
    }
    let of = if path.is_empty() { String::new() } else { format!(" of {path}") };
    answer.summary(format!(
        "{refused} refusals{of} from {} in {} lines of {}",
        addresses(ranked.len()),
        counts.lines,
        text::count(files, "file")
    ));
    answer
}

fn addresses(count: usize) -> String {
    if count == 1 { "1 address".into() } else { format!("{count} addresses") }
}

/// One file, through the decompressor into the counts. A file that breaks off is counted as far as it goes.
async fn read(
    session: &Session,
    bucket: &str,
    file: &File,
    sink: Sink,
    deadline: Instant,
) -> Result<Sink, AwsError> {
    let mut body = session.buckets().object(bucket, &file.key).await?;
    let mut unpack = MultiGzDecoder::new(sink);
    loop {
        let chunk = tokio::time::timeout_at(deadline, body.chunk()).await;
        let Ok(Ok(Some(chunk))) = chunk else { break };
        if unpack.write_all(&chunk).is_err() {
            break;
        }
    }
    let _ = unpack.try_finish();
    let sink = std::mem::take(unpack.get_mut());
    Ok(sink.ended())
}

/// Takes text, gives lines.
#[derive(Default)]
struct Sink {
    counts: Counts,
    path: String,
    rest: Vec<u8>,
    taken: u64,
}

impl Sink {
    fn ended(mut self) -> Self {
        let rest = std::mem::take(&mut self.rest);
        self.counts.line(&String::from_utf8_lossy(&rest), &self.path);
        self
    }
}

impl Write for Sink {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.taken += text.len() as u64;
        if self.taken > BYTES {
            return Err(std::io::Error::other("enough"));
        }
        let mut pieces = text.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.rest.extend_from_slice(piece);
            let line = std::mem::take(&mut self.rest);
            self.counts.line(&String::from_utf8_lossy(&line), &self.path);
        }
        // A line without end is no line.
        if self.rest.len() + last.len() < 64 << 10 {
            self.rest.extend_from_slice(last);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The files whose five minutes touch the window, the youngest first.
async fn files(
    session: &Session,
    bucket: &str,
    window: Duration,
    now: Timestamp,
) -> Result<Vec<File>, AwsError> {
    let account = session.identity().await?.account;
    let (name, prefix) = split(bucket);
    let from = now.checked_sub(window).unwrap_or(now);
    let mut days = BTreeSet::new();
    let mut at = from;
    while at <= now {
        days.insert(at.strftime("%Y/%m/%d").to_string());
        at = at.checked_add(Duration::from_hours(12)).unwrap_or(Timestamp::MAX);
    }
    days.insert(now.strftime("%Y/%m/%d").to_string());
    let mut found = Vec::new();
    for day in days {
        let prefix = format!("{prefix}AWSLogs/{account}/elasticloadbalancing/{}/{day}/", session.region);
        let mut token: Option<String> = None;
        loop {
            let page = session.buckets().list(name, &prefix, token).await?;
            found.extend(
                page.each("Contents").filter_map(file).filter(|file| file.end >= from && began(file) <= now),
            );
            token = Some(page.text("NextContinuationToken").to_owned()).filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
    }
    found.sort_by_key(|file| std::cmp::Reverse(file.end));
    Ok(found)
}

fn began(file: &File) -> Timestamp {
    file.end.checked_sub(SPAN).unwrap_or(file.end)
}

/// `…/ACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_20261126T0705Z_IP_RANDOM.log.gz`: the moment is its end.
fn file(row: &Xml) -> Option<File> {
    let key = decoded(row.text("Key"))?;
    let end = key.rsplit('/').next()?.split('_').find_map(moment)?;
    Some(File { key, size: row.number("Size").unwrap_or_default(), end })
}

fn moment(word: &str) -> Option<Timestamp> {
    let (day, time) = word.strip_suffix('Z')?.split_once('T')?;
    if day.len() != 8 || time.len() != 4 || !day.is_ascii() || !time.is_ascii() {
        return None;
    }
    format!("{}-{}-{}T{}:{}:00Z", &day[..4], &day[4..6], &day[6..], &time[..2], &time[2..]).parse().ok()
}

/// Keys come percent-encoded, because XML cannot hold every key.
fn decoded(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The bucket, and the prefix in it with its slash: `bucket/prefix`.
fn split(bucket: &str) -> (&str, String) {
    match bucket.split_once('/') {
        Some((name, prefix)) if !prefix.is_empty() => (name, format!("{}/", prefix.trim_end_matches('/'))),
        Some((name, _)) => (name, String::new()),
        None => (bucket, String::new()),
    }
}
