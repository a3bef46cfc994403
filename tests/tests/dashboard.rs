//! The dashboard in a real terminal, on a real target: what one sees, and what is left of the terminal.

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler;
use map_probe_tests::report::Report;
use map_probe_tests::target::Target;
use map_probe_tests::tmux::{self, Tmux};

fn wanted() -> Result<bool> {
    Ok(tmux::wanted()? && kernel::wanted()?)
}

/// The dashboard on a process, every operation traced, in a terminal of 80 columns and 24 lines.
fn dashboard(pid: &str, more: &[&str], variables: &[(&str, &str)]) -> Result<Tmux> {
    let binary = profiler::binary()?.canonicalize()?;
    let mut command = vec![
        binary.to_str().context("a path")?,
        "--max-overhead",
        "off",
        "--pid",
        pid,
    ];
    command.extend(more);
    let tmux = Tmux::run(&command, variables, 80, 24)?;
    tmux.wait_for(&["LIVE", "quality"])?;
    Ok(tmux)
}

#[test]
fn pages_rows_filters_sizes_pauses_and_exports_on_a_real_target() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "300"])?;
    let tmux = dashboard(
        &target.pid(),
        &[
            "--interval",
            "100ms",
            "--format",
            "tui",
            "--output",
            "run.json",
        ],
        &[],
    )?;
    target.begin()?;
    target.wait_done()?;
    tmux.wait_for(&[
        "lookup hit",
        "all operations by depth",
        "all operations on tables counted exactly",
    ])?;
    tmux.press(&["x", "b"])?;
    tmux.wait_for(&["every depth, bars logarithmic"])?;
    tmux.press(&["Tab"])?;
    tmux.wait_for(&["percentiles, all operations", "p99.9", "depth over time"])?;
    tmux.press(&["3"])?;
    tmux.wait_for(&["types ", "excess↓"])?;
    tmux.press(&["/"])?;
    tmux.press(&["-l", "uint64"])?;
    let filtered = tmux.wait_for(&["filter: uint64"])?;
    let rows = filtered
        .lines()
        .filter(|line| line.contains("map["))
        .count();
    let matching = filtered
        .lines()
        .filter(|line| line.contains("map[") && line.contains("uint64"))
        .count();
    ensure!(rows > 0 && rows == matching, "filtered:\n{filtered}");
    tmux.press(&["Enter"])?;
    tmux.press(&["Enter"])?;
    tmux.wait_for(&["3 Types ›", "all operations by depth", " maps "])?;
    tmux.press(&["G"])?;
    tmux.wait_for(&["▸ main.", ".go:"])?;
    tmux.press(&["Escape"])?;
    tmux.wait_for(&["1 Overview  2 Time  3 Types"])?;
    tmux.resize(200, 60)?;
    tmux.press(&["1"])?;
    tmux.wait_for(&[
        "percentiles, all operations",
        "depth over time",
        "lookup hit",
        "excess↓",
    ])?;
    tmux.resize(20, 5)?;
    tmux.wait_for(&["enlarge me"])?;
    tmux.resize(80, 24)?;
    tmux.press(&["p"])?;
    tmux.wait_for(&["PAUSED"])?;
    tmux.press(&["p"])?;
    tmux.wait_for(&["LIVE"])?;
    tmux.press(&["3", "e"])?;
    let name = format!("map-probe-{}-1.json", target.pid());
    tmux.wait_for(&[&format!("written to {name}")])?;
    let exported = std::fs::read_to_string(tmux.directory().join(&name))?;
    let exported: serde_json::Value = serde_json::from_str(&exported)?;
    ensure!(
        exported["screen"]["page"] == "types" && exported["screen"]["filter"] == "uint64",
        "{exported}"
    );
    tmux.press(&["q"])?;
    let left = tmux.expect_the_terminal_as_it_was()?;
    ensure!(
        left.contains("attached to ") && left.contains("whole run"),
        "left on the screen:\n{left}"
    );
    // What the dashboard counted is as exact as any other report.
    let report = Report::parse(&std::fs::read_to_string(tmux.directory().join("run.json"))?)?;
    let truth = target.finish()?;
    truth.expect_equal(&report)?;
    report.expect_complete()
}

#[test]
fn the_end_of_the_target_freezes_the_final_state() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "100"])?;
    // Nothing is drawn by the interval: the final state is.
    let tmux = dashboard(&target.pid(), &["--interval", "1h"], &[])?;
    target.begin()?;
    target.wait_done()?;
    target.finish()?;
    let screen = tmux.wait_for(&["TARGET ENDED", "lookup hit"])?;
    ensure!(
        !screen.contains(" 0 operations,"),
        "nothing is counted:\n{screen}"
    );
    tmux.press(&["3"])?;
    tmux.wait_for(&["types ", "map["])?;
    tmux.press(&["q"])?;
    let left = tmux.expect_the_terminal_as_it_was()?;
    ensure!(left.contains("whole run"), "left on the screen:\n{left}");
    Ok(())
}

