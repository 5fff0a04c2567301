//! How many colours the terminal can show, by what the environment says of it.

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Colours {
    #[default]
    True,
    /// The 256 of xterm.
    Indexed,
    /// The terminal's own sixteen.
    Sixteen,
    /// None: state is told by signs, words and weight alone.
    None,
}

impl Colours {
    /// `NO_COLOR` (any value but the empty one) and `TERM=dumb` switch colours off; `COLORTERM` promises true
    /// colour; the name in `TERM` tells the rest.
    pub fn detect(environment: &dyn Fn(&str) -> Option<String>) -> Colours {
        let term = environment("TERM").unwrap_or_default();
        if environment("NO_COLOR").is_some_and(|value| !value.is_empty()) || term == "dumb" {
            return Colours::None;
        }
        let promised = environment("COLORTERM").unwrap_or_default();
        if matches!(promised.as_str(), "truecolor" | "24bit") || term.ends_with("-direct") {
            return Colours::True;
        }
        if term.contains("256color") || term.starts_with("tmux") || term.starts_with("alacritty") {
            return Colours::Indexed;
        }
        Colours::Sixteen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_believed() {
        let detect = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Colours::detect(&move |name| {
                pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
            })
        };
        assert_eq!(detect(&[("TERM", "tmux-256color")]), Colours::Indexed);
        assert_eq!(detect(&[("TERM", "tmux-256color"), ("COLORTERM", "truecolor")]), Colours::True);
        assert_eq!(detect(&[("TERM", "xterm"), ("NO_COLOR", "")]), Colours::Sixteen);
        assert_eq!(detect(&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")]), Colours::None);
    }
}
