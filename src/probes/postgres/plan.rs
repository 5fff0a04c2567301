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
    /// What columns are compared with something, in the order of an index: for equality first, then by order.
    compared: Vec<Compared>,
    pub filter: String,
    pub cost: f64,
}

/// A column that is compared with something that no row of its table tells.
#[derive(Clone, PartialEq, Debug)]
struct Compared {
    column: String,
    equal: bool,
    /// What is called to know with what.
    functions: Vec<String>,
}

impl Scan {
    /// Functions that are called for what columns are compared with, each once.
    pub(super) fn functions(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.compared.iter().flat_map(|compared| compared.functions.iter().cloned()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The columns of an index that would serve it: compared for equality, then one by order. What a volatile function says
    /// is another thing for each row, and no index can be asked for it.
    pub(super) fn columns(&self, volatile: &[String]) -> Vec<String> {
        let serves = |compared: &&Compared| !compared.functions.iter().any(|name| volatile.contains(name));
        let of = |equal: bool| {
            let compared = self.compared.iter().filter(serves).filter(move |one| one.equal == equal);
            compared.map(|one| one.column.clone())
        };
        let mut columns: Vec<String> = Vec::new();
        columns.extend(of(true));
        let one = of(false).find(|column| !columns.contains(column));
        columns.extend(one);
        let mut seen = std::collections::BTreeSet::new();
        columns.retain(|column| seen.insert(column.clone()));
        columns
    }
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
        compared: compared(filter, alias),
        filter: filter.to_owned(),
        cost: node["Total Cost"].as_f64().unwrap_or_default(),
    })
}

/// Columns of the table that the condition compares with something. A column inside a function is no help:
/// its index would have to be of the expression; nor is one that is compared with another of the same row.
fn compared(filter: &str, alias: &str) -> Vec<Compared> {
    static COMPARED: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(\(*)"?(\w+)"?\."?(\w+)"?\)?(?:::[a-z ]+(?:\(\d+\))?)?\)? (=|<=|>=|<|>) "#).ok()
    });
    static CALLED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(\w+)\(").ok());
    let (Some(pattern), Some(called)) = (&*COMPARED, &*CALLED) else { return Vec::new() };
    // With OR, no single index answers the whole.
    if filter.contains(" OR ") {
        return Vec::new();
    }
    let mut all = Vec::new();
    for found in pattern.captures_iter(filter) {
        let (from, to) = found.get(0).map_or((0, 0), |whole| (whole.start(), whole.end()));
        let before = &filter[..from];
        let in_function = !found[1].is_empty() && before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let with = filter[to..].split(" AND ").next().unwrap_or_default();
        let of_the_row = with.contains(&format!("{alias}."));
        if in_function || &found[2] != alias || of_the_row {
            continue;
        }
        let functions = called.captures_iter(with).map(|name| name[1].to_owned()).collect();
        all.push(Compared { column: found[3].to_owned(), equal: &found[4] == "=", functions });
    }
    all
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
            ("(users.id = ((random() * $1))::integer)", vec![]),
            ("((users.id = ((random() * $1))::integer) AND (users.tenant = abs($2)))", vec!["tenant"]),
            ("((users.made = users.seen) AND (users.tenant = $1))", vec!["tenant"]),
        ] {
            let node = json!({"Node Type": "Seq Scan", "Relation Name": "users", "Filter": filter});
            let scan = scan(&node).unwrap();
            assert_eq!(scan.columns(&["random".to_owned()]), wanted, "{filter}");
        }
    }

    #[test]
    fn the_costliest_whole_read_is_found_below_joins() {
        let plan = json!([{"Plan": {"Node Type": "Nested Loop", "Total Cost": 900.0, "Plan Rows": 1, "Plans": [
            {"Node Type": "Seq Scan", "Relation Name": "items", "Schema": "shop", "Alias": "i", "Total Cost": 20.0, "Plan Rows": 1, "Filter": "(i.id = $1)"},
            {"Node Type": "Gather", "Total Cost": 800.0, "Plan Rows": 1, "Plans": [
                {"Node Type": "Parallel Seq Scan", "Relation Name": "users", "Schema": "public", "Alias": "u", "Total Cost": 790.0, "Plan Rows": 1, "Filter": "(u.email = $2)"}]}]}}]);
        let found = costliest_scan(&plan).unwrap();
        assert_eq!((found.table.as_str(), found.columns(&[])), ("users", vec!["email".to_owned()]));
        assert_eq!(lines(&plan).len(), 4);
        assert!(costliest_scan(&json!([{"Plan": {"Node Type": "Index Scan"}}])).is_none());
    }
}
