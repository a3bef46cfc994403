//! `cargo xtask bench`: what map-probe costs, measured on this machine.

mod budget;
mod probe;
mod report;
mod start;
mod stats;
mod target;
mod trace;

use crate::process::{run as run_command, say};
use crate::{privilege, tools, workspace};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// What counting one lookup costs the target, against an empty eBPF program at the same instruction.
    Trace(trace::Args),
    /// Whether the target's slowdown stays within `--max-overhead`, and reported depths are the true ones.
    Budget(budget::Args),
    /// How long it takes from the command's start until the probes are in place.
    Start(start::Args),
}

/// Runs the chosen measurement; an error when the figures are over their limits.
pub(crate) fn run(args: &Args) -> Result<()> {
    say(
        "Measuring. Needs: root, BPF, Python's pip (it fetches Go), and a machine that does nothing else meanwhile.",
    );
    privilege::check_kernel().context("cannot measure")?;
    run_command(Command::new("cargo").current_dir(workspace::root()).args([
        "build",
        "--locked",
        "--release",
        "--package",
        "map-probe",
    ]))?;
    match &args.what {
        What::Trace(args) => trace::run(args),
        What::Budget(args) => budget::run(args),
        What::Start(args) => start::run(args),
    }
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
