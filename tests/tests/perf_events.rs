//! Kernels before 6.6 have no `uprobe_multi` links: there map-probe attaches by perf events. A hidden option makes it do so on
//! any kernel, and everything is as exact.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::oracle::Truth;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::{self, Report};
use map_probe_tests::target::Target;

const BY_EVENTS: &str = "--no-uprobe-links";
/// What the kernel writes over a probed instruction.
const BREAKPOINT: u8 = 0xcc;

fn counts_are_exact(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // As a command, and as a process with threads that are there before the probes are.
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let output = output.to_str().context("a path")?;
    let oracle = go::fixture("oracle", go, Variant::Plain)?;
    let oracle = oracle.to_str().context("a path")?;
    let options = [
        BY_EVENTS,
        "--max-overhead",
        "off",
        "--format",
        "json",
        "-o",
        output,
    ];
    let ended = profiler::run(&[&options[..], &["--", oracle, "-n", "300"]].concat())?.success()?;
    exact(
        go,
        &Truth::find(&ended.stdout)?,
        &fs::read_to_string(output)?,
    )?;

    let mut target = Target::waiting(go, &[])?;
    let profiler = Profiler::attach(&target.pid(), "json", &[BY_EVENTS])?;
    target.begin()?;
    target.wait_done()?;
    profiler.interrupt()?;
    let ended = profiler.finish()?.success()?;
    exact(go, &target.finish()?, &ended.stdout)
}

fn exact(go: Go, truth: &Truth, report: &str) -> Result<()> {
    let report = Report::parse(report)?;
    truth.expect_go(go)?;
    truth.expect_equal(&report)?;
    report.expect_complete()
}

#[test]
fn counts_of_classic_maps_are_exact() -> Result<()> {
    counts_are_exact(Go::V1_23)
}

#[test]
fn counts_of_swiss_maps_are_exact() -> Result<()> {
    counts_are_exact(Go::V1_27)
}

#[test]
fn windows_open_and_close_many_times_and_count_nothing_twice() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "3000"])?;
    let pid = target.pid();
    let options = [
        BY_EVENTS,
        "--max-overhead",
        "40%",
        "--format",
        "json",
        "--pid",
    ];
    let mut profiler = Profiler::start(&[&options[..], &[&pid]].concat())?;
    profiler.wait_attached()?;
    target.begin()?;
    target.wait_done()?;
    profiler.interrupt()?;
    let report = Report::parse(&profiler.finish()?.success()?.stdout)?;
    let truth = target.finish()?;
    let windows = report.json["cost"]["windows"].as_u64();
    ensure!(windows >= Some(3), "{}", report.json["cost"]);
    let mut seen = 0;
    for (kind, histogram) in &report.operations {
        let there = truth.types.values().filter_map(|rows| rows.get(kind));
        let there: u64 = there.flat_map(|of_kind| of_kind.values()).sum();
        let counted: u64 = histogram.values().sum();
        ensure!(
            kind.class == "small" || counted <= there,
            "{counted} of {kind:?}, of which there were {there}"
        );
        seen += counted;
    }
    ensure!(seen > 0, "nothing was seen");
    report.expect_complete()
}

#[test]
fn every_slot_is_the_runtimes_own() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let oracle = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    let oracle = oracle.to_str().context("a path")?;
    let options = [
        "verify",
        BY_EVENTS,
        "--duration",
        "5m",
        "--",
        oracle,
        "-n",
        "60",
    ];
    let ended = profiler::run(&options)?.success()?;
    ensure!(ended.stdout.contains("VERIFIED"), "{}", ended.stdout);
    Ok(())
}

/// Two that watch the same process define their own events, and neither takes the other's probes away.
#[test]
fn two_at_once_do_not_disturb_each_other() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "100"])?;
    let first = Profiler::attach(&target.pid(), "json", &[BY_EVENTS])?;
    let second = Profiler::attach(&target.pid(), "json", &[BY_EVENTS])?;
    let third = Profiler::attach(&target.pid(), "json", &[BY_EVENTS])?;
    third.interrupt()?;
    third.finish()?.success()?;
    target.begin()?;
    target.wait_done()?;
    let mut reports = Vec::new();
    for profiler in [first, second] {
        profiler.interrupt()?;
        reports.push(profiler.finish()?.success()?.stdout);
    }
    let truth = target.finish()?;
    for report in reports {
        exact(Go::V1_27, &truth, &report)?;
    }
    Ok(())
}

