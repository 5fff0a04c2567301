//! How containers behave once started, as data: which conditions make them exit, stay unready, or print.
//! It knows an image, an environment and a memory limit, not pods or nodes.

use regex::Regex;
use serde::Deserialize;

use super::objects::{Container, Map};

/// One rule of behaviour. The first that applies to a starting container decides its life.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// `covetpy` (any tag) or `covetpy:v1.2.4`; registry and organisation do not matter.
    pub image: String,
    #[serde(default)]
    pub when: When,
    /// It ends; without this it keeps running.
    #[serde(default)]
    pub exit: Option<Exit>,
    /// It runs but answers its readiness probe with 503.
    #[serde(default)]
    pub unready: bool,
    /// Seconds until it listens; by default 8.
    #[serde(default)]
    pub boot: Option<f64>,
    /// Peak of the working set, in MiB.
    #[serde(default)]
    pub memory_mib: Option<f64>,
    /// Every so many seconds it forgets a transaction that it opened.
    #[serde(default)]
    pub forgets_transaction_every: Option<f64>,
    /// The working set grows by so much, until the limit kills it.
    #[serde(default)]
    pub leak_mib_per_minute: f64,
    /// Share of its requests that end in a 500.
    #[serde(default)]
    pub errors: f64,
    /// CPU it needs for a request, as a multiple of the usual.
    #[serde(default)]
    pub cpu_factor: Option<f64>,
    /// What it prints after starting. `{NAME}` is a variable of its environment.
    #[serde(default)]
    pub log: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The memory limit is lower than this.
    #[serde(default)]
    pub memory_limit_below_mib: Option<f64>,
    /// The variable the next three look at.
    #[serde(default)]
    pub env: Option<String>,
    #[serde(default)]
    pub absent: bool,
    #[serde(default)]
    pub matches: Option<String>,
    #[serde(default)]
    pub not_matches: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exit {
    pub code: i32,
    /// `Error`, `OOMKilled`, …; by default from the code.
    #[serde(default)]
    pub reason: Option<String>,
    /// Seconds after the start.
    pub after: f64,
}

impl Exit {
    pub fn reason(&self) -> &str {
        let usual = if self.code == 0 { "Completed" } else { "Error" };
        self.reason.as_deref().unwrap_or(usual)
    }
}

/// The life of one container instance, decided when it starts.
#[derive(Clone, Debug)]
pub struct Life {
    pub exit: Option<Exit>,
    pub ready: bool,
    /// Seconds until it listens.
    pub boot: f64,
    pub memory_mib: f64,
    /// Every so many seconds it forgets a transaction that it opened.
    pub forgets: Option<f64>,
    pub leak_mib_per_minute: f64,
    /// Share of requests that end in a 500.
    pub errors: f64,
    /// A multiple of the usual CPU per request.
    pub cpu_factor: f64,
    pub log: Vec<String>,
}

impl Life {
    /// It runs, listens at once, and is done with nothing.
    pub fn steady(memory_mib: f64) -> Self {
        Self {
            exit: None,
            ready: true,
            boot: 0.0,
            memory_mib,
            forgets: None,
            leak_mib_per_minute: 0.0,
            errors: 0.0,
            cpu_factor: 1.0,
            log: Vec::new(),
        }
    }

    /// Seconds after its start at which a leak reaches the limit.
    pub fn killed_after(&self, container: &Container) -> Option<f64> {
        let limit = container.limit("memory")? / 1_048_576.0;
        let leaks = self.leak_mib_per_minute > 0.0;
        leaks.then(|| (limit - self.memory_mib).max(0.0) / self.leak_mib_per_minute * 60.0)
    }

    /// What needs more memory than its limit is killed on the way there.
    pub fn respect_limit(&mut self, container: &Container) {
        let over = container.limit("memory").is_some_and(|limit| limit < self.memory_mib * 1_048_576.0);
        if over && self.exit.is_none() {
            self.exit = Some(Exit { code: 137, reason: Some("OOMKilled".to_owned()), after: 5.0 });
        }
    }
}

