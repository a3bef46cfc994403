//! The operations of a report: one row each, with its histogram.

use map_probe_common::op::Class;

use super::line::{Ink, Line, Style, columns, paragraph};
use super::numbers::{compact, exact, exact_in, mean, share};
use crate::report::counts::Depths;
use crate::report::model::{Estimate, Mode, Range, Report, RowKey};
use crate::report::summary::{self, Summary};
use crate::report::words;

// Columns of the numbers, from left to right.
pub(super) const COUNT: usize = 14;
const RATE: usize = 8;
pub(super) const MEAN: usize = 12;
pub(super) const DEPTH: usize = 7;
pub(super) const INDENT: usize = 2;

/// All operations on tables, with their histograms.
pub(super) fn operations(report: &Report, style: Style) -> String {
    let words = Words::of(report);
    let mut rows = report.counts.operations.of(Class::Table).peekable();
    if rows.peek().is_none() {
        let none = Line::new(style).blank(INDENT);
        return none.push(Ink::Faint, words.nothing).end();
    }
    let name = style
        .width
        .saturating_sub(INDENT + COUNT + RATE + MEAN + 3 * DEPTH);
    let mut text = Line::new(style)
        .blank(INDENT)
        .left_in(Ink::Faint, name, words.operations)
        .right(Ink::Faint, COUNT, words.count)
        .right(Ink::Faint, RATE, words.rate)
        .right(Ink::Faint, MEAN, "depth mean")
        .right(Ink::Faint, DEPTH, "p50")
        .right(Ink::Faint, DEPTH, "p99")
        .right(Ink::Faint, DEPTH, "max")
        .end();
    for (index, (row, depths)) in rows.enumerate() {
        let (op, outcome, _) = row;
        let Some(summary) = Summary::of(depths.clone()) else {
            continue;
        };
        if index > 0 {
            text.push('\n');
        }
        let kind = format!("{} {}", words::op(op), words::outcome(op, outcome));
        let rate = rate(report, row, summary.count);
        text += &Line::new(style)
            .blank(INDENT)
            .left_in(Ink::Strong, name, &kind)
            .right(Ink::Strong, COUNT, &exact_in(summary.count, COUNT - 1))
            .right(Ink::Plain, RATE, &rate)
            .right(Ink::Plain, MEAN, &mean(summary.mean))
            .right(Ink::Plain, DEPTH, &depth(summary.p50))
            .right(Ink::Plain, DEPTH, &depth(summary.p99))
            .right(Ink::Strong, DEPTH, &depth(summary.max))
            .end();
        if let Some(estimates) = &report.counts.estimates {
            let words = sureness(estimates.rows.get(&row), style);
            text += &paragraph(style, (Ink::Faint, ""), 4, Ink::Faint, &words);
        }
        text += &histogram(depths, summary.count, style);
    }
    text
}

/// What a report of operations and one of samples call the same columns.
pub(super) struct Words {
    operations: &'static str,
    nothing: &'static str,
    pub(super) count: &'static str,
    rate: &'static str,
}

impl Words {
    pub(super) const fn of(report: &Report) -> Self {
        match report.mode {
            Mode::Trace => Self {
                operations: "operations on tables",
                nothing: "no operations on tables in this time",
                count: "count",
                rate: "per s",
            },
            Mode::Sample => Self {
                operations: "CPU time in tables",
                nothing: "no sample met an operation on a table in this time",
                count: "samples",
                rate: "of all",
            },
        }
    }
}

/// Operations per second, or a share of the CPU time.
fn rate(report: &Report, row: RowKey, count: u64) -> String {
    match &report.counts.samples {
        Some(samples) => share(count, samples.total),
        None => report
            .row_per_second(row, count)
            .map_or("-".to_owned(), compact),
    }
}

