//! The data that every output format shows.

use std::time::SystemTime;

use super::ranked::Ranking;

pub use super::counts::{
    Counts, Depths, FailureRow, Frame, Frames, List, MapRows, MapSize, Name, Quality, RowKey, Rows,
    SiteRows, TypeRows,
};
pub use super::estimates::{Estimate, Estimates, Range};
pub use super::samples::{FunctionRow, Samples};

/// The target as a report names it.
#[derive(Clone, Debug)]
pub struct TargetInfo {
    /// Process id.
    pub pid: i32,
    /// The executable's path.
    pub exe: String,
    /// Its GNU build id in hexadecimal; `None` if it has none.
    pub build_id: Option<String>,
    /// `go1.27.3`.
    pub go: String,
    /// The version whose map layout the user said it has, `go1.27`; `None` where its own is known.
    pub assumed: Option<String>,
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
    /// The programs that the process ran while it was watched, the one described here last; empty if it was that one alone.
    pub lives: Vec<Life>,
    /// What else has to be known of it to understand the numbers.
    pub notes: Vec<&'static str>,
    /// How it ended, if it was started by us and has.
    pub ended: Option<Fate>,
}

/// One of the programs that a process ran while it was watched.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// The executable's path; `None` if the next program came before this one could be read.
    pub exe: Option<String>,
    /// Its version of Go; `None` if it is no Go program, or not known.
    pub go: Option<String>,
    /// The layout of its maps; likewise.
    pub layout: Option<&'static str>,
    /// When it began, in seconds since the first probes were attached.
    pub from_seconds: f64,
    /// When its probes were attached: what it did before is not in the report. `None` if they never were.
    pub attached_seconds: Option<f64>,
    /// When it ended, or the report did.
    pub until_seconds: f64,
    /// Why it was not probed.
    pub reason: Option<String>,
}

impl Life {
    /// For how long of the time between two moments it ran without probes, in seconds.
    #[must_use]
    pub fn unprobed(&self, from: f64, until: f64) -> f64 {
        let attached = self.attached_seconds.unwrap_or(self.until_seconds);
        (attached.min(until) - self.from_seconds.max(from)).max(0.0)
    }
}

impl TargetInfo {
    /// For how long of the time between two moments it ran programs without probes, in seconds: those that it had just begun.
    #[must_use]
    pub fn unprobed(&self, from: f64, until: f64) -> f64 {
        let lives = self.lives.iter();
        lives.map(|life| life.unprobed(from, until)).sum()
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl Fate {
    /// Whether it ended as commands do that succeed.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Status(0)
    }
}

/// How the numbers came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Operations are trapped: all of them, or those of windows of time.
    Trace,
    /// Samples of CPU time: counts are of samples, not of operations.
    Sample,
}

/// What the watching cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Windows in which probes were attached; 1 if they always were.
    pub windows: u64,
    /// Traps that the target took, or samples; where every operation is traced, the operations seen. `None` where filters
    /// leave out operations that were trapped all the same.
    pub traps: Option<u64>,
    /// What one cost it, in nanoseconds; `None` if it was not measured.
    pub ns_per_trap: Option<f64>,
    /// By how much the target was slowed down, as a share of its throughput without us; `None` if that cannot be told.
    pub slowdown: Option<f64>,
    /// The bound that was asked for, as such a share.
    pub bound: Option<f64>,
    /// Our own CPU time, in seconds.
    pub cpu_seconds: f64,
    /// Our own resident memory, in bytes.
    pub resident_bytes: u64,
}

/// One window of time: an interval, or the whole run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The target.
    pub target: TargetInfo,
    /// What it is limited to, by the names of the options; empty if it is about all operations.
    pub filters: Vec<(&'static str, String)>,
    /// What it shows first, and how much.
    pub ranking: Ranking,
    /// Whether it covers the whole run.
    pub is_final: bool,
    /// When the probes were in place.
    pub started: SystemTime,
    /// Seconds since then at which the window ends.
    pub until_seconds: f64,
    /// Its length in seconds.
    pub seconds: f64,
    /// The share of it in which probes were attached, in seconds.
    pub attached_seconds: f64,
    /// Whether all operations on small maps are counted.
    pub small_counted: bool,
    /// How the numbers came about.
    pub mode: Mode,
    /// What the watching cost; `None` if that is not known.
    pub cost: Option<Cost>,
    /// What was counted.
    pub counts: Counts,
}

impl Report {
    /// Operations per second of one row of the whole process, as [`Report::per_second`].
    #[must_use]
    pub fn row_per_second(&self, row: RowKey, count: u64) -> Option<f64> {
        let Some(estimates) = &self.counts.estimates else {
            return self.per_second(count);
        };
        let (operations, _) = estimates.rows.get(&row)?.operations?;
        (self.seconds > 0.0).then(|| operations / self.seconds)
    }

    /// For how long the target ran programs without probes, in seconds.
    #[must_use]
    pub fn unprobed_seconds(&self) -> f64 {
        let from = self.until_seconds - self.seconds;
        self.target.unprobed(from, self.until_seconds)
    }

    /// The share of the time in which probes were attached, from 0 to 1.
    #[must_use]
    pub fn attached_share(&self) -> f64 {
        if self.seconds > 0.0 {
            (self.attached_seconds / self.seconds).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// A count as operations per second of attached time; `None` without any. Where only the operations of windows were
    /// seen, as those of the whole time; `None` where that would be a guess.
    #[must_use]
    pub fn per_second(&self, operations: u64) -> Option<f64> {
        if let Some(estimates) = &self.counts.estimates {
            let seen = self.counts.operations.total();
            let all = estimates.operations()?;
            return (seen > 0 && self.seconds > 0.0)
                .then(|| operations as f64 / seen as f64 * all / self.seconds);
        }
        (self.attached_seconds > 0.0).then(|| operations as f64 / self.attached_seconds)
    }
}
