//! The connection pool of a workload's replicas, as its template and ConfigMaps say: what one replica may open.

use serde_json::Value;

use crate::domain::{Key, Kind, ObjectRef};
use crate::probes::cluster::Cluster;
use crate::probes::object::{items, string};
use crate::probes::trouble::Trouble;

/// Variables of the pool, those of the original's ConfigMap.
pub const SIZE: &str = "DB_POOL_SIZE";
pub const OVERFLOW: &str = "DB_POOL_MAX_OVERFLOW";
/// What overflows where only the size is said: SQLAlchemy's default.
const USUAL_OVERFLOW: u64 = 10;
/// Processes per replica, by the names that servers read.
const WORKERS: [&str; 3] = ["WEB_CONCURRENCY", "WORKERS", "UVICORN_WORKERS"];

/// What one replica may open, and where that is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    /// Connections kept, per process.
    pub size: u64,
    /// Connections beyond those while they are wanted, per process.
    pub overflow: u64,
    /// Processes per replica.
    pub processes: u64,
    /// The ConfigMap with the pool size; None when the template itself says it.
    pub config_map: Option<String>,
}

impl Pool {
    /// Connections that one replica may open.
    pub fn most(&self) -> u64 {
        self.processes.max(1).saturating_mul(self.size.saturating_add(self.overflow))
    }

    /// `4 × (10 + 5)`, or `(10 + 5)` of a single process.
    pub fn says(&self) -> String {
        let one = format!("({} + {})", self.size, self.overflow);
        if self.processes > 1 { format!("{} × {one}", self.processes) } else { one }
    }
}

/// The pool of one replica of a workload; None where nothing names its size.
///
/// # Errors
/// A ConfigMap cannot be read.
pub async fn pool(cluster: &Cluster, workload: &Value) -> Result<Option<Pool>, Trouble> {
    for container in items(workload, "/spec/template/spec/containers") {
        let from = Variables { cluster, workload, container };
        let Some((size, config_map)) = from.number(SIZE).await? else { continue };
        let overflow = from.number(OVERFLOW).await?.map_or(USUAL_OVERFLOW, |found| found.0);
        let mut processes = argument(container);
        for name in WORKERS {
            if processes.is_none() {
                processes = from.number(name).await?.map(|found| found.0);
            }
        }
        let processes = processes.unwrap_or(1).max(1);
        return Ok(Some(Pool { size, overflow, processes, config_map }));
    }
    Ok(None)
}

/// A container's environment.
struct Variables<'a> {
    cluster: &'a Cluster,
    workload: &'a Value,
    container: &'a Value,
}

impl Variables<'_> {
    /// A number: the container's own value, or that of a ConfigMap, whose name is given too.
    async fn number(&self, variable: &str) -> Result<Option<(u64, Option<String>)>, Trouble> {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let own = items(self.container, "/env").iter().find(|entry| string(entry, "/name") == variable);
        if let Some(entry) = own {
            if let Some(value) = entry.get("value").and_then(Value::as_str) {
                return Ok(number(value).map(|value| (value, None)));
            }
            let map = string(entry, "/valueFrom/configMapKeyRef/name");
            let found = self.entry(map, string(entry, "/valueFrom/configMapKeyRef/key")).await?;
            return Ok(found.and_then(|found| Some((number(&found)?, Some(map.to_owned())))));
        }
        // Of several imports the last one wins.
        for import in items(self.container, "/envFrom").iter().rev() {
            let map = string(import, "/configMapRef/name");
            let Some(key) = variable.strip_prefix(string(import, "/prefix")) else { continue };
            if let Some(found) = self.entry(map, key).await? {
                return Ok(number(&found).map(|value| (value, Some(map.to_owned()))));
            }
        }
        Ok(None)
    }

    async fn entry(&self, map: &str, key: &str) -> Result<Option<String>, Trouble> {
        if map.is_empty() {
            return Ok(None);
        }
        let place = Key::new(string(self.workload, "/metadata/namespace"), map);
        let found = self.cluster.find(&ObjectRef::new(Kind::ConfigMap, place)).await?;
        Ok(found.and_then(|found| found.get("data")?.get(key)?.as_str().map(str::to_owned)))
    }
}

/// `--workers 4`, `--workers=4` or `-w 4` in a container's command, also within a shell's line.
fn argument(container: &Value) -> Option<u64> {
    let words: Vec<&str> = ["/command", "/args"]
        .iter()
        .flat_map(|place| items(container, place))
        .filter_map(Value::as_str)
        .flat_map(str::split_whitespace)
        .collect();
    let number = |word: &str| word.trim_end_matches(|letter: char| !letter.is_ascii_digit()).parse().ok();
    words.iter().enumerate().find_map(|(at, word)| match word.split_once('=') {
        Some(("--workers", value)) => number(value),
        _ if matches!(*word, "--workers" | "-w") => number(words.get(at + 1)?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn processes_are_read_from_the_command() {
        assert_eq!(
            argument(&json!({"command": ["gunicorn"], "args": ["--workers", "4", "app:main"]})),
            Some(4)
        );
        assert_eq!(argument(&json!({"args": ["gunicorn", "-w", "4"]})), Some(4));
        assert_eq!(argument(&json!({"args": ["-b", ":80", "--workers=3"]})), Some(3));
        assert_eq!(argument(&json!({"command": ["sh", "-c", "'uvicorn app --workers 2'"]})), Some(2));
        assert_eq!(argument(&json!({"args": ["app:main"]})), None);
    }

    #[test]
    fn a_pool_adds_up() {
        let pool = Pool { size: 10, overflow: 5, processes: 2, config_map: None };
        assert_eq!((pool.most(), pool.says().as_str()), (30, "2 × (10 + 5)"));
    }
}
