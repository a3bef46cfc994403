//! What map-probe prints, and where.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::exact;
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::oracle::Truth;
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::{Report, Rows, add_rows};
use map_probe_tests::target::Target;

#[test]
fn ndjson_intervals_add_up_to_the_final_document() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &[])?;
    let pid = target.pid();
    let profiler = Profiler::attach(&pid, "ndjson", &["--interval", "200ms"])?;
    let ended = exact::work_to_the_end(&mut target, profiler)?;
    let truth = target.finish()?;

    let reports = ended
        .stdout
        .lines()
        .map(Report::parse)
        .collect::<Result<Vec<_>>>()?;
    let (last, intervals) = reports.split_last().context("no report")?;
    ensure!(last.is_final, "the last document is not the final one");
    ensure!(
        intervals.len() >= 2,
        "{} intervals of 200ms",
        intervals.len()
    );
    let mut sum = Rows::new();
    for interval in intervals {
        ensure!(!interval.is_final, "a final document that is not the last");
        add_rows(&mut sum, &interval.operations);
    }
    ensure!(
        sum == last.operations,
        "intervals: {sum:?}\nfinal: {:?}",
        last.operations
    );
    truth.expect_equal(last)?;
    last.expect_complete()
}

#[test]
fn a_report_names_its_target_and_its_window() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-workload", "direct"])?;
    let pid = target.pid();
    let profiler = Profiler::attach(&pid, "json", &[])?;
    let json = exact::work(&mut target, profiler)?.json;
    ensure!(
        json["target"]["pid"].as_u64() == pid.parse().ok(),
        "{}",
        json["target"]
    );
    ensure!(
        json["target"]["exe"]
            .as_str()
            .is_some_and(|exe| exe.ends_with("oracle-1.27.3-plain")),
        "{}",
        json["target"]
    );
    ensure!(json["target"]["go"] == "go1.27.3", "{}", json["target"]);
    ensure!(json["target"]["layout"] == "swiss", "{}", json["target"]);
    ensure!(json["target"]["arch"] == "amd64", "{}", json["target"]);
    ensure!(json["window"]["mode"] == "trace", "{}", json["window"]);
    let seconds = json["window"]["seconds"].as_f64().context("no seconds")?;
    let attached = json["window"]["attached_seconds"]
        .as_f64()
        .context("no attached_seconds")?;
    ensure!(
        seconds > 0.0 && attached > 0.0 && attached <= seconds + 0.001,
        "{}",
        json["window"]
    );
    Ok(())
}

#[test]
fn an_output_file_holds_the_report_and_standard_output_nothing() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.ndjson");
    let output = output.to_str().context("a path")?;
    let target = Target::waiting(Go::V1_27, &[])?;
    let ended = profiler::run(&[
        "--max-overhead",
        "off",
        "--format",
        "ndjson",
        "--interval",
        "100ms",
        "--duration",
        "350ms",
        "--output",
        output,
        "--pid",
        &target.pid(),
    ])?
    .success()?;
    ensure!(
        ended.stdout.is_empty(),
        "standard output has {:?}",
        ended.stdout
    );
    let reports = std::fs::read_to_string(output)?
        .lines()
        .map(Report::parse)
        .collect::<Result<Vec<_>>>()?;
    ensure!(reports.len() >= 3, "{} documents in 350ms", reports.len());
    ensure!(
        reports.last().is_some_and(|report| report.is_final),
        "no final document"
    );
    Ok(())
}

#[test]
fn text_says_how_often_and_how_deep() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let mut target = Target::waiting(Go::V1_27, &["-workload", "collide"])?;
    let profiler = Profiler::attach(&target.pid(), "text", &[])?;
    let ended = exact::work_to_the_end(&mut target, profiler)?;
    target.finish()?;
    let text = ended.stdout.to_lowercase();
    for word in [
        "lookup", "insert", "delete", "hit", "miss", "update", "new", "mean", "p50", "p99", "max",
    ] {
        ensure!(
            text.contains(word),
            "the text does not say {word}:\n{}",
            ended.stdout
        );
    }
    ensure!(
        ended.stdout.contains("]main.cell"),
        "no type is named:\n{}",
        ended.stdout
    );
    Ok(())
}

