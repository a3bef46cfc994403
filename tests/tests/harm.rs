//! What may never happen to a target: that it dies, or that a breakpoint stays in it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::chaos::kernel::Log;
use map_probe_tests::chaos::processes;
use map_probe_tests::chaos::random::Random;
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::{Report, site_addresses};
use map_probe_tests::selfcheck::SelfCheck;
use map_probe_tests::text;

/// map-probe's exit status when its target ended before probes were in place.
const ENDED_BEFORE: i32 = 5;

/// Ends a forked child that hangs by itself: it has none of Go's other threads.
const HANGS: &str = "signal 14";

fn selfcheck(go: Go, directory: &Path) -> Result<SelfCheck> {
    let binary = go::fixture("selfcheck", go, Variant::Plain)?;
    SelfCheck::start(&binary, &directory.join("errors"))
}

/// Looks at a process within a bound, from when its first window is open.
fn within(bound: &str, pid: u32) -> Result<Profiler> {
    let pid = pid.to_string();
    let options = ["--format", "json", "--max-overhead", bound, "--pid", &pid];
    let mut profiler = Profiler::start(&options)?;
    profiler.wait_attached()?;
    Ok(profiler)
}

fn killed_within_a_bound(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let mut target = selfcheck(go, directory.path())?;
    let mut log = Log::open()?;
    let mut random = Random::new(3);
    for round in 0..20 {
        let profiler = within("10%", target.pid())?;
        sleep(random.up_to(150));
        if round % 2 == 0 {
            // Windows are closed in 10% of the time, and at the end always.
            profiler.interrupt()?;
            sleep(random.up_to(60));
        }
        profiler.signal(libc::SIGKILL)?;
        profiler.finish()?;
    }
    text::expect_unchanged(target.pid())?;
    target.check()?;
    let leaks = log.leaks();
    ensure!(leaks.is_empty(), "the kernel says: {leaks:#?}");
    Ok(())
}

#[test]
fn twenty_kills_within_a_bound_leave_nothing_in_go_1_23() -> Result<()> {
    killed_within_a_bound(Go::V1_23)
}

#[test]
fn twenty_kills_within_a_bound_leave_nothing_in_go_1_27() -> Result<()> {
    killed_within_a_bound(Go::V1_27)
}

fn a_signal_ends_with_the_report(signal: i32) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let target = selfcheck(Go::V1_27, directory.path())?;
    for bound in ["off", "10%"] {
        let profiler = within(bound, target.pid())?;
        sleep(Duration::from_millis(300));
        profiler.signal(signal)?;
        let ended = profiler.finish()?.success()?;
        let report = Report::parse(&ended.stdout)?;
        ensure!(report.is_final, "not the final report");
        report.expect_consistent()?;
        text::expect_unchanged(target.pid())?;
    }
    Ok(())
}

#[test]
fn a_closed_terminal_ends_the_run_with_its_report() -> Result<()> {
    a_signal_ends_with_the_report(libc::SIGHUP)
}

#[test]
fn sigquit_ends_the_run_with_its_report() -> Result<()> {
    a_signal_ends_with_the_report(libc::SIGQUIT)
}

#[test]
fn windows_end_while_map_probe_is_stopped() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let mut target = selfcheck(Go::V1_27, directory.path())?;
    let profiler = within("50%", target.pid())?;
    let mut random = Random::new(4);
    let mut stayed = 0;
    for _ in 0..10 {
        sleep(Duration::from_millis(50) + random.up_to(100));
        profiler.signal(libc::SIGSTOP)?;
        let second = Duration::from_secs(1);
        let left = text::wait_unchanged(target.pid(), &BTreeSet::new(), second)?;
        stayed += u32::from(!left.is_empty());
        profiler.signal(libc::SIGCONT)?;
    }
    ensure!(
        stayed == 0,
        "{stayed} of 10 windows stayed open for a second"
    );
    profiler.interrupt()?;
    profiler.finish()?.success()?;
    target.check()
}

fn a_forked_child_lives_on(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let binary = go::fixture("fork", go, Variant::Cgo)?;
    let mut target = SelfCheck::start(&binary, &directory.path().join("errors"))?;
    let profiler = within("off", target.pid())?;
    // Several hits make the kernel optimise what it can.
    sleep(Duration::from_millis(300));
    for _ in 0..5 {
        let answer = target.ask("linger 20ms", "")?;
        ensure!(
            ["child 0", HANGS].contains(&answer.as_str()),
            "a forked child: {answer}"
        );
    }
    // One that is there when probes are taken away: from it, too.
    target.tell("linger 4s")?;
    sleep(Duration::from_millis(500));
    profiler.interrupt()?;
    let ended = profiler.finish()?.success()?;
    let child = child_of(target.pid())?;
    let left = text::wait_unchanged(child, &BTreeSet::new(), Duration::from_secs(2))?;
    ensure!(
        left.is_empty(),
        "{} bytes of the child's code stay changed",
        left.len()
    );
    ensure!(
        ended.stderr.contains("forked"),
        "nothing is said of the child, which is process {child}:\n{}",
        ended.stderr
    );
    let answer = target.expect("")?;
    ensure!(
        ["child 0", HANGS].contains(&answer.as_str()),
        "a forked child, after its parent was detached: {answer}"
    );
    ensure!(target.end()?.success(), "the target did not end well");
    Ok(())
}

