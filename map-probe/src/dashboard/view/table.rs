//! The tables: types, maps, call sites and stacks.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use super::lines;
use super::look::{Look, right};
use super::operations::rate;
use crate::dashboard::state::State;
use crate::dashboard::state::list::{Entry, List, Sort, Subject, Table};
use crate::report::model::{Mode, Report};
use crate::report::ranked;
use crate::report::text::numbers::{exact, exact_in, mean, share};

/// A name is never shorter, as long as there is any room.
const NAME: usize = 20;
/// An address of a map.
const ADDRESS: usize = 14;

/// A column of numbers.
struct Column {
    title: &'static str,
    width: usize,
    /// What is sorted by it.
    sort: Option<Sort>,
    value: fn(&Entry, &Report, usize) -> String,
}

const COLUMNS: [Column; 12] = [
    Column {
        title: "entries",
        width: 10,
        sort: None,
        value: |entry, _, width| {
            entry
                .size
                .map_or("-".to_owned(), |size| exact_in(size.entries, width - 1))
        },
    },
    Column {
        title: "load",
        width: 6,
        sort: None,
        value: |entry, _, _| load(entry),
    },
    Column {
        title: "count",
        width: 13,
        sort: Some(Sort::Number(ranked::Sort::Count)),
        value: |entry, _, width| exact_in(entry.summary.count, width - 1),
    },
    Column {
        title: "per s",
        width: 8,
        sort: None,
        value: |entry, report, _| rate(report, entry.summary.count),
    },
    Column {
        title: "share",
        width: 8,
        sort: None,
        value: |entry, report, _| share(entry.summary.count, report.counts.operations.total()),
    },
    Column {
        title: "mean",
        width: 7,
        sort: Some(Sort::Number(ranked::Sort::Mean)),
        value: |entry, _, _| mean(entry.summary.mean),
    },
    Column {
        title: "p50",
        width: 6,
        sort: None,
        value: |entry, _, width| exact_in(u64::from(entry.summary.p50), width - 1),
    },
    Column {
        title: "p90",
        width: 6,
        sort: None,
        value: |entry, _, width| exact_in(u64::from(entry.summary.p90), width - 1),
    },
    Column {
        title: "p99",
        width: 6,
        sort: Some(Sort::Number(ranked::Sort::P99)),
        value: |entry, _, width| exact_in(u64::from(entry.summary.p99), width - 1),
    },
    Column {
        title: "p99.9",
        width: 7,
        sort: None,
        value: |entry, _, width| exact_in(u64::from(entry.summary.p999), width - 1),
    },
    Column {
        title: "max",
        width: 6,
        sort: Some(Sort::Number(ranked::Sort::Max)),
        value: |entry, _, width| exact_in(u64::from(entry.summary.max), width - 1),
    },
    Column {
        title: "excess",
        width: 8,
        sort: Some(Sort::Number(ranked::Sort::Excess)),
        value: |entry, _, _| exact_in(entry.excess, 7),
    },
];

/// Which columns a table has, the most telling first; the last ones only where there is room.
const fn wanted(list: List) -> &'static [&'static str] {
    match list {
        List::Maps => &[
            "excess", "max", "mean", "count", "load", "entries", "p99", "per s", "p50", "share",
            "p90", "p99.9",
        ],
        _ => &[
            "excess", "max", "mean", "count", "p99", "per s", "p50", "share", "p90", "p99.9",
        ],
    }
}

/// How full a map is: entries for a slot, in percent.
fn load(entry: &Entry) -> String {
    match entry
        .size
        .and_then(|size| Some((size.entries, size.capacity?)))
    {
        Some((entries, capacity)) if capacity > 0 => {
            format!("{:.0}%", 100.0 * entries as f64 / capacity as f64)
        }
        _ => "-".to_owned(),
    }
}

/// Draws the tables of a page one below the other, scrolled so that the marked row can be seen.
pub(super) fn draw_all(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    tables: &[Table],
    marked: Option<usize>,
    look: Look,
) {
    let width = usize::from(area.width);
    let height = usize::from(area.height);
    if let [table] = tables {
        // The heading of a single table stays where it is.
        let shown = height.saturating_sub(1);
        let from = first_shown(marked.unwrap_or(0), table.len(), shown);
        let mut text = vec![heading(table, state, width, look)];
        text.extend(body(table, from..from + shown, marked, state, width, look));
        lines(frame, area, text);
        return;
    }
    // Where each table begins, and how many lines there are.
    let mut begins = Vec::new();
    let (mut all, mut before, mut line_of_mark) = (0, 0, 0);
    for table in tables {
        begins.push((all, before));
        let mark = marked.and_then(|marked| marked.checked_sub(before));
        if let Some(mark) = mark.filter(|mark| *mark < table.len()) {
            line_of_mark = all + 1 + mark;
        }
        // The heading, the rows or why there are none, and a blank line.
        all += table.len().max(1) + 2;
        before += table.len();
    }
    let from = first_shown(line_of_mark, all.saturating_sub(1), height);
    let mut text = Vec::new();
    for (table, (line, before)) in tables.iter().zip(begins) {
        if (from..from + height).contains(&line) {
            text.push(heading(table, state, width, look));
        }
        let first = from.saturating_sub(line + 1);
        let end = (from + height).saturating_sub(line + 1);
        let mark = marked.and_then(|marked| marked.checked_sub(before));
        text.extend(body(table, first..end, mark, state, width, look));
        if end > table.len().max(1) && first <= table.len().max(1) {
            text.push(Line::default());
        }
    }
    lines(frame, area, text);
}

