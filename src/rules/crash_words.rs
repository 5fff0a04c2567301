//! What a program's last words give away: phrases of operating systems, databases and languages, each meaning one
//! cause. Knows words only; must not know containers.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::cause;

/// Cause, label for a title, and the phrases, compared without regard to case. Each phrase is an error of its own:
/// words that also stand in settings, paths and stack traces (`timeout`, `yaml`, `401`) only count in such company.
const PHRASES: &[(&str, &str, &[&str])] = &[
    (cause::NO_SPACE, "no space left", &[r"no space left on device", r"\benospc\b", r"disk quota exceeded"]),
    (
        cause::DATABASE_EXHAUSTED,
        "database has no free slot",
        &[
            r"\b53300\b",
            r"too many (?:clients|connections)",
            r"remaining connection slots",
            r"max_user_connections",
            r"max number of clients reached",
        ],
    ),
    (
        cause::DATABASE_AUTH,
        "credentials rejected",
        &[
            r"\b28p01\b",
            r"(?:password |sasl |scram )?authentication (?:has )?failed",
            r"\baccess ?denied",
            r"\bnoauth\b",
            r"\bwrongpass\b",
            r"login failed for user",
            r"\b401,? (?:unauthorized|client error)",
            r"\b403,? (?:forbidden|client error)",
            r"(?:status|code|http|response)(?: code)?\W{1,4}40[13]\b",
            r"errors?: \* permission denied",
            r"invalid (?:username|password|credentials|token|api ?key|access key)",
            r"(?:token|credentials) (?:is|are|has|have)? ?(?:invalid|expired)",
            r"\bnot authorized\b",
            r"\berror 40[13]\b",
            r"\binvalidclienttokenid\b|\bexpiredtoken",
            r"no pg_hba\.conf entry",
        ],
    ),
    (
        cause::DATABASE_UNREACHABLE,
        "cannot connect",
        &[
            r"connection refused|\beconnrefused\b|refused the connection",
            r"connection reset|\beconnreset\b",
            r"no such host|\benotfound\b|\beai_again\b|unknownhostexception|name or service not known",
            r"could not translate host name|temporary failure in name resolution|getaddrinfo",
            r"no route to host|network is unreachable|\behostunreach\b",
            r"connect(?:ion|ing)?\b.{0,60}?\btimed out|\betimedout\b|i/o timeout|dial .{0,60}?timeout",
            r"timeout expired|connect(?:ion)? timeout|connecttimeout|sockettimeout|readtimeout",
            r"context deadline exceeded",
            r"(?:could not|cannot|can't|failed to|unable to) (?:connect|reach|establish)",
            r"serverselectiontimeout|server selection timed out|no brokers? available",
        ],
    ),
    (
        cause::CONFIG_ERROR,
        "configuration rejected",
        &[
            r"\bkeyerror\b",
            r"validation ?errors?\b",
            r"modulenotfound|cannot find module|no module named|classnotfoundexception",
            r"yaml: (?:line|unmarshal|did not)|yaml\.(?:scanner|parser)\.|(?:parse|parsing|invalid) yaml|yaml parse",
            r"invalid config(?:uration)?|config(?:uration)? (?:is )?invalid|(?:error|failed|unable|cannot).{0,30}? (?:load|read|pars)\w* .{0,20}?config",
            r"\berror in (?:config|configuration|\S+\.(?:conf|cfg|ini|toml|ya?ml))\b|\[error\] \[config\]",
            r"(?:missing|required|undefined|unset) (?:required )?(?:env|environment|config)",
            r"(?:environment variable|env var|setting|option|key) \S+ (?:is |must be )?(?:not set|required|missing|unset|undefined)",
            r"must be set\b|could not resolve placeholder|no value for required",
            r"unknown (?:flag|option|directive|field|command line)|unrecogni[sz]ed (?:argument|option|configuration)|flag provided but not defined",
            r"unexpected token .{0,20}json|invalid character .{0,20}looking for|toml: |error parsing",
            r"\[emerg\]",
        ],
    ),
];

