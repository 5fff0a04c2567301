//! The table that an index would be on: its size, its indexes, who owns it; and what speaks against another.

use tokio_postgres::types::{ToSql, Type};

use super::{name, refused};
use crate::config::{DatabaseRow, DatabaseSession, database_queries as queries};
use crate::domain::{Name, text};
use crate::guard::{Guard, Hazard, Refusal};

/// The right that indexes take.
pub(super) const RIGHT: &str = "only the owner of the table may: use the owner's role, or be a member of it";
/// Building on a larger table is for a quiet hour (audit, section 4).
const LARGE: u64 = 10 << 30;

/// What is known about the table an index would be on.
pub(super) struct Facts {
    pub rows: i64,
    pub bytes: u64,
    owns: bool,
    missing: Vec<String>,
    /// `name (columns)`, with `INVALID` where it is so.
    pub indexes: Vec<String>,
    /// An index with these columns first, and whether it is valid.
    same: Option<(String, bool)>,
    /// An index of this very name, and whether it is valid.
    named: Option<bool>,
}

impl Facts {
    pub(super) fn hazards(&self, own: &str) -> Vec<Hazard> {
        let mut hazards = Vec::new();
        if !self.missing.is_empty() {
            let says = format!("the table has no column {}", self.missing.join(", "));
            hazards.push(Hazard::stop(Guard::Target, says));
        }
        if !self.owns {
            hazards.push(Hazard::stop(Guard::Permission, RIGHT));
        }
        let leftover = match (&self.same, self.named) {
            (Some((name, false)), _) => Some(name.as_str()),
            (_, Some(false)) => Some(own),
            _ => None,
        };
        if let Some(name) = leftover {
            hazards.push(Hazard::stop(
                Guard::Target,
                format!("index {name} was never finished (INVALID): drop it first, then build it again"),
            ));
        } else if let Some((name, true)) = &self.same {
            hazards
                .push(Hazard::stop(Guard::Target, format!("index {name} already begins with these columns")));
        } else if self.named == Some(true) {
            hazards.push(Hazard::stop(Guard::Target, format!("there is another index named {own}")));
        }
        if self.bytes > LARGE {
            let says = format!("the table has {}: expect long and heavy reading", text::bytes(self.bytes));
            hazards.push(Hazard::warn(Guard::Target, says));
        }
        hazards
    }
}

const FACTS: &str = "/* covet:table-facts */ SELECT t.reltuples::int8::text AS row_count, \
    pg_table_size(t.oid)::text AS bytes, pg_has_role(current_user, t.relowner, 'USAGE')::text AS owns, \
    array_to_string(ARRAY(SELECT wanted FROM unnest($2::text[]) AS wanted WHERE NOT EXISTS \
      (SELECT 1 FROM pg_attribute a WHERE a.attrelid=t.oid AND a.attname=wanted AND a.attnum>0 AND NOT a.attisdropped)), ',') AS missing \
    FROM pg_class t WHERE t.oid=to_regclass($1::text) AND t.relkind IN ('r','p','m')";
const INDEXES: &str = "/* covet:indexes-of */ SELECT c.relname::text AS index_name, i.indisvalid::text AS valid, \
    (SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place) \
     JOIN pg_attribute a ON a.attrelid=i.indrelid AND a.attnum=k.number)::text AS columns, \
    (i.indpred IS NULL AND i.indexprs IS NULL)::text AS plain \
    FROM pg_index i JOIN pg_class c ON c.oid=i.indexrelid WHERE i.indrelid=to_regclass($1::text)";

pub(super) async fn facts(
    look: &DatabaseSession,
    table: &Name,
    columns: &[Name],
    own: &str,
) -> Result<Facts, Refusal> {
    let quoted = name(table)?;
    let wanted: Vec<&str> = columns.iter().map(|column| &**column).collect();
    let values: [(&(dyn ToSql + Sync), Type); 2] = [(&quoted, Type::TEXT), (&wanted, Type::TEXT_ARRAY)];
    let found = look.ask_with(FACTS, &values).await.map_err(refused)?;
    let Some(row) = found.first() else {
        return Err(Refusal::new(format!("there is no table {table} in this database")));
    };
    let indexes = look.ask_with(INDEXES, &[(&quoted, Type::TEXT)]).await.map_err(refused)?;
    let valid = |row: &DatabaseRow| row.text("valid") == "true";
    let list = wanted.join(",");
    let begins = |row: &&DatabaseRow| {
        let has = row.text("columns");
        row.text("plain") == "true" && (has == list || has.starts_with(&format!("{list},")))
    };
    // A leftover is in the way even beside a good one of the same columns.
    let same = indexes.iter().filter(begins).min_by_key(|row| valid(row));
    Ok(Facts {
        rows: row.number("row_count").unwrap_or_default(),
        bytes: row.number("bytes").unwrap_or_default(),
        owns: row.text("owns") == "true",
        missing: row.text("missing").split(',').filter(|word| !word.is_empty()).map(text::clean).collect(),
        indexes: indexes
            .iter()
            .map(|row| {
                let note = if valid(row) { "" } else { " INVALID" };
                format!("{} ({}){note}", queries::name(row, "index_name"), queries::name(row, "columns"))
            })
            .collect(),
        same: same.map(|row| (queries::name(row, "index_name").to_string(), valid(row))),
        named: indexes.iter().find(|row| row.text("index_name") == own).map(valid),
    })
}
