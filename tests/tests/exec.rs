//! Targets that become another program while they are watched.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::chaos::random::Random;
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::{Report, sum};
use map_probe_tests::selfcheck::SelfCheck;
use map_probe_tests::text;

/// The map type that nothing but the launcher's counted lookups uses.
const COUNTED: &str = "map[uint64]main.launched";

fn fixture(name: &str, go: Go) -> Result<PathBuf> {
    go::fixture(name, go, Variant::Plain)
}

fn text_of(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

/// A target becomes a program of another Go version in the middle of its work, and of windows; eight times.
fn a_target_lives_on(bound: &str) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let errors = directory.path().join("errors");
    let (before, after) = (
        fixture("selfcheck", Go::V1_23)?,
        fixture("selfcheck", Go::V1_27)?,
    );
    let mut random = Random::new(1);
    let (mut died, mut wrong) = (Vec::new(), Vec::new());
    for _ in 0..8 {
        let mut target = SelfCheck::start(&before, &errors)?;
        let pid = target.pid().to_string();
        let options = ["--format", "json", "--max-overhead", bound, "--pid", &pid];
        let mut profiler = Profiler::start(&options)?;
        profiler.wait_attached()?;
        sleep(random.up_to(300));
        let became = target.exec("leader", &after).and_then(|()| {
            profiler.wait_attached()?;
            sleep(Duration::from_millis(300));
            target.check()
        });
        if let Err(error) = became {
            died.push(format!("{error:#}"));
            continue;
        }
        profiler.interrupt()?;
        let report = Report::parse(&profiler.finish()?.success()?.stdout)?;
        wrong.extend(lives(&report, &[(&before, Go::V1_23), (&after, Go::V1_27)]).err());
        target.check()?;
        text::expect_unchanged(target.pid())?;
    }
    ensure!(died.is_empty(), "{} of 8 died: {died:#?}", died.len());
    ensure!(
        wrong.is_empty(),
        "{} of 8 reports: {:#}",
        wrong.len(),
        wrong[0]
    );
    Ok(())
}

/// Demands that the report has a part for each of these programs, the last of them probed, and the others unless it says why not.
fn lives(report: &Report, expected: &[(&Path, Go)]) -> Result<()> {
    let target = &report.json["target"];
    ensure!(
        target["lives"] == expected.len(),
        "{} programs ran: {target}",
        expected.len()
    );
    let lives = report.json["lives"].as_array().context("no lives")?;
    ensure!(lives.len() == expected.len(), "{lives:?}");
    let mut end = 0.0;
    let last = lives.len().saturating_sub(1);
    for (index, (life, (exe, go))) in lives.iter().zip(expected).enumerate() {
        let exe = exe.canonicalize()?;
        let is_explained = index < last && life["reason"].is_string();
        ensure!(
            life["exe"] == text_of(&exe)?
                && life["go"] == go.reported_version()
                && life["layout"] == go.layout()
                && (life["probed"] == true || is_explained),
            "not {} of {}: {life}",
            exe.display(),
            go.reported_version()
        );
        let seconds = |name: &str| life[name].as_f64().with_context(|| format!("no {name}"));
        let from = seconds("from_seconds")?;
        ensure!(from >= end, "lives overlap: {lives:?}");
        end = seconds("until_seconds").unwrap_or(from);
    }
    Ok(())
}

#[test]
fn a_target_that_calls_exec_within_one_percent_lives_on() -> Result<()> {
    a_target_lives_on("1%")
}

#[test]
fn a_target_that_calls_exec_within_ten_percent_lives_on() -> Result<()> {
    a_target_lives_on("10%")
}

/// Lookups of the one and of the other program.
const LOOKUPS: [u64; 2] = [20_000, 30_000];

