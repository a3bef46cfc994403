//! The words of a report: every format and `--help` say the same.

use map_probe_common::op::{Class, Op, Outcome};
use map_probe_common::quality::Cause;

use super::model::Mode;

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

/// What stands for the name of a type that is not known.
pub const UNKNOWN_TYPE: &str = "type unknown";

/// Why a report is marked untested.
pub const UNTESTED: &str = "the counts of this version of Go were never checked against an oracle, as no toolchain was at hand; `map-probe verify` compared 80,000 operations of one real program with the runtime's, and none differed";

/// Why a report says that a version was assumed.
#[must_use]
pub fn assumed(found: &str, assumed: &str) -> String {
    format!(
        "the map layout of {assumed} is taken for that of {found} (--assume-go); the counts are right if nothing about maps differs"
    )
}

/// `trace` or `sample`.
#[must_use]
pub const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Trace => "trace",
        Mode::Sample => "sample",
    }
}

/// Why an operation could not be walked, as `quality` names it; an endless search by its own name, though it is one of those
/// that are truncated.
#[must_use]
pub fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::TableFull | Cause::UnknownSite => "lost",
        Cause::Fault => "faults",
        Cause::Torn => "torn",
        Cause::Bound | Cause::Undecidable => "truncated",
        Cause::Endless => "endless",
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
