//! The profiler on an oracle: its counts have to be the oracle's own.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::go::{Go, SHAPES};
use crate::oracle::Truth;
use crate::profiler::{self, Ended, Profiler};
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
    let (truth, report) = watch(go, oracle, arguments)?;
    compare(go, &truth, &report)?;
    Ok(truth.table_operations())
}

/// What an oracle says it did, and what the profiler that started it reports.
fn watch(go: Go, oracle: &Path, arguments: &[&str]) -> Result<(Truth, Report)> {
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
    Ok((truth, report))
}

/// The same of a program that has functions that cannot be covered: the report names these and no others, and of each
/// type either all or none of the lookups and inserts are there. How many operations on tables were compared.
///
/// # Errors
///
/// Whatever is not exact, or is missing though its function is covered.
pub fn count_covered(
    go: Go,
    oracle: &Path,
    arguments: &[&str],
    not_covered: &[&str],
) -> Result<u64> {
    let (mut truth, report) = watch(go, oracle, arguments)?;
    truth.expect_go(go)?;
    let functions = &report.json["target"]["functions"];
    let entries = functions["not_covered"].as_array().context("a list")?;
    let names: Vec<_> = entries.iter().map(|entry| &entry["function"]).collect();
    ensure!(names == not_covered, "not covered: {entries:?}");
    ensure!(
        entries.iter().all(|entry| entry["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())),
        "without a reason: {entries:?}"
    );
    let left_out = truth.leave_out(|name, kind| {
        let rows = report.by_type.get(&Some(name.to_owned()));
        kind.op != "delete" && rows.is_none_or(|rows| rows.keys().all(|found| found.op == "delete"))
    });
    let string = |name: &String| name == "map[string]main.cell" || name.contains("interface {}");
    ensure!(
        !left_out.is_empty() && !left_out.iter().any(string),
        "operations of these types are missing: {left_out:?}"
    );
    truth.expect_equal(&report)?;
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
    let report = work(&mut target, profiler)?;
    compare(go, &target.finish()?, &report)
}

/// Lets a waiting target do its work while it is probed; what is reported when that is done, as JSON was asked for.
///
/// # Errors
///
/// One of both fails.
pub fn work(target: &mut Target, profiler: Profiler) -> Result<Report> {
    Report::parse(&work_to_the_end(target, profiler)?.stdout)
}

/// The same, whatever was asked for: how the profiler ended.
///
/// # Errors
///
/// One of both fails.
pub fn work_to_the_end(target: &mut Target, profiler: Profiler) -> Result<Ended> {
    target.begin()?;
    target.wait_done()?;
    profiler.interrupt()?;
    profiler.finish()?.success()
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
