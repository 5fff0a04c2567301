//! Words and numbers: text from outside made harmless, secrets struck out, quantities as people read them.

use std::sync::LazyLock;
use std::time::Duration;

use regex::{Captures, Regex};

use super::Timestamp;

/// Text from outside without anything that could steer a terminal: control characters (C0, C1, DEL) become
/// spaces, escape sequences go whole, bidirectional overrides go.
pub fn clean(raw: &str) -> String {
    static ESCAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~]?)").ok()
    });
    if !raw.chars().any(is_hostile) {
        return raw.to_owned();
    }
    let stripped = match &*ESCAPES {
        Some(escapes) => escapes.replace_all(raw, ""),
        None => raw.into(),
    };
    stripped
        .chars()
        .filter(|character| !is_bidi(*character))
        .map(|character| if is_hostile(character) { ' ' } else { character })
        .collect()
}

fn is_hostile(character: char) -> bool {
    character.is_control() || is_bidi(character)
}

fn is_bidi(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

/// Words that errors begin with: after `token: ` they tell what went wrong, and are nobody's token.
const OF_ERRORS: &[&str] = &[
    "authentication",
    "authorization",
    "cannot",
    "context",
    "could",
    "couldn't",
    "credentials",
    "denied",
    "dial",
    "error",
    "executable",
    "exit",
    "expired",
    "failed",
    "failure",
    "forbidden",
    "get",
    "head",
    "http",
    "incorrect",
    "invalid",
    "missing",
    "net/http",
    "not",
    "post",
    "rpc",
    "secrets",
    "status",
    "timeout",
    "unable",
    "unauthorized",
    "unexpected",
];

/// Whether what follows a telling name is prose: `oauth token: unexpected status`, `…/token: 401 Unauthorized`,
/// `basic authentication`. What follows a password, an equals sign or a quotation mark never is: a password may be
/// any word.
fn is_prose(name: &str, word: &str) -> bool {
    let told = name.trim_end();
    let is_said = told.len() < name.len() && !told.ends_with('=') && !name.to_lowercase().contains("pass");
    let word = word.trim_end_matches([':', '.', ',', ')']).to_lowercase();
    let is_status =
        word.len() == 3 && word.starts_with(['4', '5']) && word.bytes().all(|digit| digit.is_ascii_digit());
    is_said && (is_status || OF_ERRORS.contains(&&*word))
}

/// Strikes out what looks like a secret: passwords in URLs, `key=value` and JSON pairs with telling names,
/// bearer tokens, private keys, well-known token prefixes. Leaves the words of errors about them.
pub fn redact(line: &str) -> String {
    static SECRETS: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
        [
            (r"(?i)([a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+@", "${1}•••@"),
            (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", "•••"),
            (r"(?i)(\bpassword\s+E?')(?:[^']|'')+('|$)", "${1}•••${2}"),
            (r"\b(?:ghp_|gho_|ghs_|github_pat_|xox[abpr]-|AKIA|ASIA|sk-|eyJ)[A-Za-z0-9_\-.]{12,}", "•••"),
        ]
        .into_iter()
        .filter_map(|(pattern, with)| Some((Regex::new(pattern).ok()?, with)))
        .collect()
    });
    // A telling name and what follows it.
    static NAMED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        [
            r"(?i)\b((?:bearer|basic)\s+)([a-z0-9._~+/=-]{8,})",
            r#"(?i)((?:pass(?:word|wd)?|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)s?(?:[_-][a-z0-9_-]*)?["']?\s*[:=]\s*["']?)([^\s"',;}]{3,})"#,
        ]
        .into_iter()
        .filter_map(|pattern| Regex::new(pattern).ok())
        .collect()
    });
    let mut text = line.to_owned();
    for (pattern, with) in SECRETS.iter() {
        if pattern.is_match(&text) {
            text = pattern.replace_all(&text, *with).into_owned();
        }
    }
    for pattern in NAMED.iter().filter(|pattern| pattern.is_match(line)) {
        let struck = pattern.replace_all(&text, |found: &Captures<'_>| {
            let word = if is_prose(&found[1], &found[2]) { &found[2] } else { "•••" };
            format!("{}{word}", &found[1])
        });
        text = struck.into_owned();
    }
    text
}

/// A duration as people say it, two units at most: `4m12s`, `3d4h`, `850ms`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.is_zero() => "0s".into(),
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}s"),
        60..3_600 => two(seconds / 60, "m", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        _ => format!("{large}{large_unit}{small}{small_unit}"),
    }
}

/// How long after something: `40s after`; `right after`, where the moments are the same second.
pub fn after(passed: Duration) -> String {
    match passed.as_secs() {
        0 => "right after".into(),
        _ => format!("{} after", span(passed)),
    }
}

