//! What is known of all operations where only those of some windows of time were seen.

use std::collections::BTreeMap;

use super::counts::RowKey;

/// By row of the whole process; empty where every operation was seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimates(pub BTreeMap<RowKey, Estimate>);

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
    /// All operations of the process; `None` where one row's are not known.
    #[must_use]
    pub fn operations(&self) -> Option<f64> {
        self.0
            .values()
            .map(|estimate| estimate.operations.map(|(operations, _)| operations))
            .sum()
    }
}
