//! What reports show of operations seen in windows.
//!
//! A row's count is that of the operations really seen. How they are distributed over depths is how all operations are: each
//! depth has its share of the weights. What all operations were, and how sure that is, is in [`Estimates`].

use std::collections::BTreeMap;
use std::sync::Arc;

use map_probe_common::op::{Class, of_cell};

use super::batches::Batches;
use super::estimate::{Kind, Sums};
use crate::report::counts::{Counts, Quality, RowKey, Rows};
use crate::report::estimates::{Estimate, Estimates, Range};

/// A number of operations is given if 95% of what it may be lies within this share of it.
const JUSTIFIED: f64 = 0.2;

/// The names of types by their blocks; unknown ones are not there.
pub type TypeNames = BTreeMap<u32, Arc<str>>;

/// The rows of the process and of its types, by the names that their blocks have.
#[must_use]
pub fn counts(sums: &Sums, names: &TypeNames, quality: Quality) -> Counts {
    let mut types: BTreeMap<Option<&Arc<str>>, Cells> = BTreeMap::new();
    let mut process = Cells::new();
    for (record, kind) in &sums.kinds {
        let place = (record.cell(), record.depth());
        let of_type = types.entry(names.get(&record.block())).or_default();
        for cells in [of_type, &mut process] {
            let sum = cells.entry(place).or_default();
            sum.seen += kind.seen;
            sum.weight.add(kind.weight, 1.0);
        }
    }
    let types = types.into_iter();
    let types = types.map(|(name, cells)| (name.cloned(), rows(&cells)));
    let mut counts = Counts::of_types(types, quality);
    counts.operations = rows(&process);
    counts
}

/// What all operations of the process were, and how sure that is. `seconds` is the time that is reported on, of which the
/// windows may stand for a little less.
#[must_use]
pub fn estimates(sums: &Sums, seconds: f64) -> Estimates {
    let scale = if sums.span > 0.0 {
        seconds * 1e9 / sums.span
    } else {
        0.0
    };
    let mut cells: Vec<u32> = sums.kinds.keys().map(|record| record.cell()).collect();
    cells.sort_unstable();
    cells.dedup();
    let all = cells.iter().map(|cell| sums.batches.total(*cell).likely);
    let all: f64 = all.sum();
    let row = |cell: u32| Some((of_cell(cell as usize)?, cell));
    let rows: Vec<_> = cells.into_iter().filter_map(row).collect();
    let of_tables = |((.., class), _): &&(RowKey, u32)| *class == Class::Table;
    let of_tables: Vec<_> = rows
        .iter()
        .filter(of_tables)
        .map(|(_, cell)| *cell)
        .collect();
    let tables = (!of_tables.is_empty()).then(|| {
        let together = sums.batches.together(&of_tables);
        estimate(&together, of_tables[0], scale, all)
    });
    Estimates {
        tables,
        rows: rows
            .into_iter()
            .map(|(row, cell)| (row, estimate(&sums.batches, cell, scale, all)))
            .collect(),
    }
}

/// What is known of the operations of a cell; `all` operations of the process have that weight.
fn estimate(batches: &Batches, cell: u32, scale: f64, all: f64) -> Estimate {
    let total = batches.total(cell).likely;
    let likely = total * scale;
    let operations = batches.operations(cell).map(|interval| Range {
        low: interval.low * scale,
        high: interval.high * scale,
    });
    let operations = operations.filter(|range| {
        range.low >= likely * (1.0 - JUSTIFIED) && range.high <= likely * (1.0 + JUSTIFIED)
    });
    let quantiles = batches.quantiles(cell, [0.5, 0.9, 0.99, 0.999]);
    Estimate {
        share: total / all,
        operations: operations.map(|range| (likely, range)),
        mean: batches.mean(cell).map(|interval| Range {
            low: interval.low,
            high: interval.high,
        }),
        quantiles: quantiles.map(|all| all.map(|(low, high)| Range { low, high })),
    }
}

/// Operations by cell and depth.
type Cells = BTreeMap<(u32, u32), Kind>;

fn rows(cells: &Cells) -> Rows {
    let mut rows = Rows::default();
    let mut cells = cells.iter().peekable();
    while let Some(((cell, _), _)) = cells.peek() {
        let cell = *cell;
        let mut depths = Vec::new();
        while let Some(((_, depth), kind)) = cells.next_if(|((of, _), _)| *of == cell) {
            depths.push((*depth, *kind));
        }
        let Some(row) = of_cell(cell as usize) else {
            continue;
        };
        let counts = distribute(&depths);
        for ((depth, _), count) in depths.iter().zip(counts) {
            rows.record(row, *depth, count);
        }
    }
    rows
}

/// As many operations as were seen in all, over the depths in proportion to their weights; at least one where one was seen.
#[expect(clippy::cast_sign_loss, reason = "weights are not negative")]
fn distribute(depths: &[(u32, Kind)]) -> Vec<u64> {
    let seen: u64 = depths.iter().map(|(_, kind)| kind.seen).sum();
    let weight: f64 = depths.iter().map(|(_, kind)| kind.weight.likely).sum();
    let exact = |kind: &Kind| seen as f64 * kind.weight.likely / weight.max(f64::MIN_POSITIVE);
    let mut counts: Vec<u64> = depths
        .iter()
        .map(|(_, kind)| (exact(kind) as u64).max(u64::from(kind.seen > 0)))
        .collect();
    let mut order: Vec<usize> = (0..depths.len()).collect();
    // What is cut off most comes first.
    order.sort_by(|a, b| {
        exact(&depths[*b].1)
            .fract()
            .total_cmp(&exact(&depths[*a].1).fract())
    });
    let mut given: u64 = counts.iter().sum();
    for index in order.iter().cycle().take(2 * depths.len()) {
        if given < seen && depths[*index].1.seen > 0 {
            counts[*index] += 1;
            given += 1;
        }
    }
    // Too many only because rare depths were given their one: the most frequent can spare it.
    while given > seen {
        let Some(most) = counts.iter_mut().max() else {
            break;
        };
        let less = (given - seen).min(most.saturating_sub(1));
        if less == 0 {
            break;
        }
        *most -= less;
        given -= less;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::estimate::Weight;
    use proptest::prelude::*;

    fn kind(seen: u64, likely: f64) -> Kind {
        Kind {
            seen,
            weight: Weight {
                likely,
                least: likely,
                most: likely,
            },
        }
    }

    #[test]
    fn operations_seen_are_shown_over_depths_as_all_operations_are() {
        let counts = distribute(&[(1, kind(500, 9000.0)), (2, kind(500, 1000.0))]);
        assert_eq!(counts, [900, 100]);
        let counts = distribute(&[(1, kind(3, 1e9)), (7, kind(1, 1.0))]);
        assert_eq!(counts, [3, 1]);
    }

    proptest! {
        #[test]
        fn no_operation_is_lost_or_invented(
            kinds in proptest::collection::vec((1..10_000_u64, 1e-3..1e9_f64), 1..40),
        ) {
            let depths: Vec<_> = (1..).zip(kinds.iter().map(|(seen, weight)| kind(*seen, *weight))).collect();
            let counts = distribute(&depths);
            prop_assert_eq!(counts.iter().sum::<u64>(), kinds.iter().map(|(seen, _)| seen).sum::<u64>());
            prop_assert!(counts.iter().all(|count| *count > 0));
        }
    }
}
