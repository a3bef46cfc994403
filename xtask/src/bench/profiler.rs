//! What map-probe takes of the machine for itself, at an interval of 1 s.

use super::probe::Probe;
use super::stats::Series;
use super::table::{Row, Unit};
use super::target::Target;
use super::terraform::Terraform;
use super::trace::LOOKUP;
use crate::process::say;
use crate::tools;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// At most so much of one core, in percent.
const CPU_LIMIT: f64 = 1.0;

/// At most so much resident memory, in megabytes.
const MEMORY_LIMIT: f64 = 30.0;

/// How long it is watched, each round.
const WATCHED: Duration = Duration::from_secs(5);

/// Rows for a busy small program, and for a large one.
pub(super) fn rows(rounds: u32) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for version in tools::BENCH_GO_VERSIONS {
        let mut target = Target::start(&super::build_target(version)?)?;
        // Busy for longer than it is watched; it is killed when done.
        target.begin(LOOKUP.command, Duration::from_secs(600))?;
        rows.extend(watch(
            &format!("Go {version}, lookups alone"),
            target.pid(),
            rounds,
        )?);
    }
    match Terraform::start()? {
        Ok(terraform) => rows.extend(watch("terraform", terraform.pid(), rounds)?),
        Err(why) => rows.push(Row::absent("profiler, a binary of 90 MB", why)),
    }
    Ok(rows)
}

fn watch(name: &str, pid: u32, rounds: u32) -> Result<[Row; 2]> {
    let (mut cpu, mut memory) = (Series::default(), Series::default());
    for round in 1..=rounds {
        say(&format!("profiler, {name}: round {round} of {rounds}"));
        let probe = Probe::attach(pid, &["--format", "text", "--interval", "1s"])?;
        let (begun, before) = (Instant::now(), cpu_time(probe.id())?);
        let mut most = 0.0_f64;
        while begun.elapsed() < WATCHED {
            std::thread::sleep(Duration::from_millis(500));
            most = most.max(resident(probe.id())?);
        }
        let used = cpu_time(probe.id())?.saturating_sub(before);
        cpu.push(used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0);
        memory.push(most);
        probe.detach()?;
    }
    Ok([
        Row::new(
            format!("profiler at 1 s, {name}: CPU, of one core"),
            Unit::Percent,
            cpu,
        )
        .limit(CPU_LIMIT),
        Row::new(
            format!("profiler at 1 s, {name}: resident memory"),
            Unit::Megabytes,
            memory,
        )
        .limit(MEMORY_LIMIT),
    ])
}

/// CPU time of all threads of a process: the first number of each thread's `schedstat`, in nanoseconds.
fn cpu_time(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_whitespace().next().context("no schedstat")?;
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory, in megabytes.
fn resident(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kilobytes: u32 = kilobytes.context("no VmRSS")?.trim().parse()?;
    Ok(f64::from(kilobytes) * 1024.0 / 1e6)
}
