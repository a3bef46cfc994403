//! What a row of depths comes down to: mean, percentiles, and histogram buckets.

use hdrhistogram::Histogram;

use super::model::Depths;

/// The depths of a number of operations, summed up.
///
/// A percentile is the smallest depth that at least that share of the operations does not exceed.
/// Exact up to a depth of [`EXACT_UP_TO`]; deeper percentiles are at most 0.001% too high.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// Operations.
    pub count: u64,
    /// Buckets or groups that an operation examined on average.
    pub mean: f64,
    /// Depth of half of the operations.
    pub p50: u32,
    /// Depth of 90% of the operations.
    pub p90: u32,
    /// Depth of 99% of the operations.
    pub p99: u32,
    /// Depth of 99.9% of the operations.
    pub p999: u32,
    /// The deepest operation.
    pub max: u32,
}

/// Up to this depth percentiles are exact: hdrhistogram's most significant digits, 5, tell all integers up to 2 * 10^5 apart.
pub const EXACT_UP_TO: u32 = 200_000;

impl Summary {
    /// Sums up one row, or several as if they were one; `None` if they have no operations.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Depths>) -> Option<Self> {
        let rows: Vec<_> = rows.into_iter().collect();
        let max = rows
            .iter()
            .filter_map(|depths| depths.iter().rev().find(|(_, count)| **count > 0))
            .map(|(depth, _)| *depth)
            .max()?;
        let mut histogram = histogram_up_to(max);
        for (depth, count) in rows.into_iter().flatten() {
            if *count > 0 {
                histogram.saturating_record_n(u64::from(*depth), *count);
            }
        }
        let count = histogram.len();
        // hdrhistogram's own quantiles multiply floats, and so can be one operation off at an exact share.
        let ranks = [500, 900, 990, 999].map(|per_mille| rank(count, per_mille));
        let mut percentiles = [max; 4];
        let (mut seen, mut examined) = (0_u128, 0_u128);
        for recorded in histogram.iter_recorded() {
            let depth = recorded.value_iterated_to().min(u64::from(max));
            let operations = u128::from(recorded.count_at_value());
            for (percentile, rank) in percentiles.iter_mut().zip(ranks) {
                if seen < rank && rank <= seen + operations {
                    *percentile = u32::try_from(depth).unwrap_or(max);
                }
            }
            seen += operations;
            examined = examined.saturating_add(u128::from(depth) * operations);
        }
        let [p50, p90, p99, p999] = percentiles;
        Some(Self {
            count,
            mean: examined as f64 / count as f64,
            p50,
            p90,
            p99,
            p999,
            max,
        })
    }
}

/// How many operations are at least that share of all, rounded up.
fn rank(count: u64, per_mille: u64) -> u128 {
    (u128::from(count) * u128::from(per_mille)).div_ceil(1000)
}

/// An empty histogram that tells all depths up to `max` apart (see [`EXACT_UP_TO`]), with no more memory than that takes.
fn histogram_up_to(max: u32) -> Histogram<u64> {
    let enough = |digits: &u8| max <= 2 * 10_u32.pow(u32::from(*digits));
    let digits = (1..5).find(enough).unwrap_or(5);
    Histogram::new_with_bounds(1, u64::from(max).max(2), digits)
        .expect("low is 1, high at least 2, and there are at most 5 digits")
}

/// Operations with a depth within a range, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Smallest depth.
    pub from: u32,
    /// Greatest depth.
    pub to: u32,
    /// Operations.
    pub count: u64,
}

/// The histogram of machine-readable reports: exact for depths 1 to 16, then
/// 17–32, 33–64 and so on; without empty buckets.
#[must_use]
pub fn buckets(depths: &Depths) -> Vec<Bucket> {
    gather(depths, |depth| {
        if depth <= 16 {
            return (depth, depth);
        }
        // 17 to 32 is 2^4 + 1 to 2^5.
        let log2 = (depth - 1).ilog2();
        ((1 << log2) + 1, power_of_two(log2 + 1, 0))
    })
}

/// The histogram of a screen: 1, 2–3, 4–7, 8–15 and so on, from the first to the
/// last bucket that has operations; empty ones between them are there.
#[must_use]
pub fn folded(depths: &Depths) -> Vec<Bucket> {
    let filled = gather(depths, |depth| {
        let log2 = depth.max(1).ilog2();
        (1 << log2, power_of_two(log2 + 1, 1))
    });
    let mut all: Vec<Bucket> = Vec::with_capacity(filled.len());
    for bucket in filled {
        while let Some(last) = all.last()
            && last.to + 1 < bucket.from
        {
            let from = last.to + 1;
            let to = power_of_two(from.ilog2() + 1, 1);
            all.push(Bucket { from, to, count: 0 });
        }
        all.push(bucket);
    }
    all
}

/// `2^exponent - less`, or the greatest depth if that is more.
fn power_of_two(exponent: u32, less: u64) -> u32 {
    u32::try_from((1_u64 << exponent) - less).unwrap_or(u32::MAX)
}

