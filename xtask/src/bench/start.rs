//! `cargo xtask bench start`: from the command's start to the `attached` line.

use super::probe::Probe;
use super::stats::Series;
use super::target::Target;
use crate::process::{on_path, print, say};
use crate::tools;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Limit for a Go binary of 2 MB, in milliseconds.
const SMALL_LIMIT: f64 = 300.0;

/// Limit for a Go binary of 90 MB, in milliseconds.
const LARGE_LIMIT: f64 = 1000.0;

/// Options of `cargo xtask bench start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Starts to take the median of.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Measures a small and, where it is installed, a large Go program; an error when a median is over its limit.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut small = Vec::new();
    for version in tools::BENCH_GO_VERSIONS {
        small.push((version, super::build_target(version)?));
    }
    print("milliseconds until attached     median   smallest    largest      limit");
    let mut within = true;
    for (version, binary) in small {
        let target = Target::start(&binary)?;
        within &= report(
            &format!("Go {version}"),
            &binary,
            target.pid(),
            args.rounds,
            SMALL_LIMIT,
        )?;
    }
    match on_path("terraform") {
        Some(binary) => within &= terraform(&binary, args.rounds)?,
        None => say("skipped: terraform (a Go binary of 90 MB) is not installed"),
    }
    if !within {
        bail!("slower to start than it may be");
    }
    Ok(())
}

/// Measures on `terraform console`, which waits for input.
fn terraform(binary: &Path, rounds: u32) -> Result<bool> {
    let empty = tempfile::tempdir()?;
    let mut child = Command::new(binary)
        .arg("console")
        .current_dir(empty.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start terraform")?;
    // Long enough to have started and to be waiting.
    std::thread::sleep(Duration::from_secs(2));
    let within = match child.try_wait()? {
        Some(status) => {
            say(&format!(
                "skipped: `terraform console` ended at once ({status})"
            ));
            Ok(true)
        }
        None => report("terraform", binary, child.id(), rounds, LARGE_LIMIT),
    };
    child.kill()?;
    child.wait()?;
    within
}

/// Attaches so many times, prints the row, and tells whether the median is within the limit.
fn report(name: &str, binary: &Path, pid: u32, rounds: u32, limit: f64) -> Result<bool> {
    let mut times = Series::default();
    for _ in 0..rounds {
        let probe = Probe::attach(pid, &["--format", "json"])?;
        times.push(probe.attached_after.as_secs_f64() * 1e3);
        probe.detach()?;
    }
    let megabytes = std::fs::metadata(binary)?.len() as f64 / 1e6;
    let name = format!("{name} ({megabytes:.1} MB)");
    let within = times.median().is_some_and(|median| median <= limit);
    let verdict = if within { "ok" } else { "OVER" };
    print(&format!(
        "{name:<27} {} {limit:>10.0} {verdict}",
        times.cells(1)
    ));
    Ok(within)
}
