//! Kubernetes quantities: `250m`, `1.5`, `2Gi`, `128M`, `12345n`, `1e3`.

/// The number a quantity stands for; None if it is none.
pub fn quantity(text: &str) -> Option<f64> {
    let text = text.trim();
    let split = text
        .find(|character: char| !(character.is_ascii_digit() || "+-.".contains(character)))
        .unwrap_or(text.len());
    let (digits, suffix) = text.split_at(split);
    let factor: f64 = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => 10f64.powi(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::quantity;

    #[test]
    fn every_suffix_is_known() {
        let known =
            [("250m", 0.25), ("2Gi", 2_147_483_648.0), ("1e3", 1000.0), ("12n", 1.2e-8), ("-1", -1.0)];
        for (text, value) in known {
            assert!((quantity(text).unwrap() - value).abs() < 1e-9, "{text}");
        }
        for none in ["", "much", "Gi", "3 Gi", "1x"] {
            assert_eq!(quantity(none), None, "{none}");
        }
    }
}
