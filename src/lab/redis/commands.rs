//! The commands a monitoring client sends, one function each; anything else is the error Redis would give.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::Shared;
use super::info;
use super::resp::Reply;
use crate::lab::signals::Cache;

/// What one connection has agreed on.
pub(super) struct Session {
    shared: Arc<Shared>,
    id: u64,
    version: u8,
    authenticated: bool,
    name: String,
    quits: bool,
}

impl Session {
    pub(super) fn new(shared: Arc<Shared>, id: u64) -> Self {
        Self { shared, id, version: 2, authenticated: false, name: String::new(), quits: false }
    }

    /// The protocol the client chose with HELLO.
    pub(super) fn version(&self) -> u8 {
        self.version
    }

    /// Whether the connection closes after this reply.
    pub(super) fn quits(&self) -> bool {
        self.quits
    }

    /// Runs one command.
    pub(super) fn run(&mut self, words: &[String]) -> Reply {
        let Some((command, arguments)) = words.split_first() else {
            return Reply::error("ERR empty command");
        };
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let name = command.to_ascii_uppercase();
        let cache = self.shared.signals.read(|shown| shown.cache.clone());
        match name.as_str() {
            "AUTH" => self.auth(&cache, &arguments),
            "HELLO" => self.hello(&cache, &arguments),
            "QUIT" => {
                self.quits = true;
                Reply::Simple("OK")
            }
            _ if cache.password.is_some() && !self.authenticated => {
                Reply::error("NOAUTH Authentication required.")
            }
            "PING" => arguments.first().map_or(Reply::Simple("PONG"), |word| Reply::bulk(*word)),
            "ECHO" => arguments.first().map_or_else(|| wrong_number("echo"), |word| Reply::bulk(*word)),
            "SELECT" => select(&arguments),
            "CLIENT" => self.client(&arguments),
            "RESET" => {
                self.version = 2;
                self.authenticated = false;
                Reply::Simple("RESET")
            }
            "INFO" => self.info(&cache, &arguments),
            "DBSIZE" => Reply::integer(cache.keys),
            "CONFIG" => self.config(&cache, &arguments),
            "MEMORY" => memory(&cache, &arguments),
            "SLOWLOG" => slowlog(&arguments),
            "TIME" => time(self.shared.signals.now()),
            "ROLE" => Reply::Array(vec![Reply::bulk("master"), Reply::Integer(0), Reply::Array(Vec::new())]),
            "COMMAND" => command_command(&arguments),
            _ => unknown(command, &arguments),
        }
    }

    fn auth(&mut self, cache: &Cache, arguments: &[&str]) -> Reply {
        let (user, given) = match arguments {
            [password] => ("default", *password),
            [user, password] => (*user, *password),
            _ => return wrong_number("auth"),
        };
        let Some(password) = &cache.password else {
            return Reply::error(
                "ERR AUTH <password> called without any password configured for the default user. Are you \
                 sure your configuration is correct?",
            );
        };
        if user != "default" || given != password {
            return Reply::error("WRONGPASS invalid username-password pair or user is disabled.");
        }
        self.authenticated = true;
        Reply::Simple("OK")
    }

    fn hello(&mut self, cache: &Cache, arguments: &[&str]) -> Reply {
        let version = match arguments.first() {
            None => self.version,
            Some(&"2") => 2,
            Some(&"3") => 3,
            Some(_) => return Reply::error("NOPROTO unsupported protocol version"),
        };
        let mut options = arguments.iter().skip(1);
        while let Some(option) = options.next() {
            match (option.to_ascii_uppercase().as_str(), options.next(), option) {
                ("AUTH", Some(user), _) => {
                    let Some(password) = options.next() else { return syntax_error("HELLO", "auth") };
                    if let error @ Reply::Error(_) = self.auth(cache, &[*user, *password]) {
                        return error;
                    }
                }
                ("SETNAME", Some(name), _) => (*name).clone_into(&mut self.name),
                (_, _, option) => return syntax_error("HELLO", option),
            }
        }
        if cache.password.is_some() && !self.authenticated {
            return Reply::error(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> \
                 AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol \
                 version at the same time",
            );
        }
        self.version = version;
        Reply::Map(vec![
            (Reply::bulk("server"), Reply::bulk("redis")),
            (Reply::bulk("version"), Reply::bulk(info::VERSION)),
            (Reply::bulk("proto"), Reply::Integer(version.into())),
            (Reply::bulk("id"), Reply::integer(self.id)),
            (Reply::bulk("mode"), Reply::bulk("standalone")),
            (Reply::bulk("role"), Reply::bulk("master")),
            (Reply::bulk("modules"), Reply::Array(Vec::new())),
        ])
    }

    fn client(&mut self, arguments: &[&str]) -> Reply {
        let Some((sub, rest)) = arguments.split_first() else { return wrong_number("client") };
        match (sub.to_ascii_uppercase().as_str(), rest) {
            ("SETNAME", [name]) => {
                (*name).clone_into(&mut self.name);
                Reply::Simple("OK")
            }
            ("SETINFO", [_, _]) | ("NO-EVICT" | "NO-TOUCH", [_]) => Reply::Simple("OK"),
            ("GETNAME", []) if self.name.is_empty() => Reply::Nothing,
            ("GETNAME", []) => Reply::bulk(self.name.clone()),
            ("ID", []) => Reply::integer(self.id),
            ("INFO" | "LIST", _) => Reply::Text(format!(
                "id={} addr=127.0.0.1 name={} db=0 resp={} cmd=client\n",
                self.id, self.name, self.version
            )),
            _ => unknown_subcommand("CLIENT", sub),
        }
    }

