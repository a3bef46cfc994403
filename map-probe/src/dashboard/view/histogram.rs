//! A bar for each depth, or for each power of two of depths.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::lines;
use super::look::{Look, right};
use crate::dashboard::state::list::chosen;
use crate::dashboard::state::{Kind, State};
use crate::report::model::Rows;
use crate::report::summary::{self, Bucket};
use crate::report::text::numbers::{exact_in, share};
use crate::report::text::operations::{bar, labels};

/// Columns right of the bars.
const COUNT: usize = 14;
const SHARE: usize = 8;

/// Draws the depths of some rows, under the title `what`.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    rows: &Rows,
    what: &str,
    look: Look,
) {
    let depths = together(rows, state.choice.kind);
    let (scale, bars) = match (state.bars.exact, state.bars.logarithmic) {
        (true, true) => ("every depth", ", bars logarithmic"),
        (true, false) => ("every depth", ""),
        (false, true) => ("powers of two", ", bars logarithmic"),
        (false, false) => ("powers of two", ""),
    };
    let title = Line::from(vec![
        Span::styled(look.safe(what), Look::strong()),
        Span::styled(format!(" by depth, {scale}{bars} (x, b)"), Look::faint()),
    ]);
    let mut text = vec![title];
    let room = usize::from(area.height).saturating_sub(1);
    let buckets = if state.bars.exact {
        every(depths)
    } else {
        summary::folded(depths)
    };
    let buckets = fitting(buckets, room);
    if buckets.is_empty() {
        text.push(Line::styled("  none in this time", Look::faint()));
    }
    text.extend(bars_of(
        &buckets,
        usize::from(area.width),
        state.bars.logarithmic,
        look,
    ));
    lines(frame, area, text);
}

fn together(rows: &Rows, kind: Option<Kind>) -> BTreeMap<u32, u64> {
    let mut depths = BTreeMap::<u32, u64>::new();
    for (depth, count) in chosen(rows, kind) {
        let sum = depths.entry(depth).or_default();
        *sum = count.saturating_add(*sum);
    }
    depths
}

/// A bucket for each depth that occurred.
fn every(depths: BTreeMap<u32, u64>) -> Vec<Bucket> {
    let bucket = |(depth, count)| Bucket {
        from: depth,
        to: depth,
        count,
    };
    depths.into_iter().map(bucket).collect()
}

/// As many buckets as there is room for: the deepest become one.
fn fitting(mut buckets: Vec<Bucket>, room: usize) -> Vec<Bucket> {
    while buckets.len() > room.max(1) {
        let (Some(last), Some(before)) = (buckets.pop(), buckets.last_mut()) else {
            break;
        };
        before.to = last.to;
        before.count = before.count.saturating_add(last.count);
    }
    buckets
}

fn bars_of(buckets: &[Bucket], width: usize, logarithmic: bool, look: Look) -> Vec<Line<'static>> {
    let style = look.text(width);
    let (labels, widest) = labels(buckets, 7, style);
    let all = buckets
        .iter()
        .fold(0_u64, |sum, bucket| sum.saturating_add(bucket.count));
    let length = width.saturating_sub(2 + widest + 2 + SHARE + COUNT);
    let line = |(bucket, label): (&Bucket, &String)| {
        let (part, whole) = if logarithmic {
            (bits(bucket.count), bits(all))
        } else {
            (bucket.count, all)
        };
        let bar = bar(part, whole, length, style);
        Line::from(vec![
            Span::styled(format!("  {label}  "), Style::new()),
            Span::styled(look.fit(&bar, length), look.bar()),
            Span::raw(right(&share(bucket.count, all), SHARE)),
            Span::styled(
                right(&exact_in(bucket.count, COUNT - 1), COUNT),
                Look::faint(),
            ),
        ])
    };
    buckets.iter().zip(&labels).map(line).collect()
}

/// The logarithm of a count in thousandths, between powers of two linear, and so that one is more than none.
fn bits(count: u64) -> u64 {
    let Some(log2) = count.checked_ilog2() else {
        return 0;
    };
    // From 1000 to 1999: how far it is to the next power of two.
    let thousandths = (u128::from(count) * 1000) >> log2;
    u64::from(log2) * 1000 + thousandths as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: &[(u32, u64)]) -> Vec<Bucket> {
        every(counts.iter().copied().collect())
    }

    #[test]
    fn the_deepest_become_one_where_there_is_no_room_and_no_operation_is_left_out() {
        let fitted = fitting(buckets(&[(1, 100), (2, 10), (9, 3), (40, 2)]), 3);
        let last = Bucket {
            from: 9,
            to: 40,
            count: 5,
        };
        assert_eq!(fitted.len(), 3);
        assert_eq!(fitted[2], last);
    }

    #[test]
    fn logarithmic_bars_show_single_operations_beside_millions() {
        let look = Look {
            colour: false,
            unicode: false,
        };
        let lines = bars_of(&buckets(&[(1, 1_000_000), (2, 1)]), 80, true, look);
        let marks = |line: &Line<'_>| line.to_string().matches('#').count();
        assert!(marks(&lines[1]) >= 2, "{}", lines[1]);
        assert!(marks(&lines[0]) > 10 * marks(&lines[1]));
    }
}
