//! The data that every output format shows; `contract.md`'s words.

use std::collections::BTreeMap;

use map_probe_common::op::{Class, Op, Outcome};

/// Exact counts by depth: `depth -> operations`. Depths start at 1.
pub type Depths = BTreeMap<u32, u64>;

/// One kind of operation: what, with which outcome, on which class of map.
pub type RowKey = (Op, Outcome, Class);

/// Operations by kind and depth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows(pub BTreeMap<RowKey, Depths>);

/// Operations on maps of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRows {
    /// The type as Go's `%T` prints it; `None` if unknown.
    pub name: Option<String>,
    /// Its operations.
    pub rows: Rows,
}

/// Everything counted in one window of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The whole process.
    pub operations: Rows,
    /// By type, most operations first.
    pub by_type: Vec<TypeRows>,
    /// Operations that are in no row, by cause.
    pub quality: Quality,
}

/// Operations seen that are in no row. All zero: the counts are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Not recorded: a table was full, or a probe fired without a site.
    pub lost: u64,
    /// Memory of the target could not be read.
    pub faults: u64,
    /// The map changed under the walk.
    pub torn: u64,
    /// The walk reached its bound, or the key's equality cannot be decided.
    pub truncated: u64,
}

/// The target as a report names it.
#[derive(Clone, Debug)]
pub struct TargetInfo {
    /// Process id.
    pub pid: i32,
    /// The executable's path.
    pub exe: String,
    /// `go1.27.3`.
    pub go: String,
    /// `classic`, `swiss`, `swiss-split`.
    pub layout: &'static str,
    /// `amd64`.
    pub arch: &'static str,
    /// Map functions whose operations are counted.
    pub covered: Vec<String>,
    /// Map functions whose operations are not counted, each with the reason.
    pub not_covered: Vec<(String, String)>,
}

/// One window of time: an interval, or the whole run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The target.
    pub target: TargetInfo,
    /// Whether it covers the whole run.
    pub is_final: bool,
    /// Seconds since the probes were in place at which the window ends.
    pub until_seconds: f64,
    /// Its length in seconds.
    pub seconds: f64,
    /// The share of it in which probes were attached, in seconds.
    pub attached_seconds: f64,
    /// Whether all operations on small maps are counted.
    pub small_counted: bool,
    /// What was counted.
    pub counts: Counts,
}
