//! The profiler on an oracle: its counts have to be the oracle's own.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::go::{Go, SHAPES};
use crate::oracle::Truth;
use crate::profiler::{self, Profiler};
use crate::report::Report;
use crate::target::Target;

/// The profiler holds the oracle until probes are in place, and reports when it ends.
///
/// # Errors
///
/// Whatever is not exact.
pub fn command(go: Go, oracle: &Path, arguments: &[&str]) -> Result<()> {
    count(go, oracle, arguments).map(|_| ())
}

/// The same; how many operations on tables were compared.
///
/// # Errors
///
/// Whatever is not exact.
pub fn count(go: Go, oracle: &Path, arguments: &[&str]) -> Result<u64> {
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let mut command = options(go);
    command.extend([
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--output",
        output.to_str().context("a path")?,
        "--",
        oracle.to_str().context("a path")?,
    ]);
    command.extend(arguments);
    let ended = profiler::run(&command)?.success()?;
    let truth = Truth::find(&ended.stdout)?;
    let report = Report::parse(&std::fs::read_to_string(output)?)?;
    compare(go, &truth, &report)?;
    Ok(truth.table_operations())
}

/// The profiler attaches to a waiting oracle that is process `pid` here, and is interrupted after its work, while it
/// still runs. `meanwhile` runs when probes are in place.
///
/// # Errors
///
/// Whatever is not exact.
pub fn process(
    go: Go,
    mut target: Target,
    pid: &str,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let profiler = Profiler::attach(pid, "json", &options(go))?;
    meanwhile()?;
    target.begin()?;
    target.wait_done()?;
    profiler.interrupt()?;
    let ended = profiler.finish()?.success()?;
    compare(go, &target.finish()?, &Report::parse(&ended.stdout)?)
}

/// The options that programs of this toolchain need.
fn options(go: Go) -> Vec<&'static str> {
    go.assumed()
        .map_or_else(Vec::new, |assumed| vec!["--assume-go", assumed])
}

fn compare(go: Go, truth: &Truth, report: &Report) -> Result<()> {
    truth.expect_go(go)?;
    ensure!(report.is_final, "not the final report");
    let target = &report.json["target"];
    ensure!(
        target["go"] == go.reported_version() && target["layout"] == go.layout(),
        "another target: {target}"
    );
    let assumed = go.assumed().map(|minor| format!("go{minor}"));
    ensure!(
        target["assumed_go"].as_str() == assumed.as_deref(),
        "another version was assumed than {assumed:?}: {target}"
    );
    let not_covered = &target["functions"]["not_covered"];
    ensure!(
        not_covered.as_array().is_some_and(Vec::is_empty),
        "not covered: {not_covered}"
    );
    if go.uses_shapes() {
        let mut report = report.clone();
        report.merge_types(SHAPES, |name| name.contains("go.shape."));
        truth.expect_equal(&report)?;
    } else {
        truth.expect_equal(report)?;
    }
    report.expect_complete()
}
