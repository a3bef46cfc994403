//! A target whose first thread ends while others run: the kernel knows a process by that thread where it attaches probes.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler::{self, Ended, Profiler};
use map_probe_tests::report::Report;
use map_probe_tests::target::Target;

/// Long enough for a thread to end, or for some windows.
const A_WHILE: Duration = Duration::from_millis(300);

/// map-probe's exit status when a target cannot be probed.
const NOT_PROBEABLE: i32 = 3;

fn target() -> Result<Target> {
    Target::spawn(&mut Command::new(go::fixture(
        "leaderless",
        Go::V1_27,
        Variant::Plain,
    )?))
}

/// Says why it cannot be traced, and what works.
fn says_why(ended: &Ended) -> Result<()> {
    ended.refused(&[NOT_PROBEABLE])?;
    ensure!(
        ended.stderr.contains("first thread has ended") && ended.stderr.contains("--mode sample"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[test]
fn it_is_not_taken_for_a_zombie_and_can_be_sampled() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = target()?;
    target.begin()?;
    sleep(A_WHILE);
    for bound in ["off", "1%"] {
        let options = ["--max-overhead", bound, "--pid", &target.pid()];
        says_why(&profiler::run(&options)?)?;
    }
    let options = ["--mode", "sample", "--format", "json", "--duration", "2s"];
    let mut options = options.to_vec();
    let pid = target.pid();
    options.extend(["--pid", &pid]);
    let report = Report::parse(&profiler::run(&options)?.success()?.stdout)?;
    let walked = report.json["samples"]["walked"].as_u64();
    ensure!(walked > Some(0), "{}", report.json["samples"]);
    ensure!(target.is_alive()?, "the target ended");
    Ok(())
}

#[test]
fn where_it_ends_while_windows_are_watched_the_run_ends_and_says_so() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = target()?;
    let pid = target.pid();
    let options = ["--max-overhead", "10%", "--format", "json", "--pid", &pid];
    let mut profiler = Profiler::start(&options)?;
    profiler.wait_attached()?;
    sleep(A_WHILE);
    target.begin()?;
    let ended = profiler.finish()?;
    says_why(&ended)?;
    ensure!(
        Report::parse(&ended.stdout)?.is_final,
        "what was counted until then is not reported:\n{}",
        ended.stdout
    );
    ensure!(target.is_alive()?, "the target ended");
    Ok(())
}
