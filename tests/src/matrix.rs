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
    let (operations, refused, not_applicable) = match outcome {
        Outcome::Exact(operations) => (Some(operations), None, None),
        Outcome::Refused(reason) => (None, Some(reason), None),
        Outcome::NotApplicable(reason) => (None, None, Some(reason)),
    };
    let cell = json!({
        "go": go.version(),
        "experiment": go.experiment(),
        "layout": go.layout(),
        "build": variant.name(),
        "operations": operations,
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
