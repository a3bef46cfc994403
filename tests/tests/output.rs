//! What map-probe prints, and where.

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
