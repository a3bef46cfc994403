//! One moment for all lists of a reading, though the kernel side's tables are read one after the other.
//!
//! An operation is counted in each table in turn, so that at any moment one table has a few that another has not yet; and more
//! come while tables are read. Of each kind (cell and depth) there are as many operations as the table has that has
//! fewest: that is the cut. What another table has beyond it is left for the next reading. Counters only grow, and so do cuts:
//! there are always as many new operations in a table as are to be left out. When no program runs any more, all tables have
//! the same, and nothing is left out.

use std::collections::HashMap;

/// What operations have in common in all tables: cell and depth.
pub(super) type Kind = (u32, u32);

/// Operations by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(HashMap<Kind, u64>);

impl Kinds {
    /// Counts `operations` more.
    pub(super) fn add(&mut self, kind: Kind, operations: u64) {
        let count = self.0.entry(kind).or_default();
        *count = count.saturating_add(operations);
    }

    /// Operations of a kind.
    pub(super) fn of(&self, kind: Kind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// Counts all operations of `other` as well.
    pub(super) fn merge(&mut self, other: &Self) {
        for (kind, operations) in &other.0 {
            self.add(*kind, *operations);
        }
    }

    /// Leaves of each kind no more than `other` has.
    pub(super) fn limit(&mut self, other: &Self) {
        for (kind, operations) in &mut self.0 {
            *operations = (*operations).min(other.of(*kind));
        }
    }
}

impl FromIterator<(Kind, u64)> for Kinds {
    fn from_iter<I: IntoIterator<Item = (Kind, u64)>>(operations: I) -> Self {
        let mut kinds = Self::default();
        for (kind, operations) in operations {
            kinds.add(kind, operations);
        }
        kinds
    }
}

/// Leaves in a list no more than the cut has: what is too much is taken from what the list has got since it was `before`. Both
/// have each key once, in order.
pub(super) fn hold_back<K: Ord>(
    list: &mut [(K, u64)],
    before: &[(K, u64)],
    kind: impl Fn(&K) -> Kind,
    cut: &Kinds,
) {
    let all: Kinds = list
        .iter()
        .map(|(key, count)| (kind(key), *count))
        .collect();
    let over = all
        .0
        .into_iter()
        .map(|(kind, count)| (kind, count.saturating_sub(cut.of(kind))));
    let mut over: HashMap<_, _> = over.filter(|(_, count)| *count > 0).collect();
    if over.is_empty() {
        return;
    }
    for (key, count) in list {
        let Some(over) = over.get_mut(&kind(key)) else {
            continue;
        };
        let same = before.binary_search_by(|(other, _)| other.cmp(key));
        let had = same.map_or(0, |index| before[index].1);
        let less = (*over).min(count.saturating_sub(had));
        *over -= less;
        *count -= less;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// A key is a kind's number, and one of some places.
    type Key = (u32, u32);

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as `hold_back` takes it")]
    fn kind((kind, _): &Key) -> Kind {
        (*kind, 1)
    }

    /// What a table has after so many of these operations.
    fn table(operations: &[(u32, [u32; 2])], index: usize) -> Vec<(Key, u64)> {
        let mut table = std::collections::BTreeMap::new();
        for (kind, places) in operations {
            *table.entry((*kind, places[index])).or_default() += 1;
        }
        table.into_iter().collect()
    }

    fn kinds(table: &[(Key, u64)]) -> Kinds {
        table
            .iter()
            .map(|(key, count)| (kind(key), *count))
            .collect()
    }

    proptest! {
        /// Two tables, of which each is read at any moment between two others.
        #[test]
        fn lists_of_a_reading_have_the_same_operations_and_lose_none(
            operations in vec((0..3_u32, [0..4_u32, 0..4_u32]), 0..60),
            mut moments in vec(0..60_usize, 0..12),
        ) {
            moments.sort_unstable();
            let mut before = [Vec::new(), Vec::new()];
            let end = operations.len();
            let pairs = moments.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
            for moments in pairs.chain([[end, end]]) {
                let mut lists = [0, 1].map(|index| table(&operations[..moments[index].min(end)], index));
                let mut cut = kinds(&lists[0]);
                cut.limit(&kinds(&lists[1]));
                for (list, before) in lists.iter_mut().zip(&before) {
                    hold_back(list, before, kind, &cut);
                    for (key, count) in before {
                        let now = list.iter().find(|(other, _)| other == key);
                        prop_assert!(now.is_some_and(|(_, now)| now >= count), "what was told is no longer there");
                    }
                    let has = kinds(list);
                    for kind in (0..3).map(|kind| (kind, 1)) {
                        prop_assert_eq!(has.of(kind), cut.of(kind));
                    }
                }
                before = lists;
            }
            for (index, last) in before.iter().enumerate() {
                prop_assert_eq!(last, &table(&operations, index));
            }
        }
    }
}