/// The one child that a process has.
fn child_of(pid: u32) -> Result<u32> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let children = fs::read_to_string(thread?.path().join("children"))?;
        if let Some(child) = children.split_whitespace().next() {
            return Ok(child.parse()?);
        }
    }
    anyhow::bail!("process {pid} has no child")
}

#[test]
fn a_forked_child_of_go_1_23_lives_on() -> Result<()> {
    a_forked_child_lives_on(Go::V1_23)
}

#[test]
fn a_forked_child_of_go_1_27_lives_on() -> Result<()> {
    a_forked_child_lives_on(Go::V1_27)
}

/// Linux 6.18 and later write a call over them, to a page that a forked child has not.
#[test]
fn nothing_but_breakpoints_is_written_into_code() -> Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release
        .split('.')
        .map_while(|word| word.parse::<u32>().ok());
    let version = (numbers.next(), numbers.next());
    if version >= (Some(6), Some(18)) {
        for go in [Go::V1_23, Go::V1_27] {
            let binary = go::fixture("selfcheck", go, Variant::Plain)?;
            let binary = binary.to_str().context("a path")?;
            let plan = profiler::run(&["sites", "--format", "json", binary])?.success()?;
            ensure!(
                !plan.stdout.contains("\"nop5\""),
                "Go {}: there are sites that this kernel optimises",
                go.version()
            );
        }
    }
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let target = selfcheck(Go::V1_23, directory.path())?;
    let profiler = within("off", target.pid())?;
    // Enough hits for the kernel to optimise what it can.
    sleep(Duration::from_secs(1));
    let changed = text::changed(target.pid())?;
    profiler.interrupt()?;
    profiler.finish()?.success()?;
    ensure!(!changed.is_empty(), "there were no probes");
    let wide: Vec<_> = changed
        .iter()
        .filter(|address| changed.contains(&(*address + 1)))
        .collect();
    ensure!(wide.is_empty(), "more than a breakpoint: {wide:x?}");
    Ok(())
}

#[test]
fn a_breakpoint_that_somebody_left_is_named_and_taken_away() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let mut target = selfcheck(Go::V1_27, directory.path())?;
    // Nobody may pass it.
    target.ask("rest", "resting")?;
    sleep(Duration::from_millis(200));
    let binary = go::fixture("selfcheck", Go::V1_27, Variant::Plain)?;
    let plan = profiler::run(&[
        "sites",
        "--format",
        "json",
        binary.to_str().context("a path")?,
    ])?;
    let sites = site_addresses(&plan.success()?.stdout)?;
    let site = *sites.first().context("no sites")?;
    let memory = File::options()
        .write(true)
        .open(format!("/proc/{}/mem", target.pid()))?;
    memory.write_all_at(&[0xcc], site)?;
    ensure!(
        text::changed(target.pid())? == BTreeSet::from([site]),
        "it was not left"
    );
    let pid = target.pid().to_string();
    let options = ["--format", "json", "--duration", "500ms", "--pid", &pid];
    let ended = profiler::run(&options)?.success()?;
    ensure!(
        ended.stderr.contains("breakpoint"),
        "it is not named:\n{}",
        ended.stderr
    );
    text::expect_unchanged(target.pid())?;
    target.ask("work", "working")?;
    sleep(Duration::from_millis(200));
    target.check()
}

#[test]
fn a_target_that_ends_before_probes_are_in_place_is_status_5() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let mut wrong = Vec::new();
    for round in 0..30 {
        let target = selfcheck(Go::V1_27, directory.path())?;
        let pid = target.pid().to_string();
        let profiler = Profiler::start(&["--format", "json", "--pid", &pid])?;
        sleep(Duration::from_millis(5 * round));
        processes::signal(target.pid(), libc::SIGKILL);
        let ended = profiler.finish()?;
        let attached = ended
            .stderr
            .lines()
            .any(|line| line.starts_with("attached"));
        let expected = if attached { 0 } else { ENDED_BEFORE };
        if ended.status.code() != Some(expected) {
            wrong.push(format!(
                "attached: {attached}, {}: {}",
                ended.status, ended.stderr
            ));
        }
    }
    ensure!(wrong.is_empty(), "{} of 30: {wrong:#?}", wrong.len());
    Ok(())
}
