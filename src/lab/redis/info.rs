//! The text of INFO, section by section, with the fields of Redis 7.0 that monitoring reads.

use std::fmt::Write;

use jiff::Timestamp;

use crate::lab::signals::Cache;

/// The version the lab's server says it is.
pub(super) const VERSION: &str = "7.0.15";

/// The asked sections (all of them by default), each under its heading.
pub(super) fn text(cache: &Cache, sections: &[&str], clients: u64, port: u16, now: Timestamp) -> String {
    let all = sections.is_empty()
        || sections.iter().any(|section| matches!(lower(section).as_str(), "default" | "all" | "everything"));
    let mut text = String::new();
    for (name, fields) in every_section(cache, clients, port, now) {
        if all || sections.iter().any(|section| lower(section) == lower(name)) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            let _ = write!(text, "# {name}\r\n");
            for (field, value) in fields {
                let _ = write!(text, "{field}:{value}\r\n");
            }
        }
    }
    text
}

type Fields = Vec<(&'static str, String)>;

fn every_section(cache: &Cache, clients: u64, port: u16, now: Timestamp) -> [(&'static str, Fields); 8] {
    let uptime = now.duration_since(cache.started).as_secs().max(0);
    [
        (
            "Server",
            vec![
                ("redis_version", VERSION.to_owned()),
                ("redis_mode", "standalone".to_owned()),
                ("os", "Linux".to_owned()),
                ("tcp_port", port.to_string()),
                ("uptime_in_seconds", uptime.to_string()),
                ("uptime_in_days", (uptime / 86_400).to_string()),
            ],
        ),
        (
            "Clients",
            vec![
                ("connected_clients", clients.to_string()),
                ("maxclients", cache.maxclients.to_string()),
                ("blocked_clients", cache.blocked_clients.to_string()),
            ],
        ),
        ("Memory", memory(cache)),
        ("Persistence", vec![("loading", "0".to_owned()), ("rdb_last_bgsave_status", "ok".to_owned())]),
        (
            "Stats",
            vec![
                ("total_commands_processed", cache.total_commands_processed.to_string()),
                ("instantaneous_ops_per_sec", cache.instantaneous_ops_per_sec.to_string()),
                ("rejected_connections", "0".to_owned()),
                ("expired_keys", cache.expired_keys.to_string()),
                ("evicted_keys", cache.evicted_keys.to_string()),
                ("keyspace_hits", cache.keyspace_hits.to_string()),
                ("keyspace_misses", cache.keyspace_misses.to_string()),
            ],
        ),
        ("Replication", vec![("role", "master".to_owned()), ("connected_slaves", "0".to_owned())]),
        ("Cluster", vec![("cluster_enabled", "0".to_owned())]),
        (
            "Keyspace",
            if cache.keys == 0 {
                Vec::new()
            } else {
                vec![("db0", format!("keys={},expires={},avg_ttl=0", cache.keys, cache.keys_with_expiry))]
            },
        ),
    ]
}

fn memory(cache: &Cache) -> Fields {
    vec![
        ("used_memory", cache.used_memory.to_string()),
        ("used_memory_human", human(cache.used_memory)),
        ("used_memory_rss", cache.used_memory.to_string()),
        ("used_memory_peak", cache.used_memory.to_string()),
        ("maxmemory", cache.maxmemory.to_string()),
        ("maxmemory_human", human(cache.maxmemory)),
        ("maxmemory_policy", cache.maxmemory_policy.to_owned()),
        ("mem_fragmentation_ratio", "1.00".to_owned()),
    ]
}

fn human(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        0.0..1024.0 => format!("{bytes}B"),
        1024.0..1_048_576.0 => format!("{:.2}K", bytes / 1024.0),
        1_048_576.0..1_073_741_824.0 => format!("{:.2}M", bytes / 1_048_576.0),
        _ => format!("{:.2}G", bytes / 1_073_741_824.0),
    }
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}
