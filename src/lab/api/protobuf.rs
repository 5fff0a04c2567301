//! The few objects kubectl insists on sending as protobuf: reviews, simple creations, evictions, delete options.
//! It knows the wire format and these messages' field numbers (k8s.io/api generated.proto); answers are JSON.
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::protobuf_job;
use crate::lab::store::seconds;

/// Envelope of every message: `k8s\0`, then a `runtime.Unknown`.
const MAGIC: &[u8] = b"k8s\0";

pub(super) type Schema = &'static [(u64, &'static str, Kind)];

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    Time,
    Message(Schema),
    Messages(Schema),
    /// Its fields are the outer message's own in JSON.
    Inline(Schema),
    Texts,
    TextMap,
    BytesMap,
    /// Names to quantities, each a message around its text.
    Quantities,
}

pub(super) const METADATA: Schema = &[
    (1, "name", Kind::Text),
    (2, "generateName", Kind::Text),
    (3, "namespace", Kind::Text),
    (5, "uid", Kind::Text),
    (6, "resourceVersion", Kind::Text),
    (8, "creationTimestamp", Kind::Time),
    (11, "labels", Kind::TextMap),
    (12, "annotations", Kind::TextMap),
    (13, "ownerReferences", Kind::Messages(OWNER)),
    (14, "finalizers", Kind::Texts),
];
const OWNER: Schema = &[
    (1, "kind", Kind::Text),
    (3, "name", Kind::Text),
    (4, "uid", Kind::Text),
    (5, "apiVersion", Kind::Text),
    (6, "controller", Kind::Flag),
    (7, "blockOwnerDeletion", Kind::Flag),
];
const DELETE_OPTIONS: Schema = &[
    (1, "gracePeriodSeconds", Kind::Number),
    (2, "preconditions", Kind::Message(&[(1, "uid", Kind::Text), (2, "resourceVersion", Kind::Text)])),
    (3, "orphanDependents", Kind::Flag),
    (4, "propagationPolicy", Kind::Text),
    (5, "dryRun", Kind::Texts),
];
const ACCESS: Schema = &[
    (
        1,
        "resourceAttributes",
        Kind::Message(&[
            (1, "namespace", Kind::Text),
            (2, "verb", Kind::Text),
            (3, "group", Kind::Text),
            (4, "version", Kind::Text),
            (5, "resource", Kind::Text),
            (6, "subresource", Kind::Text),
            (7, "name", Kind::Text),
        ]),
    ),
    (2, "nonResourceAttributes", Kind::Message(&[(1, "path", Kind::Text), (2, "verb", Kind::Text)])),
];

fn schema(kind: &str) -> Option<Schema> {
    Some(match kind {
        "ConfigMap" => &[
            (1, "metadata", Kind::Message(METADATA)),
            (2, "data", Kind::TextMap),
            (3, "binaryData", Kind::BytesMap),
            (4, "immutable", Kind::Flag),
        ],
        "Secret" => &[
            (1, "metadata", Kind::Message(METADATA)),
            (2, "data", Kind::BytesMap),
            (3, "type", Kind::Text),
            (4, "stringData", Kind::TextMap),
            (5, "immutable", Kind::Flag),
        ],
        "Namespace" | "ServiceAccount" | "SelfSubjectReview" => &[(1, "metadata", Kind::Message(METADATA))],
        "SelfSubjectAccessReview" => {
            &[(1, "metadata", Kind::Message(METADATA)), (2, "spec", Kind::Message(ACCESS))]
        }
        "SelfSubjectRulesReview" => &[
            (1, "metadata", Kind::Message(METADATA)),
            (2, "spec", Kind::Message(&[(1, "namespace", Kind::Text)])),
        ],
        "Eviction" => {
            &[(1, "metadata", Kind::Message(METADATA)), (2, "deleteOptions", Kind::Message(DELETE_OPTIONS))]
        }
        "DeleteOptions" => DELETE_OPTIONS,
        "Job" => protobuf_job::JOB,
        _ => return None,
    })
}

