//! Percentiles over time: a strip of bars for each, all on one logarithmic scale.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::look::{Look, right};
use super::sure::shown;
use super::{header, lines};
use crate::dashboard::state::State;
use crate::dashboard::state::history::Strip;
use crate::report::text::numbers::exact_in;

/// The strips, from the top, with their places among `Strip::percentiles`.
const STRIPS: [(&str, usize); 5] = [("max", 4), ("p99.9", 3), ("p99", 2), ("p90", 1), ("p50", 0)];

/// Columns left of the strips: the name and the newest value.
pub(super) const LABEL: usize = 14;

/// The lines of a strip, with so many lines for all.
const fn lines_per_strip(height: u16) -> u16 {
    let lines = height.saturating_sub(1) / 5;
    match lines {
        0 => 1,
        1 | 2 => lines,
        _ => 3,
    }
}

/// How many of `height` lines the strips and their title take.
pub(super) const fn height(height: u16) -> u16 {
    let wanted = 1 + 5 * lines_per_strip(height);
    if wanted < height || height < 6 {
        wanted
    } else {
        height
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let width = usize::from(area.width).saturating_sub(LABEL);
    let columns = state
        .data()
        .history
        .columns(width, state.zoom, state.choice.kind);
    let greatest = columns
        .iter()
        .flatten()
        .map(|strip| strip.percentiles[4])
        .max()
        .unwrap_or(1);
    let mut text = vec![title(state, look)];
    let tall = usize::from(lines_per_strip(area.height));
    for (name, place) in STRIPS {
        let newest = columns.iter().rev().flatten().next();
        let newest = newest.map_or("-".to_owned(), |strip| value(strip, place, look));
        for line in (0..tall).rev() {
            let label = if line == tall - 1 {
                format!("{name:<6}{} ", right(&newest, 7))
            } else {
                " ".repeat(LABEL)
            };
            let bars: String = columns
                .iter()
                .map(|strip| {
                    mark(
                        strip.as_ref().map(|strip| strip.percentiles[place]),
                        greatest,
                        tall,
                        line,
                        look,
                    )
                })
                .collect();
            let blank = width.saturating_sub(columns.len());
            text.push(Line::from(vec![
                Span::styled(label, Style::new()),
                Span::raw(" ".repeat(blank)),
                Span::styled(bars, look.bar()),
            ]));
        }
    }
    lines(frame, area, text);
}

/// One of a strip's percentiles, or where it lies.
fn value(strip: &Strip, place: usize, look: Look) -> String {
    let text = |depth: u32| exact_in(u64::from(depth), 6);
    let number = text(strip.percentiles[place]);
    if place > 3 {
        // The greatest depth that was seen.
        return number;
    }
    let range = strip.ranges.as_ref().map(|ranges| &ranges[place]);
    let range = range.map(|range| (text(range.low), text(range.high)));
    shown(&number, range, 6, look)
}

fn title(state: &State, look: Look) -> Line<'static> {
    let of = header::operations(state.choice.kind);
    let seconds = length(state.data().interval_seconds() * state.zoom as f64);
    let highest = if state.zoom > 1 {
        ", the highest of it"
    } else {
        ""
    };
    let time = format!("{}a column is {seconds}{highest} (+ -)", look.dot());
    Line::from(vec![
        Span::styled(format!("percentiles, {of}"), Look::strong()),
        Span::styled(time, Look::faint()),
    ])
}

/// `250 ms`, `1.0 s`, `20 s`.
fn length(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds => format!("{seconds:.0} s"),
    }
}

/// The part of a bar in one line, counted from the bottom: a bar's height is the logarithm of its depth.
fn mark(depth: Option<u32>, greatest: u32, tall: usize, line: usize, look: Look) -> char {
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let Some(depth) = depth else { return ' ' };
    let whole = 1.0 + f64::from(greatest.max(2)).log2();
    let part = (1.0 + f64::from(depth.max(1)).log2()) / whole;
    let reached = |eighth: &usize| *eighth as f64 <= part * (tall * 8) as f64 + 0.5;
    let eighths = (1..=tall * 8).take_while(reached).count().max(1);
    let here = eighths.saturating_sub(line * 8).min(8);
    if look.unicode {
        return EIGHTHS[here];
    }
    if tall > 1 {
        return if here >= 4 || (line == 0 && here > 0) {
            '#'
        } else {
            ' '
        };
    }
    // In a single line of ASCII the number itself says more than any mark.
    match depth {
        0..=9 => char::from_digit(depth, 10).unwrap_or('9'),
        _ => '#',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_greatest_depth_and_visible_at_depth_1() {
        let look = Look {
            colour: false,
            unicode: true,
        };
        assert_eq!(mark(Some(64), 64, 1, 0, look), '█');
        assert_eq!(mark(Some(1), 64, 1, 0, look), '▁');
        assert_eq!(mark(None, 64, 1, 0, look), ' ');
        let tall = [0, 1, 2].map(|line| mark(Some(8), 64, 3, line, look));
        assert_eq!(tall, ['█', '▆', ' ']);
        let ascii = Look {
            colour: false,
            unicode: false,
        };
        assert_eq!(mark(Some(7), 64, 1, 0, ascii), '7');
        assert_eq!(mark(Some(12), 64, 1, 0, ascii), '#');
    }
}
