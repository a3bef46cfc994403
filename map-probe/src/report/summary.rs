//! What a row of depths comes down to: mean, percentiles, and histogram buckets.

/// The depths of a number of operations, summed up.
///
/// A percentile is the smallest depth that at least that share of the operations does not exceed.
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

impl Summary {
    /// Sums up operations by depth; a depth may be there several times. `None` if there are no operations.
    pub fn of(depths: impl IntoIterator<Item = (u32, u64)>) -> Option<Self> {
        let depths = depths.into_iter().filter(|(_, count)| *count > 0);
        let mut depths: Vec<_> = depths.collect();
        // Of one row they are in order already.
        depths.sort_unstable_by_key(|(depth, _)| *depth);
        let (max, _) = *depths.last()?;
        let (mut count, mut examined) = (0_u128, 0_u128);
        for (depth, operations) in &depths {
            count += u128::from(*operations);
            examined = examined.saturating_add(u128::from(*depth) * u128::from(*operations));
        }
        // As many operations as are at least that share of all, rounded up.
        let ranks = [500, 900, 990, 999].map(|per_mille| (count * per_mille).div_ceil(1000));
        let mut percentiles = [max; 4];
        let mut seen = 0_u128;
        for (depth, operations) in depths {
            let reached = seen + u128::from(operations);
            for (percentile, rank) in percentiles.iter_mut().zip(ranks) {
                if seen < rank && rank <= reached {
                    *percentile = depth;
                }
            }
            seen = reached;
        }
        let [p50, p90, p99, p999] = percentiles;
        Some(Self {
            count: u64::try_from(count).unwrap_or(u64::MAX),
            mean: examined as f64 / count as f64,
            p50,
            p90,
            p99,
            p999,
            max,
        })
    }
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

/// The histogram of machine-readable reports, of depths in their order: exact for depths 1 to 16, then
/// 17–32, 33–64 and so on; without empty buckets.
#[must_use]
pub fn buckets(depths: impl IntoIterator<Item = (u32, u64)>) -> Vec<Bucket> {
    gather(depths, |depth| {
        if depth <= 16 {
            return (depth, depth);
        }
        // 17 to 32 is 2^4 + 1 to 2^5.
        let log2 = (depth - 1).ilog2();
        ((1 << log2) + 1, power_of_two(log2 + 1, 0))
    })
}

/// The histogram of a screen, of depths in their order: 1, 2–3, 4–7, 8–15 and so on, from the first to the
/// last bucket that has operations; empty ones between them are there.
#[must_use]
pub fn folded(depths: impl IntoIterator<Item = (u32, u64)>) -> Vec<Bucket> {
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

fn gather(
    depths: impl IntoIterator<Item = (u32, u64)>,
    range: impl Fn(u32) -> (u32, u32),
) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    for (depth, count) in depths {
        if count == 0 {
            continue;
        }
        let (from, to) = range(depth);
        match buckets.last_mut() {
            Some(last) if last.from == from => last.count = last.count.saturating_add(count),
            _ => buckets.push(Bucket { from, to, count }),
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Depths = BTreeMap<u32, u64>;

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
        let summary = Summary::of(depths).expect("not empty");
        let (p50, p90, p99, p999) = (summary.p50, summary.p90, summary.p99, summary.p999);
        assert_eq!((p50, p90, p99, p999), (1, 1, 1, 2));
        assert_eq!(summary.max, 70_001);
        assert_eq!(summary.count, 1000);
    }

    #[test]
    fn rows_without_operations_have_no_summary() {
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([(3, 0)]), None);
    }

    #[test]
    fn depths_and_counts_of_any_size_are_summed_up() {
        let depths = Depths::from([(0, u64::MAX), (1, u64::MAX), (u32::MAX, u64::MAX)]);
        let summary = Summary::of(depths).expect("not empty");
        assert_eq!(summary.max, u32::MAX);
        assert_eq!((summary.count, summary.p50), (u64::MAX, 1));
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
        let found: Vec<_> = buckets(depths.clone())
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
        let found: Vec<_> = folded(depths.clone())
            .iter()
            .map(|bucket| (bucket.from, bucket.to, bucket.count))
            .collect();
        assert_eq!(found, [(2, 3, 7), (4, 7, 0), (8, 15, 0), (16, 31, 1)]);
        let deepest = folded([(u32::MAX, 1)]);
        assert_eq!((deepest[0].from, deepest[0].to), (1 << 31, u32::MAX));
    }

    proptest! {
        #[test]
        fn a_summary_is_what_its_definition_says(
            depths in btree_map(prop_oneof![1..40_u32, 1..200_000_u32], 1..60_u64, 1..12),
        ) {
            prop_assert_eq!(Summary::of(depths.clone()), Some(naive(&depths)));
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
            prop_assert_eq!(Summary::of(one.into_iter().chain(other)), Summary::of(both));
        }

        #[test]
        fn every_operation_is_in_the_one_bucket_of_its_depth(
            depths in btree_map(any::<u32>(), 1..1_000_u64, 0..20),
        ) {
            let depths: Depths = depths.into_iter().filter(|(depth, _)| *depth > 0).collect();
            for buckets in [buckets(depths.clone()), folded(depths.clone())] {
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