#[test]
fn without_a_terminal_the_format_is_text() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let fixture = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    let fixture = fixture.to_str().context("a path")?;
    let ended = profiler::run(&[
        "--max-overhead",
        "off",
        "--",
        fixture,
        "-workload",
        "direct",
    ])?
    .success()?;
    let report = ended.stdout.replace(r#"{"go":"#, "");
    ensure!(
        report.contains("lookup"),
        "no text report:\n{}",
        ended.stdout
    );
    Truth::find(&ended.stdout)?; // the command's own output is still there
    Ok(())
}

/// The names of a directory's entries.
fn entries(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

#[test]
fn a_run_that_fails_or_is_killed_leaves_the_report_that_was_there() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report");
    fs::write(&output, "yesterday's")?;
    let path = output.to_str().context("a path")?;
    let unchanged = || -> Result<()> {
        ensure!(fs::read(&output)? == b"yesterday's", "it was changed");
        ensure!(
            entries(directory.path())? == ["report"],
            "something is left"
        );
        Ok(())
    };
    for command in [&[][..], &["record"], &["verify"]] {
        let arguments = [command, &["--output", path, "--pid", "4194304"]].concat();
        profiler::run(&arguments)?.refused(&[5])?;
        unchanged().with_context(|| format!("{command:?} without a target"))?;
    }
    let target = Target::waiting(Go::V1_27, &[])?;
    for format in ["text", "ndjson", "csv", "hlog", "json"] {
        let more = ["--interval", "20ms", "--output", path];
        let profiler = Profiler::attach(&target.pid(), format, &more)?;
        // Some intervals have been written by then.
        thread::sleep(Duration::from_millis(200));
        unchanged().context("while it is written")?;
        drop(profiler);
        unchanged().with_context(|| format!("{format}, killed"))?;
    }
    Ok(())
}

#[test]
fn a_full_disk_is_an_error_and_leaves_the_report_that_was_there() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // The mount is the namespace's, and goes with it.
    let script = r#"
        set -e
        mount -t tmpfs -o size=64k none "$DIRECTORY"
        cd "$DIRECTORY"
        echo "yesterday's" > report
        cat /dev/zero > full 2> /dev/null || true
        status=0
        "$@" > /dev/null 2> "$ERRORS" || status=$?
        test $status = 1 || { echo "status $status"; exit 1; }
        test "$(cat report)" = "yesterday's" || { echo "changed"; exit 1; }
        test "$(ls -A | tr '\n' ' ')" = "full report " || { ls -A; exit 1; }
    "#;
    let directory = tempfile::tempdir()?;
    let errors = tempfile::NamedTempFile::new()?;
    let fixture = go::fixture("oracle", Go::V1_27, Variant::Plain)?;
    let commands: [&[&str]; 7] = [
        &["--max-overhead", "off", "--format", "text"],
        &["--max-overhead", "off", "--format", "json"],
        &[
            "--max-overhead",
            "off",
            "--format",
            "ndjson",
            "--interval",
            "20ms",
        ],
        &["--max-overhead", "off", "--format", "csv"],
        &["--max-overhead", "off", "--format", "hlog"],
        &["record", "--max-overhead", "off"],
        &["verify", "--format", "json"],
    ];
    for command in commands {
        let ended = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                script,
                "sh",
            ])
            .arg(profiler::binary()?.canonicalize()?)
            .args(command)
            .args(["--output", "report", "--"])
            .arg(fixture.canonicalize()?)
            .args(["-n", "50"])
            .env("DIRECTORY", directory.path())
            .env("ERRORS", errors.path())
            .output()?;
        let said = fs::read_to_string(errors.path())?;
        ensure!(
            ended.status.success(),
            "{command:?}: {}{}\n{said}",
            String::from_utf8_lossy(&ended.stdout),
            String::from_utf8_lossy(&ended.stderr)
        );
        ensure!(
            said.contains("to 'report'") && said.contains("hint: make room there"),
            "{command:?}: {said}"
        );
    }
    Ok(())
}

