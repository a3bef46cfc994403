//! The last intervals: a bounded ring of what each had, by operation and depth.

use std::collections::{BTreeMap, VecDeque};

use map_probe_common::op::Class;

use super::Kind;
use super::list::chosen;
use crate::report::model::{Counts, Range, Report};
use crate::report::summary::Summary;

/// Intervals kept: ten minutes of seconds.
pub(crate) const MOMENTS: usize = 600;

/// From this depth on only powers of two are told apart, so that no target can make the history large.
const EXACT_BELOW: u32 = 64;

/// One interval.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    /// When it ended, in seconds since the probes were in place.
    pub(crate) until_seconds: f64,
    /// All operations together, then each kind that there was.
    rows: Box<[(Option<Kind>, Strip)]>,
}

/// The operations of one kind in one interval, or in several.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Strip {
    /// p50, p90, p99, p99.9 and the greatest depth; of several intervals the highest of each.
    pub(crate) percentiles: [u32; 5],
    /// Where the first four of them lie with 95% certainty; `None` if that is not known.
    pub(crate) ranges: Option<[Range<u32>; 4]>,
    /// Operations by depth: exact below 64, then by powers of two, named by their smallest depth.
    pub(crate) cells: Vec<(u32, u64)>,
}

impl Strip {
    fn of(counts: &Counts, kind: Option<Kind>) -> Option<Self> {
        let rows = &counts.operations;
        let summary = Summary::of(chosen(rows, kind))?;
        let mut cells = BTreeMap::new();
        for (depth, count) in chosen(rows, kind) {
            let depth = match depth {
                depth if depth < EXACT_BELOW => depth,
                depth => 1 << depth.ilog2(),
            };
            add(&mut cells, depth, count);
        }
        let point = |depth| Range {
            low: depth,
            high: depth,
        };
        let ranges = match &counts.estimates {
            None => Some([summary.p50, summary.p90, summary.p99, summary.p999].map(point)),
            Some(estimates) => estimates
                .of_tables(kind)
                .and_then(|estimate| estimate.quantiles),
        };
        Some(Self {
            ranges,
            percentiles: [
                summary.p50,
                summary.p90,
                summary.p99,
                summary.p999,
                summary.max,
            ],
            cells: cells.into_iter().collect(),
        })
    }

    /// All operations of the time.
    pub(crate) fn total(&self) -> u64 {
        let counts = self.cells.iter().map(|(_, count)| *count);
        counts.fold(0, u64::saturating_add)
    }
}

fn add(cells: &mut BTreeMap<u32, u64>, depth: u32, count: u64) {
    let cell = cells.entry(depth).or_default();
    *cell = cell.saturating_add(count);
}

/// The last intervals, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    moments: VecDeque<Moment>,
    /// All that ever were.
    pushed: usize,
}

impl History {
    pub(crate) fn push(&mut self, interval: &Report) {
        let counts = &interval.counts;
        let kinds = counts
            .operations
            .of(Class::Table)
            .map(|((op, outcome, _), _)| Some((op, outcome)));
        let rows = std::iter::once(None)
            .chain(kinds)
            .filter_map(|kind| Some((kind, Strip::of(counts, kind)?)));
        if self.moments.len() == MOMENTS {
            self.moments.pop_front();
        }
        self.moments.push_back(Moment {
            until_seconds: interval.until_seconds,
            rows: rows.collect(),
        });
        self.pushed += 1;
    }

    /// The newest `width` columns of `zoom` intervals each, oldest first; `None` where nothing happened.
    ///
    /// Intervals are put together by their number, so that a column stays what it is while others are added.
    pub(crate) fn columns(
        &self,
        width: usize,
        zoom: usize,
        kind: Option<Kind>,
    ) -> Vec<Option<Strip>> {
        let zoom = zoom.max(1);
        let first = self.pushed - self.moments.len();
        let last_column = self.pushed.saturating_sub(1) / zoom;
        let first_column = (first / zoom).max((last_column + 1).saturating_sub(width));
        let mut columns = vec![None; (last_column + 1 - first_column).min(width)];
        if self.moments.is_empty() {
            return Vec::new();
        }
        for (number, moment) in (first..).zip(&self.moments) {
            let column = (number / zoom).checked_sub(first_column);
            let Some(column) = column.and_then(|column| columns.get_mut(column)) else {
                continue;
            };
            let Some((_, strip)) = moment.rows.iter().find(|(of, _)| *of == kind) else {
                continue;
            };
            match column {
                None => *column = Some(strip.clone()),
                Some(column) => merge(column, strip),
            }
        }
        columns
    }

    /// From one interval's end to the next on average; `None` of fewer than two.
    pub(crate) fn interval_seconds(&self) -> Option<f64> {
        let (first, last) = (self.moments.front()?, self.moments.back()?);
        let steps = self.moments.len() - 1;
        (steps > 0).then(|| (last.until_seconds - first.until_seconds) / steps as f64)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.moments.len()
    }

