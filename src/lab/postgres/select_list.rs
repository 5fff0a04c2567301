//! The select list of a tagged query: which of the known columns it wants, under which names and types.
//! It reads only names, casts and `coalesce`; what the expressions say is taken to be what the names mean.

use pgwire::api::Type;

/// One output column of a query.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chosen {
    /// Index into the known columns.
    pub(super) of: usize,
    pub(super) name: String,
    pub(super) kind: Type,
    /// `coalesce(…)`: zero instead of null.
    pub(super) zero: bool,
}

/// Other names people give the known columns.
const SYNONYMS: [(&str, &str); 9] = [
    ("max_connections", "max_conn"),
    ("reserved_connections", "reserved"),
    ("idle_in_transaction", "idle_in_tx"),
    ("idle_in_xact", "idle_in_tx"),
    ("waiting_on_lock", "lock_waiters"),
    ("oldest_transaction", "oldest_xact"),
    ("sessions", "count"),
    ("connections", "count"),
    ("query", "left"),
];

/// The columns a statement selects, out of the known ones. The error is the name that is not known.
pub(super) fn chosen(sql: &str, known: &[(&'static str, Type)]) -> Result<Vec<Chosen>, String> {
    items(sql).iter().map(|item| choose(item, known)).collect()
}

/// The items between the last outer SELECT and its FROM.
fn items(sql: &str) -> Vec<&str> {
    let mask = outer(sql);
    let start = mask.rfind("select ").map_or(0, |at| at + "select ".len());
    let end = mask[start..].find(" from ").map_or(sql.len(), |at| start + at);
    let mut items = Vec::new();
    let mut from = start;
    for (at, _) in mask[start..end].match_indices(',') {
        items.push(&sql[from..start + at]);
        from = start + at + 1;
    }
    items.push(&sql[from..end]);
    items.into_iter().map(|item| item.trim_matches(|c: char| c.is_whitespace() || c == ';')).collect()
}

fn choose(item: &str, known: &[(&'static str, Type)]) -> Result<Chosen, String> {
    let mask = outer(item);
    let (expression, name) = match mask.rfind(" as ") {
        Some(at) => (at, &item[at + 4..]),
        None => match mask.rfind(' ').filter(|at| is_name(&item[at + 1..])) {
            Some(at) => (at, &item[at + 1..]),
            None => (item.len(), own_name(item)),
        },
    };
    let name = name.trim().trim_matches('"').to_ascii_lowercase();
    let Some(of) = find(&name, known) else { return Err(name) };
    let cast = mask[..expression].rfind("::").map(|at| mask[at + 2..expression].trim());
    let kind = match cast {
        Some(cast) => named_type(cast).ok_or_else(|| format!("type {cast}"))?,
        None if mask[..expression].trim_start().starts_with("extract") => Type::NUMERIC,
        None => known[of].1.clone(),
    };
    let zero = mask.trim_start().starts_with("coalesce");
    Ok(Chosen { of, name, kind, zero })
}

/// A copy of the text in lower case in which everything in parentheses or quotes is hidden, byte for byte.
fn outer(text: &str) -> String {
    let (mut depth, mut quoted) = (0_u32, false);
    let hide = |byte: u8| {
        match byte {
            b'\'' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            byte if quoted || depth > 0 || !byte.is_ascii() => return '\u{1}',
            byte if byte.is_ascii_whitespace() => return ' ',
            byte => return char::from(byte.to_ascii_lowercase()),
        }
        '\u{1}'
    };
    text.bytes().map(hide).collect()
}

fn find(name: &str, known: &[(&'static str, Type)]) -> Option<usize> {
    let at = |wanted: &str| known.iter().position(|(name, _)| *name == wanted);
    let synonym =
        |name: &str| SYNONYMS.iter().find(|(other, _)| *other == name).and_then(|(_, known)| at(known));
    at(name).or_else(|| synonym(name)).or_else(|| {
        let bare = ["_seconds", "_secs", "_s", "_age"].iter().find_map(|suffix| name.strip_suffix(suffix))?;
        at(bare).or_else(|| synonym(bare))
    })
}

/// The name `PostgreSQL` gives a column that has none: of the function or the column itself.
fn own_name(expression: &str) -> &str {
    let bare = expression.split("::").next().unwrap_or_default();
    let bare = bare.split('(').next().unwrap_or_default();
    bare.rsplit('.').next().unwrap_or_default()
}

fn is_name(word: &str) -> bool {
    let word = word.trim_matches('"');
    word != "end" && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn named_type(name: &str) -> Option<Type> {
    Some(match name {
        "int" | "int4" | "integer" => Type::INT4,
        "int8" | "bigint" => Type::INT8,
        "float8" | "double precision" => Type::FLOAT8,
        "numeric" => Type::NUMERIC,
        "text" | "varchar" => Type::TEXT,
        "interval" => Type::INTERVAL,
        "inet" => Type::INET,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [(&str, Type); 4] = [
        ("max_conn", Type::INT4),
        ("used", Type::INT8),
        ("oldest_xact", Type::INTERVAL),
        ("left", Type::TEXT),
    ];

    fn read(sql: &str) -> Result<Vec<(usize, String, Type)>, String> {
        let chosen = chosen(sql, &KNOWN)?;
        Ok(chosen.into_iter().map(|column| (column.of, column.name, column.kind)).collect())
    }

    fn column(of: usize, name: &str, kind: Type) -> (usize, String, Type) {
        (of, name.to_owned(), kind)
    }

    #[test]
    fn names_casts_and_nesting() {
        let sql = "SELECT (SELECT setting::int FROM pg_settings WHERE name='a, b' ) AS max_conn,\n \
                   count(*) FILTER (WHERE state = 'x') used, \
                   COALESCE(extract(epoch FROM max(now()-xact_start)), 0)::float8 AS \"oldest_xact_seconds\", \
                   left(query, 200) FROM pg_stat_activity ORDER BY 1";
        let wanted = vec![
            column(0, "max_conn", Type::INT4),
            column(1, "used", Type::INT8),
            column(2, "oldest_xact_seconds", Type::FLOAT8),
            column(3, "left", Type::TEXT),
        ];
        assert_eq!(read(sql), Ok(wanted));
    }

    #[test]
    fn a_common_table_expression_is_passed_over() {
        let sql = "WITH s AS (SELECT 1 AS one) SELECT used::int4 FROM s;";
        assert_eq!(read(sql), Ok(vec![column(1, "used", Type::INT4)]));
    }

    #[test]
    fn an_unknown_column_is_named() {
        assert_eq!(read("SELECT used, 1 AS nonsense FROM x"), Err("nonsense".to_owned()));
        assert_eq!(read("SELECT 1"), Err("1".to_owned()));
    }
}
