//! The data that every output format shows.

pub use super::counts::{Counts, Depths, Quality, RowKey, Rows, TypeRows};

/// The target as a report names it.
#[derive(Clone, Debug)]
pub struct TargetInfo {
    /// Process id.
    pub pid: i32,
    /// The executable's path.
    pub exe: String,
    /// `go1.27.3`.
    pub go: String,
    /// Whether this version of Go was never tried.
    pub untested: bool,
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

impl Report {
    /// A count as operations per second of attached time; `None` without any.
    #[must_use]
    pub fn per_second(&self, operations: u64) -> Option<f64> {
        (self.attached_seconds > 0.0).then(|| operations as f64 / self.attached_seconds)
    }
}
