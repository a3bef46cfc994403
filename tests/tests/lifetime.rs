//! When map-probe begins, when it ends, and what becomes of its target.

use std::io::{PipeReader, PipeWriter};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::profiler::{self, Ended, Profiler, kill};
use map_probe_tests::report::Report;
use map_probe_tests::target::Target;

fn fixture() -> Result<String> {
    let path = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    Ok(path.to_str().context("a path")?.to_owned())
}

#[test]
fn a_duration_ends_the_run_and_leaves_the_target_running() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-workload", "small"])?;
    let profiler = Profiler::attach(&target.pid(), "json", &["--duration", "500ms"])?;
    let attached = Instant::now();
    let ended = profiler.finish()?.success()?;
    let lasted = attached.elapsed();
    ensure!(
        (Duration::from_millis(400)..Duration::from_secs(5)).contains(&lasted),
        "--duration 500ms lasted {lasted:?}"
    );
    let report = Report::parse(&ended.stdout)?;
    ensure!(report.is_final, "not the final report");
    let seconds = report.json["window"]["seconds"]
        .as_f64()
        .context("no window")?;
    ensure!((0.4..2.0).contains(&seconds), "a window of {seconds} s");
    ensure!(target.is_alive()?, "the target ended");
    target.begin()?;
    target.wait_done()?;
    target.finish()?;
    Ok(())
}

#[test]
fn the_target_works_on_after_an_interrupt() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "300"])?;
    let profiler = Profiler::attach(&target.pid(), "json", &[])?;
    target.begin()?;
    profiler.interrupt()?; // in the middle of its work
    let ended = profiler.finish()?.success()?;
    ensure!(
        Report::parse(&ended.stdout)?.is_final,
        "not the final report"
    );
    target.wait_done()?;
    target.finish()?;
    Ok(())
}

#[test]
fn the_end_of_the_target_ends_the_run_with_the_full_report() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-n", "100"])?;
    let profiler = Profiler::attach(&target.pid(), "json", &[])?;
    target.begin()?;
    target.wait_done()?;
    let truth = target.finish()?;
    let ended = profiler.finish()?.success()?;
    let report = Report::parse(&ended.stdout)?;
    ensure!(report.is_final, "not the final report");
    truth.expect_equal(&report)?;
    report.expect_complete()
}

#[test]
fn attached_is_said_once_and_on_standard_error() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let ended = profiler::run(&[
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--",
        &fixture()?,
        "-workload",
        "small",
    ])?
    .success()?;
    let lines = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("attached"))
            .count()
    };
    ensure!(
        lines(&ended.stderr) == 1,
        "standard error:\n{}",
        ended.stderr
    );
    ensure!(
        lines(&ended.stdout) == 0,
        "standard output:\n{}",
        ended.stdout
    );
    Ok(())
}

#[test]
fn a_command_that_fails_is_still_reported() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let path = output.to_str().context("a path")?;
    profiler::run(&[
        "--max-overhead",
        "off",
        "--format",
        "json",
        "--output",
        path,
        "--",
        &fixture()?,
        "-no-such-flag",
    ])
    .and_then(failed)?;
    let report = Report::parse(&std::fs::read_to_string(output)?)?;
    ensure!(report.is_final, "not the final report");
    ensure!(
        report.json["target"]["ended"] == serde_json::json!({"status": 1}),
        "{}",
        report.json["target"]
    );
    Ok(())
}

/// Demands the exit status of a run whose command failed.
fn failed(ended: Ended) -> Result<Ended> {
    ensure!(
        ended.status.code() == Some(8),
        "{}: {}",
        ended.status,
        ended.stderr
    );
    Ok(ended)
}

/// A standard input that nothing comes from as long as the first of the two lives: the fixture waits for it.
fn held() -> Result<(PipeWriter, PipeReader)> {
    let (reader, writer) = std::io::pipe()?;
    Ok((writer, reader))
}

/// Starts a command that does its work and then holds; once it has, it is killed.
fn killed_at_its_end(arguments: &[&str], signal: i32, output: &Path) -> Result<Ended> {
    let fixture = fixture()?;
    let command = [
        arguments,
        &["--output", output.to_str().context("a path")?],
        &["--", &fixture, "-n", "100", "-hold"],
    ]
    .concat();
    let (_hold, input) = held()?;
    let mut profiler =
        Profiler::with_input(Command::new(profiler::binary()?).args(command), input)?;
    profiler.wait_attached()?;
    let command = profiler.wait_command()?;
    profiler.wait_printed("done")?;
    kill(command, signal)?;
    profiler.finish()
}

