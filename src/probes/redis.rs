//! Questions to Redis: what changes within a few seconds, and its slow log.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{InfoDict, Value};
use tokio::time::{Instant, sleep};

use super::answer::{Answer, columns};
use crate::config::redis::{explain, open};
use crate::config::{ConnectError, Outside};
use crate::domain::{BlindKind, RedisCommand, Tone, cause, text};

/// Between the two looks whose difference counts.
const APART: Duration = Duration::from_secs(2);
/// A cache that answers fewer of its lookups does not do its work (the audit's figure).
const POOR: f64 = 0.8;

pub(super) async fn read(outside: &Outside, command: &RedisCommand) -> Answer {
    let Some(url) = outside.redis_url.as_deref() else {
        return Answer::failed("no cache is configured; set REDIS_URL or [redis] url");
    };
    let answered = match command {
        RedisCommand::CacheStats => stats(url).await,
        RedisCommand::CacheSlowLog { count } => slow_log(url, *count).await,
        RedisCommand::SetCacheMemory { .. } => return Answer::failed("a change is no read"),
    };
    answered.unwrap_or_else(|error| {
        let repair = error.repair.map(|repair| format!("; {repair}")).unwrap_or_default();
        let mut answer = Answer::failed(&format!("{}{repair}", error.why));
        if error.kind == BlindKind::Unreachable {
            answer.found(cause::CACHE_DOWN, &error.why);
        }
        answer
    })
}

async fn info(connection: &mut MultiplexedConnection) -> Result<InfoDict, ConnectError> {
    redis::cmd("INFO").query_async(connection).await.map_err(|error| explain(&error))
}

async fn stats(url: &str) -> Result<Answer, ConnectError> {
    let mut connection = open(url).await?;
    let asked = Instant::now();
    let before = info(&mut connection).await?;
    let took = asked.elapsed();
    sleep(APART).await;
    let after = info(&mut connection).await?;
    let of = |info: &InfoDict, key: &str| info.get::<u64>(key).unwrap_or_default();
    let grown = |key: &str| of(&after, key).saturating_sub(of(&before, key));
    let (hits, misses) = (grown("keyspace_hits"), grown("keyspace_misses"));
    let evicted = grown("evicted_keys") as f64 / APART.as_secs_f64();
    let (used, limit) = (of(&after, "used_memory"), of(&after, "maxmemory"));
    let policy = after.get::<String>("maxmemory_policy").unwrap_or_default();
    let mut answer = Answer::new();
    let ratio = (hits + misses > 0).then(|| hits as f64 / (hits + misses) as f64);
    let hit = ratio.map_or("no lookups".to_owned(), |ratio| format!("{:.0} % of lookups hit", ratio * 100.0));
    let memory = match limit {
        0 => format!("{} used, no limit", text::bytes(used)),
        limit => format!("{} of {} used", text::bytes(used), text::bytes(limit)),
    };
    answer.line(Tone::Plain, format!("answers in {}", text::span(took)));
    answer.line(if ratio.is_some_and(|ratio| ratio < POOR) { Tone::Bad } else { Tone::Plain }, &hit);
    answer.line(
        if evicted > 0.0 { Tone::Bad } else { Tone::Plain },
        format!("{evicted:.1} keys evicted a second"),
    );
    answer.line(Tone::Plain, format!("{memory}, policy {policy}"));
    answer.line(Tone::Dim, format!("{} clients", of(&after, "connected_clients")));
    let says = format!("{hit}, {evicted:.1} evictions/s, {memory}");
    if limit > 0 && used >= limit && policy == "noeviction" {
        answer.found(cause::CACHE_FULL, format!("{memory}, policy noeviction: every write is refused"));
    } else if evicted > 0.0 && ratio.is_some_and(|ratio| ratio < POOR) {
        answer.found(cause::CACHE_EVICTING, &says);
    } else if ratio.is_some_and(|ratio| ratio < POOR) {
        answer.found(cause::CACHE_COLD, &says);
    }
    if limit > 0 {
        answer.bind("cache_memory", text::quantity(limit));
        answer.bind("cache_memory_suggestion", text::quantity(limit.saturating_mul(2)));
    }
    answer.summary(says);
    Ok(answer)
}

async fn slow_log(url: &str, count: u32) -> Result<Answer, ConnectError> {
    let mut connection = open(url).await?;
    let mut ask = redis::cmd("SLOWLOG");
    ask.arg("GET").arg(count);
    let entries: Vec<Value> = ask.query_async(&mut connection).await.map_err(|error| explain(&error))?;
    let mut answer = Answer::new();
    let mut rows: Vec<(u64, Vec<String>)> = entries.iter().filter_map(entry).collect();
    rows.sort_by_key(|(micros, _)| std::cmp::Reverse(*micros));
    let table: Vec<Vec<String>> = rows.iter().map(|(_, row)| row.clone()).collect();
    answer.lines(columns(&table).into_iter().map(|line| (Tone::Plain, line)));
    answer.summary(match rows.first() {
        Some((micros, row)) => {
            let command = row.get(1).map_or("", String::as_str);
            format!("slowest: {} in {}", command, text::span(Duration::from_micros(*micros)))
        }
        None => "the slow log is empty".into(),
    });
    Ok(answer)
}

/// How long one took, in microseconds, and its row. Of the arguments only the command and the key are shown:
/// the others are data.
fn entry(entry: &Value) -> Option<(u64, Vec<String>)> {
    let Value::Array(fields) = entry else { return None };
    let (Value::Int(micros), Value::Array(words)) = (fields.get(2)?, fields.get(3)?) else { return None };
    let word = |value: &Value| match value {
        Value::BulkString(bytes) => text::clean(&String::from_utf8_lossy(bytes)),
        Value::SimpleString(string) => text::clean(string),
        _ => String::new(),
    };
    let mut shown: Vec<String> = words.iter().take(2).map(word).collect();
    if shown.first().is_some_and(|command| command.eq_ignore_ascii_case("auth")) {
        shown.truncate(1);
    }
    if words.len() > 2 {
        shown.push(format!("… {} more", words.len() - 2));
    }
    let micros = u64::try_from(*micros).ok()?;
    Some((micros, vec![text::span(Duration::from_micros(micros)), shown.join(" ")]))
}
