//! The first three lines: whom, whether live, which page, and what is chosen.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::lines;
use super::look::{Look, columns};
use crate::dashboard::state::{Kind, Scope, State, Tab};
use crate::report::model::{Fate, Mode};
use crate::report::text::numbers::{compact, exact, seconds};
use crate::report::words;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let width = usize::from(area.width);
    lines(
        frame,
        area,
        vec![
            title(state, width, look),
            tabs(state, width, look),
            choice(state, look),
        ],
    );
}

/// `map-probe  app (4711)  go1.27.3 swiss    12.3M operations  1.20M/s    LIVE`.
fn title(state: &State, width: usize, look: Look) -> Line<'static> {
    let target = &state.data().whole.target;
    let (word, style) = if state.ended {
        (ended(target.ended), look.bad())
    } else if state.is_paused() {
        ("PAUSED".to_owned(), look.bad())
    } else {
        ("LIVE".to_owned(), look.good())
    };
    let name = target.exe.rsplit('/').next().unwrap_or_default();
    let name = look.fit(name, columns(name).min(width / 4));
    let left = vec![
        Span::styled("map-probe ", Look::faint()),
        Span::styled(name.trim_end().to_owned(), Look::strong()),
        Span::raw(format!(" ({})", target.pid)),
        Span::styled(
            format!("{}{} {}", look.dot(), look.safe(&target.go), target.layout),
            Look::faint(),
        ),
        Span::styled(
            if target.assumed.is_some() {
                " assumed"
            } else if target.untested {
                " untested"
            } else {
                ""
            },
            look.bad(),
        ),
        Span::styled(format!("{}{}", look.dot(), mode(state)), Look::faint()),
    ];
    spread(
        left,
        vec![Span::styled(word, style.patch(Look::strong()))],
        width,
    )
}

/// What there is room for; the page of the target has the whole.
fn ended(fate: Option<Fate>) -> String {
    match fate {
        Some(Fate::Status(status)) if status != 0 => format!("ENDED, STATUS {status}"),
        Some(Fate::Signal(signal)) => format!("ENDED, SIGNAL {signal}"),
        Some(Fate::Status(_)) | None => "TARGET ENDED".to_owned(),
    }
}

fn mode(state: &State) -> &'static str {
    match state.data_mode() {
        Mode::Trace => "trace",
        Mode::Sample => "samples of CPU time",
    }
}

fn tabs(state: &State, width: usize, look: Look) -> Line<'static> {
    if !state.trail().is_empty() {
        return opened(state, look);
    }
    let gap = if width >= 78 { "  " } else { " " };
    let mut spans = Vec::new();
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        if index > 0 {
            spans.push(Span::raw(gap));
        }
        let style = if index == state.tab {
            Look::marked()
        } else {
            Style::new()
        };
        spans.push(Span::styled(format!("{} {}", index + 1, tab.name()), style));
    }
    Line::from(spans)
}

/// `3 Types › map[string]*main.Order › 0xc000123400`.
fn opened(state: &State, look: Look) -> Line<'static> {
    let tab = format!("{} {}", state.tab + 1, state.tab().name());
    let mut spans = vec![Span::styled(tab, Look::marked())];
    for subject in state.trail() {
        spans.push(Span::styled(look.pick(" › ", " > "), Look::faint()));
        spans.push(Span::styled(look.safe(&subject.label()), Look::strong()));
    }
    Line::from(spans)
}

/// `whole run, 12.0 s · 1,234,567 operations, 103k/s · lookup hit · filter "order"`.
fn choice(state: &State, look: Look) -> Line<'static> {
    let report = state.report();
    let time = match (state.scope, state.data().reset_seconds()) {
        (Scope::Whole, None) => "whole run",
        (Scope::Whole, Some(_)) => "since reset",
        (Scope::Interval, _) => "last interval",
    };
    let total = report.counts.operations.total();
    let rate = report.per_second(total).map_or("-".to_owned(), compact);
    let noun = match report.mode {
        Mode::Trace => "operations",
        Mode::Sample => "samples",
    };
    let dot = look.dot();
    let number = match &report.counts.samples {
        None => format!("{} {noun}, {rate}/s", exact(total)),
        Some(samples) => format!(
            "{} {noun} in maps of {}, {} Hz",
            exact(total),
            exact(samples.total),
            samples.frequency
        ),
    };
    let mut spans = vec![
        Span::styled(time, Look::strong()),
        Span::raw(format!(
            ", {} s{dot}{number}",
            seconds(report.seconds, report.seconds),
        )),
        Span::raw(format!("{dot}showing ")),
        Span::styled(kind(state.choice.kind), Look::strong()),
    ];
    if report.counts.estimates.is_some()
        && (state.opened().is_some() || matches!(state.tab(), Tab::List(_)))
    {
        // Only those of the process have intervals.
        spans.push(Span::styled(
            format!("{dot}as seen in windows"),
            Look::faint(),
        ));
    }
    if !state.choice.filter.is_empty() && state.editing.is_none() {
        let filter = look.safe(&state.choice.filter);
        spans.push(Span::styled(
            format!("{dot}filter \"{filter}\""),
            look.bad(),
        ));
    }
    Line::from(spans)
}

/// `lookup hit`, or `all operations`, for titles.
pub(super) fn operations(of: Option<Kind>) -> String {
    if of.is_none() {
        "all operations".to_owned()
    } else {
        kind(of)
    }
}

/// `lookup hit`, or `all`.
pub(super) fn kind(kind: Option<Kind>) -> String {
    kind.map_or_else(
        || "all".to_owned(),
        |(op, outcome)| format!("{} {}", words::op(op), words::outcome(op, outcome)),
    )
}

/// One text at the left end of a line, and one at the right end that is never cut.
pub(super) fn spread(
    left: Vec<Span<'static>>,
    right: Vec<Span<'static>>,
    width: usize,
) -> Line<'static> {
    let right = Line::from(right);
    let room = width.saturating_sub(right.width() + 1);
    let mut spans = Vec::new();
    let mut used = 0;
    for span in left {
        let mut text = String::new();
        for letter in span.content.chars() {
            let letter = letter.to_string();
            if used + columns(&letter) > room {
                break;
            }
            used += columns(&letter);
            text.push_str(&letter);
        }
        spans.push(Span::styled(text, span.style));
    }
    spans.push(Span::raw(
        " ".repeat(width.saturating_sub(used + right.width())),
    ));
    spans.extend(right.spans);
    Line::from(spans)
}