    /// `CONFIG SET` knows the one setting that matters here.
    fn config(&self, cache: &Cache, arguments: &[&str]) -> Reply {
        match arguments {
            [sub, name, value]
                if sub.eq_ignore_ascii_case("SET") && name.eq_ignore_ascii_case("maxmemory") =>
            {
                let Some(bytes) = memory_size(value) else {
                    return Reply::error(format!(
                        "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value: {value}"
                    ));
                };
                self.shared.signals.write(|shown| shown.cache.maxmemory = bytes);
                Reply::Simple("OK")
            }
            [sub, name, _] if sub.eq_ignore_ascii_case("SET") => {
                Reply::error(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))
            }
            _ => config(cache, arguments),
        }
    }

    fn info(&self, cache: &Cache, sections: &[&str]) -> Reply {
        let clients = cache.connected_clients + self.shared.open.load(Ordering::Relaxed);
        Reply::Text(info::text(cache, sections, clients, self.shared.port, self.shared.signals.now()))
    }
}

fn select(arguments: &[&str]) -> Reply {
    match arguments {
        [index] => match index.parse::<i64>() {
            Ok(0..=15) => Reply::Simple("OK"),
            Ok(_) => Reply::error("ERR DB index is out of range"),
            Err(_) => Reply::error("ERR invalid DB index"),
        },
        _ => wrong_number("select"),
    }
}

fn config(cache: &Cache, arguments: &[&str]) -> Reply {
    let Some((sub, patterns)) = arguments.split_first() else { return wrong_number("config") };
    if !sub.eq_ignore_ascii_case("GET") {
        return unknown_subcommand("CONFIG", sub);
    }
    if patterns.is_empty() {
        return wrong_number("config|get");
    }
    let settings = [
        ("maxmemory", cache.maxmemory.to_string()),
        ("maxmemory-policy", cache.maxmemory_policy.to_owned()),
        ("maxclients", cache.maxclients.to_string()),
        ("timeout", "0".to_owned()),
        ("databases", "16".to_owned()),
        ("appendonly", "no".to_owned()),
        ("save", String::new()),
        ("slowlog-log-slower-than", "10000".to_owned()),
    ];
    let wanted = settings.into_iter().filter(|(name, _)| patterns.iter().any(|pattern| glob(pattern, name)));
    Reply::Map(wanted.map(|(name, value)| (Reply::bulk(name), Reply::bulk(value))).collect())
}

/// `268435456`, `256mb`, `1gb`, as Redis reads sizes.
fn memory_size(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let split = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: u64 = match unit {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// `*` stands for anything; the other wildcards of Redis are not needed here.
fn glob(pattern: &str, name: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name
            .strip_prefix(head)
            .is_some_and(|rest| tail.is_empty() || rest.ends_with(tail.trim_matches('*'))),
    }
}

fn memory(cache: &Cache, arguments: &[&str]) -> Reply {
    match arguments.first().map(|sub| sub.to_ascii_uppercase()).as_deref() {
        Some("USAGE") => Reply::Nothing,
        Some("DOCTOR") => Reply::Text("Sam, I detected no issue in this instance.".to_owned()),
        Some("STATS") => Reply::Map(vec![
            (Reply::bulk("peak.allocated"), Reply::integer(cache.used_memory)),
            (Reply::bulk("total.allocated"), Reply::integer(cache.used_memory)),
            (Reply::bulk("keys.count"), Reply::integer(cache.keys)),
        ]),
        Some(sub) => unknown_subcommand("MEMORY", sub),
        None => wrong_number("memory"),
    }
}

fn slowlog(arguments: &[&str]) -> Reply {
    match arguments.first().map(|sub| sub.to_ascii_uppercase()).as_deref() {
        Some("GET") => Reply::Array(Vec::new()),
        Some("LEN") => Reply::Integer(0),
        Some(sub) => unknown_subcommand("SLOWLOG", sub),
        None => wrong_number("slowlog"),
    }
}

fn time(now: Timestamp) -> Reply {
    let now = now.as_microsecond();
    Reply::Array(vec![Reply::bulk((now / 1_000_000).to_string()), Reply::bulk((now % 1_000_000).to_string())])
}

fn command_command(arguments: &[&str]) -> Reply {
    match arguments.first().map(|sub| sub.to_ascii_uppercase()).as_deref() {
        Some("COUNT") => Reply::Integer(17),
        Some("DOCS") => Reply::Map(Vec::new()),
        _ => Reply::Array(Vec::new()),
    }
}

fn unknown(command: &str, arguments: &[&str]) -> Reply {
    let arguments: String = arguments.iter().map(|argument| format!("'{argument}' ")).collect();
    Reply::error(format!("ERR unknown command '{command}', with args beginning with: {arguments}"))
}

fn unknown_subcommand(command: &str, sub: &str) -> Reply {
    Reply::error(format!("ERR unknown subcommand '{sub}'. Try {command} HELP."))
}

fn wrong_number(command: &str) -> Reply {
    Reply::error(format!("ERR wrong number of arguments for '{command}' command"))
}

fn syntax_error(command: &str, option: &str) -> Reply {
    Reply::error(format!("ERR Syntax error in {command} option '{option}'"))
}
