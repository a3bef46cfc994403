//! One line of a screen: styled text that never gets wider than the screen.

/// How text is drawn, besides what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns of the screen, at least 1.
    pub width: usize,
    /// ANSI escapes for colour and weight.
    pub colour: bool,
    /// Block elements, dashes and ellipses; ASCII otherwise.
    pub unicode: bool,
}

impl Style {
    /// For files and pipes: 80 columns without colour.
    #[must_use]
    pub const fn plain(unicode: bool) -> Self {
        Self {
            width: 80,
            colour: false,
            unicode,
        }
    }

    pub(crate) const fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    pub(super) const fn ellipsis(self) -> &'static str {
        self.pick("…", "~")
    }
}

/// What a piece of text is, and so how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    /// What to read first.
    Strong,
    /// Labels, rules.
    Faint,
    /// Histogram bars.
    Bar,
    /// All is well.
    Good,
    /// Something is missing.
    Bad,
}

impl Ink {
    const fn escape(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Bar => "\x1b[36m",
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[1;33m",
        }
    }
}

/// A line in the making.
pub(super) struct Line {
    style: Style,
    text: String,
    columns: usize,
}

impl Line {
    pub(super) const fn new(style: Style) -> Self {
        Self {
            style,
            text: String::new(),
            columns: 0,
        }
    }

    /// Columns that are free.
    pub(super) const fn left(&self) -> usize {
        self.style.width.saturating_sub(self.columns)
    }

    /// Appends text; what does not fit is cut, with an ellipsis in the last column.
    pub(super) fn push(mut self, ink: Ink, text: &str) -> Self {
        let fitting = printable(text, self.style.unicode);
        let fitting = shorten_end(&fitting, self.left(), self.style);
        if fitting.is_empty() {
            return self;
        }
        self.columns += columns(&fitting);
        if self.style.colour && ink != Ink::Plain {
            self.text.push_str(ink.escape());
            self.text.push_str(&fitting);
            self.text.push_str("\x1b[0m");
        } else {
            self.text.push_str(&fitting);
        }
        self
    }

    /// Appends text in a field of its own, to the right end.
    pub(super) fn right(self, ink: Ink, field: usize, text: &str) -> Self {
        let blank = field.saturating_sub(columns(text));
        self.blank(blank).push(ink, text)
    }

    /// Appends text in a field of its own, to the left end.
    pub(super) fn left_in(self, ink: Ink, field: usize, text: &str) -> Self {
        let blank = field.saturating_sub(columns(text));
        self.push(ink, text).blank(blank)
    }

    /// Appends blank columns.
    pub(super) fn blank(mut self, count: usize) -> Self {
        let count = count.min(self.left());
        self.text.extend(std::iter::repeat_n(' ', count));
        self.columns += count;
        self
    }

    /// The line, ended.
    pub(super) fn end(self) -> String {
        let mut text = self.text;
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
        text
    }
}

/// Columns that printable text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Names come from the target's binary: nothing in them may steer the terminal.
pub(crate) fn printable(text: &str, unicode: bool) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => '?',
        // Marks that change the direction of text, or take no column.
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' => '?',
        c if !unicode && !c.is_ascii() => '?',
        c => c,
    };
    text.chars().map(shown).collect()
}

fn shorten_end(text: &str, width: usize, style: Style) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let kept = width.saturating_sub(1);
    let mut short: String = text.chars().take(kept).collect();
    if width > 0 {
        short.push_str(style.ellipsis());
    }
    short
}

/// Cuts a name in the middle: both its ends tell names apart.
pub(crate) fn shorten_middle(name: &str, width: usize, style: Style) -> String {
    let name = printable(name, style.unicode);
    let length = columns(&name);
    if length <= width || width < 3 {
        return shorten_end(&name, width, style);
    }
    let tail = (width - 1) * 2 / 5;
    let head = width - 1 - tail;
    let start = name.chars().take(head);
    let ellipsis = style.ellipsis().chars();
    start
        .chain(ellipsis)
        .chain(name.chars().skip(length - tail))
        .collect()
}

/// Words as a paragraph below a label, each line indented to `indent` columns.
pub(super) fn paragraph(
    style: Style,
    label: (Ink, &str),
    indent: usize,
    ink: Ink,
    text: &str,
) -> String {
    let width = style.width.saturating_sub(indent).max(1);
    let mut line = Line::new(style)
        .blank(2)
        .left_in(label.0, indent.saturating_sub(2), label.1);
    let mut lines = String::new();
    for (index, words) in wrap(&printable(text, style.unicode), width)
        .iter()
        .enumerate()
    {
        if index > 0 {
            lines.push_str(&line.end());
            line = Line::new(style).blank(indent);
        }
        line = line.push(ink, words);
    }
    lines + &line.end()
}

/// Breaks text between words; a word longer than a line, wherever the line ends.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
            used = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            append(&mut lines, &word);
            lines.push(String::new());
            word = rest;
        }
        if used > 0 {
            append(&mut lines, &[' ']);
            used += 1;
        }
        append(&mut lines, &word);
        used += word.len();
    }
    lines
}

fn append(lines: &mut [String], chars: &[char]) {
    if let Some(last) = lines.last_mut() {
        last.extend(chars);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_too_long_keeps_both_its_ends() {
        let style = Style::plain(true);
        assert_eq!(
            shorten_middle("map[string]*orders.Line", 12, style),
            "map[str…Line"
        );
        assert_eq!(shorten_middle("map[int]bool", 12, style), "map[int]bool");
        let ascii = Style::plain(false);
        assert_eq!(
            shorten_middle("map[string]*orders.Line", 12, ascii),
            "map[str~Line"
        );
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\n\u{202e}c", true), "a?[2Jb??c");
        assert_eq!(printable("größe", false), "gr??e");
        assert_eq!(printable("größe", true), "größe");
    }

    #[test]
    fn lines_are_cut_at_the_width_and_colours_take_no_column() {
        let style = Style {
            width: 6,
            colour: true,
            unicode: true,
        };
        let line = Line::new(style)
            .push(Ink::Good, "abc")
            .push(Ink::Plain, "defgh")
            .end();
        assert_eq!(line, "\x1b[32mabc\x1b[0mde…\n");
    }

    #[test]
    fn words_are_wrapped_and_long_ones_broken() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a abcdefghij b", 4), ["a", "abcd", "efgh", "ij b"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
