//! The help page: every key, and the words of the screen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::look::Look;
use super::target::scrolled;
use crate::dashboard::state::State;

const KEYS: &[(&str, &str)] = &[
    (
        "1-7, Tab, h, l",
        "pages: overview, time, types, maps, sites, stacks, target",
    ),
    (
        "j, k, arrows",
        "move; PageUp and PageDown by ten, g and G to the ends",
    ),
    (
        "Enter, Esc",
        "open a row: its depths, maps, call sites, stacks; go back",
    ),
    ("/", "filter the table by part of a name, a type or a file"),
    (
        "s, S",
        "sort by excess, count, mean, p99, max, name; turn round",
    ),
    ("o, O", "one kind of operation alone, on all pages"),
    ("w", "the whole run, or the last interval alone"),
    ("x, b", "every depth or powers of two; bars logarithmic"),
    ("+, -", "fewer or more intervals in a column of time"),
    (
        "p, Space",
        "pause: the display stands still, counting goes on",
    ),
    ("r, R", "start over from zero on the screen; take that back"),
    ("e", "write what is on the screen to a new JSON file here"),
    ("q", "end, and print the report of the whole run"),
    (
        "Ctrl-C",
        "the same; a command that map-probe started gets it too",
    ),
    ("Ctrl-Z", "suspend"),
];

const WORDS: &[(&str, &str)] = &[
    (
        "depth",
        "buckets or groups that an operation examined; 1 is ideal",
    ),
    ("p99", "99% of the operations have this depth or less"),
    (
        "excess",
        "probes beyond the first: what a better table would save",
    ),
    (
        "tables",
        "maps of more than one bucket or group; the small: page 7",
    ),
    ("load", "entries for each slot of a map's buckets or groups"),
    (
        "quality",
        "operations seen and in no row, by cause. None: exact",
    ),
    (
        "cost",
        "how much the watching slows the target, and our own use",
    ),
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let entry = |(word, says): &(&'static str, &'static str)| {
        Line::from(vec![
            Span::styled(format!("  {word:<16}"), Look::strong()),
            Span::raw(*says),
        ])
    };
    let mut text = vec![Line::styled("keys", look.bar())];
    text.extend(KEYS.iter().map(entry));
    text.push(Line::default());
    text.push(Line::styled("words", look.bar()));
    text.extend(WORDS.iter().map(entry));
    scrolled(frame, area, text, state.scroll);
}
