//! The first page: the operations and the depths of one kind of them; with more room also the time and the top rows.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::look::Look;
use super::{header, heat, histogram, operations, percentiles, table};
use crate::dashboard::state::State;
use crate::dashboard::state::list::{Choice, List, Table};

pub(super) fn draw(frame: &mut Frame<'_>, page: Rect, state: &State, look: Look) {
    if page.width >= 140 && page.height >= 34 {
        wide(frame, page, state, look);
    } else {
        narrow(frame, page, state, look);
    }
}

fn narrow(frame: &mut Frame<'_>, page: Rect, state: &State, look: Look) {
    let top = match page.height {
        0..16 => 0,
        16..24 => 4,
        height => (height - operations::HEIGHT) / 3,
    };
    let [numbers, _, depths, types] = Layout::vertical([
        Constraint::Length(operations::HEIGHT),
        Constraint::Length(u16::from(page.height > 20)),
        Constraint::Min(3),
        Constraint::Length(top),
    ])
    .areas(page);
    operations::draw(frame, numbers, state, look);
    depth(frame, depths, state, look);
    if top > 0 {
        rows(frame, types, List::Types, state, look);
    }
}

fn wide(frame: &mut Frame<'_>, page: Rect, state: &State, look: Look) {
    let [above, below] =
        Layout::vertical([Constraint::Percentage(60), Constraint::Percentage(40)]).areas(page);
    let [left, _, right] = Layout::horizontal([
        Constraint::Percentage(46),
        Constraint::Length(3),
        Constraint::Fill(1),
    ])
    .areas(above);
    let [numbers, _, depths, _] = Layout::vertical([
        Constraint::Length(operations::HEIGHT),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(left);
    operations::draw(frame, numbers, state, look);
    depth(frame, depths, state, look);
    let strips = percentiles::height(right.height / 2);
    let [time, _, map, _] = Layout::vertical([
        Constraint::Length(strips),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(right);
    percentiles::draw(frame, time, state, look);
    heat::draw(frame, map, state, look);
    let counts = &state.report().counts;
    let second = if counts.by_site.is_empty() && !counts.by_map.is_empty() {
        List::Maps
    } else {
        List::Sites
    };
    let [types, _, others] = Layout::horizontal([
        Constraint::Percentage(46),
        Constraint::Length(3),
        Constraint::Fill(1),
    ])
    .areas(below);
    rows(frame, types, List::Types, state, look);
    rows(frame, others, second, state, look);
}

fn depth(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let what = header::operations(state.choice.kind);
    histogram::draw(
        frame,
        area,
        state,
        &state.report().counts.operations,
        &what,
        look,
    );
}

/// The first rows of a table.
fn rows(frame: &mut Frame<'_>, area: Rect, of: List, state: &State, look: Look) {
    let choice = Choice {
        filter: String::new(),
        ..state.choice.clone()
    };
    let table = Table::new(of, state.report(), &choice, None);
    table::draw_all(frame, area, state, &[table], None, look);
}
