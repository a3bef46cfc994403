//! Names and frames that are met again and again, each kept once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Each value once, known by a number from 1 on; 0 is none.
#[derive(Debug)]
pub(super) struct Interned<T: ?Sized> {
    numbers: HashMap<Arc<T>, u32>,
    values: Vec<Arc<T>>,
}

impl<T: ?Sized> Default for Interned<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            values: Vec::new(),
        }
    }
}

impl<T: ?Sized + Hash + Eq> Interned<T> {
    /// The number of a value: of equal ones the same.
    pub(super) fn number(&mut self, value: Option<Arc<T>>) -> u32 {
        let Some(value) = value else { return 0 };
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        self.values.push(Arc::clone(&value));
        let number = self.values.len() as u32;
        self.numbers.insert(value, number);
        number
    }

    /// What has a number.
    pub(super) fn value(&self, number: u32) -> Option<&Arc<T>> {
        self.values.get((number as usize).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_number_and_none_has_0() {
        let mut names = Interned::<str>::default();
        let numbers =
            [Some("a"), None, Some("b"), Some("a")].map(|name| names.number(name.map(Into::into)));
        assert_eq!(numbers, [1, 0, 2, 1]);
        let values = [0, 1, 2, 3].map(|number| names.value(number).map(AsRef::as_ref));
        assert_eq!(values, [None, Some("a"), Some("b"), None]);
    }
}