#[test]
fn how_a_command_ended_is_in_the_report_and_in_the_status() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report");
    let signals = [libc::SIGKILL, libc::SIGSEGV];
    for signal in signals {
        let json = ["--format", "json"];
        failed(killed_at_its_end(&json, signal, &output)?)?;
        let report = Report::parse(&std::fs::read_to_string(&output)?)?;
        ensure!(
            report.json["target"]["ended"] == serde_json::json!({ "signal": signal })
                || signal == libc::SIGSEGV, // Go's runtime takes it, and ends with status 2.
            "{}",
            report.json["target"]
        );
    }
    let ended = failed(killed_at_its_end(
        &["--format", "text"],
        libc::SIGKILL,
        &output,
    )?)?;
    let words = "by signal 9 (SIGKILL)";
    let text = std::fs::read_to_string(&output)?;
    ensure!(text.contains(words), "{text}");
    ensure!(
        ended.stderr.contains(&format!("the command ended {words}")),
        "{}",
        ended.stderr
    );
    failed(killed_at_its_end(
        &["--mode", "sample"],
        libc::SIGKILL,
        &output,
    )?)?;
    failed(killed_at_its_end(&["record"], libc::SIGKILL, &output)?)?;
    // Nothing about the operations is hidden by it: those of this run are all right.
    let verify = ["verify", "--format", "json", "--duration", "60s"];
    failed(killed_at_its_end(&verify, libc::SIGKILL, &output)?)?;
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&output)?)?;
    ensure!(report["conclusion"] == "same", "{report}");
    ensure!(report["target"]["ended"]["signal"] == 9, "{report}");
    // It hides no difference.
    let lie = ["verify", "--lie", "keys", "--duration", "60s"];
    let ended = killed_at_its_end(&lie, libc::SIGKILL, &output)?;
    ensure!(ended.status.code() == Some(6), "{}", ended.status);
    let text = std::fs::read_to_string(&output)?;
    ensure!(text.contains(&format!("ended {words}")), "{text}");
    Ok(())
}

#[test]
fn a_command_that_lives_on_has_not_ended() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let (_hold, input) = held()?;
    let mut program = Command::new(profiler::binary()?);
    program
        .args(["--format", "json", "--duration", "300ms"])
        .args(["--output", "/dev/stderr", "--", &fixture()?, "-wait"]);
    let ended = Profiler::with_input(&mut program, input)?
        .finish()?
        .success()?;
    let json = ended.stderr.find('{').context("no report")?;
    let (report, rest) = ended.stderr[json..].rsplit_once('}').context("no end")?;
    let report = Report::parse(&format!("{report}}}"))?;
    let pid = rest.split("as process ").nth(1).context("no word of it")?;
    kill(pid.trim().parse()?, libc::SIGKILL)?;
    ensure!(report.json["target"]["ended"].is_null());
    Ok(())
}

#[test]
fn every_signal_that_asks_it_to_end_ends_it_with_its_report() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report");
    let path = output.to_str().context("a path")?;
    let target = Target::waiting(Go::V1_27, &[])?;
    let commands: [&[&str]; 5] = [
        &["--max-overhead", "off"],
        &["--format", "json"],
        &["--mode", "sample"],
        &["record"],
        &["verify", "--duration", "60s"],
    ];
    for command in commands {
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
            let more = ["--pid", &target.pid(), "--output", path];
            let mut program = Command::new(profiler::binary()?);
            program.args(command).args(more);
            // SAFETY: signal(2) is all it calls, between fork and exec.
            unsafe {
                // However these tests were started (nohup).
                program.pre_exec(|| {
                    libc::signal(libc::SIGHUP, libc::SIG_DFL);
                    libc::signal(libc::SIGQUIT, libc::SIG_DFL);
                    Ok(())
                });
            }
            let mut profiler = Profiler::spawn(&mut program)?;
            profiler.wait_attached()?;
            profiler.signal(signal)?;
            let ended = profiler.finish()?;
            let expected = if command[0] == "verify" { 7 } else { 0 };
            ensure!(
                ended.status.code() == Some(expected),
                "{command:?}, signal {signal}: {}\n{}",
                ended.status,
                ended.stderr
            );
            std::fs::remove_file(&output)
                .with_context(|| format!("{command:?}, signal {signal}: no report"))?;
        }
    }
    Ok(())
}

#[test]
fn under_nohup_a_hangup_is_ignored() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &[])?;
    let mut program = Command::new(profiler::binary()?);
    program.args(["--format", "json", "--pid", &target.pid()]);
    // SAFETY: signal(2) is all it calls, between fork and exec.
    unsafe {
        program.pre_exec(|| {
            libc::signal(libc::SIGHUP, libc::SIG_IGN);
            Ok(())
        });
    }
    let mut profiler = Profiler::spawn(&mut program)?;
    profiler.wait_attached()?;
    profiler.signal(libc::SIGHUP)?;
    thread::sleep(Duration::from_millis(300));
    profiler.signal(libc::SIGTERM)?;
    let report = Report::parse(&profiler.finish()?.success()?.stdout)?;
    let seconds = report.json["window"]["seconds"].as_f64();
    ensure!(
        seconds.is_some_and(|seconds| seconds > 0.25),
        "{seconds:?} s"
    );
    Ok(())
}

#[test]
fn a_signal_before_the_probes_are_in_place_ends_it_and_lets_the_command_run() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let directory = tempfile::tempdir()?;
        let output = directory.path().join("report");
        let path = output.to_str().context("a path")?;
        let options = ["--format", "json", "--output", path];
        let command = ["--", &fixture()?, "-wait"];
        let (_hold, input) = held()?;
        let mut program = Command::new(profiler::binary()?);
        let profiler = Profiler::with_input(program.args(options).args(command), input)?;
        let command = profiler.wait_command()?;
        profiler.signal(signal)?;
        let sent = Instant::now();
        let ended = profiler.finish()?;
        let took = sent.elapsed();
        let state = std::fs::read_to_string(format!("/proc/{command}/stat"))?;
        kill(command, libc::SIGKILL)?;
        let ended = ended.success()?;
        ensure!(took < Duration::from_secs(5), "it took {took:?}");
        ensure!(ended.stderr.contains("still runs"), "{}", ended.stderr);
        let state = state.rsplit(')').next().context("a state")?.trim_start();
        ensure!(
            !state.starts_with(['T', 't', 'Z']),
            "the command is {state}"
        );
        Report::parse(&std::fs::read_to_string(&output)?)?;
    }
    Ok(())
}