/// A count-down or an age in one unit: `42s`, `11m`, `3h`, `19d`.
pub fn span_short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Bytes in binary units: `2.0 GiB`, `512 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit >= 3 || (value < 10.0 && unit > 0) {
        format!("{value:.1} {}", UNITS[unit])
    } else {
        format!("{value:.0} {}", UNITS[unit])
    }
}

/// A byte count as Kubernetes writes quantities: `3Gi`, `1536Mi`.
pub fn quantity(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    UNITS
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit))
        .map_or_else(|| bytes.to_string(), |(unit, suffix)| format!("{}{suffix}", bytes / unit))
}

/// CPU in cores: `250m`, `1.5`.
pub fn cores(milli: u64) -> String {
    if milli < 1000 { format!("{milli}m") } else { format!("{:.1}", milli as f64 / 1000.0) }
}

/// When somebody lets us try again, where their words say so: `retry after 2026-03-01 04:12:00 UTC` (Let's Encrypt).
pub fn retry_after(words: &str) -> Option<Timestamp> {
    let lower = words.to_lowercase();
    let after = |word: &str| Some(lower.find(word)? + word.len());
    let at = ["retry after", "retry-after"].into_iter().find_map(after)?;
    let moment = lower[at..].trim_start_matches([':', ' ']).get(..19)?.replace(' ', "T");
    format!("{}Z", moment.to_uppercase()).parse().ok()
}

/// `1 pod`, `2 pods`.
pub fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// The beginning and the end of words that are too many, cut between words where that costs little.
pub fn both_ends(words: &str, longest: usize) -> String {
    if words.chars().count() <= longest {
        return words.to_owned();
    }
    let half = longest / 2;
    let place = |at: usize| words.char_indices().nth(at).map_or(words.len(), |(at, _)| at);
    let (head, rest) = words.split_at(place(half));
    let (before, tail) = words.split_at(place(words.chars().count() - half));
    let head = match head.rfind(' ').filter(|at| *at > head.len() / 2) {
        Some(at) if !rest.starts_with(' ') => &head[..at],
        _ => head,
    };
    let tail = match tail.find(' ').filter(|at| *at < tail.len() / 2) {
        Some(at) if !before.ends_with(' ') => &tail[at + 1..],
        _ => tail,
    };
    format!("{head} … {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_words() {
        let message = "failed to pull image: the registry of the team said that it is closed for maintenance";
        assert_eq!(both_ends(message, 42), "failed to pull image: … for maintenance");
        assert_eq!(both_ends(&"é".repeat(20), 10), format!("{} … {}", "é".repeat(5), "é".repeat(5)));
        assert_eq!(both_ends("short", 10), "short");
    }

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        let hostile = "a\x1b]0;owned\x07b\x1b[31mred\x1b[0m\u{9b}2J\r\n\u{202e}c\x1bPq\x1b\\d\x1b";
        let safe = clean(hostile);
        assert!(!safe.chars().any(is_hostile), "{safe:?}");
        assert!(safe.contains("red") && !safe.contains("owned"), "{safe:?}");
    }

    #[test]
    fn secrets_are_struck_out_and_the_rest_stays() {
        for (line, secret) in [
            ("connecting to postgres://app:hunter2@db:5432/x", "hunter2"),
            ("DB_PASSWORD=hunter22 retrying", "hunter22"),
            (r#"{"api_key": "abcdef123456"}"#, "abcdef123456"),
            ("Authorization: Bearer abc.def-ghi_jkl", "abc.def"),
            ("using token ghp_0123456789abcdefABCD", "ghp_0"),
            ("STATEMENT:  alter role app password 'it''s me'", "s me"),
            ("STATEMENT:  CREATE ROLE a ENCRYPTED PASSWORD 'hunter2", "hunter2"),
        ] {
            let redacted = redact(line);
            assert!(!redacted.contains(secret), "{redacted}");
            assert!(redacted.contains("•••"));
        }
        for words in [
            "InvalidPasswordError: password authentication failed for user app",
            "password authentication failed for user app",
        ] {
            assert_eq!(redact(words), words);
        }
    }

    #[test]
    fn what_a_registry_says_of_a_token_is_no_token() {
        for words in [
            "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://reg.example/token: 401 Unauthorized",
            "failed to fetch anonymous token: Get \"https://auth.reg.example/token?scope=pull\": dial tcp 10.0.0.1:443: i/o timeout",
            "error getting credentials - err: exec: \"docker-credential-ecr-login\": executable file not found in $PATH",
            "couldn't get pull secret: secrets \"regcred\" not found",
            "denied: requested access needs Basic authentication",
            "https://reg.example/v2/token: 503 Service Unavailable",
        ] {
            assert_eq!(redact(words), words);
        }
        for (line, secret) in [
            ("oauth token: 3f9ac0de1b unexpected", "3f9ac0de1b"),
            ("token: swordfish", "swordfish"),
            ("password: unexpected", "unexpected"),
            ("password: 401", "401"),
            ("db_password: failed", "failed"),
            ("token=invalid", "invalid"),
            ("{\"token\": \"unexpected\"}", "unexpected"),
            ("token: 40123 Unauthorized", "40123"),
            ("Authorization: Basic dXNlcjpodW50ZXIy", "dXNlc"),
        ] {
            assert!(!redact(line).contains(secret), "{}", redact(line));
        }
    }

    #[test]
    fn a_limit_says_when_it_ends() {
        let words = "429 rateLimited: too many certificates, retry after 2026-03-01 04:12:00 UTC: see …";
        assert_eq!(retry_after(words), "2026-03-01T04:12:00Z".parse().ok());
        assert_eq!(retry_after("Retry-After: 2026-03-01T04:12:00Z"), "2026-03-01T04:12:00Z".parse().ok());
        for words in ["retry after 3600", "retry after é", "", "429"] {
            assert_eq!(retry_after(words), None, "{words}");
        }
    }

    #[test]
    fn quantities_read_as_people_write_them() {
        assert_eq!(span(Duration::from_secs(252)), "4m12s");
        assert_eq!(span(Duration::from_hours(2)), "2h");
        assert_eq!(bytes(2 << 30), "2.0 GiB");
        assert_eq!(quantity(3 << 30), "3Gi");
        assert_eq!(quantity(1536 << 20), "1536Mi");
        assert_eq!(cores(250), "250m");
    }
}