/// The object in a protobuf body; `None` when it is of another kind, or broken.
pub fn decode(body: &[u8]) -> Option<Value> {
    let (mut version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for (number, field) in fields(body.strip_prefix(MAGIC)?)? {
        match (number, field) {
            (1, Field::Bytes(bytes)) => {
                for (number, field) in fields(bytes)? {
                    match (number, field) {
                        (1, Field::Bytes(bytes)) => version = text(bytes)?,
                        (2, Field::Bytes(bytes)) => kind = text(bytes)?,
                        _ => {}
                    }
                }
            }
            (2, Field::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(raw, schema(&kind)?, kind == "Job")?;
    object["apiVersion"] = version.into();
    object["kind"] = kind.into();
    Some(object)
}

enum Field<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl Field<'_> {
    /// As Go writes what is not set.
    fn is_empty(&self) -> bool {
        matches!(self, Field::Varint(0) | Field::Bytes([]))
    }
}

/// The fields of a message in order; fixed-width ones do not occur in these messages.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (inner, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(inner)
            }
            _ => return None,
        };
        found.push((key >> 3, field));
    }
    Some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A `whole` message has no fields but those of the schema; of any other, what is not known does not matter here.
fn message(bytes: &[u8], schema: Schema, whole: bool) -> Option<Value> {
    let mut object = Map::new();
    for (number, field) in fields(bytes)? {
        match schema.iter().find(|(known, ..)| *known == number) {
            Some((_, name, kind)) => put(&mut object, name, *kind, &field, whole)?,
            None if whole && !field.is_empty() => return None,
            None => {}
        }
    }
    Some(Value::Object(object))
}

fn put(
    object: &mut Map<String, Value>,
    name: &str,
    kind: Kind,
    field: &Field<'_>,
    whole: bool,
) -> Option<()> {
    let value = match (kind, field) {
        (Kind::Number, Field::Varint(number)) => json!(*number as i64),
        (Kind::Flag, Field::Varint(number)) => json!(*number != 0),
        // Go writes empty strings and messages where JSON writes nothing
        (Kind::Text | Kind::Message(_) | Kind::Time, Field::Bytes([])) => return Some(()),
        (Kind::Text, Field::Bytes(bytes)) => text(bytes)?.into(),
        (Kind::Message(schema), Field::Bytes(bytes)) => message(bytes, schema, whole)?,
        (Kind::Inline(schema), Field::Bytes(bytes)) => {
            let Value::Object(inner) = message(bytes, schema, whole)? else { return None };
            object.extend(inner);
            return Some(());
        }
        (Kind::Messages(schema), Field::Bytes(bytes)) => {
            let inner = message(bytes, schema, whole)?;
            object.entry(name).or_insert_with(|| json!([])).as_array_mut()?.push(inner);
            return Some(());
        }
        (Kind::Time, Field::Bytes(bytes)) => {
            let whole = fields(bytes)?.into_iter().find_map(|(number, field)| match (number, field) {
                (1, Field::Varint(seconds)) => Some(seconds as i64),
                _ => None,
            })?;
            seconds(Timestamp::from_second(whole).ok()?).into()
        }
        (Kind::Texts, Field::Bytes(bytes)) => {
            let list = object.entry(name).or_insert_with(|| json!([]));
            list.as_array_mut()?.push(text(bytes)?.into());
            return Some(());
        }
        (Kind::TextMap | Kind::BytesMap | Kind::Quantities, Field::Bytes(bytes)) => {
            let (mut key, mut value) = (String::new(), &[][..]);
            for (number, field) in fields(bytes)? {
                match (number, field) {
                    (1, Field::Bytes(bytes)) => key = text(bytes)?,
                    (2, Field::Bytes(bytes)) => value = bytes,
                    _ => {}
                }
            }
            let value = match kind {
                Kind::BytesMap => BASE64_STANDARD.encode(value),
                Kind::Quantities => {
                    message(value, &[(1, "is", Kind::Text)], whole)?["is"].as_str()?.to_owned()
                }
                _ => text(value)?,
            };
            object.entry(name).or_insert_with(|| json!({})).as_object_mut()?.insert(key, value.into());
            return Some(());
        }
        _ => return None,
    };
    object.insert(name.to_owned(), value);
    Some(())
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kubectl create configmap later --from-literal=a=1 --from-literal=b=2` sends.
    const SENT: &[u8] = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x27\x0a\x15\x0a\x05later\x12\0\x1a\0\x22\0\x2a\0\x32\0\x38\0\x42\0\x12\x06\x0a\x01a\x12\x011\x12\x06\x0a\x01b\x12\x012\x1a\0\x22\0";

    #[test]
    fn a_real_message_is_read() {
        let object = decode(SENT).unwrap();
        let expected = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later"}, "data": {"a": "1", "b": "2"}});
        assert_eq!(object, expected);
    }

    #[test]
    fn broken_messages_are_refused() {
        for length in 4..SENT.len() - 6 {
            let _ = decode(&SENT[..length]);
        }
        assert!(decode(b"k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").is_none());
        assert!(decode(b"nothing").is_none());
    }
}