#[test]
fn standard_output_that_is_closed_is_refused_before_anything_starts() -> Result<()> {
    let binary = profiler::binary()?;
    let directory = tempfile::tempdir()?;
    let touched = directory.path().join("touched");
    let closed = |redirection: &str, arguments: &[&str]| {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec \"$@\" {redirection}"), "sh"])
            .arg(&binary)
            .args(arguments)
            .args(["--", "/usr/bin/touch"])
            .arg(&touched);
        Profiler::spawn(&mut command)?.finish()
    };
    let commands: [&[&str]; 3] = [&[], &["--format", "json"], &["verify"]];
    for arguments in commands {
        for redirection in [">&-", "1</dev/null"] {
            let ended = closed(redirection, arguments)?;
            ensure!(
                ended
                    .stderr
                    .contains("standard output\n  caused by: it is closed"),
                "{arguments:?} {redirection}: {}",
                ended.stderr
            );
            ended.refused(&[2])?;
            ensure!(!touched.exists(), "the command was started");
        }
        if kernel::wanted()? {
            // Not a Go program: that is found out after the start.
            let ended = closed(">/dev/null", arguments)?;
            ended.refused(&[3])?;
        }
    }
    for arguments in [&["--help"][..], &["man"], &["completions", "bash"]] {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" >&-", "sh"]);
        Profiler::spawn(command.arg(&binary).args(arguments))?
            .finish()?
            .refused(&[2])?;
    }
    Ok(())
}

#[test]
fn a_report_that_nobody_reads_is_an_error_and_one_of_which_some_was_read_is_none() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let target = Target::waiting(Go::V1_27, &[])?;
    let started = |format: &str| -> Result<_> {
        Ok(Command::new(profiler::binary()?)
            .args(["--max-overhead", "off", "--interval", "50ms"])
            .args(["--duration", "1s", "--format", format])
            .args(["--pid", &target.pid()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?)
    };
    for format in ["text", "json", "csv"] {
        let mut nobody = started(format)?;
        drop(nobody.stdout.take());
        let ended = nobody.wait_with_output()?;
        let said = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.code() == Some(1), "{format}: {}", ended.status);
        ensure!(said.contains("hint: nobody read it"), "{format}: {said}");
    }
    let mut head = started("ndjson")?;
    let mut line = String::new();
    BufReader::new(head.stdout.take().context("stdout")?).read_line(&mut line)?;
    let ended = head.wait()?;
    let mut said = String::new();
    head.stderr.context("stderr")?.read_to_string(&mut said)?;
    ensure!(ended.success(), "{ended}: {said}");
    ensure!(!said.contains("error"), "{said}");
    Report::parse(&line)?;
    Ok(())
}

#[test]
fn a_program_with_a_sync_map_that_is_no_map_is_told_so() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let programs = [
        ("tags", Go::V1_27, true),
        ("tags", Go::V1_24, true),
        ("tags", Go::V1_24_SYNC_MAP, false),
        ("tags", Go::V1_23, false),
        ("tiny", Go::V1_27, false),
    ];
    for (name, go, has_trie) in programs {
        // Of the standard library's packages `fmt` has one, through `reflect`; the other program imports neither.
        let program = go::fixture(name, go, Variant::Stripped)?;
        let program = program.to_str().context("a path")?;
        let run = |format: &str| {
            let options = ["--max-overhead", "off", "--format", format];
            let directory = tempfile::tempdir()?;
            let output = directory.path().join("report");
            let output = output.to_str().context("a path")?;
            let command = ["--output", output, "--", program];
            profiler::run(&[&options[..], &command].concat())?.success()?;
            Ok::<_, anyhow::Error>(fs::read_to_string(output)?)
        };
        let json = Report::parse(&run("json")?)?.json;
        let notes = json["target"]["notes"].as_array().context("notes")?;
        let is_told = notes
            .iter()
            .any(|note| note.as_str().is_some_and(|note| note.contains("sync.Map")));
        ensure!(
            is_told == has_trie,
            "{name} by {}: {notes:?}",
            go.runtime_version()
        );
        let text = run("text")?;
        ensure!(
            text.contains("sync.Map is a hash trie") == has_trie,
            "{text}"
        );
    }
    Ok(())
}