fn gather(depths: &Depths, range: impl Fn(u32) -> (u32, u32)) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for (depth, count) in depths {
        if *count == 0 {
            continue;
        }
        let (from, to) = range(*depth);
        match buckets.last_mut() {
            Some(last) if last.from == from => last.count = last.count.saturating_add(*count),
            _ => buckets.push(Bucket {
                from,
                to,
                count: *count,
            }),
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    /// The definition, word by word, on one depth per operation.
    fn naive(depths: &Depths) -> Summary {
        let each: Vec<u32> = depths
            .iter()
            .flat_map(|(depth, count)| (0..*count).map(|_| *depth))
            .collect();
        let percentile = |per_mille: usize| {
            let reached = |depth: &&u32| {
                let within = each.iter().filter(|other| other <= depth).count();
                within * 1000 >= each.len() * per_mille
            };
            *each.iter().find(reached).expect("the last one reaches all")
        };
        let sum: f64 = each.iter().map(|depth| f64::from(*depth)).sum();
        Summary {
            count: each.len() as u64,
            mean: sum / each.len() as f64,
            p50: percentile(500),
            p90: percentile(900),
            p99: percentile(990),
            p999: percentile(999),
            max: *each.last().expect("not empty"),
        }
    }

    #[test]
    fn a_percentile_counts_the_operation_that_just_reaches_it() {
        let depths = Depths::from([(1, 990), (2, 9), (70_001, 1)]);
        let summary = Summary::of([&depths]).expect("not empty");
        let (p50, p90, p99, p999) = (summary.p50, summary.p90, summary.p99, summary.p999);
        assert_eq!((p50, p90, p99, p999), (1, 1, 1, 2));
        assert_eq!(summary.max, 70_001);
        assert_eq!(summary.count, 1000);
    }

    #[test]
    fn rows_without_operations_have_no_summary() {
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([&Depths::from([(3, 0)])]), None);
    }

    #[test]
    fn depths_and_counts_of_any_size_are_summed_up() {
        let depths = Depths::from([(0, u64::MAX), (1, u64::MAX), (u32::MAX, u64::MAX)]);
        let summary = Summary::of([&depths]).expect("not empty");
        assert_eq!(summary.max, u32::MAX);
        assert_eq!(summary.p50, 0);
    }

    #[test]
    fn buckets_are_exact_up_to_16_and_log2_sized_above() {
        let depths = Depths::from([
            (1, 5),
            (16, 2),
            (17, 1),
            (32, 1),
            (33, 4),
            (64, 1),
            (65, 1),
            (9, 0),
            (u32::MAX, 1),
        ]);
        let found: Vec<_> = buckets(&depths)
            .iter()
            .map(|bucket| (bucket.from, bucket.to, bucket.count))
            .collect();
        let expected = [
            (1, 1, 5),
            (16, 16, 2),
            (17, 32, 2),
            (33, 64, 5),
            (65, 128, 1),
            (0x8000_0001, u32::MAX, 1),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn folded_buckets_are_log2_sized_and_have_no_gaps() {
        let depths = Depths::from([(2, 5), (3, 2), (16, 1)]);
        let found: Vec<_> = folded(&depths)
            .iter()
            .map(|bucket| (bucket.from, bucket.to, bucket.count))
            .collect();
        assert_eq!(found, [(2, 3, 7), (4, 7, 0), (8, 15, 0), (16, 31, 1)]);
        let deepest = folded(&Depths::from([(u32::MAX, 1)]));
        assert_eq!((deepest[0].from, deepest[0].to), (1 << 31, u32::MAX));
    }

    proptest! {
        #[test]
        fn a_summary_is_what_its_definition_says(
            depths in btree_map(prop_oneof![1..40_u32, 1..EXACT_UP_TO], 1..60_u64, 1..12),
        ) {
            prop_assert_eq!(Summary::of([&depths]), Some(naive(&depths)));
        }

        #[test]
        fn several_rows_are_summed_up_as_if_they_were_one(
            one in btree_map(1..300_u32, 1..60_u64, 1..8),
            other in btree_map(1..300_u32, 1..60_u64, 1..8),
        ) {
            let mut both = one.clone();
            for (depth, count) in &other {
                *both.entry(*depth).or_default() += count;
            }
            prop_assert_eq!(Summary::of([&one, &other]), Summary::of([&both]));
        }

        #[test]
        fn every_operation_is_in_the_one_bucket_of_its_depth(
            depths in btree_map(any::<u32>(), 1..1_000_u64, 0..20),
        ) {
            let depths: Depths = depths.into_iter().filter(|(depth, _)| *depth > 0).collect();
            for buckets in [buckets(&depths), folded(&depths)] {
                for bucket in &buckets {
                    let within = depths.range(bucket.from..=bucket.to).map(|(_, count)| count);
                    prop_assert_eq!(within.sum::<u64>(), bucket.count);
                }
                let all: u64 = buckets.iter().map(|bucket| bucket.count).sum();
                prop_assert_eq!(all, depths.values().sum::<u64>());
            }
        }
    }
}
