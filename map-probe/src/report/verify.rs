//! What `map-probe verify` found.

use map_probe_common::op::of_cell;
use map_probe_common::verify::{Difference as Raw, Verdicts};
use map_probe_common::walk::{Returned, Verdict};
use serde::Serialize;

use super::model::{Quality, TargetInfo};
use super::words;

/// What came of comparing the operations of one map function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FunctionResult {
    /// Its symbol.
    pub function: String,
    /// Operations that were compared.
    pub compared: u64,
    /// Of these: walk and runtime found the key, in the same slot.
    pub same_slot: u64,
    /// Of these: both found it absent.
    pub both_absent: u64,
    /// Of these: walk and runtime differ.
    pub different: u64,
    /// Operations that found their key and could not be compared: their map moved all its entries meanwhile.
    pub moved: u64,
    /// Operations on which walk and runtime differ, whose map somebody else changed between the walk and the return.
    pub changed: u64,
    /// Operations that could not be compared: memory could not be read when they returned.
    pub unread: u64,
}

impl FunctionResult {
    /// From the kernel side's counters.
    #[must_use]
    pub fn of(function: &str, verdicts: &Verdicts) -> Self {
        let count = |verdict: Verdict| verdicts.counts[verdict as usize];
        let (same_slot, both_absent, different) = (
            count(Verdict::SameSlot),
            count(Verdict::BothAbsent),
            count(Verdict::Different),
        );
        Self {
            function: function.to_owned(),
            compared: same_slot + both_absent + different,
            same_slot,
            both_absent,
            different,
            moved: count(Verdict::Moved),
            changed: count(Verdict::Changed),
            unread: verdicts.unread,
        }
    }

    fn add(mut self, other: &Self) -> Self {
        self.compared += other.compared;
        self.same_slot += other.same_slot;
        self.both_absent += other.both_absent;
        self.different += other.different;
        self.moved += other.moved;
        self.changed += other.changed;
        self.unread += other.unread;
        self
    }
}

/// One operation on which walk and runtime differ. Addresses are the target's; those on a stack are kept as
/// 2⁶³ and their distance from its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The map function.
    pub function: String,
    /// The map's type; `None` if it has no name.
    pub r#type: Option<String>,
    /// What the walk said.
    pub op: &'static str,
    /// What the walk said.
    pub outcome: &'static str,
    /// What the walk said.
    pub class: &'static str,
    /// The map.
    pub map: String,
    /// The key's hash.
    pub hash: String,
    /// Where the walk found the element, or the pointer to it; 0 if nowhere.
    pub walked: String,
    /// What the runtime returned; nothing in particular after a delete.
    pub returned: String,
    /// What the runtime said of whether the key was there; `None` if it did not.
    pub returned_found: Option<bool>,
    /// Entries of the map before the operation and, but for lookups, when it returned.
    pub entries: (u64, u64),
}

impl Difference {
    /// From the kernel side's notes.
    #[must_use]
    pub fn of(raw: &Raw, function: &str, typ: Option<String>) -> Self {
        let Raw { expected, returned } = raw;
        let (op, outcome, class) =
            of_cell(usize::from(expected.cell)).map_or(("?", "?", "?"), |(op, outcome, class)| {
                (
                    words::op(op),
                    words::outcome(op, outcome),
                    words::class(class),
                )
            });
        let hex = |number: u64| format!("{number:#x}");
        Self {
            function: function.to_owned(),
            r#type: typ,
            op,
            outcome,
            class,
            map: hex(expected.map),
            hash: hex(expected.hash),
            walked: hex(expected.element),
            returned: hex(returned.element),
            returned_found: (returned.found < Returned::UNSAID).then_some(returned.found == 1),
            entries: (expected.count, returned.count),
        }
    }
}

/// The whole of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// The target.
    pub target: TargetInfo,
    /// Seconds for which probes were attached.
    pub seconds: f64,
    /// By map function.
    pub functions: Vec<FunctionResult>,
    /// Map functions that were walked and cannot be compared, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// The first differences.
    pub differences: Vec<Difference>,
    /// Operations that could not be walked.
    pub quality: Quality,
}

/// What it comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Operations were compared, and none differed.
    Same,
    /// Some differed.
    Different,
    /// None was compared.
    Nothing,
}

impl Conclusion {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::Nothing => "nothing compared",
        }
    }
}

impl Report {
    /// All functions in one.
    #[must_use]
    pub fn sum(&self) -> FunctionResult {
        let none = FunctionResult {
            function: "all".to_owned(),
            ..FunctionResult::default()
        };
        self.functions.iter().fold(none, FunctionResult::add)
    }

    /// What it comes to.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        let sum = self.sum();
        if sum.different > 0 {
            Conclusion::Different
        } else if sum.compared > 0 {
            Conclusion::Same
        } else {
            Conclusion::Nothing
        }
    }
}
