//! How things look: colours where there are any, and characters that the terminal has.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::report::text::{self, line};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Colours, besides bold, faint and reverse.
    pub(crate) colour: bool,
    /// Block elements, dashes and ellipses; ASCII otherwise.
    pub(crate) unicode: bool,
}

impl Look {
    pub(super) const fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// ` · `
    pub(super) const fn dot(self) -> &'static str {
        self.pick(" · ", " | ")
    }

    const fn ink(self, style: Style, colour: Color) -> Style {
        if self.colour { style.fg(colour) } else { style }
    }

    pub(super) const fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) const fn faint() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) const fn marked() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) const fn bar(self) -> Style {
        self.ink(Style::new(), Color::Cyan)
    }

    pub(super) const fn good(self) -> Style {
        self.ink(Style::new(), Color::Green)
    }

    pub(super) const fn bad(self) -> Style {
        self.ink(Self::strong(), Color::Yellow)
    }

    /// A shade of the heat map for the levels 1 to 5.
    pub(super) const fn heat(self, level: usize) -> Span<'static> {
        let (unicode, ascii, colour) = match level {
            0 => (" ", " ", Color::Reset),
            1 => ("·", ".", Color::Blue),
            2 => ("░", ":", Color::Cyan),
            3 => ("▒", "+", Color::Green),
            4 => ("▓", "*", Color::Yellow),
            _ => ("█", "#", Color::Red),
        };
        let style = if level == 0 {
            Style::new()
        } else {
            self.ink(Style::new(), colour)
        };
        Span {
            content: std::borrow::Cow::Borrowed(self.pick(unicode, ascii)),
            style,
        }
    }

    /// For the functions shared with the text report.
    pub(super) const fn text(self, width: usize) -> text::Style {
        text::Style {
            width,
            colour: false,
            unicode: self.unicode,
        }
    }

    /// Text from the target, harmless, in exactly `width` columns: cut in the middle or filled up.
    pub(super) fn fit(self, text: &str, width: usize) -> String {
        let mut fitted = line::shorten_middle(text, width, self.text(width));
        // Characters of two columns.
        while columns(&fitted) > width {
            fitted.pop();
        }
        let missing = width.saturating_sub(columns(&fitted));
        fitted.extend(std::iter::repeat_n(' ', missing));
        fitted
    }

    /// Text from the target, harmless, as long as it is.
    pub(super) fn safe(self, text: &str) -> String {
        line::printable(text, self.unicode)
    }
}

/// Columns that text takes on a terminal.
pub(super) fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// To the right end of a field.
pub(super) fn right(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    let mut field = " ".repeat(missing);
    field.push_str(text);
    field
}
