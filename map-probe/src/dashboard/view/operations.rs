//! The operations by kind, in numbers; the one that is shown elsewhere is marked.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::header;
use super::lines;
use super::look::{Look, right};
use super::sure::{Quantile, Sure};
use crate::dashboard::state::list::chosen;
use crate::dashboard::state::{KINDS, Kind, State};
use crate::report::counts::excess;
use crate::report::model::{Mode, Report};
use crate::report::summary::Summary;
use crate::report::text::numbers::{compact, exact_in, share};

/// How wide the columns of numbers are, from left to right.
struct Columns {
    count: usize,
    rate: usize,
    mean: usize,
    p50: usize,
    p99: usize,
    max: usize,
    excess: usize,
}

impl Columns {
    /// With intervals, some numbers are two.
    const fn of(report: &Report) -> Self {
        match report.counts.estimates {
            None => Self {
                count: 14,
                rate: 9,
                mean: 7,
                p50: 7,
                p99: 7,
                max: 7,
                excess: 7,
            },
            Some(_) => Self {
                count: 12,
                rate: 8,
                mean: 11,
                p50: 6,
                p99: 8,
                max: 6,
                excess: 7,
            },
        }
    }

    /// What they leave for a name.
    const fn name(&self, width: usize) -> usize {
        let Self {
            count,
            rate,
            mean,
            p50,
            p99,
            max,
            excess,
        } = *self;
        width.saturating_sub(2 + count + rate + mean + p50 + p99 + max + excess)
    }
}

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
        let line = row(report, kind, summary, probes, marked, width, look);
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

fn heading(report: &Report, width: usize) -> Line<'static> {
    let (count, rate) = match report.mode {
        Mode::Trace => ("count", "per s"),
        Mode::Sample => ("samples", "of CPU"),
    };
    let columns = Columns::of(report);
    let what = match report.counts.estimates {
        None => "on tables",
        Some(_) => "on tables, 95%",
    };
    let mut text = format!("  {what:<0$}", columns.name(width));
    for (title, width) in [
        (count, columns.count),
        (rate, columns.rate),
        ("mean", columns.mean),
        ("p50", columns.p50),
        ("p99", columns.p99),
        ("max", columns.max),
        ("excess", columns.excess),
    ] {
        text += &right(title, width);
    }
    Line::styled(text, Look::faint())
}

fn row(
    report: &Report,
    kind: Option<Kind>,
    summary: Option<Summary>,
    probes: u64,
    marked: bool,
    width: usize,
    look: Look,
) -> String {
    let columns = Columns::of(report);
    let mut text = if marked {
        look.pick("▸ ", "> ")
    } else {
        "  "
    }
    .to_owned();
    text += &look.fit(&header::operations(kind), columns.name(width));
    let Some(summary) = summary else {
        text += &right("0", columns.count);
        for field in [
            columns.rate,
            columns.mean,
            columns.p50,
            columns.p99,
            columns.max,
            columns.excess,
        ] {
            text += &right("-", field);
        }
        return text;
    };
    let sure = Sure::new(summary, report, kind, look);
    let max = exact_in(u64::from(summary.max), columns.max - 1);
    text += &right(&exact_in(summary.count, columns.count - 1), columns.count);
    text += &right(&rate(report, summary.count), columns.rate);
    text += &right(&sure.mean(columns.mean - 1), columns.mean);
    text += &right(&sure.quantile(Quantile::P50, columns.p50 - 1), columns.p50);
    text += &right(&sure.quantile(Quantile::P99, columns.p99 - 1), columns.p99);
    text += &right(&max, columns.max);
    text += &right(&exact_in(probes, 5), columns.excess);
    text
}

/// Operations per second; of samples, their share of the CPU time.
pub(super) fn rate(report: &Report, count: u64) -> String {
    match report.mode {
        Mode::Trace => report.per_second(count).map_or("-".to_owned(), compact),
        Mode::Sample => {
            let samples = report.counts.samples.as_ref().map(|samples| samples.total);
            share(count, samples.unwrap_or(report.counts.operations.total()))
        }
    }
}
