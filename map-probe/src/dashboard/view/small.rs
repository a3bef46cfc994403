//! What is left on a screen too small for pages.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::look::Look;
use super::sure::{Quantile, Sure};
use super::{footer, lines};
use crate::dashboard::state::State;
use crate::dashboard::state::list::chosen;
use crate::report::summary::Summary;
use crate::report::text::numbers::compact;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let report = state.report();
    let total = report.counts.operations.total();
    let (good, _) = footer::quality(&state.data().whole);
    let mut text = vec![Line::styled(
        format!("{} ops {}", compact(total as f64), status(state)),
        Look::strong(),
    )];
    if let Some(summary) = Summary::of(chosen(&report.counts.operations, state.choice.kind)) {
        let sure = Sure::new(summary, report, state.choice.kind, look);
        text.push(Line::raw(format!(
            "mean {} max {}",
            sure.mean(9),
            summary.max
        )));
        text.push(Line::raw(format!(
            "p50 {} p99 {}",
            sure.quantile(Quantile::P50, 5),
            sure.quantile(Quantile::P99, 5)
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
