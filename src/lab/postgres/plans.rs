//! Plans as EXPLAIN draws them: a whole read where a column has no valid index, an index scan where it has one.
//! It knows statements by their table and the column they compare, nothing more.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::json;

use crate::lab::signals::Database;

/// The lines of a plan; one line of JSON if that is wanted.
pub(super) fn explain(database: &Database, statement: &str, as_json: bool) -> Vec<String> {
    static SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r#"(?i)(?:from|update|into) "?(\w+)"?(?:.*? where (?:"?\w+"?\.)?"?(\w+)"? ?= ?)?"#).ok()
    });
    let found = SHAPE.as_ref().and_then(|shape| shape.captures(statement));
    let word =
        |index: usize| found.as_ref().and_then(|found| found.get(index)).map(|word| word.as_str().to_owned());
    let Some(table) = word(1).and_then(|name| database.table(&name).cloned()) else {
        let line = "Result  (cost=0.00..0.01 rows=1 width=4)".to_owned();
        let plan = json!([{ "Plan": { "Node Type": "Result", "Total Cost": 0.01, "Plan Rows": 1 } }]);
        return vec![if as_json { plan.to_string() } else { line }];
    };
    let column = word(2).filter(|column| table.columns.contains(column));
    let index = column.as_ref().and_then(|column| {
        let by = |index: &&crate::lab::database::Index| {
            index.valid && index.table == table.name && index.columns.first() == Some(column)
        };
        database.indexes.iter().find(by)
    });
    let name = &table.name;
    let (plan, line) = match (index, column) {
        (Some(index), Some(column)) => (
            json!({ "Node Type": "Index Scan", "Index Name": index.name, "Relation Name": name, "Schema": "public",
                "Alias": name, "Total Cost": 8.45, "Plan Rows": 1, "Index Cond": format!("({name}.{column} = $1)") }),
            format!("Index Scan using {} on {name}  (cost=0.43..8.45 rows=1 width=72)", index.name),
        ),
        (None, Some(column)) => (
            json!({ "Node Type": "Seq Scan", "Relation Name": name, "Schema": "public", "Alias": name,
                "Total Cost": table.rows * 0.022, "Plan Rows": 1, "Filter": format!("({name}.{column} = $1)") }),
            format!("Seq Scan on {name}  (cost=0.00..{:.2} rows=1 width=72)", table.rows * 0.022),
        ),
        _ => (
            json!({ "Node Type": "Seq Scan", "Relation Name": name, "Schema": "public", "Alias": name,
                "Total Cost": table.rows * 0.02, "Plan Rows": table.rows }),
            format!("Seq Scan on {name}  (cost=0.00..{:.2} rows={} width=72)", table.rows * 0.02, table.rows),
        ),
    };
    vec![if as_json { json!([{ "Plan": plan }]).to_string() } else { line }]
}
