//! The last three lines: how good the counts are, what they cost, and what to press.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::header::spread;
use super::lines;
use super::look::Look;
use crate::dashboard::state::State;
use crate::report::model::{Cost, Mode, Report};
use crate::report::text::numbers::{compact, exact, percent};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let report = &state.data().whole;
    let width = usize::from(area.width);
    let (good, quality) = quality(report);
    let style = if good { look.good() } else { look.bad() };
    let quality = vec![
        Span::styled("quality ", Look::faint()),
        Span::styled(quality, style),
    ];
    let run = state.data().run();
    // The last interval of a target may be too short to say anything.
    let now = if state.ended {
        run
    } else {
        &state.data().interval
    };
    let over = over_bound(run);
    let cost_style = if over { look.bad() } else { Style::new() };
    let cost = vec![
        Span::styled("cost    ", Look::faint()),
        Span::styled(cost(run, now, width, look), cost_style),
    ];
    lines(
        frame,
        area,
        vec![
            Line::from(quality),
            Line::from(cost),
            last(state, width, look),
        ],
    );
}

/// Whether all is counted, and in one line what is not.
pub(super) fn quality(report: &Report) -> (bool, String) {
    let quality = &report.counts.quality;
    let missing = quality.missing();
    let functions = report.target.not_covered.len();
    let which = if report.small_counted {
        ""
    } else {
        " on tables"
    };
    let mut parts = Vec::new();
    if missing > 0 {
        let causes = [
            (quality.lost, "lost"),
            (quality.faults, "faults"),
            (quality.torn, "torn"),
            (quality.truncated, "truncated"),
        ];
        let causes: Vec<_> = causes
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{} {name}", exact(*count)))
            .collect();
        parts.push(format!(
            "{} in no row: {}",
            exact(missing),
            causes.join(", ")
        ));
    }
    if functions > 0 {
        let s = if functions == 1 { "" } else { "s" };
        parts.push(format!("{functions} function{s} not covered (7)"));
    }
    match (parts.is_empty(), report.mode) {
        (false, _) => (false, parts.join("; ")),
        (true, Mode::Sample) => (true, "every walk came to its end".to_owned()),
        (true, Mode::Trace) if report.seconds > 0.0 && report.attached_share() < 1.0 => {
            let share = percent(report.attached_share());
            (
                true,
                format!("all operations{which} counted exactly in {share} of the time"),
            )
        }
        (true, Mode::Trace) => (true, format!("all operations{which} counted exactly")),
    }
}

fn over_bound(report: &Report) -> bool {
    let cost = report.cost.as_ref();
    cost.and_then(|cost| Some(cost.slowdown? > cost.bound?))
        .unwrap_or(false)
}

/// What the watching has cost the target so far, and what it takes of the machine now; a part only where there is room.
fn cost(run: &Report, now: &Report, width: usize, look: Look) -> String {
    let Some(Cost {
        windows,
        traps,
        ns_per_trap,
        slowdown,
        bound,
        resident_bytes,
        ..
    }) = &run.cost
    else {
        return "not measured in this run".to_owned();
    };
    let slowdown = slowdown.map_or("slowdown not measured".to_owned(), |share| {
        format!("slowdown {}", percent(share))
    });
    let bound = bound.map_or(String::new(), |bound| {
        format!(" (bound {})", percent(bound))
    });
    let each = ns_per_trap.map_or(String::new(), |ns| format!(" of {ns:.0} ns"));
    let spent = now.cost.map_or(0.0, |cost| cost.cpu_seconds);
    let core = percent(spent / now.seconds.max(0.001));
    let mut parts = vec![format!("{slowdown}{bound}")];
    let noun = match run.mode {
        Mode::Trace => "traps",
        Mode::Sample => "samples",
    };
    if let Some(traps) = traps.filter(|traps| *traps > 0) {
        parts.push(format!("{} {noun}{each}", compact(traps as f64)));
    }
    parts.push(format!(
        "self {core} CPU, {} MB",
        resident_bytes.div_ceil(1_000_000)
    ));
    if width >= 100 && *windows > 1 {
        parts.push(format!("{} windows", exact(*windows)));
    }
    parts.join(look.dot())
}

/// The filter in the making, an answer, or the keys.
fn last(state: &State, width: usize, look: Look) -> Line<'static> {
    if state.editing.is_some() {
        let filter = look.safe(&state.choice.filter);
        return Line::from(vec![
            Span::styled(format!("filter: {filter}"), Look::strong()),
            Span::styled(" ", Look::marked()),
            Span::styled("  Enter keeps it, Esc takes it back", Look::faint()),
        ]);
    }
    if let Some(notice) = &state.notice {
        return Line::styled(look.safe(notice), Look::strong());
    }
    let keys: &[(&str, &str)] = if state.help {
        &[("j/k", "scroll"), ("?", "close")]
    } else if state.opened().is_some() {
        &[
            ("Enter", "open"),
            ("Esc", "back"),
            ("o", "operation"),
            ("s", "sort"),
            ("x", "exact"),
            ("e", "export"),
        ]
    } else {
        &[
            ("Tab", "page"),
            ("j/k", "move"),
            ("Enter", "open"),
            ("/", "filter"),
            ("s", "sort"),
            ("o", "op"),
            ("w", "time"),
            ("p", "pause"),
            ("e", "export"),
        ]
    };
    let mut spans = Vec::new();
    // The keys at the right end are always there.
    let mut left = width.saturating_sub("? help q quit".len() + 1);
    for (key, does) in keys {
        let length = key.len() + does.len() + 3;
        let Some(rest) = left.checked_sub(length) else {
            break;
        };
        left = rest;
        spans.push(Span::styled(*key, Look::strong()));
        spans.push(Span::styled(format!(" {does}  "), Look::faint()));
    }
    let right = vec![
        Span::styled("?", Look::strong()),
        Span::styled(" help ", Look::faint()),
        Span::styled("q", Look::strong()),
        Span::styled(" quit", Look::faint()),
    ];
    spread(spans, right, width)
}
