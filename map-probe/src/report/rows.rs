//! Operations by kind and depth, in little memory: a report may have tens of thousands of maps.

use map_probe_common::op::{Class, Op, Outcome};

/// One kind of operation: what, with which outcome, on which class of map.
pub type RowKey = (Op, Outcome, Class);

/// Operations of one kind and depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    kind: RowKey,
    depth: u32,
    operations: u64,
}

impl Cell {
    const fn place(&self) -> (RowKey, u32) {
        (self.kind, self.depth)
    }
}

/// Operations by kind and depth. Depths start at 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(
    /// In the order of kinds and depths; none is without operations.
    Vec<Cell>,
);

/// The operations of one row by depth, the shallowest first; none is without operations.
#[derive(Clone, Debug)]
pub struct Depths<'a>(&'a [Cell]);

impl Rows {
    /// Counts `operations` more of one kind and depth; none leave no trace.
    pub fn record(&mut self, kind: RowKey, depth: u32, operations: u64) {
        if operations == 0 {
            return;
        }
        match self.0.binary_search_by_key(&(kind, depth), Cell::place) {
            Ok(index) => {
                let count = &mut self.0[index].operations;
                *count = count.saturating_add(operations);
            }
            Err(index) => {
                // Most maps have one or two, and a vector's first step is four.
                if self.0.len() < 4 {
                    self.0.reserve_exact(1);
                }
                let cell = Cell {
                    kind,
                    depth,
                    operations,
                };
                self.0.insert(index, cell);
            }
        }
    }

    /// Counts all operations of `other` as well.
    pub fn add(&mut self, other: &Self) {
        let mut cells = Vec::with_capacity(self.0.len().max(other.0.len()));
        let mut mine = self.0.iter().copied().peekable();
        for cell in &other.0 {
            while let Some(before) = mine.next_if(|mine| mine.place() < cell.place()) {
                cells.push(before);
            }
            let same = mine.next_if(|mine| mine.place() == cell.place());
            let operations = same.map_or(0, |same| same.operations);
            cells.push(Cell {
                operations: operations.saturating_add(cell.operations),
                ..*cell
            });
        }
        cells.extend(mine);
        self.0 = cells;
    }

    /// The operations that were not yet in `earlier`, an older reading of the same counters.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut before = earlier.0.iter().peekable();
        let cells = self.0.iter().filter_map(|cell| {
            while before
                .next_if(|before| before.place() < cell.place())
                .is_some()
            {}
            let same = before.next_if(|before| before.place() == cell.place());
            let operations = cell
                .operations
                .saturating_sub(same.map_or(0, |same| same.operations));
            (operations > 0).then_some(Cell {
                operations,
                ..*cell
            })
        });
        Self(cells.collect())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All operations.
    #[must_use]
    pub fn total(&self) -> u64 {
        total(Depths(&self.0))
    }

    /// The operations on maps of one class.
    #[must_use]
    pub fn total_of(&self, class: Class) -> u64 {
        total(self.of(class).flat_map(|(_, depths)| depths))
    }

    /// The rows, in the order of their kinds.
    pub fn iter(&self) -> impl Iterator<Item = (RowKey, Depths<'_>)> {
        let rows = self.0.chunk_by(|one, next| one.kind == next.kind);
        rows.map(|cells| (cells[0].kind, Depths(cells)))
    }

    /// The rows of one class.
    pub fn of(&self, class: Class) -> impl Iterator<Item = (RowKey, Depths<'_>)> {
        self.iter().filter(move |((_, _, of), _)| *of == class)
    }

    /// Probes that a perfect table would save, over all rows.
    #[must_use]
    pub fn excess(&self) -> u64 {
        excess(Depths(&self.0))
    }
}

impl FromIterator<(RowKey, u32, u64)> for Rows {
    fn from_iter<I: IntoIterator<Item = (RowKey, u32, u64)>>(cells: I) -> Self {
        let mut rows = Self::default();
        for (kind, depth, operations) in cells {
            rows.record(kind, depth, operations);
        }
        rows
    }
}

impl Iterator for Depths<'_> {
    type Item = (u32, u64);

    /// A depth and its operations.
    fn next(&mut self) -> Option<(u32, u64)> {
        let (cell, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((cell.depth, cell.operations))
    }
}

/// Probes that a perfect table would save: the sum of depth − 1 over the operations.
#[must_use]
pub fn excess(depths: impl IntoIterator<Item = (u32, u64)>) -> u64 {
    sum(depths
        .into_iter()
        .map(|(depth, count)| u64::from(depth.saturating_sub(1)).saturating_mul(count)))
}

/// All operations, of whatever depth.
#[must_use]
pub fn total(depths: impl IntoIterator<Item = (u32, u64)>) -> u64 {
    sum(depths.into_iter().map(|(_, count)| count))
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const HIT: RowKey = (Op::Lookup, Outcome::Found, Class::Table);
    const MISS: RowKey = (Op::Lookup, Outcome::Absent, Class::Table);
    const SMALL: RowKey = (Op::Insert, Outcome::Absent, Class::Small);

    type Cells = Vec<(RowKey, u32, u64)>;

    fn any_cells() -> impl Strategy<Value = Cells> {
        let kind = prop_oneof![Just(HIT), Just(MISS), Just(SMALL)];
        vec((kind, 1..20_u32, 0..1_000_u64), 0..12)
    }

    /// The same by the standard library's map.
    fn naive(cells: &Cells) -> BTreeMap<(RowKey, u32), u64> {
        let mut sums = BTreeMap::new();
        for (kind, depth, operations) in cells {
            *sums.entry((*kind, *depth)).or_default() += operations;
        }
        sums.retain(|_, operations| *operations > 0);
        sums
    }

    fn told(rows: &Rows) -> BTreeMap<(RowKey, u32), u64> {
        let rows = rows.iter().flat_map(|(kind, depths)| {
            depths.map(move |(depth, operations)| ((kind, depth), operations))
        });
        rows.collect()
    }

    proptest! {
        #[test]
        fn rows_are_sums_by_kind_and_depth(one in any_cells(), other in any_cells()) {
            let mut rows: Rows = one.iter().copied().collect();
            prop_assert_eq!(told(&rows), naive(&one));
            let more: Rows = other.iter().copied().collect();
            let before = rows.clone();
            rows.add(&more);
            prop_assert_eq!(told(&rows), naive(&[one.clone(), other].concat()));
            prop_assert_eq!(rows.since(&before), more);
            prop_assert!(before.since(&rows).is_empty());
            let small: u64 = one.iter().filter(|(kind, ..)| *kind == SMALL).map(|cell| cell.2).sum();
            prop_assert_eq!(before.total_of(Class::Small), small);
            let excess: u64 = one.iter().map(|cell| u64::from(cell.1 - 1) * cell.2).sum();
            prop_assert_eq!(before.excess(), excess);
        }
    }

    #[test]
    fn counts_of_any_size_are_summed_up() {
        let mut rows: Rows = [(HIT, 2, u64::MAX), (MISS, u32::MAX, u64::MAX)]
            .into_iter()
            .collect();
        rows.record(HIT, 2, 1);
        rows.add(&rows.clone());
        assert_eq!((rows.total(), rows.excess()), (u64::MAX, u64::MAX));
    }
}
