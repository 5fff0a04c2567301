//! Colours by role, as far as the terminal can show them. Knows no state: who draws decides what a state is,
//! and says it with a sign or a word as well.

use std::sync::LazyLock;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::app::{App, Colours};
use crate::domain::{Severity, Tone};

/// A theme as its file has it: colours as `#rrggbb`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Theme {
    dim: String,
    border: String,
    accent: String,
    good: String,
    warn: String,
    bad: String,
    note: String,
    line: String,
    text: String,
    selected: String,
    banner: String,
}

static DARK: LazyLock<Option<Theme>> =
    LazyLock::new(|| toml::from_str(include_str!("../../assets/themes/dark.toml")).ok());
static LIGHT: LazyLock<Option<Theme>> =
    LazyLock::new(|| toml::from_str(include_str!("../../assets/themes/light.toml")).ok());

/// Styles by role.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub text: Style,
    pub strong: Style,
    /// Less important words.
    pub dim: Style,
    pub border: Style,
    /// Keys, focus, the suggested step.
    pub accent: Style,
    pub good: Style,
    pub warn: Style,
    pub bad: Style,
    /// Not seen, not known.
    pub note: Style,
    /// Lines of charts, bars without a state.
    pub line: Style,
    /// The selected row; its ink is for words that have none of their own (see [`Look::select`]).
    pub selected: Style,
    /// Production, and whatever else must not be overlooked.
    pub banner: Style,
}

impl Look {
    pub fn of(app: &App) -> Look {
        Look::new(&app.options.theme, app.options.colours)
    }

    pub fn new(theme: &str, colours: Colours) -> Look {
        let theme = if theme == "light" { &*LIGHT } else { &*DARK };
        match (theme, colours) {
            (Some(theme), Colours::True) => Look::from(|role| hex(role(theme)).unwrap_or(Color::Reset)),
            (Some(theme), Colours::Indexed) => {
                Look::from(|role| hex(role(theme)).map_or(Color::Reset, nearest_indexed))
            }
            (_, Colours::None) => Look::without_colours(),
            _ => Look::sixteen(),
        }
    }

    fn from(colour: impl Fn(fn(&Theme) -> &str) -> Color) -> Look {
        let ink = |role: fn(&Theme) -> &str| Style::new().fg(colour(role));
        Look {
            text: Style::new(),
            strong: Style::new().add_modifier(Modifier::BOLD),
            dim: ink(|theme| &theme.dim),
            border: ink(|theme| &theme.border),
            accent: ink(|theme| &theme.accent),
            good: ink(|theme| &theme.good),
            warn: ink(|theme| &theme.warn),
            bad: ink(|theme| &theme.bad).add_modifier(Modifier::BOLD),
            note: ink(|theme| &theme.note),
            line: ink(|theme| &theme.line),
            selected: Style::new()
                .bg(colour(|theme| &theme.selected))
                .fg(colour(|theme| &theme.text))
                .add_modifier(Modifier::BOLD),
            banner: Style::new()
                .bg(colour(|theme| &theme.banner))
                .fg(Color::Indexed(231))
                .add_modifier(Modifier::BOLD),
        }
    }

    /// The terminal's own sixteen: whoever chose them made them readable.
    fn sixteen() -> Look {
        let ink = |colour: Color| Style::new().fg(colour);
        Look {
            text: Style::new(),
            strong: Style::new().add_modifier(Modifier::BOLD),
            dim: ink(Color::DarkGray),
            border: ink(Color::DarkGray),
            accent: ink(Color::Cyan),
            good: ink(Color::Green),
            warn: ink(Color::Yellow),
            bad: ink(Color::Red).add_modifier(Modifier::BOLD),
            note: ink(Color::Magenta),
            line: ink(Color::Blue),
            selected: Style::new().add_modifier(Modifier::REVERSED),
            banner: Style::new().bg(Color::Red).fg(Color::White).add_modifier(Modifier::BOLD),
        }
    }

    fn without_colours() -> Look {
        let plain = Style::new();
        let strong = plain.add_modifier(Modifier::BOLD);
        Look {
            text: plain,
            strong,
            dim: plain.add_modifier(Modifier::DIM),
            border: plain.add_modifier(Modifier::DIM),
            accent: strong,
            good: plain,
            warn: strong,
            bad: strong.add_modifier(Modifier::UNDERLINED),
            note: plain.add_modifier(Modifier::ITALIC),
            line: plain,
            selected: plain.add_modifier(Modifier::REVERSED),
            banner: strong.add_modifier(Modifier::REVERSED),
        }
    }

    /// A style in the selected row: readable whatever the terminal's own colours are.
    pub fn select(selected: Style, style: Style) -> Style {
        if selected.add_modifier.contains(Modifier::REVERSED) {
            // Reversed, a dim or coloured word would be a stain.
            return selected.add_modifier(style.add_modifier.difference(Modifier::DIM));
        }
        let ink = style.fg.or(selected.fg);
        Style { fg: ink, ..style.patch(selected) }
    }

    pub fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.bad,
            Severity::Warning => self.warn,
            Severity::Suspect => self.note,
        }
    }

    pub fn tone(&self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => self.text,
            Tone::Heading => self.strong,
            Tone::Good => self.good,
            Tone::Bad => self.bad,
            Tone::Dim => self.dim,
        }
    }
}

fn hex(colour: &str) -> Option<Color> {
    let digits = colour.strip_prefix('#').filter(|digits| digits.len() == 6)?;
    let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    Some(Color::Rgb(part(0)?, part(2)?, part(4)?))
}

/// The nearest of the colour cube (16–231) and the greys (232–255) of xterm's 256.
fn nearest_indexed(colour: Color) -> Color {
    const STEPS: [i32; 6] = [0, 95, 135, 175, 215, 255];
    let Color::Rgb(red, green, blue) = colour else { return colour };
    let wanted = [i32::from(red), i32::from(green), i32::from(blue)];
    let far = |other: [i32; 3]| -> i32 { wanted.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum() };
    let nearest = |value: i32| {
        let by_distance = |step: &usize| (STEPS[*step] - value).abs();
        (0..STEPS.len()).min_by_key(by_distance).unwrap_or(0)
    };
    let cube = wanted.map(nearest);
    let in_cube = cube.map(|step| STEPS[step]);
    let grey = (0..24).min_by_key(|step| far([8 + step * 10; 3])).unwrap_or(0);
    if far([8 + grey * 10; 3]) < far(in_cube) {
        Color::Indexed(232 + grey as u8)
    } else {
        Color::Indexed((16 + 36 * cube[0] + 6 * cube[1] + cube[2]) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_themes_are_whole() {
        for theme in [&*DARK, &*LIGHT] {
            let theme = theme.as_ref().expect("a theme that parses");
            for colour in [&theme.dim, &theme.border, &theme.accent, &theme.good, &theme.warn, &theme.bad] {
                assert!(hex(colour).is_some(), "{colour}");
            }
        }
    }

    #[test]
    fn colours_degrade_to_their_nearest() {
        assert_eq!(nearest_indexed(Color::Rgb(255, 0, 0)), Color::Indexed(196));
        assert_eq!(nearest_indexed(Color::Rgb(0, 0, 0)), Color::Indexed(16));
        assert_eq!(nearest_indexed(Color::Rgb(128, 128, 128)), Color::Indexed(244));
    }

    #[test]
    fn without_colours_nothing_is_coloured() {
        let look = Look::new("dark", Colours::None);
        for style in [look.good, look.bad, look.warn, look.note, look.accent, look.banner, look.selected] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
        assert_ne!(look.bad, look.good);
    }
}
