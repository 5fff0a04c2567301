//! CBOR, which newer clients speak with CloudWatch and Performance Insights, and JSON, which the others speak: reading a
//! request, writing an answer.

use ciborium::Value;
use jiff::Timestamp;

use super::{Failure, Protocol};

/// CBOR's tag for seconds since the epoch (RFC 8949).
const EPOCH: u64 = 1;

/// # Errors
/// It is neither CBOR nor JSON.
pub(super) fn read(body: &[u8], protocol: Protocol) -> Result<Value, Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::new("SerializationException", error.to_string());
    match protocol {
        Protocol::Cbor => ciborium::from_reader(body).map_err(|error| broken(&error)),
        _ => serde_json::from_slice(body).map_err(|error| broken(&error)),
    }
}

pub(super) fn write(value: &Value, protocol: Protocol) -> Vec<u8> {
    if protocol != Protocol::Cbor {
        return json(value).to_string().into_bytes();
    }
    let mut body = Vec::new();
    // Nothing that is written here can fail: the buffer grows, and every value has its form.
    let _ = ciborium::into_writer(value, &mut body);
    body
}

/// The same in JSON, where a moment is a number.
fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Map(fields) => {
            let named =
                fields.iter().filter_map(|(name, value)| Some((name.as_text()?.to_owned(), json(value))));
            named.collect::<serde_json::Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(json).collect(),
        Value::Tag(_, inner) => json(inner),
        Value::Text(text) => text.as_str().into(),
        Value::Float(number) => (*number).into(),
        Value::Bool(is) => (*is).into(),
        other => other.as_integer().and_then(|whole| i64::try_from(whole).ok()).into(),
    }
}

/// A field of a structure.
pub(super) fn field<'a>(of: &'a Value, name: &str) -> Option<&'a Value> {
    of.as_map()?.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

/// A text of a structure, or "".
pub(super) fn word<'a>(of: &'a Value, name: &str) -> &'a str {
    field(of, name).and_then(Value::as_text).unwrap_or_default()
}

/// The elements of a list in a structure.
pub(super) fn each<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    field(of, name).and_then(Value::as_array).into_iter().flatten()
}

/// A moment in a structure.
///
/// # Errors
/// There is none.
pub(super) fn moment(of: &Value, name: &str) -> Result<Timestamp, Failure> {
    let given = field(of, name);
    let tagged = given.and_then(Value::as_tag).filter(|(tag, _)| *tag == EPOCH).map(|(_, value)| value);
    let seconds = tagged.or(given).and_then(|value| {
        let whole = value.as_integer().and_then(|whole| i64::try_from(whole).ok());
        whole.or_else(|| value.as_float().map(|seconds| seconds as i64))
    });
    let at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.ok_or_else(|| Failure::new("ValidationError", format!("The parameter {name} is no time")))
}

pub(super) fn time(at: Timestamp) -> Value {
    Value::Tag(EPOCH, Box::new(Value::Float(at.as_second() as f64)))
}

pub(super) fn structure<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
}
