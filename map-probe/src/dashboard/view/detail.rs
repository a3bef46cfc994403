//! A row that was opened: what it is, its depths, and what belongs to it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::look::Look;
use super::operations::rate;
use super::{header, histogram, lines, table};
use crate::dashboard::state::list::{Subject, chosen, place};
use crate::dashboard::state::{Kind, State};
use crate::report::counts::excess;
use crate::report::model::{MapRows, MapSize, Mode, Name, Report, Rows};
use crate::report::summary::Summary;
use crate::report::text::numbers::{compact, exact, mean};

pub(super) fn draw(
    frame: &mut Frame<'_>,
    page: Rect,
    state: &State,
    subject: &Subject,
    look: Look,
) {
    let report = state.report();
    let facts = facts(report, subject, look, usize::from(page.height / 3));
    let rows = state.opened_rows();
    let numbers = numbers(report, rows, state.choice.kind, look);
    let tall = u16::try_from(facts.len() + 1).unwrap_or(page.height);
    let depths = (page.height.saturating_sub(tall) / 2).min(10);
    let [top, middle, below] = Layout::vertical([
        Constraint::Length(tall),
        Constraint::Length(depths),
        Constraint::Min(0),
    ])
    .areas(page);
    lines(frame, top, facts.into_iter().chain([numbers]).collect());
    match rows {
        Some(rows) => histogram::draw(
            frame,
            middle,
            state,
            rows,
            &header::operations(state.choice.kind),
            look,
        ),
        None => lines(
            frame,
            middle,
            vec![Line::styled("no operations in this time", Look::faint())],
        ),
    }
    table::draw_all(
        frame,
        below,
        state,
        state.tables(),
        Some(state.marked()),
        look,
    );
}

fn numbers(report: &Report, rows: Option<&Rows>, kind: Option<Kind>, look: Look) -> Line<'static> {
    let chosen = || rows.into_iter().flat_map(|rows| chosen(rows, kind));
    let Some(summary) = Summary::of(chosen()) else {
        return Line::default();
    };
    let probes = excess(chosen());
    let dot = look.dot();
    Line::from(format!(
        "{} operations, {}{}{dot}mean {}, p50 {}, p99 {}, max {}{dot}excess {}",
        exact(summary.count),
        rate(report, summary.count),
        if report.mode == Mode::Trace { "/s" } else { "" },
        mean(summary.mean),
        summary.p50,
        summary.p99,
        summary.max,
        exact(probes),
    ))
}

/// What it is, in at most so many lines and one more.
fn facts(report: &Report, subject: &Subject, look: Look, most: usize) -> Vec<Line<'static>> {
    let fact = |label: &'static str, text: &str| {
        Line::from(vec![
            Span::styled(format!("{label:<8}"), Look::faint()),
            Span::styled(look.safe(text), Look::strong()),
        ])
    };
    let typ = |typ: &Name| fact("type", typ.as_deref().unwrap_or("unknown"));
    match subject {
        Subject::Type(name) => vec![typ(name)],
        Subject::Map(address, name) => {
            let mut facts = vec![fact("map", &subject.label()), typ(name)];
            let found = report
                .counts
                .by_map
                .iter()
                .find(|of| of.address == *address && of.typ == *name);
            facts.extend(found.map(|of| fact("", &map(of, look))));
            facts
        }
        Subject::Site(frames, name) | Subject::Stack(frames, name) => {
            let frames = frames.as_deref().unwrap_or_default();
            let inlined = matches!(subject, Subject::Site(..));
            let mut facts = vec![typ(name)];
            for (index, frame) in frames.iter().enumerate().take(most.max(1)) {
                let label = match index {
                    0 => "in",
                    _ if inlined => "inlined",
                    _ => "called",
                };
                facts.push(fact(label, &format!("{} {}", frame.function, place(frame))));
            }
            if frames.len() > most.max(1) {
                facts.push(fact(
                    "",
                    &format!("and {} more frames", frames.len() - most.max(1)),
                ));
            } else if let [only] = frames {
                facts.push(fact("file", &format!("{}:{}", only.file, only.line)));
            }
            facts
        }
    }
}

/// `12,345 entries in 16,384 slots (75%) · first seen at 1.0 s, last at 9.0 s`.
fn map(of: &MapRows, look: Look) -> String {
    let size = match of.size {
        None => "size unknown".to_owned(),
        Some(MapSize {
            entries,
            capacity: None,
        }) => format!("{} entries", exact(entries)),
        Some(MapSize {
            entries,
            capacity: Some(capacity),
        }) => {
            let load = 100.0 * entries as f64 / capacity.max(1) as f64;
            format!(
                "{} entries in {} slots ({load:.0}%)",
                exact(entries),
                exact(capacity)
            )
        }
    };
    format!(
        "{size}{}first seen at {} s, last at {} s",
        look.dot(),
        compact(of.first_seen.as_secs_f64()),
        compact(of.last_seen.as_secs_f64())
    )
}
