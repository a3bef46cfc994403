//! What was tried, toolchain by toolchain and build by build, for the table that `cargo xtask test --full` makes of it
//! (`docs/matrix.md`): one small file for each cell.

use std::fs;

use anyhow::Result;
use serde_json::json;

use crate::go::{Go, Variant, build_dir};

/// How a cell came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// So many operations on tables were compared, all equal.
    Exact(u64),
    /// The same of all functions but these, which the report names as not covered.
    Partly(u64, String),
    /// map-probe refused it, with this reason.
    Refused(String),
    /// It could not be built or run here, for this reason.
    NotApplicable(String),
}

/// Notes how a cell came out.
///
/// # Errors
///
/// It cannot be written.
pub fn record(go: Go, variant: Variant, outcome: &Outcome) -> Result<()> {
    let (operations, not_covered, refused, not_applicable) = match outcome {
        Outcome::Exact(operations) => (Some(operations), None, None, None),
        Outcome::Partly(operations, functions) => (Some(operations), Some(functions), None, None),
        Outcome::Refused(reason) => (None, None, Some(reason), None),
        Outcome::NotApplicable(reason) => (None, None, None, Some(reason)),
    };
    let cell = json!({
        "go": go.version(),
        "experiment": go.experiment(),
        "layout": go.layout(),
        "build": variant.name(),
        "operations": operations,
        "not_covered": not_covered,
        "refused": refused,
        "not_applicable": not_applicable,
    });
    let directory = build_dir().join("matrix");
    fs::create_dir_all(&directory)?;
    let experiment = go.experiment().unwrap_or("default");
    let name = format!("{}-{experiment}-{}.json", go.version(), variant.name());
    fs::write(directory.join(name), cell.to_string())?;
    Ok(())
}
