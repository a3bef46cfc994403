//! Numbers that are known up to an interval, where only the operations of windows of time were seen.
//!
//! The interval is shown in the place of the number: with 95% certainty the number of all operations is in it.

use super::look::Look;
use crate::dashboard::state::Kind;
use crate::report::model::{Estimate, Range, Report};
use crate::report::summary::Summary;
use crate::report::text::numbers::{compact, exact, mean};

/// A row's mean and quantiles, as they are shown.
pub(super) struct Sure<'a> {
    summary: Summary,
    /// Whether only those of windows were seen.
    in_windows: bool,
    /// What is known of all then.
    estimate: Option<&'a Estimate>,
    look: Look,
}

/// Which of a summary's quantiles.
#[derive(Clone, Copy)]
pub(super) enum Quantile {
    P50,
    P99,
}

impl<'a> Sure<'a> {
    /// Operations of the process on tables: of one kind, or all together.
    pub(super) fn new(
        summary: Summary,
        report: &'a Report,
        kind: Option<Kind>,
        look: Look,
    ) -> Self {
        let estimates = report.counts.estimates.as_ref();
        Self {
            summary,
            in_windows: estimates.is_some(),
            estimate: estimates.and_then(|estimates| estimates.of_tables(kind)),
            look,
        }
    }

    /// The mean, in at most so many columns.
    pub(super) fn mean(&self, columns: usize) -> String {
        let range = |estimate: &Estimate| {
            let range = estimate.mean?;
            Some((mean(range.low), mean(range.high)))
        };
        self.shown(&mean(self.summary.mean), range, columns)
    }

    /// A quantile, in at most so many columns.
    pub(super) fn quantile(&self, quantile: Quantile, columns: usize) -> String {
        let summary = &self.summary;
        let (depth, place) = match quantile {
            Quantile::P50 => (summary.p50, 0),
            Quantile::P99 => (summary.p99, 2),
        };
        let text = |depth: u32| {
            let text = exact(u64::from(depth));
            if text.len() > columns {
                compact(f64::from(depth))
            } else {
                text
            }
        };
        let range = |estimate: &Estimate| {
            let Range { low, high } = estimate.quantiles?[place];
            Some((text(low), text(high)))
        };
        self.shown(&text(depth), range, columns)
    }

    fn shown(
        &self,
        number: &str,
        range: impl Fn(&Estimate) -> Option<(String, String)>,
        columns: usize,
    ) -> String {
        if !self.in_windows {
            return number.to_owned();
        }
        shown(number, self.estimate.and_then(range), columns, self.look)
    }
}

/// `2–3`; `2?` where it is not known how sure that is, `≤12,345` where there is no room for both ends.
pub(super) fn shown(
    number: &str,
    range: Option<(String, String)>,
    columns: usize,
    look: Look,
) -> String {
    match range {
        None => format!("{number}?"),
        Some((low, high)) if low == high => low,
        Some((low, high)) => {
            let both = format!("{low}{}{high}", look.pick("–", "-"));
            if both.chars().count() <= columns {
                both
            } else {
                format!("{}{high}", look.pick("≤", "<="))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_takes_the_place_of_the_number_as_far_as_there_is_room() {
        let look = |unicode| Look {
            colour: false,
            unicode,
        };
        let range = |low: &str, high: &str| Some((low.to_owned(), high.to_owned()));
        assert_eq!(shown("2", range("2", "3"), 5, look(true)), "2–3");
        assert_eq!(shown("2", range("2", "2"), 5, look(true)), "2");
        assert_eq!(shown("2", None, 5, look(true)), "2?");
        let wide = range("9,999", "12,345");
        assert_eq!(shown("10,000", wide.clone(), 8, look(true)), "≤12,345");
        assert_eq!(shown("10,000", wide.clone(), 8, look(false)), "<=12,345");
        assert_eq!(shown("10,000", wide, 12, look(false)), "9,999-12,345");
    }
}
