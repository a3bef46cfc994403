//! `cargo xtask fuzz`: fuzzes the parsers, the planner and the walk (`fuzz/README.md`).

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{read, remove_dir, run as run_command, say};
use crate::{tools, workspace};

/// The targets, and the longest input of each in bytes.
const TARGETS: [(&str, u32); 9] = [
    ("elf", 16384),
    ("build_info", 4096),
    ("function_table", 8192),
    ("types", 24576),
    ("proc_files", 4096),
    ("program", 2048),
    ("real_program", 512),
    ("plan", 4096),
    ("walk", 4096),
];

/// Options of `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The target; all in turn unless given.
    target: Option<String>,
    /// How long each is fuzzed.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Makes seeds from real programs, then runs the targets until their time is up or one finds something.
pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen: Vec<_> = TARGETS
        .into_iter()
        .filter(|(name, _)| args.target.as_deref().is_none_or(|wanted| wanted == *name))
        .collect();
    if chosen.is_empty() {
        bail!(
            "no such target; there are {}",
            TARGETS.map(|(name, _)| name).join(", ")
        );
    }
    read(Command::new("cargo").args(["fuzz", "--version"]))
        .context("cargo-fuzz is missing (`cargo install cargo-fuzz`)")?;
    let home = workspace::work().join("fuzz");
    let programs = home.join("programs");
    let seeding = home.join("oracles");
    build_programs("tiny", &programs)?;
    build_programs("oracle", &seeding)?;
    let fresh = home.join("seeds");
    remove_dir(&fresh)?;
    seeds::write(&seeding, &fresh)?;
    run_command(&mut cargo_fuzz("build"))?;
    for (target, longest) in chosen {
        fuzz(target, longest, args.seconds, &home, &programs)?;
    }
    Ok(())
}

/// Stable Rust does, if it is told that it may; no sanitizer, as nearly all of what is fuzzed is safe Rust.
fn cargo_fuzz(command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(workspace::root().join("fuzz"))
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", command, "--sanitizer", "none", "--target-dir"])
        .arg(workspace::target().join("fuzz"));
    cargo
}

fn fuzz(target: &str, longest: u32, seconds: u32, home: &Path, programs: &Path) -> Result<()> {
    let corpus = home.join("corpus").join(target);
    let findings = home.join("findings").join(target);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&findings)?;
    say(&format!(
        "{target}: {seconds} s; findings go to {}",
        findings.display()
    ));
    run_command(
        cargo_fuzz("run")
            .arg(target)
            .args([&corpus, &home.join("seeds").join(target)])
            .arg("--")
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={longest}"))
            // One input may take ten seconds, a gigabyte in all and a quarter of one at once.
            .args(["-timeout=10", "-rss_limit_mb=1024", "-malloc_limit_mb=256"])
            .args([
                "-use_value_profile=1",
                "-print_final_stats=1",
                "-verbosity=1",
            ])
            .env("MAP_PROBE_FUZZ_PROGRAMS", programs),
    )
}

/// A fixture by each toolchain at hand: the smallest Go program there is, or one with all map functions and key types.
fn build_programs(fixture: &str, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    for version in tools::GO_VERSIONS {
        tools::go(version)?;
    }
    let source = workspace::root().join("tests/fixtures").join(fixture);
    let mut toolchains: Vec<PathBuf> = fs::read_dir(workspace::work().join("go"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    toolchains.sort();
    for toolchain in toolchains {
        let go = toolchain.join("go/bin/go");
        let (true, Some(version)) = (go.is_file(), toolchain.file_name()) else {
            continue;
        };
        let program = dir.join(version);
        if !program.is_file() {
            run_command(&mut tools::go_build(&go, &source, &program))?;
        }
    }
    Ok(())
}