/// Even if nobody is left to take them away: the target is freed, and the next run removes what was defined.
#[test]
fn a_killed_profiler_leaves_neither_a_probe_nor_its_event() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let events = Events::mount()?;
    let probed = Probed::start()?;
    let (mut killed, group) = probed.attach(&events)?;
    killed.kill()?;
    killed.wait()?;
    wait_until(|| Ok(probed.count()? == 0)).context("the breakpoints of a killed map-probe")?;
    wait_until(|| Ok(!events.list()?.contains(&group))).context("the event of a killed map-probe")
}

#[test]
fn one_killed_with_its_guard_leaves_no_probe_and_its_event_goes_with_the_next() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let events = Events::mount()?;
    let probed = Probed::start()?;
    let (mut killed, group) = probed.attach(&events)?;
    profiler::kill_with_guard(killed.id())?;
    killed.wait()?;
    wait_until(|| Ok(probed.count()? == 0)).context("the breakpoints of a killed map-probe")?;
    ensure!(
        events.list()?.contains(&group),
        "the event is gone already: this shows nothing of the next run"
    );
    // Any run removes what others left behind.
    let next = Profiler::attach(&probed.target.pid(), "json", &[BY_EVENTS])?;
    next.interrupt()?;
    next.finish()?.success()?;
    wait_until(|| Ok(!events.list()?.contains(&group))).context("the event of a killed map-probe")
}

/// A target whose breakpoints are counted.
struct Probed {
    target: Target,
    memory: File,
    sites: Vec<u64>,
}

impl Probed {
    fn start() -> Result<Self> {
        let fixture = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
        let target = Target::start(&fixture, &["-n", "20"])?;
        let memory = File::open(format!("/proc/{}/mem", target.pid()))?;
        let sites = site_addresses(&fixture)?;
        let probed = Self {
            target,
            memory,
            sites,
        };
        ensure!(
            probed.count()? == 0,
            "breakpoints before anything was probed"
        );
        Ok(probed)
    }

    fn count(&self) -> Result<usize> {
        let mut count = 0;
        for address in &self.sites {
            let mut byte = [0];
            self.memory.read_exact_at(&mut byte, *address)?;
            count += usize::from(byte[0] == BREAKPOINT);
        }
        Ok(count)
    }

    /// A map-probe that has attached, and the group of its event.
    fn attach(&self, events: &Events) -> Result<(Child, String)> {
        let mut child = Command::new(profiler::binary()?)
            .args([
                BY_EVENTS,
                "--max-overhead",
                "off",
                "--format",
                "json",
                "--pid",
            ])
            .arg(self.target.pid())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let all = wait_until(|| Ok(self.count()? == self.sites.len()));
        let group = profiler::guard(child.id()).map(|guard| format!("map_probe_{guard}_"));
        let listed = events.list();
        if all.is_err() || group.is_err() || listed.is_err() {
            child.kill()?;
            child.wait()?;
        }
        all.context("attaching")?;
        let (group, listed) = (group?, listed?);
        ensure!(listed.contains(&group), "no event {group}:\n{listed}");
        Ok((child, group))
    }
}

/// Addresses of the sites of a program that is loaded where it was linked for.
fn site_addresses(binary: &Path) -> Result<Vec<u64>> {
    let binary = binary.to_str().context("a path")?;
    let plan = profiler::run(&["sites", "--format", "json", binary])?.success()?;
    report::site_addresses(&plan.stdout)
}

fn wait_until(is_so: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so()? {
        ensure!(Instant::now() < deadline, "not within 30 s");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The kernel's list of uprobe events. Unmounted when dropped.
struct Events(tempfile::TempDir);

impl Events {
    fn mount() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let status = Command::new("mount")
            .args(["-t", "tracefs", "tracefs"])
            .arg(directory.path())
            .status()?;
        ensure!(status.success(), "mounting tracefs: {status}");
        Ok(Self(directory))
    }

    fn list(&self) -> Result<String> {
        Ok(fs::read_to_string(self.0.path().join("uprobe_events"))?)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // If it stays mounted, that does no harm.
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