/// Each program waits until probes are in it before it does its counted lookups.
fn both_lives_are_counted(thread: &str, first: Go, second: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let [first_path, second_path] = [fixture("exec", first)?, fixture("exec", second)?];
    let directory = tempfile::tempdir()?;
    let mut command = Command::new(&first_path);
    command
        .args(["-wait", "-thread", thread, "-lookups"])
        .arg(LOOKUPS[0].to_string())
        .arg("--")
        .arg(&second_path)
        .args(["-wait", "-hold", "-lookups"])
        .arg(LOOKUPS[1].to_string());
    let mut target = SelfCheck::spawn(&mut command, &directory.path().join("errors"))?;
    let profiler = Profiler::attach(&target.pid().to_string(), "json", &[])?;
    target.ask("", "lookups ")?;
    target.expect("ready ")?;
    text::wait_changed(target.pid(), Duration::from_secs(5)).context("in the new program")?;
    // They go in one after the other.
    sleep(Duration::from_millis(300));
    target.ask("", "lookups ")?;
    target.expect("done")?;
    profiler.interrupt()?;
    let report = Report::parse(&profiler.finish()?.success()?.stdout)?;
    report.expect_consistent()?;
    lives(&report, &[(&first_path, first), (&second_path, second)])?;
    let counted = report.by_type.get(&Some(COUNTED.to_owned()));
    let rows = counted.context("no counted lookups")?;
    let lookups = rows.iter().filter(|(kind, _)| kind.op == "lookup");
    let lookups: u64 = lookups.flat_map(|(_, histogram)| histogram.values()).sum();
    ensure!(
        lookups == LOOKUPS.iter().sum::<u64>(),
        "{lookups} lookups of {LOOKUPS:?} were counted"
    );
    target.tell("")?;
    ensure!(target.end()?.success(), "the target did not end well");
    Ok(())
}

#[test]
fn both_lives_are_counted_after_an_exec_by_the_leader_thread() -> Result<()> {
    both_lives_are_counted("leader", Go::V1_23, Go::V1_27)
}

#[test]
fn both_lives_are_counted_after_an_exec_by_another_thread() -> Result<()> {
    both_lives_are_counted("other", Go::V1_23, Go::V1_27)
}

#[test]
fn both_lives_of_the_same_program_are_counted() -> Result<()> {
    both_lives_are_counted("leader", Go::V1_27, Go::V1_27)?;
    both_lives_are_counted("other", Go::V1_27, Go::V1_27)
}

/// The launcher that `gosu` and the like are: it becomes the server at once, while probes are put in place.
fn a_launchers_server_is_watched(bound: &str, thread: &str) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let [launcher, server] = [fixture("exec", Go::V1_23)?, fixture("exec", Go::V1_27)?];
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    for round in 0..4 {
        let ended = profiler::run(&[
            "--max-overhead",
            bound,
            "--format",
            "json",
            "--output",
            text_of(&output)?,
            "--",
            text_of(&launcher)?,
            "-lookups",
            "10",
            "-thread",
            thread,
            "--",
            text_of(&server)?,
            "-lookups",
            "1000",
            "-busy",
            "3s",
        ])?
        .success()
        .with_context(|| format!("round {round}"))?;
        ensure!(
            ended.stdout.contains("lookups 1000 go1.27.3"),
            "the server did not work: {}",
            ended.stderr
        );
        let report = Report::parse(&std::fs::read_to_string(&output)?)?;
        lives(&report, &[(&launcher, Go::V1_23), (&server, Go::V1_27)])?;
        ensure!(
            report.json["target"]["ended"]["status"] == 0,
            "its fate: {}",
            report.json["target"]
        );
        let busy = report.by_type.get(&Some("map[uint64]uint64".to_owned()));
        ensure!(
            busy.is_some_and(|rows| sum(rows) > 0),
            "nothing of the server was seen"
        );
    }
    Ok(())
}

#[test]
fn a_server_behind_a_launcher_is_watched_within_a_bound() -> Result<()> {
    a_launchers_server_is_watched("1%", "leader")
}

#[test]
fn a_server_behind_a_launcher_is_traced() -> Result<()> {
    a_launchers_server_is_watched("off", "leader")?;
    a_launchers_server_is_watched("off", "other")
}

#[test]
fn a_program_that_cannot_be_probed_ends_the_run_with_a_report_and_a_word() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let launcher = fixture("exec", Go::V1_27)?;
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let ended = profiler::run(&[
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--output",
        text_of(&output)?,
        "--",
        text_of(&launcher)?,
        "-lookups",
        "5000",
        "--",
        "/bin/sleep",
        "1",
    ])?;
    ensure!(
        ended.stderr.contains("/bin/sleep") || ended.stderr.contains("coreutils"),
        "it is not said which program that is:\n{}",
        ended.stderr
    );
    let report = Report::parse(&std::fs::read_to_string(output)?)?;
    let lives = report.json["lives"].as_array().context("no lives")?;
    ensure!(
        lives.len() == 2
            && lives[1]["probed"] == false
            && lives[1]["reason"]
                .as_str()
                .is_some_and(|words| !words.is_empty()),
        "{lives:?}"
    );
    Ok(())
}
