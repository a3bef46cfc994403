//! `cargo xtask kernels`: the same program on other kernels than this machine's, in virtual machines.
//!
//! A kernel is one of a package that apt offers, or a file. It boots under software emulation (no KVM is needed), with nothing but
//! busybox, map-probe and the oracle; what they print is compared here. Emulated time means nothing, so nothing is timed.

mod check;
mod guest;
mod package;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::process::{build_map_probe, on_path, print, say};
use crate::{debian, tools, workspace};
use check::Check;

/// Where kernels are kept once fetched.
fn dir() -> PathBuf {
    workspace::work().join("kernels")
}

/// Options of `cargo xtask kernels`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Kernels: versions like 6.1, of which the newest package is taken, or files like /boot/vmlinuz-6.1.0. Without any, those that were fetched before, or else all versions that apt offers
    #[arg(value_name = "KERNEL")]
    kernels: Vec<String>,
    /// A line of apt's sources.list for packages of other releases; may be given more than once [default: the machine's own sources]
    #[arg(long, value_name = "LINE")]
    source: Vec<String>,
    /// Only say which kernels apt offers.
    #[arg(long)]
    list: bool,
}

/// Boots each kernel and runs the checks, and prints a table.
pub(crate) fn run(args: &Args) -> Result<()> {
    say(
        "Running map-probe on other kernels. Needs: qemu-system-x86_64, a static busybox, apt, Python's pip (it fetches Go).",
    );
    let apt = package::Apt::new(&args.source)?;
    if args.list {
        for package in apt.newest()? {
            print(&package);
        }
        return Ok(());
    }
    need("qemu-system-x86_64", "qemu-system-x86")?;
    need("busybox", "busybox-static")?;
    let kernels = package::kernels(&apt, &args.kernels)?;
    if kernels.is_empty() {
        bail!("apt offers no kernel: give a file, or a --source");
    }
    for version in tools::BENCH_GO_VERSIONS {
        tools::go(version)?;
    }
    build_map_probe()?;
    let checks = check::all()?;
    let mut rows = Vec::new();
    let mut ok = true;
    for kernel in kernels {
        let name = package::name(&kernel);
        say(&format!("Booting {name}"));
        let results = guest::run(&kernel, &checks)?;
        let results: Vec<_> = checks
            .iter()
            .zip(results)
            .map(|(check, result)| match check.judge(&result) {
                Ok(words) => words,
                Err(error) => {
                    ok = false;
                    say(&format!("{name}: {}: {error:#}", check.name()));
                    format!("FAILED: {}", check::first_line(&error.to_string()))
                }
            })
            .collect();
        rows.push((name, results));
    }
    table(&checks, &rows);
    if !ok {
        bail!(
            "some kernels failed; each machine's console is in {}",
            dir().display()
        );
    }
    Ok(())
}

fn table(checks: &[Check], rows: &[(String, Vec<String>)]) {
    let names: Vec<_> = checks.iter().map(Check::name).collect();
    print(&format!("| kernel | {} |", names.join(" | ")));
    print(&format!("|---|{}", "---|".repeat(names.len())));
    for (kernel, results) in rows {
        print(&format!("| {kernel} | {} |", results.join(" | ")));
    }
}

/// Demands a program, which is installed where that is possible.
fn need(program: &str, package: &str) -> Result<()> {
    if on_path(program).is_some() {
        return Ok(());
    }
    if let Err(error) = debian::install(&[package]) {
        bail!(
            "{program} is not here, and was not installed: {error:#}. Install Debian's package {package}, or your system's"
        );
    }
    Ok(())
}
