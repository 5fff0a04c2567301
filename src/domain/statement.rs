//! SQL as it may be shown: what stands between quotes is a customer's name as often as a password, and goes.

/// What stands for a literal.
const STRUCK: &str = "'…'";

/// A statement without the values of its string literals: `'…'` with doubled quotes, `E'…'` with escapes, `$tag$…$tag$`.
/// Numbers, quoted identifiers and comments stay. One that was cut off within a literal loses the rest.
pub fn without_literals(sql: &str) -> String {
    let mut shown = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let is_word = |character: char| character.is_alphanumeric() || character == '_' || character == '$';
        let inside = shown.chars().next_back().is_some_and(is_word);
        let taken = match first {
            '\'' => {
                let escapes = ends_with_e(&shown);
                shown.push_str(STRUCK);
                literal(rest, escapes)
            }
            '$' if !inside => match dollar_quoted(rest) {
                Some(length) => {
                    shown.push_str(STRUCK);
                    length
                }
                None => keep(&mut shown, rest, 1),
            },
            '"' => keep(&mut shown, rest, rest[1..].find('"').map_or(rest.len(), |at| at + 2)),
            '-' if rest.starts_with("--") => keep(&mut shown, rest, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => {
                keep(&mut shown, rest, rest[2..].find("*/").map_or(rest.len(), |at| at + 4))
            }
            other => keep(&mut shown, rest, other.len_utf8()),
        };
        rest = &rest[taken..];
    }
    shown
}

fn keep(shown: &mut String, rest: &str, length: usize) -> usize {
    shown.push_str(&rest[..length]);
    length
}

/// Whether a literal that begins after this has backslashes that escape: after an `E` that ends no other word.
fn ends_with_e(before: &str) -> bool {
    let mut letters = before.chars().rev();
    matches!(letters.next(), Some('e' | 'E'))
        && !letters.next().is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
}

/// The length of the literal that this begins with, its quotes with it.
fn literal(rest: &str, escapes: bool) -> usize {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if escapes => {
                letters.next();
            }
            '\'' if letters.peek().is_some_and(|(_, next)| *next == '\'') => {
                letters.next();
            }
            '\'' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a dollar-quoted literal, if this begins with one; `$1` is a parameter.
fn dollar_quoted(rest: &str) -> Option<usize> {
    let end = rest[1..].find('$')? + 1;
    let (tag, after) = rest.split_at(end + 1);
    let name = &tag[1..end];
    let is_name = !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    is_name.then(|| after.find(tag).map_or(rest.len(), |at| tag.len() + at + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_literal_is_left() {
        for (sql, shown) in [
            ("alter role app password 'N3wS3cretPw'", "alter role app password '…'"),
            (
                "ALTER ROLE a ENCRYPTED PASSWORD 'it''s' VALID UNTIL 'x'",
                "ALTER ROLE a ENCRYPTED PASSWORD '…' VALID UNTIL '…'",
            ),
            (r"select E'it\'s' , 'C:\' , 7", "select E'…' , '…' , 7"),
            ("select 1 like'a', name'b'", "select 1 like'…', name'…'"),
            ("do $$ secret 'x' $$; select $1", "do '…'; select $1"),
            ("do $fn$ a $$ b $fn$ where n = $2 and m$x$ = 1", "do '…' where n = $2 and m$x$ = 1"),
            (r#"select "it's" from "a""b" where x = 'é'"#, r#"select "it's" from "a""b" where x = '…'"#),
            ("-- it's\nselect 'a' /* don't */ || 'b'", "-- it's\nselect '…' /* don't */ || '…'"),
            ("update users set email = 'who@exam", "update users set email = '…'"),
            ("select $tag$ cut o", "select '…'"),
            ("select $", "select $"),
            ("select '", "select '…'"),
            ("", ""),
        ] {
            assert_eq!(without_literals(sql), shown);
            assert_eq!(without_literals(shown), shown);
        }
    }
}
