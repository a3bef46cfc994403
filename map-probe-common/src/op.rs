//! The words of a report: operation, outcome, class; and the cell that counts each combination.

/// What the target did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Op {
    /// `v := m[k]`, `v, ok := m[k]`.
    Lookup = 0,
    /// `m[k] = v`, `m[k] += v`.
    Insert = 1,
    /// `delete(m, k)`.
    Delete = 2,
}

/// Whether the key was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// The key was there: a lookup's or delete's *hit*, an insert's *update*.
    Found = 0,
    /// It was not: a *miss*, or a *new* entry.
    Absent = 1,
}

/// Whether there was anything to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// More than one bucket or group as the operation starts.
    Table = 0,
    /// Nil, empty, or a single bucket or group.
    Small = 1,
}

/// How many combinations of operation, outcome and class there are.
pub const CELLS: usize = 12;

/// The index of a combination, below [`CELLS`].
#[must_use]
pub const fn cell(op: Op, outcome: Outcome, class: Class) -> usize {
    (op as usize * 2 + outcome as usize) * 2 + class as usize
}

/// The combination behind an index; `None` from [`CELLS`] on.
#[must_use]
pub const fn of_cell(cell: usize) -> Option<(Op, Outcome, Class)> {
    let op = match cell / 4 {
        0 => Op::Lookup,
        1 => Op::Insert,
        2 => Op::Delete,
        _ => return None,
    };
    let outcome = if cell & 2 == 0 {
        Outcome::Found
    } else {
        Outcome::Absent
    };
    let class = if cell & 1 == 0 {
        Class::Table
    } else {
        Class::Small
    };
    Some((op, outcome, class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_names_the_combination_that_maps_to_it() {
        for index in 0..CELLS {
            let (op, outcome, class) = of_cell(index).expect("within CELLS");
            assert_eq!(cell(op, outcome, class), index);
        }
        assert_eq!(of_cell(CELLS), None);
    }
}
