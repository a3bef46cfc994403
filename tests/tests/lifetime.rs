//! When map-probe begins, when it ends, and what becomes of its target.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::Report;
use map_probe_tests::target::Target;

fn fixture() -> Result<String> {
    let path = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    Ok(path.to_str().context("a path")?.to_owned())
}

#[test]
fn a_duration_ends_the_run_and_leaves_the_target_running() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-workload", "small"])?;
    let profiler = Profiler::attach(&target.pid(), "json", &["--duration", "500ms"])?;
    let attached = Instant::now();
    let ended = profiler.finish()?.success()?;
    let lasted = attached.elapsed();
    ensure!(
        (Duration::from_millis(400)..Duration::from_secs(5)).contains(&lasted),
        "--duration 500ms lasted {lasted:?}"
    );
    let report = Report::parse(&ended.stdout)?;
    ensure!(report.is_final, "not the final report");
    let seconds = report.json["window"]["seconds"]
        .as_f64()
        .context("no window")?;
    ensure!((0.4..2.0).contains(&seconds), "a window of {seconds} s");
    ensure!(target.is_alive()?, "the target ended");
    target.begin()?;
    target.wait_done()?;
    target.finish()?;
    Ok(())
}

#[test]
fn the_target_works_on_after_an_interrupt() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "300"])?;
    let profiler = Profiler::attach(&target.pid(), "json", &[])?;
    target.begin()?;
    profiler.interrupt()?; // in the middle of its work
    let ended = profiler.finish()?.success()?;
    ensure!(
        Report::parse(&ended.stdout)?.is_final,
        "not the final report"
    );
    target.wait_done()?;
    target.finish()?;
    Ok(())
}

#[test]
fn the_end_of_the_target_ends_the_run_with_the_full_report() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "100"])?;
    let profiler = Profiler::attach(&target.pid(), "json", &[])?;
    target.begin()?;
    target.wait_done()?;
    let truth = target.finish()?;
    let ended = profiler.finish()?.success()?;
    let report = Report::parse(&ended.stdout)?;
    ensure!(report.is_final, "not the final report");
    truth.expect_equal(&report)?;
    report.expect_complete()
}

#[test]
fn attached_is_said_once_and_on_standard_error() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let ended = profiler::run(&[
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--",
        &fixture()?,
        "-workload",
        "small",
    ])?
    .success()?;
    let lines = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("attached"))
            .count()
    };
    ensure!(
        lines(&ended.stderr) == 1,
        "standard error:\n{}",
        ended.stderr
    );
    ensure!(
        lines(&ended.stdout) == 0,
        "standard output:\n{}",
        ended.stdout
    );
    Ok(())
}

#[test]
fn a_command_that_fails_is_still_reported() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let path = output.to_str().context("a path")?;
    profiler::run(&[
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--output",
        path,
        "--",
        &fixture()?,
        "-no-such-flag",
    ])?
    .success()?;
    ensure!(
        Report::parse(&std::fs::read_to_string(output)?)?.is_final,
        "not the final report"
    );
    Ok(())
}
