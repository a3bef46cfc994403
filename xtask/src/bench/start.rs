//! From the command's start to the first number on the screen.

use super::stats::Series;
use super::table::{Row, Unit};
use super::target::Target;
use super::terraform::Terraform;
use super::trace::LOOKUP;
use crate::{tools, workspace};
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Limit for a Go binary of 2 MB, in milliseconds.
const SMALL_LIMIT: f64 = 200.0;

/// Limit for a Go binary of 90 MB, in milliseconds.
const LARGE_LIMIT: f64 = 600.0;

/// A row per version of Go, and one for a large program.
pub(super) fn rows(rounds: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for version in tools::BENCH_GO_VERSIONS {
        let binary = super::build_target(version)?;
        let mut target = Target::start(&binary)?;
        // Busy for longer than it is watched; it is killed when done.
        target.begin(LOOKUP.command, Duration::from_secs(600))?;
        let name = format!("start, Go {version}");
        rows.push(row(&name, &binary, target.pid(), rounds)?.limit(SMALL_LIMIT));
    }
    rows.push(match Terraform::start()? {
        Ok(terraform) => row(
            "start, terraform",
            &terraform.binary,
            terraform.pid(),
            rounds,
        )?
        .limit(LARGE_LIMIT),
        Err(why) => Row::absent("start, a binary of 90 MB", why),
    });
    Ok(rows)
}

fn row(name: &str, binary: &Path, pid: u32, rounds: u32) -> Result<Row> {
    let mut times = Series::default();
    for _ in 0..rounds {
        times.push(first_number(pid)?.as_secs_f64() * 1e3);
    }
    let megabytes = std::fs::metadata(binary)?.len() as f64 / 1e6;
    let name = format!("{name} ({megabytes:.1} MB): to the first number on the screen");
    Ok(Row::new(name, Unit::Milliseconds, times))
}

/// The time to the first line of a report, with the shortest interval there is.
fn first_number(pid: u32) -> Result<Duration> {
    let started = Instant::now();
    let mut child = Command::new(workspace::map_probe())
        .args(["--pid", &pid.to_string(), "--max-overhead", "off"])
        .args(["--format", "text", "--interval", "10ms"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start map-probe")?;
    let mut out = BufReader::new(child.stdout.take().context("no pipe")?);
    let mut line = String::new();
    out.read_line(&mut line)?;
    let took = started.elapsed();
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
    std::io::copy(&mut out.by_ref(), &mut std::io::sink())?;
    let status = child.wait()?;
    if !status.success() || !line.contains("operation") {
        bail!("map-probe ended with {status}, its first line was {line:?}");
    }
    Ok(took)
}