impl Behaviour {
    pub fn applies(&self, container: &Container, env: &Map) -> bool {
        same_image(&self.image, &container.image) && self.when.holds(container, env)
    }

    pub fn life(&self, env: &Map) -> Life {
        Life {
            exit: self.exit.clone(),
            ready: !self.unready,
            boot: self.boot.unwrap_or(8.0),
            memory_mib: self.memory_mib.unwrap_or(900.0),
            forgets: self.forgets_transaction_every,
            leak_mib_per_minute: self.leak_mib_per_minute,
            errors: self.errors,
            cpu_factor: self.cpu_factor.unwrap_or(1.0),
            log: self.log.iter().map(|line| fill(line, env)).collect(),
        }
    }
}

impl When {
    fn holds(&self, container: &Container, env: &Map) -> bool {
        if let Some(needed) = self.memory_limit_below_mib
            && container.limit("memory").is_none_or(|limit| limit >= needed * 1_048_576.0)
        {
            return false;
        }
        let Some(name) = &self.env else { return true };
        let value = env.get(name);
        if self.absent && value.is_some_and(|value| !value.is_empty()) {
            return false;
        }
        let text = value.map_or("", String::as_str);
        let fits = |pattern: &String| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
        self.matches.as_ref().is_none_or(fits) && !self.not_matches.as_ref().is_some_and(fits)
    }
}

/// What the lab's own containers do when no rule says otherwise.
pub fn usual(container: &Container, env: &Map, owner: &str) -> Life {
    let words: Vec<&str> = container.command.iter().chain(&container.args).map(String::as_str).collect();
    if owner == "Job" {
        let log = ["starting", "done"].map(|event| format!(r#"{{"level":"info","event":"{event}"}}"#));
        return Life { log: log.into(), ..ending(12.0) };
    }
    if let Some(at) = words.iter().position(|word| *word == "sleep") {
        let seconds = words.get(at + 1).and_then(|text| text.parse().ok());
        return seconds.map_or_else(|| Life::steady(8.0), ending);
    }
    if !is_app(&container.image) {
        return Life::steady(container.limit("memory").map_or(64.0, |limit| limit / 1_048_576.0 * 0.55));
    }
    let version = container.image.rsplit_once(":v").map_or("unknown", |(_, version)| version);
    let worker = words.iter().any(|word| word.contains("worker"));
    let mut log = vec![
        format!(r#"{{"level":"info","event":"starting","service":"covetpy","version":"{version}"}}"#),
        fill(
            r#"{"level":"info","event":"database pool opened","host":"{DATABASE_HOST}","pool_size":"{DB_POOL_SIZE}"}"#,
            env,
        ),
        r#"{"level":"info","event":"redis connected","host":"redis.covetpy-production.svc"}"#.to_owned(),
    ];
    if worker {
        log.push(r#"{"level":"info","event":"worker ready","queues":["default","mail"]}"#.to_owned());
        return Life { boot: 3.0, log, ..Life::steady(310.0) };
    }
    log.push(r#"{"level":"info","event":"application startup complete","listen":"0.0.0.0:8000"}"#.to_owned());
    Life { boot: 8.0, log, ..Life::steady(900.0) }
}

fn ending(seconds: f64) -> Life {
    let exit = Exit { code: 0, reason: None, after: seconds };
    Life { exit: Some(exit), ..Life::steady(120.0) }
}

pub fn is_app(image: &str) -> bool {
    same_image("covetpy", image)
}

fn same_image(wanted: &str, image: &str) -> bool {
    let last = image.split('@').next().unwrap_or(image);
    let last = last.rsplit('/').next().unwrap_or(last);
    last == wanted || last.split(':').next() == Some(wanted)
}

fn fill(line: &str, env: &Map) -> String {
    let mut line = line.to_owned();
    for (name, value) in env.iter().filter(|(name, _)| !name.contains("PASSWORD")) {
        line = line.replace(&format!("{{{name}}}"), value);
    }
    line
}
