//! In which order types, maps and call sites are shown, and how many of them.

use std::cmp::Reverse;
use std::sync::Arc;

use super::counts::{Counts, Entry, List, excess, total};
use super::summary::Summary;

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// Most operations
    #[default]
    Count,
    /// Most excess probes: the sum of depth - 1, what better hashing or sizing would save
    Excess,
    /// Highest 99th percentile of the depth
    P99,
    /// Deepest operation
    Max,
    /// Highest mean depth
    Mean,
}

/// The order, and how many of each there are at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ranking {
    /// What comes first, if that was asked for: otherwise most operations, and on the dashboard most excess probes.
    pub sort: Option<Sort>,
    /// As many types, maps, call sites and stacks; `None`: all, or as many as fit where people read.
    pub top: Option<usize>,
}

impl Ranking {
    /// Puts the parts of a report in order.
    pub fn apply(self, counts: &mut Counts) {
        self.list(&mut counts.by_type);
        self.list(&mut counts.by_map);
        self.list(&mut counts.by_site);
        self.list(&mut counts.by_stack);
    }

    /// As many of a list as are shown where all can be.
    #[must_use]
    pub fn shown<T>(self, list: &[T]) -> &[T] {
        self.top.and_then(|top| list.get(..top)).unwrap_or(list)
    }

    fn list<T: Entry>(self, list: &mut List<T>) {
        // Lists come with most operations first, and equal ones keep their places.
        let sort = self.sort.unwrap_or_default();
        if sort != Sort::Count {
            Arc::make_mut(list).sort_by_cached_key(|one| {
                let depths = one.rows().iter().flat_map(|(_, depths)| depths);
                Reverse(sort.rank(depths))
            });
        }
    }
}

impl Sort {
    /// Puts operations in their place: the greatest comes first.
    pub(crate) fn rank(self, depths: impl Iterator<Item = (u32, u64)>) -> u64 {
        match self {
            Self::Count => total(depths),
            Self::Excess => excess(depths),
            Self::P99 => Summary::of(depths).map_or(0, |summary| summary.p99.into()),
            Self::Max => depths.map(|(depth, _)| depth).max().unwrap_or(0).into(),
            // Finite and positive, so that their bits are in the same order as they are.
            Self::Mean => Summary::of(depths).map_or(0, |summary| summary.mean.to_bits()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::counts::{Quality, Rows};
    use map_probe_common::op::{Class, Op, Outcome};

    #[test]
    fn each_order_puts_its_own_first() {
        let rows = |cells: &[(u32, u64)]| {
            let mut rows = Rows::default();
            for (depth, operations) in cells {
                let kind = (Op::Lookup, Outcome::Found, Class::Table);
                rows.record(kind, *depth, *operations);
            }
            rows
        };
        let types = [
            ("frequent", rows(&[(1, 1000)])),
            ("wasteful", rows(&[(1, 400), (2, 400)])),
            ("deep", rows(&[(1, 500), (30, 1)])),
            ("worn", rows(&[(3, 5)])),
            ("rough", rows(&[(1, 98), (4, 2)])),
        ];
        let types = types.map(|(name, rows)| (Some(name.into()), rows));
        let first = |sort, top| {
            let mut counts = Counts::of_types(types.clone(), Quality::default());
            let ranking = Ranking {
                sort: Some(sort),
                top,
            };
            ranking.apply(&mut counts);
            assert_eq!(ranking.shown(&counts.by_type).len(), top.unwrap_or(5));
            counts.by_type[0].name.clone().expect("named").to_string()
        };
        assert_eq!(first(Sort::Count, None), "frequent");
        assert_eq!(first(Sort::Excess, Some(3)), "wasteful");
        assert_eq!(first(Sort::P99, Some(1)), "rough");
        assert_eq!(first(Sort::Max, None), "deep");
        assert_eq!(first(Sort::Mean, None), "worn");
    }
}
