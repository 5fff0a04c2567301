//! Resource quantities: `250m`, `2Gi`, `1e3`.
//! It knows numbers and suffixes only.

/// The value of a quantity; `None` if it is not one.
pub fn parse(text: &str) -> Option<f64> {
    const SUFFIXES: &[(&str, f64)] = &[
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
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
    let plain = |digits: &str| {
        let legal = digits.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
        legal.then(|| digits.parse::<f64>().ok().filter(|number| number.is_finite())).flatten()
    };
    if let Some((digits, factor)) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))
    {
        return plain(digits).map(|number| number * factor);
    }
    plain(text)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_have_suffixes() {
        assert_eq!(parse("250m"), Some(0.25));
        assert_eq!(parse("2Gi"), Some(2_147_483_648.0));
        assert_eq!(parse("1e3"), Some(1000.0));
        assert_eq!(parse("lots"), None);
        assert_eq!(parse("inf"), None);
        assert_eq!(parse("2 Gi"), None);
    }
}
