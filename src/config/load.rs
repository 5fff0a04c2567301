//! Settings from default < file < environment < flags, with errors that name the place and what is allowed there.
//! The kubeconfig fills in the context and namespace that nobody chose; its own errors wait for the connecting.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use toml_edit::{Document, Item, TableLike, Value};

use super::connect;
use super::rows::{self, ROWS, Slot};
use super::settings::{AwsKeys, Flags, Scope, ScriptSetting, Settings, Source, Sourced};

/// How long a script may take, unless its setting says otherwise.
const SCRIPT: Duration = Duration::from_mins(5);

/// A setting that cannot be used, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// `path:line:column`, or the variable's name.
    pub place: String,
    /// What is wrong, and what is allowed instead.
    pub message: String,
}

/// Loads everything: `file`, else `covet-tui/config.toml` in the XDG configuration directory if there is one.
///
/// # Errors
/// A file that was named and cannot be read, broken TOML, unknown keys, values of the wrong type.
pub fn load(
    flags: &Flags,
    env: &dyn Fn(&str) -> Option<String>,
    file: Option<&Path>,
) -> Result<Settings, ConfigError> {
    let mut settings = Settings::default();
    let named = file.map(Path::to_owned).or_else(|| env("COVET_CONFIG").map(PathBuf::from));
    if let Some(path) = named.clone().or_else(|| usual_file(env)) {
        match std::fs::read_to_string(&path) {
            Ok(text) => load_text(&mut settings, &path, &text)?,
            Err(error) if named.is_some() || error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot be read: {error}");
                return Err(ConfigError { place: path.display().to_string(), message });
            }
            Err(_) => {}
        }
    }
    from_env(&mut settings, env)?;
    from_flags(&mut settings, flags)?;
    check_patterns(&settings)?;
    settings.aws.keys = aws_keys(env);
    settings.aws.config_file = env("AWS_CONFIG_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
    settings.aws.has_chain = has_aws_chain(env);
    settings.kubeconfig = connect::kubeconfig_paths(flags.kubeconfig.as_ref(), env);
    connect::fill_from_kubeconfig(&mut settings);
    Ok(settings)
}

/// The key that the environment holds, both halves of it.
fn aws_keys(env: &dyn Fn(&str) -> Option<String>) -> Option<AwsKeys> {
    let given = |name: &str| env(name).filter(|value| !value.is_empty());
    Some(AwsKeys {
        id: given("AWS_ACCESS_KEY_ID")?,
        secret: given("AWS_SECRET_ACCESS_KEY")?,
        session: given("AWS_SESSION_TOKEN"),
    })
}

/// Whether the usual chain of AWS credentials has something to begin with.
fn has_aws_chain(env: &dyn Fn(&str) -> Option<String>) -> bool {
    const SIGNS: [&str; 5] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONFIG_FILE",
    ];
    let home = env("HOME").map(|home| PathBuf::from(home).join(".aws"));
    SIGNS.iter().any(|name| env(name).is_some_and(|value| !value.is_empty()))
        || home.is_some_and(|folder| folder.join("config").is_file() || folder.join("credentials").is_file())
}

/// Where the settings file is, if nobody says otherwise.
pub fn usual_file(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let base = match env("XDG_CONFIG_HOME").filter(|path| Path::new(path).is_absolute()) {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env("HOME")?).join(".config"),
    };
    Some(base.join("covet-tui").join("config.toml"))
}