    pub(crate) fn clear(&mut self) {
        self.moments.clear();
    }

    /// Each interval with its operations of one kind, oldest first.
    pub(crate) fn moments(
        &self,
        kind: Option<Kind>,
    ) -> impl Iterator<Item = (f64, Option<&Strip>)> {
        self.moments.iter().map(move |moment| {
            let strip = moment.rows.iter().find(|(of, _)| *of == kind);
            (moment.until_seconds, strip.map(|(_, strip)| strip))
        })
    }
}

fn merge(into: &mut Strip, strip: &Strip) {
    for (highest, percentile) in into.percentiles.iter_mut().zip(strip.percentiles) {
        *highest = percentile.max(*highest);
    }
    // The highest of several is as high as the highest of their lower ends, at least.
    into.ranges = into.ranges.zip(strip.ranges).map(|(mut ranges, more)| {
        for (range, more) in ranges.iter_mut().zip(more) {
            range.low = range.low.max(more.low);
            range.high = range.high.max(more.high);
        }
        ranges
    });
    let mut cells: BTreeMap<u32, u64> = into.cells.iter().copied().collect();
    for (depth, count) in &strip.cells {
        add(&mut cells, *depth, *count);
    }
    into.cells = cells.into_iter().collect();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Rows;
    use crate::report::sample;
    use map_probe_common::op::{Op, Outcome};

    fn interval(depth: u32, count: u64) -> Report {
        let mut report = sample::report();
        let mut rows = Rows::default();
        rows.record((Op::Lookup, Outcome::Found, Class::Table), depth, count);
        report.counts.operations = rows;
        report
    }

    #[test]
    fn the_oldest_interval_makes_room_for_the_newest() {
        let mut history = History::default();
        for count in 1..=MOMENTS as u64 + 5 {
            history.push(&interval(1, count));
        }
        assert_eq!(history.len(), MOMENTS);
        let newest = history.columns(2, 1, None);
        let totals: Vec<_> = newest.iter().flatten().map(Strip::total).collect();
        assert_eq!(totals, [604, 605]);
    }

    #[test]
    fn zoomed_columns_keep_every_operation_and_the_highest_percentiles() {
        let mut history = History::default();
        for depth in [1, 7, 2, 300] {
            history.push(&interval(depth, 10));
        }
        let kind = Some((Op::Lookup, Outcome::Found));
        let columns = history.columns(80, 2, kind);
        let columns: Vec<_> = columns.into_iter().flatten().collect();
        assert_eq!(columns[0].cells, [(1, 10), (7, 10)]);
        assert_eq!(columns[0].percentiles, [7; 5]);
        assert_eq!(columns[1].cells, [(2, 10), (256, 10)]);
        assert_eq!(columns[1].percentiles[4], 300);
    }

    #[test]
    fn a_column_of_windows_is_as_sure_as_its_intervals() {
        let mut history = History::default();
        let mut windows = interval(2, 10);
        windows.counts.estimates = Some(sample::estimates());
        history.push(&windows);
        let kind = Some((Op::Lookup, Outcome::Found));
        let strip = |history: &History| history.columns(1, 2, kind)[0].clone().expect("a strip");
        let ranges = |strip: Strip| {
            let ranges = strip.ranges.expect("known");
            ranges.map(|range| (range.low, range.high))
        };
        assert_eq!(ranges(strip(&history)), [(1, 1), (1, 1), (2, 3), (4, 20)]);
        history.push(&interval(3, 10));
        assert_eq!(ranges(strip(&history)), [(3, 3), (3, 3), (3, 3), (4, 20)]);
        windows.counts.estimates = Some(crate::report::model::Estimates::default());
        history.push(&windows);
        assert_eq!(strip(&history).ranges, None);
    }

    #[test]
    fn the_length_of_intervals_is_their_average() {
        let mut history = History::default();
        assert_eq!(history.interval_seconds(), None);
        for until in [1.0, 2.0, 5.0, 6.0, 7.0] {
            let mut report = interval(1, 1);
            report.until_seconds = until;
            history.push(&report);
        }
        assert_eq!(history.interval_seconds(), Some(1.5));
    }

    #[test]
    fn an_interval_without_operations_of_a_kind_is_a_gap() {
        let mut history = History::default();
        history.push(&interval(1, 1));
        history.push(&interval(1, 0));
        let gaps: Vec<_> = history
            .columns(9, 1, None)
            .iter()
            .map(Option::is_none)
            .collect();
        assert_eq!(gaps, [false, true]);
        assert!(history.columns(0, 1, None).is_empty());
        assert!(History::default().columns(9, 1, None).is_empty());
    }
}
