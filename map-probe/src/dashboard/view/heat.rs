//! The heat map: which share of the operations of a time had which depth.

use std::collections::BTreeSet;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::lines;
use super::look::{Look, right};
use super::percentiles::LABEL;
use crate::dashboard::state::State;
use crate::dashboard::state::history::Strip;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, look: Look) {
    let width = usize::from(area.width).saturating_sub(LABEL);
    let columns = state
        .data()
        .history
        .columns(width, state.zoom, state.choice.kind);
    let mut text = vec![title(look)];
    // One line for the title, one for the time below.
    let room = usize::from(area.height).saturating_sub(2).max(1);
    let rows = rows(&columns, state.bars.exact, room);
    let blank = " ".repeat(width.saturating_sub(columns.len()));
    for row in rows.iter().rev() {
        let label = label(*row, look);
        let mut spans = vec![Span::raw(format!("depth {} ", right(&label, LABEL - 7)))];
        spans.push(Span::raw(blank.clone()));
        spans.extend(
            columns
                .iter()
                .map(|strip| look.heat(level(strip.as_ref(), *row))),
        );
        text.push(Line::from(spans));
    }
    if rows.is_empty() {
        text.push(Line::styled("  no operations in this time", Look::faint()));
    } else {
        text.push(axis(state, columns.len(), width));
    }
    lines(frame, area, text);
}

fn title(look: Look) -> Line<'static> {
    let mut spans = vec![
        Span::styled("depth over time", Look::strong()),
        Span::styled(format!("{}share of a column: ", look.dot()), Look::faint()),
    ];
    for (level, words) in [
        (1, "<0.01% "),
        (2, "<0.1% "),
        (3, "<1% "),
        (4, "<10% "),
        (5, "more"),
    ] {
        spans.push(look.heat(level));
        spans.push(Span::styled(words, Look::faint()));
    }
    Line::from(spans)
}

/// The ranges of depths that have a row, the shallowest first; the deepest share one where there is no room.
fn rows(columns: &[Option<Strip>], exact: bool, room: usize) -> Vec<(u32, u32)> {
    let depths: BTreeSet<u32> = columns
        .iter()
        .flatten()
        .flat_map(|strip| &strip.cells)
        .map(|(depth, _)| *depth)
        .collect();
    let range = |depth: u32| {
        let log2 = depth.max(1).ilog2();
        let end = (1_u64 << (log2 + 1)) - 1;
        match depth {
            0..64 if exact => (depth, depth),
            _ => (1 << log2, u32::try_from(end).unwrap_or(u32::MAX)),
        }
    };
    let mut rows: Vec<_> = depths.into_iter().map(range).collect();
    rows.dedup();
    while rows.len() > room {
        let (Some(last), Some(before)) = (rows.pop(), rows.last_mut()) else {
            break;
        };
        before.1 = last.1;
    }
    rows
}

fn label((from, to): (u32, u32), look: Look) -> String {
    if from == to {
        return from.to_string();
    }
    let text = format!("{from}{}{to}", look.pick("–", "-"));
    if text.chars().count() > LABEL - 7 {
        format!("{from}+")
    } else {
        text
    }
}

/// How much of a column lies in a row, from 0 for nothing to 5.
fn level(strip: Option<&Strip>, (from, to): (u32, u32)) -> usize {
    let Some(strip) = strip else { return 0 };
    // Depth 0 is not a depth; should it be there, it goes with depth 1.
    let within = strip
        .cells
        .iter()
        .filter(|(depth, _)| (from..=to).contains(depth) || (*depth == 0 && from == 1));
    let count = within.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
    if count == 0 {
        return 0;
    }
    match count as f64 / strip.total().max(1) as f64 {
        share if share < 0.0001 => 1,
        share if share < 0.001 => 2,
        share if share < 0.01 => 3,
        share if share < 0.1 => 4,
        _ => 5,
    }
}

/// When the first and the last column were.
fn axis(state: &State, columns: usize, width: usize) -> Line<'static> {
    let data = state.data();
    let seconds = (columns * state.zoom) as f64 * data.interval_seconds();
    let from = format!("{:.0} s before", seconds.max(0.0));
    let to = format!("at {:.1} s", data.interval.until_seconds);
    let shown = columns.clamp((from.len() + to.len() + 1).min(width), width.max(1));
    let left = LABEL + width.saturating_sub(shown);
    let gap = shown.saturating_sub(from.len() + to.len()).max(1);
    Line::styled(
        format!("{}{from}{}{to}", " ".repeat(left), " ".repeat(gap)),
        Look::faint(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip(cells: &[(u32, u64)]) -> Strip {
        Strip {
            percentiles: [1; 5],
            ranges: None,
            cells: cells.to_vec(),
        }
    }

    #[test]
    fn every_depth_has_a_row_and_the_deepest_share_one_where_there_is_no_room() {
        let columns = [
            Some(strip(&[(1, 5), (2, 1)])),
            None,
            Some(strip(&[(3, 1), (20, 1), (128, 1)])),
        ];
        assert_eq!(
            rows(&columns, false, 9),
            [(1, 1), (2, 3), (16, 31), (128, 255)]
        );
        assert_eq!(
            rows(&columns, true, 9),
            [(1, 1), (2, 2), (3, 3), (20, 20), (128, 255)]
        );
        assert_eq!(rows(&columns, false, 2), [(1, 1), (2, 255)]);
    }

    #[test]
    fn a_single_operation_among_millions_is_seen() {
        let strip = strip(&[(1, 10_000_000), (5, 1)]);
        assert_eq!(level(Some(&strip), (4, 7)), 1);
        assert_eq!(level(Some(&strip), (1, 1)), 5);
        assert_eq!(level(Some(&strip), (2, 3)), 0);
        assert_eq!(level(None, (1, 1)), 0);
    }
}
