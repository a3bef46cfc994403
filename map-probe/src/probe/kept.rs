//! Rows that go on from one reading to the next. Those that have not changed stay what they are, so that it costs next to
//! nothing to tell what happened in between.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::report::counts::{Entry, List, Rows, listed};

/// Rows by what they are about, and the list of them.
#[derive(Debug)]
pub(super) struct Kept<K, T> {
    rows: HashMap<K, Arc<T>>,
    list: List<T>,
}

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self {
            rows: HashMap::new(),
            list: List::default(),
        }
    }
}

impl<K: Copy + Eq + Hash, T: Entry> Kept<K, T> {
    /// The rows of a later reading, which has all that were there before; `new` makes a row without operations.
    pub(super) fn update(&mut self, all: HashMap<K, Rows>, new: impl Fn(K) -> T) {
        let mut changed = false;
        for (key, rows) in all {
            match self.rows.get_mut(&key) {
                Some(known) if *known.rows() == rows => {}
                Some(known) => {
                    *known = Arc::new(known.with(rows));
                    changed = true;
                }
                None => {
                    self.rows.insert(key, Arc::new(new(key).with(rows)));
                    changed = true;
                }
            }
        }
        if changed {
            self.list = listed(self.rows.values().cloned());
        }
    }

    /// Those with operations.
    pub(super) fn list(&self) -> List<T> {
        Arc::clone(&self.list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::counts::TypeRows;
    use map_probe_common::op::of_cell;

    #[test]
    fn a_row_that_has_not_changed_is_the_same_as_before() {
        let reading = |counts: &[(u32, u64)]| {
            let kind = of_cell(0).expect("a cell");
            let rows = counts
                .iter()
                .map(|(number, count)| (*number, [(kind, 1, *count)].into_iter().collect()));
            rows.collect::<HashMap<u32, Rows>>()
        };
        let new = |number: u32| TypeRows {
            name: Some(number.to_string().into()),
            rows: Rows::default(),
        };
        let mut kept = Kept::default();
        kept.update(reading(&[(1, 5), (2, 7)]), new);
        let first = kept.list();
        kept.update(reading(&[(1, 5), (2, 7)]), new);
        assert!(Arc::ptr_eq(&first, &kept.list()));
        kept.update(reading(&[(1, 9), (2, 7), (3, 0)]), new);
        let second = kept.list();
        let totals: Vec<_> = second.iter().map(|row| row.rows.total()).collect();
        assert_eq!(totals, [9, 7]);
        assert!(Arc::ptr_eq(&first[0], &second[1]));
    }
}
