//! Rows of a report by what they are about: shared between reports, as from one reading to the next most stay the same.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::rows::Rows;

/// Rows, those with most operations first.
pub type List<T> = Arc<Vec<Arc<T>>>;

/// A row of one of the lists.
pub trait Entry: Clone {
    /// What it is about: names it from one report to the next.
    type Key<'a>: Ord + Hash
    where
        Self: 'a;

    /// What it is about.
    fn key(&self) -> Self::Key<'_>;
    /// Its operations.
    fn rows(&self) -> &Rows;
    /// The same row with other operations.
    #[must_use]
    fn with(&self, rows: Rows) -> Self;
}

/// A list of rows: those with operations, most of them first, equally frequent ones by what they are about.
pub fn listed<T: Entry>(rows: impl IntoIterator<Item = Arc<T>>) -> List<T> {
    let rows = rows.into_iter().map(|row| (row.rows().total(), row));
    let mut rows: Vec<_> = rows.filter(|(total, _)| *total > 0).collect();
    rows.sort_unstable_by(|(more, one), (less, other)| {
        (Reverse(more), one.key()).cmp(&(Reverse(less), other.key()))
    });
    Arc::new(rows.into_iter().map(|(_, row)| row).collect())
}

/// What was counted after `earlier`, an older reading of the same counters.
pub(super) fn since<T: Entry>(later: &List<T>, earlier: &List<T>) -> Vec<Arc<T>> {
    if Arc::ptr_eq(later, earlier) {
        return Vec::new();
    }
    let before: HashMap<_, _> = earlier.iter().map(|row| (row.key(), row)).collect();
    let changed = later.iter().filter_map(|row| match before.get(&row.key()) {
        Some(before) if Arc::ptr_eq(before, row) => None,
        Some(before) => {
            let rows = row.rows().since(before.rows());
            (!rows.is_empty()).then(|| Arc::new(row.with(rows)))
        }
        None => Some(Arc::clone(row)),
    });
    changed.collect()
}

/// The rows of both lists; those of the same are one.
pub(super) fn together<T: Entry>(one: &List<T>, other: &List<T>) -> List<T> {
    if other.is_empty() {
        return Arc::clone(one);
    }
    let mut more: HashMap<_, _> = other.iter().map(|row| (row.key(), row)).collect();
    let rows = one.iter().map(|row| match more.remove(&row.key()) {
        Some(other) => {
            let mut rows = row.rows().clone();
            rows.add(other.rows());
            Arc::new(row.with(rows))
        }
        None => Arc::clone(row),
    });
    let rows: Vec<_> = rows.collect();
    listed(rows.into_iter().chain(more.into_values().map(Arc::clone)))
}
