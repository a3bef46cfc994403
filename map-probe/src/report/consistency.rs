//! An invariant: every operation of a report is once in each of its lists, and those of the intervals are those of the whole.

use std::collections::BTreeMap;

use super::counts::{Counts, Entry, List, RowKey, Rows};
use crate::wanted::Wanted;

/// Operations by what they are.
type Totals = BTreeMap<RowKey, u64>;

/// Compares the lists of reports with each other, and of intervals with the whole.
#[derive(Clone, Debug)]
pub struct Consistency {
    sites_and_maps: bool,
    stacks: bool,
    /// With a filter for types or functions, a list has those of which it is known that they are wanted.
    filtered: bool,
    /// All intervals so far, by list.
    intervals: BTreeMap<&'static str, Totals>,
}

impl Consistency {
    /// Of reports that have what is wanted.
    #[must_use]
    pub fn new(wanted: &Wanted) -> Self {
        Self {
            sites_and_maps: !wanted.types_alone,
            stacks: wanted.stacks,
            filtered: !wanted.types.is_empty() || !wanted.functions.is_empty(),
            intervals: BTreeMap::new(),
        }
    }

    /// The lists of an interval that differ from its operations.
    pub fn interval(&mut self, counts: &Counts) -> Vec<String> {
        for (name, rows) in self.lists(counts) {
            let sum = self.intervals.entry(name).or_default();
            for (kind, operations) in totals(&rows) {
                *sum.entry(kind).or_default() += operations;
            }
        }
        self.lists_that_differ(counts)
    }

    /// The lists of the whole run that differ from its operations, or from those of its intervals.
    #[must_use]
    pub fn whole(&self, counts: &Counts) -> Vec<String> {
        let mut different = self.lists_that_differ(counts);
        for (name, rows) in self.lists(counts) {
            let (sum, whole) = (self.intervals.get(name).cloned(), totals(&rows));
            let sum = sum.unwrap_or_default();
            if sum != whole {
                different.push(format!(
                    "{name}: intervals have {sum:?}, the whole {whole:?}"
                ));
            }
        }
        different
    }

    fn lists_that_differ(&self, counts: &Counts) -> Vec<String> {
        let lists = self.lists(counts).into_iter();
        // In windows the depths of all operations are those of the weighted ones.
        let same = |rows: &Rows| match counts.estimates {
            Some(_) => totals(rows) == totals(&counts.operations),
            None => *rows == counts.operations,
        };
        let different = lists.filter(|(_, rows)| !same(rows));
        different
            .map(|(name, rows)| {
                format!(
                    "{name} has {rows:?}, and there were {:?}",
                    counts.operations
                )
            })
            .collect()
    }

    /// The sums of all lists that have to have every operation.
    fn lists(&self, counts: &Counts) -> Vec<(&'static str, Rows)> {
        let mut lists = vec![("by_type", sum(&counts.by_type))];
        if self.sites_and_maps && !self.filtered {
            lists.push(("by_site", sum(&counts.by_site)));
            lists.push(("by_map", sum(&counts.by_map)));
        }
        if self.stacks && !self.filtered {
            lists.push(("by_stack", sum(&counts.by_stack)));
        }
        lists
    }
}

fn sum<T: Entry>(list: &List<T>) -> Rows {
    let mut sum = Rows::default();
    for row in list.iter() {
        sum.add(row.rows());
    }
    sum
}

fn totals(rows: &Rows) -> Totals {
    let rows = rows.iter();
    rows.map(|(kind, depths)| (kind, super::counts::total(depths)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::counts::Quality;
    use map_probe_common::op::of_cell;

    fn counts(operations: u64) -> Counts {
        let kind = of_cell(0).expect("a cell");
        let rows: Rows = [(kind, 1, operations)].into_iter().collect();
        Counts::of_types([(None, rows)], Quality::default())
    }

    #[test]
    fn a_list_that_differs_is_named() {
        let alone = Wanted {
            types_alone: true,
            ..Wanted::default()
        };
        let mut consistency = Consistency::new(&alone);
        assert!(consistency.interval(&counts(3)).is_empty());
        let mut wrong = counts(4);
        wrong.operations = counts(5).operations;
        let different = consistency.interval(&wrong);
        assert!(
            different.len() == 1 && different[0].starts_with("by_type has"),
            "{different:?}"
        );
        assert!(consistency.whole(&counts(7)).is_empty());
        let different = consistency.whole(&counts(8));
        assert!(
            different.len() == 1 && different[0].contains("intervals"),
            "{different:?}"
        );
        // Here no list of call sites or maps has anything.
        let different = Consistency::new(&Wanted::default()).interval(&counts(1));
        assert_eq!(different.len(), 2, "{different:?}");
    }
}