#[test]
fn signals_and_ctrl_c_give_the_terminal_back_and_the_report() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_23, &["-workload", "small"])?;
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let tmux = dashboard(&target.pid(), &[], &[])?;
        let pid = tmux.pid()?;
        // SAFETY: kill has no memory effects; the shell has not waited for the process, so the id is still its own.
        let sent = unsafe { libc::kill(pid, signal) };
        ensure!(sent == 0, "{}", std::io::Error::last_os_error());
        let left = tmux.expect_the_terminal_as_it_was()?;
        ensure!(
            left.contains("whole run"),
            "left by signal {signal}:\n{left}"
        );
    }
    let tmux = dashboard(&target.pid(), &["--duration", "500ms"], &[])?;
    tmux.expect_the_terminal_as_it_was()?;
    ensure!(target.is_alive()?, "the target ended");
    Ok(())
}

#[test]
fn a_suspended_dashboard_gives_the_terminal_to_the_shell_and_comes_back() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "100"])?;
    let tmux = dashboard(&target.pid(), &["--interval", "100ms"], &[])?;
    for time in 1..=2 {
        tmux.press(&["C-z"])?;
        tmux.expect_suspended(time)?;
        tmux.press(&["Enter"])?;
        tmux.wait_for(&["LIVE", "quality"])?;
    }
    // It has missed nothing.
    target.begin()?;
    target.wait_done()?;
    tmux.wait_for(&["lookup hit", "all operations on tables counted exactly"])?;
    tmux.press(&["q"])?;
    tmux.expect_the_terminal_as_it_was()?;
    Ok(())
}

#[test]
fn a_terminal_that_is_closed_ends_the_run_and_its_report_is_written() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "100"])?;
    let file = ["--format", "tui", "--output", "run.json"];
    let tmux = dashboard(&target.pid(), &file, &[])?;
    target.begin()?;
    target.wait_done()?;
    tmux.hang_up()?;
    let report = Report::parse(&std::fs::read_to_string(tmux.directory().join("run.json"))?)?;
    target.finish()?.expect_equal(&report)
}

#[test]
fn an_error_at_the_end_is_told_on_the_terminal_as_it_was() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &["-workload", "small"])?;
    let full = ["--format", "tui", "--output", "/dev/full"];
    let tmux = dashboard(&target.pid(), &full, &[])?;
    tmux.press(&["q"])?;
    let left = tmux.expect_the_terminal_after("1")?;
    for words in ["error: cannot write the report to '/dev/full'", "hint: "] {
        ensure!(left.contains(words), "left on the screen:\n{left}");
    }
    Ok(())
}

#[test]
fn a_command_writes_beside_the_dashboard_and_gets_ctrl_c() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let binary = profiler::binary()?.canonicalize()?;
    let oracle = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    let command = [
        binary.to_str().context("a path")?,
        "--max-overhead",
        "off",
        "--",
        oracle.to_str().context("a path")?,
        "-n",
        "100",
    ];
    let tmux = Tmux::run(&command, &[], 80, 24)?;
    tmux.wait_for(&["TARGET ENDED", "lookup hit"])?;
    tmux.press(&["C-c"])?;
    let note = "what the command wrote is in ";
    let screen = tmux.expect_the_terminal_as_it_was()?;
    let path = screen
        .lines()
        .find_map(|line| line.strip_prefix(note))
        .context("a path")?;
    let written = std::fs::read_to_string(path.trim())?;
    std::fs::remove_file(path.trim())?;
    ensure!(
        written.contains("\"operations\""),
        "the command wrote {written}"
    );
    Ok(())
}

#[test]
fn without_colours_or_a_terminal_for_it_the_dashboard_is_plain_or_text() -> Result<()> {
    if !wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &["-workload", "small"])?;
    let colours = |tmux: &Tmux| -> Result<bool> {
        let screen = tmux.all_with_colours()?;
        Ok(["\u{1b}[3", "\u{1b}[4", "\u{1b}[9"].iter().any(|escape| {
            screen.match_indices(escape).any(|(at, _)| {
                let code = &screen[at + 2..];
                code.split(['m', ';'])
                    .next()
                    .is_some_and(|code| code.len() == 2 && code != "39" && code != "49")
            })
        }))
    };
    let coloured = dashboard(&target.pid(), &[], &[])?;
    ensure!(colours(&coloured)?, "no colours");
    let plain = dashboard(&target.pid(), &[], &[("NO_COLOR", "1")])?;
    ensure!(!colours(&plain)?, "colours:\n{}", plain.all_with_colours()?);
    let ascii = dashboard(&target.pid(), &[], &[("LC_ALL", "C")])?;
    ensure!(ascii.screen()?.is_ascii(), "{}", ascii.screen()?);
    let binary = profiler::binary()?.canonicalize()?;
    let command = [
        binary.to_str().context("a path")?,
        "--pid",
        &target.pid(),
        "--duration",
        "1s",
    ];
    let dumb = Tmux::run(&command, &[("TERM", "dumb")], 80, 24)?;
    let left = dumb.expect_the_terminal_as_it_was()?;
    ensure!(
        left.contains("no operations on tables in this time"),
        "{left}"
    );
    Ok(())
}

#[test]
fn a_dashboard_without_a_terminal_is_wrong_usage() -> Result<()> {
    let ended = profiler::run(&["--pid", "1", "--format", "tui"])?;
    ended.refused(&[2])
}
