//! What is left on a screen too small for pages.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::look::Look;
use super::{footer, lines};
use crate::dashboard::state::State;
use crate::dashboard::state::list::chosen;
use crate::report::summary::Summary;
use crate::report::text::numbers::{compact, mean};

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let report = state.report();
    let total = report.counts.operations.total();
    let (good, _) = footer::quality(&state.data().whole);
    let mut text = vec![Line::styled(
        format!("{} ops {}", compact(total as f64), status(state)),
        Look::strong(),
    )];
    if let Some(summary) = Summary::of(chosen(&report.counts.operations, state.choice.kind)) {
        text.push(Line::raw(format!(
            "mean {} max {}",
            mean(summary.mean),
            summary.max
        )));
        text.push(Line::raw(format!(
            "p50 {} p99 {}",
            summary.p50, summary.p99
        )));
    }
    text.push(if good {
        Line::styled("counts exact", look.good())
    } else {
        Line::styled("counts incomplete", look.bad())
    });
    text.push(Line::styled("enlarge me; q quits", Look::faint()));
    lines(frame, area, text);
}

const fn status(state: &State) -> &'static str {
    if state.ended {
        "ENDED"
    } else if state.is_paused() {
        "PAUSED"
    } else {
        "LIVE"
    }
}
