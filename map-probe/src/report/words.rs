//! The words of a report: every format and `--help` say the same.

use map_probe_common::op::{Class, Op, Outcome};
use map_probe_common::quality::Cause;

/// `lookup`, `insert`, `delete`.
#[must_use]
pub const fn op(op: Op) -> &'static str {
    match op {
        Op::Lookup => "lookup",
        Op::Insert => "insert",
        Op::Delete => "delete",
    }
}

/// `hit` or `miss` of a lookup or delete, `update` or `new` of an insert.
#[must_use]
pub const fn outcome(op: Op, outcome: Outcome) -> &'static str {
    match (op, outcome) {
        (Op::Insert, Outcome::Found) => "update",
        (Op::Insert, Outcome::Absent) => "new",
        (_, Outcome::Found) => "hit",
        (_, Outcome::Absent) => "miss",
    }
}

/// `table` or `small`.
#[must_use]
pub const fn class(class: Class) -> &'static str {
    match class {
        Class::Table => "table",
        Class::Small => "small",
    }
}

/// The counter of a report's quality that a cause is part of.
#[must_use]
pub const fn counter(cause: Cause) -> &'static str {
    match cause {
        Cause::TableFull | Cause::UnknownSite => "lost",
        Cause::Fault => "faults",
        Cause::Torn => "torn",
        Cause::Bound | Cause::Undecidable => "truncated",
    }
}

/// What happened to an operation that was seen and is in no row.
#[must_use]
pub const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::TableFull => "a table of the kernel side had no room",
        Cause::UnknownSite => "a probe fired that the kernel side has no site for",
        Cause::Fault => "memory of the target could not be read",
        Cause::Torn => "the map changed while it was walked",
        Cause::Bound => "the walk reached its bound",
        Cause::Undecidable => "the kernel side cannot compare keys of this type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserts_update_or_are_new_and_the_others_hit_or_miss() {
        assert_eq!(outcome(Op::Insert, Outcome::Found), "update");
        assert_eq!(outcome(Op::Insert, Outcome::Absent), "new");
        for op in [Op::Lookup, Op::Delete] {
            assert_eq!(outcome(op, Outcome::Found), "hit");
            assert_eq!(outcome(op, Outcome::Absent), "miss");
        }
    }
}
