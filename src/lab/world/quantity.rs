//! Kubernetes quantities: `250m`, `1.5`, `2Gi`, `128974848`.
//! It knows numbers and suffixes, not what is measured.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A quantity in base units: cores, bytes, pods.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantity(f64);

const SUFFIXES: [(&str, f64); 13] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
];

impl Quantity {
    pub fn value(self) -> f64 {
        self.0
    }

    /// `None` when it is not a quantity.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<f64>() {
            return Some(Self(number));
        }
        let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
        let number: f64 = text.strip_suffix(suffix)?.parse().ok()?;
        Some(Self(number * factor))
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::String(text) => Self::parse(&text).unwrap_or_default(),
            Value::Number(number) => Self(number.as_f64().unwrap_or_default()),
            _ => Self::default(),
        })
    }
}

/// Cores as Kubernetes would print them: `500m`, `2`.
pub fn cores(value: f64) -> String {
    let milli = (value * 1000.0).round() as i64;
    if milli % 1000 == 0 { (milli / 1000).to_string() } else { format!("{milli}m") }
}

/// Bytes in the largest binary unit that divides them: `2Gi`, `2662Mi`, `1000`.
pub fn bytes(value: f64) -> String {
    let whole = value.round() as i64;
    for (suffix, unit) in [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
        if whole != 0 && whole % unit == 0 {
            return format!("{}{suffix}", whole / unit);
        }
    }
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_and_printed() {
        for (text, value) in
            [("250m", 0.25), ("2Gi", 2_147_483_648.0), ("1.5", 1.5), ("3", 3.0), ("1k", 1000.0)]
        {
            assert_eq!(Quantity::parse(text).map(Quantity::value), Some(value), "{text}");
        }
        assert_eq!(Quantity::parse("two"), None);
        assert_eq!(
            (cores(0.5), cores(2.0), bytes(3.0 * 1024.0 * 1024.0)),
            ("500m".into(), "2".into(), "3Mi".into())
        );
    }
}
