//! Tables of types, call sites, maps and stacks: those that come first in the report's order.

use map_probe_common::op::Class;

use super::line::{Ink, Line, Style, shorten_middle};
use super::numbers::{exact, exact_in, mean};
use super::operations::{COUNT, DEPTH, INDENT, MEAN, Words, depth};
use crate::report::counts::{Entry, Frame, List, MapRows, Rows, SiteRows, TypeRows};
use crate::report::model::Report;
use crate::report::ranked::Sort;
use crate::report::summary::Summary;
use crate::report::words;

/// Rows of a table in a report of the whole run, if nothing else is asked for.
const ROWS: usize = 10;
/// Call sites and maps in the block of one interval, which should not scroll away.
const ROWS_OF_INTERVAL: usize = 3;
/// Frames of a stack.
const FRAMES: usize = 8;

/// The types.
pub(super) fn types(report: &Report, style: Style) -> String {
    let row = |of_type: &TypeRows| Row {
        name: of_type.name.as_deref().map(str::to_owned),
        unknown: words::UNKNOWN_TYPE,
        details: Vec::new(),
    };
    let list = &report.counts.by_type;
    table(report, "types of these maps", ROWS, list, row, style)
}

/// The call sites, each with its place and type on a second line.
pub(super) fn sites(report: &Report, style: Style) -> String {
    let row = |site: &SiteRows| Row {
        name: first(site).map(|frame| frame.function.clone()),
        unknown: "call site unknown",
        details: [site_details(site, style)]
            .into_iter()
            .chain(callers(site).map(inlined))
            .collect(),
    };
    let list = &report.counts.by_site;
    table(report, "call sites", few(report), list, row, style)
}

/// The maps, each with what it is and how full.
pub(super) fn maps(report: &Report, style: Style) -> String {
    let row = |map: &MapRows| Row {
        name: map.address.map(|address| format!("{address:#x}")),
        unknown: "maps that found no room in the table",
        details: vec![map_details(map, style)],
    };
    let list = &report.counts.by_map;
    table(report, "maps", few(report), list, row, style)
}

/// The stacks: who called the function that does the operation.
pub(super) fn stacks(report: &Report, style: Style) -> String {
    let row = |stack: &SiteRows| {
        let mut callers: Vec<_> = callers(stack).map(called).collect();
        let more = callers.len().saturating_sub(FRAMES);
        callers.truncate(FRAMES);
        if more > 0 {
            callers.push(format!("and {more} more"));
        }
        callers.insert(0, site_details(stack, style));
        Row {
            name: first(stack).map(|frame| frame.function.clone()),
            unknown: "stack unknown",
            details: callers,
        }
    };
    let list = &report.counts.by_stack;
    table(report, "stacks", few(report), list, row, style)
}

/// As many as are shown by default: fewer while the run goes on.
fn few(report: &Report) -> usize {
    if report.is_final {
        ROWS
    } else {
        ROWS_OF_INTERVAL
    }
}

fn first(site: &SiteRows) -> Option<&Frame> {
    site.frames.as_ref()?.first()
}

fn callers(site: &SiteRows) -> impl Iterator<Item = &Frame> {
    site.frames.iter().flat_map(|frames| frames.iter()).skip(1)
}

fn called(frame: &Frame) -> String {
    format!("by {} {}", frame.function, place(frame))
}

fn inlined(frame: &Frame) -> String {
    format!("inlined in {} {}", frame.function, place(frame))
}

/// The file's name alone: 80 columns have no room for paths.
fn place(frame: &Frame) -> String {
    let file = frame.file.rsplit('/').next().unwrap_or_default();
    format!("{file}:{}", frame.line)
}

fn site_details(site: &SiteRows, style: Style) -> String {
    let typ = site.typ.as_deref().unwrap_or(words::UNKNOWN_TYPE);
    let place = first(site).map(place);
    joined([place, Some(typ.to_owned()), excess(&site.rows)], style)
}

fn map_details(map: &MapRows, style: Style) -> String {
    let size = map.size.map(|size| match size.capacity {
        Some(slots) if slots > 0 => {
            let load = size.entries as f64 * 100.0 / slots as f64;
            format!(
                "{load:.0}% full ({} of {})",
                exact(size.entries),
                exact(slots)
            )
        }
        _ => format!("{} entries", exact(size.entries)),
    });
    let typ = map.typ.as_deref().map(str::to_owned);
    joined([typ, size, excess(&map.rows)], style)
}

fn excess(rows: &Rows) -> Option<String> {
    match rows.excess() {
        0 => None,
        1 => Some("1 excess probe".to_owned()),
        excess => Some(format!("{} excess probes", exact(excess))),
    }
}

fn joined<const N: usize>(parts: [Option<String>; N], style: Style) -> String {
    let dot = format!(" {} ", style.pick("·", "|"));
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join(&dot)
}

struct Row {
    name: Option<String>,
    /// Shown where there is no name.
    unknown: &'static str,
    /// Lines below it.
    details: Vec<String>,
}

/// A table of what comes first in a list; `describe` is asked for those alone, as there may be many more.
fn table<T: Entry>(
    report: &Report,
    title: &str,
    few: usize,
    list: &List<T>,
    describe: impl Fn(&T) -> Row,
    style: Style,
) -> String {
    let mut rows: Vec<(&T, u64)> = list
        .iter()
        .map(|row| (&**row, row.rows().total_of(Class::Table)))
        .filter(|(_, count)| *count > 0)
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    // What is shown are tables; the report's order knows small maps, too.
    if report.ranking.sort.unwrap_or_default() == Sort::Count {
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }
    let name = style
        .width
        .saturating_sub(INDENT + COUNT + MEAN + 2 * DEPTH);
    let mut text = Line::new(style)
        .blank(INDENT)
        .left_in(Ink::Faint, name, title)
        .right(Ink::Faint, COUNT, Words::of(report).count)
        .right(Ink::Faint, MEAN, "depth mean")
        .right(Ink::Faint, DEPTH, "p99")
        .right(Ink::Faint, DEPTH, "max")
        .end();
    let shown = report.ranking.top.unwrap_or(few).min(rows.len());
    let (shown, more) = rows.split_at(shown);
    for (row, _) in shown {
        let depths = row.rows().of(Class::Table);
        let Some(summary) = Summary::of(depths.flat_map(|(_, depths)| depths)) else {
            continue;
        };
        let row = describe(row);
        let (ink, known) = match &row.name {
            Some(known) => (Ink::Plain, shorten_middle(known, name, style)),
            None => (Ink::Faint, row.unknown.to_owned()),
        };
        text += &Line::new(style)
            .blank(INDENT)
            .left_in(ink, name, &known)
            .right(Ink::Plain, COUNT, &exact_in(summary.count, COUNT - 1))
            .right(Ink::Plain, MEAN, &mean(summary.mean))
            .right(Ink::Plain, DEPTH, &depth(summary.p99))
            .right(Ink::Plain, DEPTH, &depth(summary.max))
            .end();
        for detail in row.details.iter().filter(|detail| !detail.is_empty()) {
            let line = Line::new(style).blank(INDENT + 2);
            let fitting = shorten_middle(detail, line.left(), style);
            text += &line.push(Ink::Faint, &fitting).end();
        }
    }
    if !more.is_empty() {
        let rest = more
            .iter()
            .fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        text += &Line::new(style)
            .blank(INDENT)
            .left_in(
                Ink::Faint,
                name,
                &format!("and {} more", exact(more.len() as u64)),
            )
            .right(Ink::Faint, COUNT, &exact_in(rest, COUNT - 1))
            .end();
    }
    text
}
