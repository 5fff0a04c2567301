//! What a plan gives away: the table that is read whole, and the columns an index would have to have. It reads
//! PostgreSQL's own words for conditions, `(users.email = $1)`, and knows nothing of the server.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// A whole table read to find some of its rows.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Scan {
    pub schema: String,
    pub table: String,
    /// In the order of an index: compared for equality first, then one that is compared by order.
    pub columns: Vec<String>,
    pub filter: String,
    pub cost: f64,
}

/// The most expensive whole read with a condition, wherever it is in the plan.
pub(super) fn costliest_scan(plan: &Value) -> Option<Scan> {
    let mut scans = Vec::new();
    walk(plan, &mut scans);
    scans.into_iter().max_by(|one, other| one.cost.total_cmp(&other.cost))
}

/// The plan as lines, a step of the tree each.
pub(super) fn lines(plan: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in plan.as_array().into_iter().flatten() {
        draw(&entry["Plan"], 0, &mut lines);
    }
    lines
}

fn walk(value: &Value, scans: &mut Vec<Scan>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, scans)),
        Value::Object(fields) => {
            scans.extend(scan(value));
            fields
                .values()
                .filter(|field| field.is_array() || field.is_object())
                .for_each(|field| walk(field, scans));
        }
        _ => {}
    }
}

fn scan(node: &Value) -> Option<Scan> {
    let text = |name: &str| node[name].as_str();
    if !text("Node Type")?.ends_with("Seq Scan") {
        return None;
    }
    let filter = text("Filter")?;
    let alias = text("Alias").or(text("Relation Name"))?;
    Some(Scan {
        schema: text("Schema").unwrap_or("public").to_owned(),
        table: text("Relation Name")?.to_owned(),
        columns: columns(filter, alias),
        filter: filter.to_owned(),
        cost: node["Total Cost"].as_f64().unwrap_or_default(),
    })
}

/// Columns of the table that the condition compares with something. A column inside a function is no help:
/// its index would have to be of the expression.
fn columns(filter: &str, alias: &str) -> Vec<String> {
    static COMPARED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(\(*)"?(\w+)"?\."?(\w+)"?\)?(?:::[a-z ]+(?:\(\d+\))?)?\)? (=|<=|>=|<|>) "#).ok()
    });
    let Some(compared) = &*COMPARED else { return Vec::new() };
    // With OR, no single index answers the whole.
    if filter.contains(" OR ") {
        return Vec::new();
    }
    let (mut equal, mut ordered) = (Vec::new(), Vec::new());
    for found in compared.captures_iter(filter) {
        let before = found.get(0).map_or("", |whole| &filter[..whole.start()]);
        let in_function = !found[1].is_empty() && before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if in_function || &found[2] != alias {
            continue;
        }
        let column = found[3].to_owned();
        let list = if &found[4] == "=" { &mut equal } else { &mut ordered };
        if !list.contains(&column) {
            list.push(column);
        }
    }
    let one = ordered.into_iter().find(|column| !equal.contains(column));
    equal.extend(one);
    equal
}

fn draw(node: &Value, depth: usize, lines: &mut Vec<String>) {
    let text = |name: &str| node[name].as_str().unwrap_or_default();
    let lead = if depth == 0 { String::new() } else { format!("{}-> ", "  ".repeat(depth - 1)) };
    let on = [("Relation Name", " on "), ("Index Name", " using ")]
        .iter()
        .filter(|(name, _)| !text(name).is_empty())
        .map(|(name, word)| format!("{word}{}", text(name)))
        .collect::<String>();
    let filter = ["Index Cond", "Filter"]
        .iter()
        .filter(|name| !text(name).is_empty())
        .map(|name| format!(" {}: {}", name.to_lowercase(), text(name)))
        .collect::<String>();
    lines.push(format!(
        "{lead}{}{on} (cost {:.0}, {} rows){filter}",
        text("Node Type"),
        node["Total Cost"].as_f64().unwrap_or_default(),
        node["Plan Rows"]
    ));
    for child in node["Plans"].as_array().into_iter().flatten() {
        draw(child, depth + 1, lines);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_columns_of_an_index_are_those_that_are_compared() {
        for (filter, wanted) in [
            ("(users.email = $1)", vec!["email"]),
            ("((users.email)::text = $1)", vec!["email"]),
            (
                "(((users.email)::character varying(80) = $1) AND (users.seen > $2) AND users.active)",
                vec!["email", "seen"],
            ),
            ("((users.seen > $2) AND (users.tenant = $1) AND (users.made < $3))", vec!["tenant", "seen"]),
            ("(lower((users.email)::text) = $1)", vec![]),
            ("((users.email = $1) OR (users.name = $2))", vec![]),
            ("(orders.email = $1)", vec![]),
        ] {
            assert_eq!(columns(filter, "users"), wanted, "{filter}");
        }
    }

    #[test]
    fn the_costliest_whole_read_is_found_below_joins() {
        let plan = json!([{"Plan": {"Node Type": "Nested Loop", "Total Cost": 900.0, "Plan Rows": 1, "Plans": [
            {"Node Type": "Seq Scan", "Relation Name": "items", "Schema": "shop", "Alias": "i", "Total Cost": 20.0, "Plan Rows": 1, "Filter": "(i.id = $1)"},
            {"Node Type": "Gather", "Total Cost": 800.0, "Plan Rows": 1, "Plans": [
                {"Node Type": "Parallel Seq Scan", "Relation Name": "users", "Schema": "public", "Alias": "u", "Total Cost": 790.0, "Plan Rows": 1, "Filter": "(u.email = $2)"}]}]}}]);
        let found = costliest_scan(&plan).unwrap();
        assert_eq!((found.table.as_str(), found.columns), ("users", vec!["email".to_owned()]));
        assert_eq!(lines(&plan).len(), 4);
        assert!(costliest_scan(&json!([{"Plan": {"Node Type": "Index Scan"}}])).is_none());
    }
}
