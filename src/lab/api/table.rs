//! `meta.k8s.io/v1 Table`: what `kubectl get` prints, computed on the server.
//! It knows the frame and the age words; the columns of each kind are in `columns`.
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns;
use super::render::{Include, metadata_only};
use crate::lab::store::{Object, Resource};

/// One column: `wide` ones show with `-o wide` only.
pub struct Column {
    pub name: &'static str,
    pub kind: &'static str,
    pub wide: bool,
    pub cell: fn(&Value, Timestamp) -> Value,
}

impl Column {
    pub const fn text(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "string", wide: false, cell }
    }
    pub const fn number(name: &'static str, cell: fn(&Value, Timestamp) -> Value) -> Self {
        Self { name, kind: "integer", wide: false, cell }
    }
    pub const fn wide(mut self) -> Self {
        self.wide = true;
        self
    }
}

/// The `columnDefinitions` of a kind.
pub fn definitions(resource: &Resource) -> Value {
    let rows = columns::of(resource).iter().map(|column| {
        json!({
            "name": column.name, "type": column.kind, "priority": i32::from(column.wide),
            "format": if column.name == "Name" { "name" } else { "" }, "description": "",
        })
    });
    rows.collect()
}

/// One row. `object` is embedded as the request asked: not at all, its metadata, or whole.
pub fn row(object: &Object, include: Include, now: Timestamp) -> Bytes {
    let value = object.value();
    let cells: Vec<Value> =
        columns::of(object.resource).iter().map(|column| (column.cell)(&value, now)).collect();
    let cells = Value::Array(cells);
    let embedded = match include {
        Include::None => "null".into(),
        Include::Metadata => String::from_utf8_lossy(&metadata_only(object)).into_owned(),
        Include::Object => String::from_utf8_lossy(object.json()).into_owned(),
    };
    Bytes::from(format!("{{\"cells\":{cells},\"object\":{embedded}}}"))
}

/// A table of these rows, as text.
pub fn table(version: &str, metadata: &Value, definitions: &Value, rows: &[Bytes]) -> String {
    let rows: Vec<_> = rows.iter().map(|row| String::from_utf8_lossy(row)).collect();
    format!("{}{}]}}", head(version, metadata, definitions), rows.join(","))
}

/// The beginning of a table, up to its first row.
pub fn head(version: &str, metadata: &Value, definitions: &Value) -> String {
    format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/{version}\",\"metadata\":{metadata},\"columnDefinitions\":{definitions},\"rows\":["
    )
}

/// `4m12s`, `3h`, `12d`: a span as kubectl prints it.
pub fn human(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |big: i64, unit: char, small: i64, fine: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{fine}") }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(hours / 24, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{}d", hours / 24),
        63_072_000..252_288_000 => two(hours / 24 / 365, 'y', hours / 24 % 365, 'd'),
        _ => format!("{}y", hours / 24 / 365),
    }
}

/// The age of a timestamp field, `<unknown>` when it is not set.
pub fn since(value: &Value, now: Timestamp) -> String {
    let at = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    at.map_or_else(|| "<unknown>".to_owned(), |at| human(now.as_second() - at.as_second()))
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn spans_read_as_in_kubectl() {
        let spans = [(5, "5s"), (119, "119s"), (120, "2m"), (252, "4m12s"), (660, "11m"), (11_000, "3h3m")];
        for (seconds, text) in spans {
            assert_eq!(human(seconds), text);
        }
        assert_eq!(human(100_000), "27h");
        assert_eq!(human(86_400 * 5 + 3600), "5d1h");
        assert_eq!(human(86_400 * 12), "12d");
        assert_eq!(human(86_400 * 800), "2y70d");
        assert_eq!(human(-9), "<invalid>");
    }
}
