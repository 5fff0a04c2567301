//! Events have one store and two faces: `v1` and `events.k8s.io/v1` name the same fields differently.
//! It renames fields and knows nothing else.
use serde_json::{Map, Value};

/// (core/v1, events.k8s.io/v1)
const NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// A core event as events.k8s.io shows it.
pub fn to_new(event: &Value) -> Value {
    let mut renamed = rename(event, |(old, new)| (old, new));
    renamed["apiVersion"] = "events.k8s.io/v1".into();
    renamed
}

/// An event written through events.k8s.io as core/v1 stores it.
pub fn to_core(event: &Value) -> Value {
    let mut renamed = rename(event, |(old, new)| (new, old));
    renamed["apiVersion"] = "v1".into();
    renamed
}

fn rename(
    event: &Value,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Value {
    let fields = event.as_object().into_iter().flatten();
    let renamed = fields.map(|(key, value)| {
        let name = NAMES.iter().map(|pair| direction(*pair)).find(|(from, _)| from == key);
        (name.map_or(key.as_str(), |(_, to)| to).to_owned(), value.clone())
    });
    Value::Object(renamed.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_faces_hold_the_same_event() {
        let core = json!({"apiVersion": "v1", "message": "Back-off", "count": 3, "reason": "BackOff"});
        let new = to_new(&core);
        assert_eq!((&new["note"], &new["deprecatedCount"]), (&json!("Back-off"), &json!(3)));
        assert_eq!(to_core(&new), core);
    }
}
