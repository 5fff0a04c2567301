//! Values that clients bind to parameters, in text or binary.

use pgwire::api::Type;
use pgwire::api::portal::{Format, Portal};

use super::session::Prepared;
use super::tables::Value;

/// Bound values, in whatever format they came.
pub(super) fn values(portal: &Portal<Prepared>, kinds: &[Type]) -> Vec<Value> {
    let value = |(index, kind): (usize, &Type)| {
        let Some(Some(bytes)) = portal.parameters.get(index) else { return Value::Null };
        // A client may name fewer formats than values.
        let binary = match &portal.parameter_format {
            Format::Individual(codes) => codes.get(index).copied().unwrap_or(0) == 1,
            Format::UnifiedBinary => true,
            Format::UnifiedText => false,
        };
        if binary { binary_value(kind, bytes) } else { text_value(kind, &String::from_utf8_lossy(bytes)) }
    };
    kinds.iter().enumerate().map(value).collect()
}

fn binary_value(kind: &Type, bytes: &[u8]) -> Value {
    let whole = |bytes: &[u8]| bytes.iter().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
    match *kind {
        Type::INT4 => Value::Number(f64::from(whole(bytes) as i32)),
        Type::INT8 => Value::Number(whole(bytes) as f64),
        Type::FLOAT8 => Value::Number(f64::from_bits(whole(bytes) as u64)),
        Type::TEXT_ARRAY => Value::List(text_array(bytes)),
        _ => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
    }
}

fn text_value(kind: &Type, text: &str) -> Value {
    match *kind {
        Type::INT4 | Type::INT8 | Type::FLOAT8 => text.parse().map_or(Value::Null, Value::Number),
        Type::TEXT_ARRAY => {
            let inside = text.trim_matches(['{', '}']);
            Value::List(inside.split(',').map(|word| word.trim_matches('"').to_owned()).collect())
        }
        _ => Value::Text(text.to_owned()),
    }
}

/// One dimension: a header of twelve bytes, length and lower bound, then each word behind its length.
fn text_array(bytes: &[u8]) -> Vec<String> {
    let mut rest = bytes.get(20..).unwrap_or_default();
    let mut words = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length).max(0) as usize;
        let Some((word, tail)) = tail.split_at_checked(length) else { break };
        words.push(String::from_utf8_lossy(word).into_owned());
        rest = tail;
    }
    words
}