/// The first of so many lines that is shown, so that one of them is in the middle of the screen.
const fn first_shown(middle: usize, lines: usize, height: usize) -> usize {
    let from = middle.saturating_sub(height / 2);
    let last = lines.saturating_sub(height);
    if from < last { from } else { last }
}

fn heading(table: &Table, state: &State, width: usize, look: Look) -> Line<'static> {
    let shown = columns(table.list, width);
    let name = match table.list {
        List::Types => "type",
        List::Maps => "map",
        List::Sites => "call site",
        List::Stacks => "stack",
    };
    let s = if table.all == 1 { "" } else { "s" };
    // `--top` leaves some out.
    let top = if table.len() < table.all {
        format!("top {} of ", exact(table.len() as u64))
    } else {
        String::new()
    };
    let name = format!("{top}{} {name}{s}", exact(table.all as u64));
    let mut text = format!("  {}", look.fit(&name, name_width(&shown, width)));
    for column in &shown {
        let sorted = column.sort == Some(state.choice.sort);
        let arrow = match (sorted, state.choice.reversed) {
            (false, _) => "",
            (true, false) => look.pick("↓", "v"),
            (true, true) => look.pick("↑", "^"),
        };
        let title = match (state.data_mode(), column.title) {
            (Mode::Sample, "count") => "samples",
            (Mode::Sample, "per s") => "of CPU",
            (_, title) => title,
        };
        text += &right(&format!("{title}{arrow}"), column.width);
    }
    Line::styled(text, Look::faint())
}

/// Those lines of a table that are in a range, its heading not counted.
fn body(
    table: &Table,
    shown: Range<usize>,
    marked: Option<usize>,
    state: &State,
    width: usize,
    look: Look,
) -> Vec<Line<'static>> {
    if table.len() == 0 {
        let why = format!("  {}", why_empty(table.list, state));
        let line = Line::styled(why, Look::faint());
        return shown.contains(&0).then_some(line).into_iter().collect();
    }
    let counts = &state.report().counts;
    let entries = table.entries(shown.start, counts, state.choice.kind);
    shown
        .zip(entries)
        .map(|(index, entry)| {
            row(
                table.list,
                &entry,
                marked == Some(index),
                state,
                width,
                look,
            )
        })
        .collect()
}

/// What there is no row of, and why.
fn why_empty(list: List, state: &State) -> String {
    let counts = &state.report().counts;
    let (none, why) = match list {
        List::Types => (
            counts.by_type.is_empty(),
            "no operations on tables in this time",
        ),
        List::Maps => (
            counts.by_map.is_empty(),
            "maps were not told apart in this run, or there were no operations",
        ),
        List::Sites => (
            counts.by_site.is_empty(),
            "call sites were not told apart in this run, or there were no operations",
        ),
        List::Stacks => (
            counts.by_stack.is_empty(),
            "no stacks: they are recorded only when asked for",
        ),
    };
    if none {
        why.to_owned()
    } else if state.opened().is_some() {
        "none of these".to_owned()
    } else if state.choice.filter.is_empty() {
        "no operations of this kind on tables in this time".to_owned()
    } else {
        "none matches the filter (Esc clears it)".to_owned()
    }
}

fn row(
    list: List,
    entry: &Entry,
    marked: bool,
    state: &State,
    width: usize,
    look: Look,
) -> Line<'static> {
    let shown = columns(list, width);
    let mut text = if marked {
        look.pick("▸ ", "> ")
    } else {
        "  "
    }
    .to_owned();
    text += &name(entry, name_width(&shown, width), look);
    let report = state.report();
    for column in &shown {
        text += &right(&(column.value)(entry, report, column.width), column.width);
    }
    Line::styled(text, if marked { Look::marked() } else { Style::new() })
}

/// A row's name; with what it belongs to where there is room.
fn name(entry: &Entry, width: usize, look: Look) -> String {
    let typ = || entry.subject.typ().unwrap_or("type unknown").to_owned();
    match &entry.subject {
        Subject::Map(..) => {
            let address = look.fit(&entry.label, ADDRESS.min(width));
            address + &look.fit(&format!(" {}", typ()), width.saturating_sub(ADDRESS))
        }
        Subject::Site(..) | Subject::Stack(..) if width >= 70 => {
            let site = width * 3 / 5;
            look.fit(&entry.label, site) + &look.fit(&format!("  {}", typ()), width - site)
        }
        _ => look.fit(&entry.label, width),
    }
}

/// The columns that there is room for beside a name.
fn columns(list: List, width: usize) -> Vec<&'static Column> {
    let name = match list {
        List::Maps => ADDRESS + NAME,
        List::Types | List::Sites | List::Stacks => NAME * 3 / 2,
    };
    let least = 2 + name.max(width * 3 / 8);
    let mut left = width.saturating_sub(least);
    let mut titles = Vec::new();
    for title in wanted(list) {
        let Some(column) = COLUMNS.iter().find(|column| column.title == *title) else {
            continue;
        };
        if column.width > left {
            break;
        }
        left -= column.width;
        titles.push(*title);
    }
    COLUMNS
        .iter()
        .filter(|column| titles.contains(&column.title))
        .collect()
}

fn name_width(shown: &[&Column], width: usize) -> usize {
    let taken: usize = shown.iter().map(|column| column.width).sum();
    width.saturating_sub(2 + taken)
}
