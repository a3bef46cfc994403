//! How uncertain an estimate is: from how much windows differ.
//!
//! A window is one draw, whatever the number of operations in it: those of one window resemble each other. So variances are
//! taken over windows (of a ratio by linearisation), gathered into at most `MOST` batches of neighbours, so that memory
//! stays bounded. Windows without a pause between them are no draws: nothing is left out. What the cost of a trap may be besides
//! moves the estimate as a whole: each interval covers those with the least and the most.

use std::collections::BTreeMap;

use super::estimate::Weight;

/// Batches kept; beyond, neighbours become one.
const MOST: usize = 256;
/// Fewer than this say nothing of how much windows differ.
const FEWEST: usize = 6;

/// Sums of weights by cell and depth.
pub(super) type Cells = BTreeMap<(u32, u32), Weight>;

/// The windows of a time.
#[derive(Clone, Debug, Default)]
pub struct Batches {
    all: Cells,
    /// Those that stand for more than themselves.
    sampled: Vec<Batch>,
}

#[derive(Clone, Debug)]
struct Batch {
    windows: u32,
    /// Likely weights.
    cells: BTreeMap<(u32, u32), f64>,
}

/// Where a number lies with a probability of 95%.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Batches {
    /// Adds a window; `sampled`: it stands for more than itself.
    pub(super) fn add(&mut self, cells: &Cells, sampled: bool) {
        for (cell, weight) in cells {
            self.all.entry(*cell).or_default().add(*weight, 1.0);
        }
        if sampled {
            let cells = cells.iter().map(|(cell, weight)| (*cell, weight.likely));
            self.push(Batch {
                windows: 1,
                cells: cells.collect(),
            });
        }
    }

    /// Adds the windows of a later time.
    pub(super) fn merge(&mut self, later: &Self) {
        for (cell, weight) in &later.all {
            self.all.entry(*cell).or_default().add(*weight, 1.0);
        }
        for batch in &later.sampled {
            self.push(batch.clone());
        }
    }

    /// The same windows with the operations of some cells as if they were of the first of these; those of others left out.
    #[must_use]
    pub fn together(&self, cells: &[u32]) -> Self {
        let Some(first) = cells.first() else {
            return Self::default();
        };
        let mut all = Cells::new();
        for cell in cells {
            for (depth, weight) in self.depths(*cell) {
                all.entry((*first, depth)).or_default().add(weight, 1.0);
            }
        }
        let sampled = self.sampled.iter().map(|batch| {
            let mut together = Batch {
                windows: batch.windows,
                cells: BTreeMap::new(),
            };
            for ((cell, depth), weight) in &batch.cells {
                if cells.contains(cell) {
                    *together.cells.entry((*first, *depth)).or_default() += weight;
                }
            }
            together
        });
        Self {
            all,
            sampled: sampled.collect(),
        }
    }

    /// Beyond [`MOST`], the two neighbours with the fewest windows become one.
    fn push(&mut self, batch: Batch) {
        self.sampled.push(batch);
        if self.sampled.len() <= MOST {
            return;
        }
        let pairs = self.sampled.windows(2).enumerate();
        let smallest = pairs
            .min_by_key(|(_, pair)| pair[0].windows + pair[1].windows)
            .map_or(0, |(index, _)| index);
        let second = self.sampled.remove(smallest + 1);
        let first = &mut self.sampled[smallest];
        first.windows += second.windows;
        for (cell, weight) in second.cells {
            *first.cells.entry(cell).or_default() += weight;
        }
    }

    /// All operations of a cell, as sums of weights.
    #[must_use]
    pub fn total(&self, cell: u32) -> Weight {
        let mut total = Weight::default();
        for (_, weight) in self.depths(cell) {
            total.add(weight, 1.0);
        }
        total
    }

    /// How many operations of a cell there were; `None` if there are too few windows to tell.
    #[must_use]
    pub fn operations(&self, cell: u32) -> Option<Interval> {
        let total = self.total(cell);
        let windows = self.sampled_windows();
        let of_batch: Vec<_> = self
            .sampled
            .iter()
            .map(|batch| batch.sum(cell, |_| 1.0))
            .collect();
        let mean = of_batch.iter().sum::<f64>() / windows.max(1.0);
        let error = self.error(
            of_batch
                .iter()
                .zip(&self.sampled)
                .map(|(sum, batch)| sum - mean * f64::from(batch.windows)),
        )?;
        let relative = error / total.likely;
        Some(hull([total.likely, total.least, total.most], |value| {
            value * relative
        }))
    }

    /// The mean depth of a cell's operations.
    #[must_use]
    pub fn mean(&self, cell: u32) -> Option<Interval> {
        let total = self.total(cell);
        let mut sum = Weight::default();
        for (depth, weight) in self.depths(cell) {
            sum.add(weight, f64::from(depth));
        }
        let mean = sum.likely / total.likely;
        let error = self.error(
            self.sampled
                .iter()
                .map(|batch| batch.sum(cell, |depth| f64::from(depth) - mean)),
        )?;
        let error = error / total.likely;
        let means = [mean, sum.least / total.least, sum.most / total.most];
        let Interval { low, high } = hull(means, |_| error);
        Some(Interval {
            low: low.max(1.0),
            high,
        })
    }

    /// Between which depths the quantile of each share lies.
    #[must_use]
    pub fn quantiles<const N: usize>(
        &self,
        cell: u32,
        shares: [f64; N],
    ) -> Option<[(u32, u32); N]> {
        let total = self.total(cell);
        let deepest = self.depths(cell).map(|(depth, _)| depth).last()?;
        let mut quantiles = [(None, None); N];
        let mut below = Weight::default();
        let mut in_batch = vec![0.0; self.sampled.len()];
        let of_batch: Vec<_> = self
            .sampled
            .iter()
            .map(|batch| batch.sum(cell, |_| 1.0))
            .collect();
        for (depth, weight) in self.depths(cell) {
            below.add(weight, 1.0);
            for (sum, batch) in in_batch.iter_mut().zip(&self.sampled) {
                *sum += batch.cells.get(&(cell, depth)).copied().unwrap_or(0.0);
            }
            let share = below.likely / total.likely;
            let error = self.error(
                in_batch
                    .iter()
                    .zip(&of_batch)
                    .map(|(within, all)| within - share * all),
            )?;
            let error = error / total.likely;
            let reached = hull(
                [share, below.least / total.least, below.most / total.most],
                |_| error,
            );
            for ((low, high), share) in quantiles.iter_mut().zip(shares) {
                // Sums of floats: a share that is reached exactly may be one bit short.
                if low.is_none() && reached.high >= share - 1e-9 {
                    *low = Some(depth);
                }
                if high.is_none() && reached.low >= share - 1e-9 {
                    *high = Some(depth);
                }
            }
        }
        Some(quantiles.map(|(low, high)| (low.unwrap_or(deepest), high.unwrap_or(deepest))))
    }

    /// Half the width of the interval at 95% of a sum over all windows, of which each batch has this part. `None` if there
    /// are too few batches.
    fn error(&self, parts: impl Iterator<Item = f64>) -> Option<f64> {
        let count = self.sampled.len();
        if count == 0 {
            return Some(0.0);
        }
        if count < FEWEST {
            return None;
        }
        let freedom = (count - 1) as f64;
        // The variance of one window, from batches of several.
        let of_one = parts
            .zip(&self.sampled)
            .map(|(part, batch)| part * part / f64::from(batch.windows))
            .sum::<f64>()
            / freedom;
        // Student's t, near enough.
        let t = 1.96 + 2.8 / freedom;
        Some(t * (of_one * self.sampled_windows()).sqrt())
    }

    fn sampled_windows(&self) -> f64 {
        self.sampled
            .iter()
            .map(|batch| f64::from(batch.windows))
            .sum()
    }

    /// The depths of a cell, in order.
    fn depths(&self, cell: u32) -> impl Iterator<Item = (u32, Weight)> {
        self.all
            .range((cell, 0)..=(cell, u32::MAX))
            .map(|((_, depth), weight)| (*depth, *weight))
    }
}

impl Batch {
    fn sum(&self, cell: u32, of: impl Fn(u32) -> f64) -> f64 {
        self.cells
            .range((cell, 0)..=(cell, u32::MAX))
            .map(|((_, depth), weight)| weight * of(*depth))
            .sum()
    }
}

/// Depths up to 64 as they are, and those above rounded down to 1/32 of themselves: so that there are not too many.
pub(super) fn binned(depth: u32) -> u32 {
    let bits = (depth | 63).ilog2() - 5;
    depth >> bits << bits
}

/// From the least to the greatest of the values, each with its error.
fn hull(values: [f64; 3], error: impl Fn(f64) -> f64) -> Interval {
    let of = |value: f64| {
        let error = error(value);
        (value - error, value + error)
    };
    values.into_iter().map(of).fold(
        Interval {
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        },
        |interval, (low, high)| Interval {
            low: interval.low.min(low).max(0.0),
            high: interval.high.max(high),
        },
    )
}
