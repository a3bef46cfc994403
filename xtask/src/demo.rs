//! `cargo xtask demo`: map-probe on a real Go program, TypeScript 7's compiler at work.

mod project;

use crate::process::{build_map_probe, outlive_interrupts, print, run as run_command, say, shown};
use crate::{privilege, tools, workspace};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::path::Path;

/// Exit status of map-probe for a target that it cannot probe.
const NOT_PROBEABLE: i32 = 3;

/// The Go version that the fixture is built with.
const FIXTURE_GO: &str = "1.27.3";

/// Options of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// TypeScript files to generate and compile.
    #[arg(long, default_value_t = 400)]
    files: u32,
    /// Probe a Go fixture of our own instead of the TypeScript compiler.
    #[arg(long)]
    fixture: bool,
    /// Show the report as text on a terminal too, instead of the live dashboard.
    #[arg(long)]
    text: bool,
}

/// Builds map-probe, fetches the compiler, runs it under map-probe and shows the report.
pub(crate) fn run(args: &Args) -> Result<()> {
    say(
        "The demo: counts the map operations of a real Go program. Needs: root (or sudo), BPF, npm or Python's pip.",
    );
    build_map_probe()?;
    // Whoever looks at a terminal, and can press keys, wants to see it live.
    let live = !args.text
        && std::io::stdout().is_terminal()
        && std::io::stdin().is_terminal()
        && std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    if live {
        say(
            "The live dashboard follows: ? in it explains its keys, q ends it. With --text it is left out.",
        );
    }
    let dir = workspace::work().join("demo");
    std::fs::create_dir_all(&dir)?;
    if !args.fixture {
        match tools::typescript() {
            Ok(tsc) if typescript(&dir, &tsc, args.files, live)? => return Ok(()),
            Ok(_) => say("map-probe cannot probe this TypeScript compiler (the reason is above)."),
            Err(error) => say(&format!("Cannot get the TypeScript compiler: {error:#}")),
        }
        say("Falling back to a Go program of our own, tests/fixtures/demo.");
    }
    fixture(&dir, live)
}

/// Probes the compiler while it compiles a generated project; false if it is a target that map-probe cannot probe.
fn typescript(dir: &Path, tsc: &Path, files: u32, live: bool) -> Result<bool> {
    let project = dir.join("project");
    let lines = project::generate(&project, files)?;
    say(&format!(
        "Generated {files} TypeScript files, {lines} lines, in {}",
        project.display()
    ));
    let output = project.join("out");
    let target: [&OsStr; 5] = [
        tsc.as_ref(),
        "-p".as_ref(),
        project.as_ref(),
        "--outDir".as_ref(),
        output.as_ref(),
    ];
    match probe(dir, &target, live)? {
        Some(0) => Ok(true),
        Some(NOT_PROBEABLE) => Ok(false),
        status => bail!("map-probe failed ({})", exit(status)),
    }
}

fn fixture(dir: &Path, live: bool) -> Result<()> {
    let go = tools::go(FIXTURE_GO)?;
    let binary = dir.join("fixture");
    run_command(&mut tools::go_build(
        &go,
        &workspace::root().join("tests/fixtures/demo"),
        &binary,
    ))?;
    match probe(dir, &[binary.as_ref()], live)? {
        Some(0) => Ok(()),
        status => bail!("map-probe failed ({})", exit(status)),
    }
}

fn exit(status: Option<i32>) -> String {
    status.map_or_else(
        || "killed by a signal".to_owned(),
        |code| format!("exit status {code}"),
    )
}

/// Runs the command under map-probe's dashboard, which prints the report itself at its end.
fn dashboard(target: &[&OsStr]) -> Result<Option<i32>> {
    let mut command = privilege::as_root(workspace::map_probe())?;
    command.args([
        "--max-overhead",
        "off",
        "--interval",
        "250ms",
        "--format",
        "tui",
    ]);
    // A terminal that nobody sits at is not kept for ever.
    command.args(["--duration", "10m", "--"]).args(target);
    print(&format!("$ {}", shown(&command)));
    outlive_interrupts()?;
    let status = command.status().context("cannot start map-probe")?;
    Ok(status.code())
}

/// Runs the command under map-probe, shows the report, and returns map-probe's exit status.
fn probe(dir: &Path, target: &[&OsStr], live: bool) -> Result<Option<i32>> {
    if live {
        return dashboard(target);
    }
    let report = dir.join("report.txt");
    let mut command = privilege::as_root(workspace::map_probe())?;
    command
        .args([
            "--max-overhead",
            "off",
            "--interval",
            "1h",
            "--format",
            "text",
            "--output",
        ])
        .arg(&report);
    command.arg("--").args(target);
    print(&format!("$ {}", shown(&command)));
    let status = command.status().context("cannot start map-probe")?;
    if status.success() {
        let text = std::fs::read_to_string(&report)
            .with_context(|| format!("cannot read the report {}", report.display()))?;
        print(text.trim_end());
        say(&format!("The report is also in {}", report.display()));
    }
    Ok(status.code())
}
