//! What the screen looks like: a pure function of the state.

mod detail;
mod footer;
mod header;
mod heat;
mod help;
mod histogram;
mod look;
mod operations;
mod overview;
mod percentiles;
mod small;
mod sure;
mod table;
mod target;
#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

pub(super) use self::look::Look;
use super::state::{State, Tab};

/// With less than this there is no room for pages.
const SMALLEST: (u16, u16) = (48, 12);

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, look: Look) {
    let screen = frame.area();
    if screen.width < SMALLEST.0 || screen.height < SMALLEST.1 {
        small::draw(frame, screen, state, look);
        return;
    }
    let [top, page, bottom] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(0),
        Constraint::Length(3),
    ])
    .areas(screen);
    header::draw(frame, top, state, look);
    footer::draw(frame, bottom, state, look);
    if state.help {
        help::draw(frame, page, state, look);
        return;
    }
    if let Some(subject) = state.opened() {
        detail::draw(frame, page, state, subject, look);
        return;
    }
    match state.tab() {
        Tab::Overview => overview::draw(frame, page, state, look),
        Tab::Time => time(frame, page, state, look),
        Tab::List(_) => {
            table::draw_all(
                frame,
                page,
                state,
                state.tables(),
                Some(state.marked()),
                look,
            );
        }
        Tab::Target => target::draw(frame, page, state, look),
    }
}

/// Percentiles over time, and below them the heat map.
fn time(frame: &mut Frame<'_>, page: Rect, state: &State, look: Look) {
    let strips = percentiles::height(page.height / 2);
    let [above, below] =
        Layout::vertical([Constraint::Length(strips), Constraint::Min(0)]).areas(page);
    percentiles::draw(frame, above, state, look);
    heat::draw(frame, below, state, look);
}

/// Draws lines from the top of an area; what does not fit is cut.
fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    frame.render_widget(Paragraph::new(lines), area);
}
