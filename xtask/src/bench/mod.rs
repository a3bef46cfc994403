//! `cargo xtask bench`: what map-probe costs, measured on this machine, in one table.
//!
//! Each row is made by a function of its own file: pairs of measurements taken in turns, so that a drift of the machine
//! is in both of a pair; their median and spread; and a limit, where there is one.

mod attach;
mod bpftrace;
mod budget;
mod fixture;
mod guard;
mod paced;
mod probe;
mod profiler;
mod report;
mod sample;
mod start;
mod stats;
mod table;
mod target;
mod terraform;
mod timers;
mod trace;
mod who;

use crate::process::{build_map_probe, run as run_command, say};
use crate::{privilege, tools, workspace};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

use table::Row;

/// Makes rows, from so many rounds of measurements.
type Bench = fn(rounds: u32) -> Result<Vec<Row>>;

/// All measurements, in the order of the table.
const BENCHES: [(&str, Bench); 8] = [
    ("trace", trace::rows),
    ("who", who::rows),
    ("bpftrace", bpftrace::rows),
    ("budget", budget::rows),
    ("sample", sample::rows),
    ("attach", attach::rows),
    ("start", start::rows),
    ("profiler", profiler::rows),
];

/// The name of the rows that need another build to compare with.
const GUARD: &str = "guard";

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Rows to measure: trace, who, bpftrace, budget, sample, attach, start, profiler [default: all of these], or guard.
    #[arg(value_name = "NAME", value_parser = BENCHES.map(|(name, _)| name).into_iter().chain([GUARD]).collect::<Vec<_>>())]
    names: Vec<String>,

    /// With the name guard: the other build of map-probe that this one's windows are held against
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,

    /// Rounds to take the medians of.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(5..))]
    rounds: u32,
}

/// Measures and prints the table; an error when a row is over its limit.
pub(crate) fn run(args: &Args) -> Result<()> {
    say(
        "Measuring. Needs: root, BPF, Python's pip (it fetches Go), and a machine that does nothing else meanwhile.",
    );
    privilege::check_kernel().context("cannot measure")?;
    build_map_probe()?;
    let wanted = |name: &str| args.names.iter().any(|wanted| wanted == name);
    if wanted(GUARD) != args.against.is_some() {
        bail!(
            "`guard --against PROGRAM` compares with another build of map-probe: build an older commit in a git worktree"
        );
    }
    let mut failed = 0;
    table::print_head();
    for (name, bench) in BENCHES {
        if !args.names.is_empty() && !wanted(name) {
            continue;
        }
        let rows = bench(args.rounds);
        failed += print_rows(&rows.with_context(|| format!("cannot measure {name}"))?);
    }
    if let Some(against) = &args.against {
        let rows = guard::rows(args.rounds, against);
        failed += print_rows(&rows.context("cannot measure guard")?);
    }
    if failed > 0 {
        bail!("{failed} rows are over their limits");
    }
    Ok(())
}

/// Prints rows; how many are over their limits, or should have figures and have none.
fn print_rows(rows: &[Row]) -> u32 {
    let mut failed = 0;
    for row in rows {
        row.print();
        failed += u32::from(row.is_over() || row.is_missing());
    }
    failed
}

/// Builds the bench's target with this version of Go; the binary's path.
fn build_target(version: &str) -> Result<PathBuf> {
    build_fixture("bench", version)
}

/// Builds a program of `tests/fixtures` with this version of Go; the binary's path.
fn build_fixture(name: &str, version: &str) -> Result<PathBuf> {
    let go = tools::go(version)?;
    let dir = workspace::work().join("bench");
    std::fs::create_dir_all(&dir)?;
    let binary = dir.join(format!("{name}-go{version}"));
    run_command(&mut tools::go_build(
        &go,
        &workspace::root().join("tests/fixtures").join(name),
        &binary,
    ))?;
    Ok(binary)
}