/// What a termination message gives away: the last telling phrase, because programs say last what they die of.
pub(super) fn recognise(message: &str) -> Option<(&'static str, &'static str)> {
    static TABLE: LazyLock<Vec<(&'static str, &'static str, Regex)>> = LazyLock::new(|| {
        let whole = |phrases: &[&str]| Regex::new(&format!("(?i){}", phrases.join("|"))).ok();
        PHRASES.iter().filter_map(|(cause, label, phrases)| Some((*cause, *label, whole(phrases)?))).collect()
    });
    let last = |regex: &Regex| regex.find_iter(message).last().map(|found| found.start());
    TABLE
        .iter()
        .filter_map(|(cause, label, regex)| Some((last(regex)?, (*cause, *label))))
        .max_by_key(|(at, _)| *at)
        .map(|(_, found)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> &'static str {
        recognise(message).map_or("", |(cause, _)| cause)
    }

    #[test]
    fn every_phrase_compiles() {
        assert!(PHRASES.iter().all(|(cause, _, phrases)| {
            crate::domain::CAUSES.iter().any(|word| word.name == *cause)
                && phrases.iter().all(|phrase| Regex::new(phrase).is_ok())
        }));
    }

    #[test]
    fn last_words_of_many_programs() {
        for (message, cause) in [
            (
                "connection to server at \"10.0.3.4\", port 5432 failed: Connection refused Is the server running?",
                cause::DATABASE_UNREACHABLE,
            ),
            ("PG::ConnectionBad: FATAL: too many connections for role \"app\"", cause::DATABASE_EXHAUSTED),
            ("ERROR 1040 (HY000): Too many connections", cause::DATABASE_EXHAUSTED),
            ("ERR max number of clients reached", cause::DATABASE_EXHAUSTED),
            ("Access denied for user 'app'@'10.1.2.3' (using password: YES)", cause::DATABASE_AUTH),
            (
                "redis.exceptions.AuthenticationError: WRONGPASS invalid username-password pair or user is disabled.",
                cause::DATABASE_AUTH,
            ),
            ("MongoServerError: Authentication failed.", cause::DATABASE_AUTH),
            (
                "AccessDeniedException: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: secretsmanager:GetSecretValue",
                cause::DATABASE_AUTH,
            ),
            (
                "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://api.acme.example/v1",
                cause::DATABASE_AUTH,
            ),
            (
                "com.mongodb.MongoTimeoutException: Timed out after 30000 ms while waiting for a server: connect timed out",
                cause::DATABASE_UNREACHABLE,
            ),
            (
                "psycopg2.OperationalError: could not translate host name \"db\" to address: Name or service not known",
                cause::DATABASE_UNREACHABLE,
            ),
            ("Error: getaddrinfo ENOTFOUND rabbitmq.queue.svc", cause::DATABASE_UNREACHABLE),
            ("dial tcp 10.100.7.7:15012: i/o timeout", cause::DATABASE_UNREACHABLE),
            ("KeyError: 'REQUEST_TIMEOUT'", cause::CONFIG_ERROR),
            (
                "1 validation error for Settings DATABASE_URL Field required [type=missing, input_value={}]",
                cause::CONFIG_ERROR,
            ),
            ("panic: required environment variable \"API_URL\" is not set", cause::CONFIG_ERROR),
            ("Could not resolve placeholder 'db.url' in value \"${db.url}\"", cause::CONFIG_ERROR),
            ("SyntaxError: Unexpected token } in JSON at position 4", cause::CONFIG_ERROR),
            ("Error: unknown flag: --log-lvl", cause::CONFIG_ERROR),
            (
                "nginx: [emerg] 1#1: unknown directive \"sevrer\" in /etc/nginx/conf.d/default.conf:3",
                cause::CONFIG_ERROR,
            ),
            ("error: yaml: line 12: did not find expected key", cause::CONFIG_ERROR),
            (
                "err=\"Error loading config (--config.file=/etc/prometheus/prometheus.yml)\"",
                cause::CONFIG_ERROR,
            ),
            ("ModuleNotFoundError: No module named 'celery'", cause::CONFIG_ERROR),
            ("OSError: [Errno 28] No space left on device", cause::NO_SPACE),
        ] {
            assert_eq!(told(message), cause, "{message}");
        }
    }

    #[test]
    fn words_that_only_look_like_a_cause() {
        for message in [
            "File \"/app/server.py\", line 401, in handle ZeroDivisionError: division by zero",
            "at Object.<anonymous> (/srv/yaml/loader.js:403 ) TypeError: Cannot read properties of undefined (reading 'id')",
            "level=info msg=\"query timeout is 30s\" level=info msg=\"read config.yaml\" panic: assignment to entry in nil map",
            "java.lang.NullPointerException: Cannot invoke \"String.length()\" because \"s\" is null",
            "panic: runtime error: index out of range [5] with length 3",
        ] {
            assert_eq!(told(message), "", "{message}");
        }
    }

    #[test]
    fn what_is_said_last_is_what_it_died_of() {
        let words = "WARN connection refused, trying again; INFO connected; KeyError: 'PAYMENTS_QUEUE'";
        assert_eq!(told(words), cause::CONFIG_ERROR);
    }
}