/// Reads a settings file's text over what is already there.
pub fn load_text(settings: &mut Settings, path: &Path, text: &str) -> Result<(), ConfigError> {
    let file = File { path, text };
    let document = Document::parse(text)
        .map_err(|error| file.error(error.span().as_ref(), error.message().trim().to_owned()))?;
    file.table(settings, "", document.as_table())
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn table(&self, settings: &mut Settings, prefix: &str, table: &dyn TableLike) -> Result<(), ConfigError> {
        for (name, item) in table.iter() {
            let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            if prefix == "thresholds" || prefix.starts_with("thresholds.") {
                self.threshold(settings, &key["thresholds.".len()..], item)?;
            } else if let Some(row) = rows::find(&key) {
                let source = Source::File(self.path.to_owned(), self.line_and_column(span.as_ref()).0);
                set_item((row.slot)(settings), item, source)
                    .map_err(|message| self.error(item.span().as_ref(), format!("`{key}` {message}")))?;
            } else if prefix == "scripts" {
                self.script(settings, name, item)?;
            } else if ["thresholds", "scripts"].contains(&key.as_str())
                || ROWS.iter().any(|row| row.key.starts_with(&format!("{key}.")))
            {
                let inner = item
                    .as_table_like()
                    .ok_or_else(|| self.error(span.as_ref(), format!("`{key}` is a table: write [{key}]")))?;
                self.table(settings, &key, inner)?;
            } else {
                return Err(self.error(span.as_ref(), unknown(prefix, name)));
            }
        }
        Ok(())
    }

    /// `[thresholds]` holds `"rule.threshold" = number`, or a table for each rule.
    fn threshold(&self, settings: &mut Settings, key: &str, item: &Item) -> Result<(), ConfigError> {
        if let Some(inner) = item.as_table_like() {
            return inner
                .iter()
                .try_for_each(|(name, item)| self.threshold(settings, &format!("{key}.{name}"), item));
        }
        let number = item.as_float().or_else(|| item.as_integer().map(|whole| whole as f64));
        let value = number.filter(|value| value.is_finite()).ok_or_else(|| {
            let message = format!("the threshold `{key}` is a number, not {}", item.type_name());
            self.error(item.span().as_ref(), message)
        })?;
        let line = self.line_and_column(item.span().as_ref()).0;
        let from = Source::File(self.path.to_owned(), line);
        settings.thresholds.insert(key.to_owned(), Sourced { value, from });
        Ok(())
    }

    /// `[scripts]` holds `name = { argv = ["program", "{placeholder}"], timeout = "5m" }`.
    fn script(&self, settings: &mut Settings, name: &str, item: &Item) -> Result<(), ConfigError> {
        let value = script(item)
            .map_err(|message| self.error(item.span().as_ref(), format!("the script `{name}` {message}")))?;
        let line = self.line_and_column(item.span().as_ref()).0;
        let from = Source::File(self.path.to_owned(), line);
        settings.scripts.insert(name.to_owned(), Sourced { value, from });
        Ok(())
    }

    fn error(&self, span: Option<&Range<usize>>, message: String) -> ConfigError {
        let (line, column) = self.line_and_column(span);
        ConfigError { place: format!("{}:{line}:{column}", self.path.display()), message }
    }

    fn line_and_column(&self, span: Option<&Range<usize>>) -> (usize, usize) {
        let before = span.and_then(|span| self.text.get(..span.start)).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

fn script(item: &Item) -> Result<ScriptSetting, String> {
    let table = item.as_table_like().ok_or_else(|| r#"is a table: { argv = ["program"] }"#.to_owned())?;
    if let Some((other, _)) = table.iter().find(|(key, _)| !["argv", "timeout"].contains(key)) {
        return Err(format!("has no `{other}`; allowed are argv, timeout"));
    }
    let words = table.get("argv").and_then(strings).filter(|argv: &Vec<String>| !argv.is_empty());
    let argv =
        words.ok_or_else(|| r#"needs argv = ["program", "argument"], never a shell line"#.to_owned())?;
    if argv[0].contains(['{', '}']) {
        return Err("has a placeholder for its program: that must be fixed".to_owned());
    }
    let timeout = match table.get("timeout") {
        None => SCRIPT,
        Some(item) => item
            .as_str()
            .and_then(|text| text.parse::<jiff::SignedDuration>().ok())
            .and_then(|span| Duration::try_from(span).ok())
            .filter(|span| !span.is_zero())
            .ok_or_else(|| r#"needs a timeout such as "90s" or "5m""#.to_owned())?,
    };
    Ok(ScriptSetting { argv, timeout })
}

fn strings(item: &Item) -> Option<Vec<String>> {
    item.as_array()?.iter().map(|value: &Value| value.as_str().map(str::to_owned)).collect()
}

/// An unknown key, and what it might have been.
fn unknown(prefix: &str, name: &str) -> String {
    let inside: Vec<&str> = match prefix {
        "" => {
            let mut keys: Vec<&str> =
                ROWS.iter().map(|row| row.key.split('.').next().unwrap_or(row.key)).collect();
            keys.extend(["scripts", "thresholds"]);
            keys.dedup();
            keys
        }
        prefix => ROWS.iter().filter_map(|row| row.key.strip_prefix(prefix)?.strip_prefix('.')).collect(),
    };
    let place = if prefix.is_empty() { String::new() } else { format!(" in [{prefix}]") };
    format!("unknown key `{name}`{place}; allowed are {}", inside.join(", "))
}

fn set_item(slot: Slot<'_>, item: &Item, source: Source) -> Result<(), String> {
    match slot {
        Slot::Flag(place) => {
            let value = item.as_bool().ok_or_else(|| "is true or false".to_owned())?;
            set_flag(place, value, source);
        }
        Slot::Port(place) if item.is_integer() => {
            let port = item.as_integer().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
            let value = Some(port.ok_or_else(|| "is a port, 1 to 65535".to_owned())?);
            *place = Sourced { value, from: source };
        }
        Slot::List(place) => {
            let value = strings(item).ok_or_else(|| r#"is a list of strings: ["a", "b"]"#.to_owned())?;
            *place = Sourced { value, from: source };
        }
        Slot::Maybe(place) if item.as_integer().is_some() => {
            *place = Sourced { value: item.as_integer().map(|number| number.to_string()), from: source };
        }
        other => {
            let text = item.as_str().ok_or_else(|| r#"is a string: "…""#.to_owned())?;
            set_text(other, text, source)?;
        }
    }
    Ok(())
}

fn set_text(slot: Slot<'_>, text: &str, from: Source) -> Result<(), String> {
    match slot {
        Slot::Text(place) => *place = Sourced { value: text.to_owned(), from },
        Slot::Maybe(place) => *place = Sourced { value: Some(text.to_owned()), from },
        Slot::Path(place) => *place = Sourced { value: Some(PathBuf::from(text)), from },
        Slot::Scope(place) => {
            let value = if text == "*" { Scope::All } else { Scope::One(namespace(text)?.into()) };
            *place = Sourced { value, from };
        }
        Slot::Port(place) => {
            let port = text.parse::<u16>().ok().filter(|port| *port > 0);
            let value = Some(port.ok_or_else(|| "is a port, 1 to 65535".to_owned())?);
            *place = Sourced { value, from };
        }
        Slot::Word(place, words) => {
            if !words.contains(&text) {
                return Err(format!("is one of {}", words.join(", ")));
            }
            *place = Sourced { value: text.to_owned(), from };
        }
        Slot::List(place) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            *place = Sourced { value: items.map(str::to_owned).collect(), from };
        }
        Slot::Flag(place) => {
            let value = match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => true,
                "" | "0" | "false" | "no" | "off" => false,
                _ => return Err("is 1, true, yes, on or 0, false, no, off".into()),
            };
            set_flag(place, value, from);
        }
    }
    Ok(())
}

/// A switch that was turned on stays on: a weaker source must not loosen `read_only` (k9s #2434).
fn set_flag(place: &mut Sourced<bool>, value: bool, from: Source) {
    if value || !place.value {
        *place = Sourced { value, from };
    }
}

/// A DNS label, as namespaces are.
fn namespace(text: &str) -> Result<&str, String> {
    let fits = !text.is_empty()
        && text.len() <= 63
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if fits { Ok(text) } else { Err(r#"is a namespace's name, or "*" for all"#.into()) }
}

fn from_env(settings: &mut Settings, env: &dyn Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
    for row in ROWS {
        let found = row.env.iter().find_map(|name| Some((*name, env(name)?)));
        if let Some((name, text)) = found.filter(|(_, text)| !text.is_empty()) {
            set_text((row.slot)(settings), &text, Source::Env(name))
                .map_err(|message| ConfigError { place: format!("${name}"), message })?;
        }
    }
    Ok(())
}

fn from_flags(settings: &mut Settings, flags: &Flags) -> Result<(), ConfigError> {
    let namespace = if flags.all_namespaces { Some("*".to_owned()) } else { flags.namespace.clone() };
    let given = [
        ("context", flags.context.clone()),
        ("namespace", namespace),
        ("read_only", flags.read_only.then(|| "true".to_owned())),
        ("playbooks", flags.playbooks.as_ref().map(|path| path.display().to_string())),
        ("theme", flags.theme.clone()),
    ];
    for (key, text) in given {
        if let (Some(row), Some(text)) = (rows::find(key), text) {
            set_text((row.slot)(settings), &text, Source::Flag)
                .map_err(|message| ConfigError { place: format!("flag for {key}"), message })?;
        }
    }
    Ok(())
}

fn check_patterns(settings: &Settings) -> Result<(), ConfigError> {
    for pattern in settings.protected_contexts.iter() {
        if let Err(error) = regex::Regex::new(pattern) {
            let place = settings.protected_contexts.from.to_string();
            let message = format!("`{pattern}` in protected_contexts is no regular expression: {error}");
            return Err(ConfigError { place, message });
        }
    }
    Ok(())
}
