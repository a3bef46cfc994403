//! The words of a report: every format and `--help` say the same.

use map_probe_common::op::{Class, Op, Outcome};
use map_probe_common::quality::Cause;

use nix::sys::signal::Signal;

use super::model::{Fate, Life, Mode};

/// One of several programs that a process ran: `/srv/app (go1.27.3), 1.200 to 9.800 s, probes attached at 1.400 s...`.
#[must_use]
pub fn life(life: &Life) -> String {
    let exe = match (&life.exe, &life.go) {
        (None, _) => "a program that ran too briefly to be read".to_owned(),
        (Some(exe), None) => exe.clone(),
        (Some(exe), Some(go)) => format!("{exe} ({go})"),
    };
    let (from, until) = (life.from_seconds, life.until_seconds);
    let how = match (life.attached_seconds, &life.reason) {
        (Some(attached), _) if attached > from => {
            format!("probes attached at {attached:.3} s: what it did before is not counted")
        }
        (Some(_), _) => "probed from the start".to_owned(),
        (None, Some(reason)) => format!("not probed: {reason}"),
        (None, None) => "not probed: it ended before probes were attached".to_owned(),
    };
    format!("{exe}, {from:.3} to {until:.3} s, {how}")
}

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

/// What a report says of a program that has `sync.Map`.
pub const SYNC_MAP: &str = "sync.Map is a hash trie of its own in this version of Go, not a map: its operations are not map operations, and are not counted";

/// Why a report says that a version was assumed.
#[must_use]
pub fn assumed(found: &str, assumed: &str) -> String {
    format!(
        "the map layout of {assumed} is taken for that of {found} (--assume-go); the counts are right if nothing about maps differs"
    )
}

/// `with status 2`, `by signal 11 (SIGSEGV)`.
#[must_use]
pub fn ended(fate: Fate) -> String {
    match fate {
        Fate::Status(status) => format!("with status {status}"),
        Fate::Signal(number) => match Signal::try_from(number) {
            Ok(signal) => format!("by signal {number} ({signal})"),
            // A real-time signal.
            Err(_) => format!("by signal {number}"),
        },
    }
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
        Cause::TableFull | Cause::UnknownSite | Cause::OtherProgram => "lost",
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
    fn an_end_is_told_by_its_status_or_its_signals_number_and_name() {
        assert_eq!(ended(Fate::Status(3)), "with status 3");
        assert_eq!(ended(Fate::Signal(11)), "by signal 11 (SIGSEGV)");
        assert_eq!(ended(Fate::Signal(40)), "by signal 40");
    }

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
