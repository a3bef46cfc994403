//! `cargo xtask test`: everything that has to hold before a change goes in.

use crate::process::{build_map_probe, cargo, print, run as run_command, say, shown};
use crate::{build_ebpf, go_layout, matrix, privilege, real_programs, tools, workspace};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// All crates but the kernel side, which builds for another target.
const HOST_CRATES: [&str; 4] = ["--locked", "--workspace", "--exclude", "map-probe-ebpf"];

/// Random cases per property with `--full`, instead of proptest's 256.
const FULL_CASES: &str = "10000";

/// Options of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave out the tests that need root and BPF.
    #[arg(long)]
    no_kernel: bool,
    /// Also what takes long or needs more toolchains (Debian's golang-1.19-go): all Go versions in all builds (the table in docs/matrix.md), programs of Debian and npm (apt-get and npm fetch them), many more random cases, longer workloads, and a rebuild of the eBPF object to compare.
    #[arg(long)]
    full: bool,
}

/// Runs all checks and tests and ends with the runner's closing lines.
pub(crate) fn run(args: &Args) -> Result<()> {
    say(
        "Running all checks and tests. Needs: rustfmt, clippy, Python's pip (it fetches Go), root and BPF.",
    );
    if args.no_kernel {
        say("--no-kernel: the end-to-end tests are left out; root and BPF are not needed.");
    } else {
        privilege::check_kernel()?;
    }
    for version in tools::GO_VERSIONS {
        tools::go(version)?;
    }
    if args.full {
        for version in tools::MORE_GO_VERSIONS
            .iter()
            .chain(&tools::OLDER_GO_VERSIONS)
        {
            tools::go(version)?;
        }
        tools::debian_go()?;
        if !args.no_kernel {
            real_programs::fetch();
        }
        matrix::forget()?;
    }
    if !args.no_kernel {
        tools::tmux();
        tools::hdrhistogram();
    }
    run_command(cargo("fmt").args(["--all", "--check"]))
        .context("the code is not formatted (`cargo fmt --all`), or rustfmt is missing (`rustup component add rustfmt`)")?;
    run_command(
        cargo("clippy")
            .args(HOST_CRATES)
            .args(["--all-targets", "--", "-D", "warnings"]),
    )
    .context("clippy is not content, or missing (`rustup component add clippy`)")?;
    run_command(
        cargo("doc")
            .args(HOST_CRATES)
            .arg("--no-deps")
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    build_map_probe()?;

    let layout = go_layout::Args {
        all: args.full,
        ..go_layout::Args::default()
    };
    go_layout::run(&layout)?;
    let results = tests(args)?;
    if args.full {
        if !args.no_kernel {
            matrix::run()?;
        }
        build_ebpf::run(&build_ebpf::Args { check: true })?;
    }
    print("");
    print(&format!(
        "total: {} passed, {} failed, {} ignored in {} test programs",
        results.passed,
        results.failed,
        results.ignored,
        results.lines.len()
    ));
    for line in &results.lines {
        print(line);
    }
    if !results.ok {
        bail!("some tests failed");
    }
    Ok(())
}

/// What the test programs said at their ends.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    lines: Vec<String>,
    passed: u64,
    failed: u64,
    ignored: u64,
    ok: bool,
}

impl Results {
    /// Takes in a line of the runner's output.
    fn add(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let count = |word: &str| -> u64 {
            let part = rest
                .split(['.', ';'])
                .find_map(|part| part.trim().strip_suffix(word));
            part.and_then(|number| number.trim().parse().ok())
                .unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.ignored += count("ignored");
        self.lines.push(line.to_owned());
    }
}

/// Runs the test programs with their output shown.
fn tests(args: &Args) -> Result<Results> {
    let mut command = cargo("test");
    command
        .args(HOST_CRATES)
        .arg("--no-fail-fast")
        .env("MAP_PROBE_BIN", workspace::map_probe());
    if args.no_kernel {
        command.env("MAP_PROBE_NO_KERNEL", "1");
    }
    if args.full {
        command
            .env("MAP_PROBE_FULL", "1")
            .env("PROPTEST_CASES", FULL_CASES);
    }
    if args.full {
        // Those that need the other toolchains are marked so.
        command.args(["--", "--include-ignored"]);
    }
    say(&format!("$ {}", shown(&command)));
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut results = Results::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line?;
            print(&line);
            results.add(&line);
        }
    }
    results.ok = child.wait()?.success();
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up_and_kept_as_they_are() {
        let mut results = Results::default();
        results.add("test it ... ok");
        results.add("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        results.add("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(
            (results.passed, results.failed, results.ignored),
            (15, 2, 1)
        );
        assert_eq!(results.lines.len(), 2);
        assert!(results.lines[1].starts_with("test result: FAILED."));
    }
}
