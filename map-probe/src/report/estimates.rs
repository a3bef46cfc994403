//! What is known of all operations where only those of some windows of time were seen.

use std::collections::BTreeMap;

use map_probe_common::op::{Class, Op, Outcome};

use super::counts::RowKey;

/// What is known of all operations of the process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimates {
    /// By row.
    pub rows: BTreeMap<RowKey, Estimate>,
    /// All operations on tables together; `None` without any.
    pub tables: Option<Estimate>,
}

/// From where to where a number lies, with a probability of 95%.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range<T> {
    /// The lower end.
    pub low: T,
    /// The upper end.
    pub high: T,
}

/// What is known of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Their share of all operations, from 0 to 1.
    pub share: f64,
    /// How many operations there were, seen or not, and from where to where that may be; `None` where it would be a guess.
    pub operations: Option<(f64, Range<f64>)>,
    /// Their mean depth; `None` if there are too few windows to tell.
    pub mean: Option<Range<f64>>,
    /// The depths of 50%, 90%, 99% and 99.9% of them; `None` likewise.
    pub quantiles: Option<[Range<u32>; 4]>,
}

impl Estimates {
    /// Of operations on tables: of one kind, or all together.
    #[must_use]
    pub fn of_tables(&self, kind: Option<(Op, Outcome)>) -> Option<&Estimate> {
        match kind {
            None => self.tables.as_ref(),
            Some((op, outcome)) => self.rows.get(&(op, outcome, Class::Table)),
        }
    }

    /// All operations of the process; `None` where one row's are not known.
    #[must_use]
    pub fn operations(&self) -> Option<f64> {
        self.rows
            .values()
            .map(|estimate| estimate.operations.map(|(operations, _)| operations))
            .sum()
    }
}