/// Between which depths the numbers of a row lie, where not all of its operations were seen.
fn sureness(estimate: Option<&Estimate>, style: Style) -> String {
    let known = estimate.and_then(|estimate| Some((estimate.mean?, estimate.quantiles?)));
    let Some((average, [p50, p90, p99, _])) = known else {
        return "too few windows to tell how sure this is".to_owned();
    };
    let dash = style.pick("–", "-");
    let range = |low: String, high: String| {
        if low == high {
            low
        } else {
            format!("{low}{dash}{high}")
        }
    };
    let depths = |of: Range<u32>| range(exact(u64::from(of.low)), exact(u64::from(of.high)));
    format!(
        "95% sure: mean {}, p50 {}, p90 {}, p99 {}",
        range(mean(average.low), mean(average.high)),
        depths(p50),
        depths(p90),
        depths(p99)
    )
}

pub(super) fn depth(depth: u32) -> String {
    exact_in(u64::from(depth), DEPTH - 1)
}

/// A bar for each of the depths 1, 2–3, 4–7 and so on, as long as its share of the row.
fn histogram(depths: Depths<'_>, all: u64, style: Style) -> String {
    const SHARE: usize = 8;
    let buckets = summary::folded(depths);
    let (labels, _) = labels(&buckets, 5, style);
    let mut text = String::new();
    for (index, (bucket, label)) in buckets.iter().zip(&labels).enumerate() {
        let line = Line::new(style)
            .blank(INDENT + 2)
            .left_in(Ink::Faint, 6, if index == 0 { "depth" } else { "" })
            .push(Ink::Plain, label)
            .blank(2);
        let length = line.left().saturating_sub(SHARE + COUNT);
        text += &line
            .left_in(Ink::Bar, length, &bar(bucket.count, all, length, style))
            .right(Ink::Plain, SHARE, &share(bucket.count, all))
            .right(Ink::Faint, COUNT, &exact_in(bucket.count, COUNT - 1))
            .end();
    }
    text
}

/// What buckets are called, `2–3`, all in as many columns, `least` or more; and how many those are.
pub(crate) fn labels(
    buckets: &[summary::Bucket],
    least: usize,
    style: Style,
) -> (Vec<String>, usize) {
    let names: Vec<_> = buckets.iter().map(|bucket| range(bucket, style)).collect();
    let widest = names.iter().map(|name| columns(name)).max();
    let widest = widest.unwrap_or(0).max(least);
    let labels = names.iter().map(|name| format!("{name:>widest$}"));
    (labels.collect(), widest)
}

fn range(bucket: &summary::Bucket, style: Style) -> String {
    if bucket.from == bucket.to {
        bucket.from.to_string()
    } else {
        format!("{}{}{}", bucket.from, style.pick("–", "-"), bucket.to)
    }
}

/// Any operation at all is worth a mark, and only all of them the whole length.
pub(crate) fn bar(part: u64, all: u64, length: usize, style: Style) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if part == 0 || all == 0 {
        return String::new();
    }
    let steps: usize = if style.unicode { 8 } else { 1 };
    let exact = u128::from(part) * (length * steps) as u128 / u128::from(all);
    let filled = usize::try_from(exact)
        .unwrap_or(0)
        .clamp(1, (length * steps).max(1));
    if style.unicode {
        "█".repeat(filled / steps) + EIGHTHS[filled % steps]
    } else {
        "#".repeat(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_the_fewest_operations_and_are_full_only_for_all() {
        let style = Style::plain(true);
        assert_eq!(bar(0, 100, 10, style), "");
        assert_eq!(bar(1, 1_000_000, 10, style), "▏");
        assert_eq!(bar(50, 100, 10, style), "█████");
        assert_eq!(bar(99, 100, 10, style), "█████████▉");
        assert_eq!(bar(100, 100, 10, style), "██████████");
        let ascii = Style::plain(false);
        assert_eq!(bar(55, 100, 10, ascii), "#####");
        assert_eq!(bar(1, 100, 10, ascii), "#");
    }
}
