//! The operations by kind, in numbers; the one that is shown elsewhere is marked.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::header;
use super::lines;
use super::look::{Look, right};
use crate::dashboard::state::list::chosen;
use crate::dashboard::state::{KINDS, State};
use crate::report::counts::excess;
use crate::report::model::{Mode, Report};
use crate::report::summary::Summary;
use crate::report::text::numbers::{compact, exact_in, mean, share};

/// Columns of the numbers, from left to right.
const COUNT: usize = 14;
const RATE: usize = 9;
const DEPTH: usize = 7;

/// All kinds of operations, their total above them, and the heading.
pub(super) const HEIGHT: u16 = 8;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let report = state.report();
    let width = usize::from(area.width);
    let mut text = vec![heading(report, width)];
    for kind in KINDS {
        let rows = &report.counts.operations;
        let summary = Summary::of(chosen(rows, kind));
        let probes = excess(chosen(rows, kind));
        let marked = kind == state.choice.kind;
        let name = header::operations(kind);
        let line = row(report, &name, summary, probes, marked, width, look);
        let style = match (marked, summary) {
            (true, _) => Look::marked(),
            (false, None) => Look::faint(),
            (false, Some(_)) if kind.is_none() => Look::strong(),
            (false, Some(_)) => Style::new(),
        };
        text.push(Line::styled(line, style));
    }
    lines(frame, area, text);
}

/// Columns of a name, if that leaves room for the numbers.
const fn name_columns(width: usize) -> usize {
    width.saturating_sub(2 + COUNT + RATE + 5 * DEPTH)
}

fn heading(report: &Report, width: usize) -> Line<'static> {
    let (count, rate) = match report.mode {
        Mode::Trace => ("count", "per s"),
        Mode::Sample => ("samples", "share"),
    };
    let mut text = format!("  {:<1$}", "on tables", name_columns(width));
    text += &right(count, COUNT);
    text += &right(rate, RATE);
    for title in ["mean", "p50", "p99", "max", "excess"] {
        text += &right(title, DEPTH);
    }
    Line::styled(text, Look::faint())
}

fn row(
    report: &Report,
    name: &str,
    summary: Option<Summary>,
    probes: u64,
    marked: bool,
    width: usize,
    look: Look,
) -> String {
    let mut text = if marked {
        look.pick("▸ ", "> ")
    } else {
        "  "
    }
    .to_owned();
    text += &look.fit(name, name_columns(width));
    let Some(summary) = summary else {
        text += &right("0", COUNT);
        for field in [RATE, DEPTH, DEPTH, DEPTH, DEPTH, DEPTH] {
            text += &right("-", field);
        }
        return text;
    };
    let depth = |depth: u32| exact_in(u64::from(depth), DEPTH - 1);
    text += &right(&exact_in(summary.count, COUNT - 1), COUNT);
    text += &right(&rate(report, summary.count), RATE);
    text += &right(&mean(summary.mean), DEPTH);
    text += &right(&depth(summary.p50), DEPTH);
    text += &right(&depth(summary.p99), DEPTH);
    text += &right(&depth(summary.max), DEPTH);
    text += &right(&exact_in(probes, 5), DEPTH);
    text
}

/// Operations per second; of samples, their share of all.
pub(super) fn rate(report: &Report, count: u64) -> String {
    match report.mode {
        Mode::Trace => report.per_second(count).map_or("-".to_owned(), compact),
        Mode::Sample => share(count, report.counts.operations.total()),
    }
}
