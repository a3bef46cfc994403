//! What `map-probe record` writes, as `go tool pprof` reads it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::exact;
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::kernel;
use map_probe_tests::pprof::{self, Line, Sample};
use map_probe_tests::profiler::{self, Profiler};
use map_probe_tests::report::{self, Report, Rows, add_rows, bucket, sum};
use map_probe_tests::target::Target;

/// Records a run of the oracle until Ctrl-C, with the report of the same run.
fn record(go: Go, profile: &Path, json: &Path, more: &[&str]) -> Result<Report> {
    let mut target = Target::waiting(go, &[])?;
    let mut arguments = vec!["record", "--max-overhead", "off"];
    let pid = target.pid();
    let (profile, json) = (
        profile.to_str().context("a path")?,
        json.to_str().context("a path")?,
    );
    arguments.extend(["--pid", &pid, "-o", profile, "--json", json]);
    arguments.extend(more);
    let mut profiler = Profiler::start(&arguments)?;
    profiler.wait_attached()?;
    let ended = exact::work_to_the_end(&mut target, profiler)?;
    ensure!(
        ended.stdout.is_empty(),
        "standard output has {:?}",
        ended.stdout
    );
    let report = Report::parse(&std::fs::read_to_string(json)?)?;
    target.finish()?.expect_equal(&report)?;
    Ok(report)
}

/// The samples' operations, by kind and depth.
fn rows<'a>(samples: impl IntoIterator<Item = &'a Sample>) -> Rows {
    let mut rows = Rows::new();
    for sample in samples {
        let row = rows.entry(sample.kind.clone()).or_default();
        *row.entry(bucket(sample.depth)).or_default() += sample.values[0];
    }
    rows
}

fn expect_equal(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let (profile, json) = (
        directory.path().join("maps.pb.gz"),
        directory.path().join("report.json"),
    );
    let report = record(go, &profile, &json, &[])?;
    let samples = pprof::samples(&profile)?;
    for sample in &samples {
        let [operations, probes, excess] = sample.values;
        ensure!(
            probes == operations * sample.depth && excess == probes - operations,
            "{sample:?}"
        );
    }
    let found = rows(&samples);
    ensure!(
        found == report.operations,
        "pprof: {found:?}\nreport: {:?}",
        report.operations
    );
    let mut by_type: BTreeMap<_, Vec<&Sample>> = BTreeMap::new();
    for sample in &samples {
        by_type.entry(sample.typ.clone()).or_default().push(sample);
    }
    let by_type: BTreeMap<_, _> = by_type
        .into_iter()
        .map(|(name, samples)| (name, rows(samples)))
        .collect();
    ensure!(
        by_type == report.by_type,
        "pprof: {by_type:?}\nreport: {:?}",
        report.by_type
    );
    expect_places(&samples, &report, "by_site")?;
    for (index, sample_type) in ["operations", "probes", "excess_probes"].iter().enumerate() {
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for sample in &samples {
            let (function, ..) = sample.frames.first().context("a sample without a frame")?;
            *expected.entry(function.clone()).or_default() += sample.values[index];
        }
        expected.retain(|_, value| *value > 0);
        let mut found = pprof::top(&profile, sample_type)?;
        found.retain(|_, value| *value > 0);
        ensure!(
            found == expected,
            "{sample_type}: {found:?}\nexpected: {expected:?}"
        );
    }
    let operations: u64 = samples.iter().map(|sample| sample.values[0]).sum();
    ensure!(operations == sum(&report.operations), "{operations}");
    Ok(())
}

/// The samples of each call site or stack are the report's, by type; those of no known one together.
fn expect_places(samples: &[Sample], report: &Report, list: &str) -> Result<()> {
    type Site = Option<(Vec<Line>, Option<String>)>;
    let mut found: BTreeMap<Site, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        let (function, file, line) = sample.frames.first().context("no frame")?;
        let is_known = !function.ends_with(" (call site unknown)");
        ensure!(is_known || (file.is_empty() && *line == 0), "{sample:?}");
        let site = is_known.then(|| (sample.frames.clone(), sample.typ.clone()));
        found.entry(site).or_default().push(sample);
    }
    let found: BTreeMap<_, _> = found
        .into_iter()
        .map(|(site, samples)| (site, rows(samples)))
        .collect();
    let mut expected: BTreeMap<Site, Rows> = BTreeMap::new();
    for entry in report.json[list].as_array().context("no list")? {
        let mut frames: Vec<Line> = Vec::new();
        for frame in entry["frames"].as_array().context("no frames")? {
            let word = |name: &str| frame[name].as_str().context("no word");
            let line = frame["line"].as_u64().context("no line")?;
            frames.push((word("function")?.to_owned(), word("file")?.to_owned(), line));
        }
        let typ = entry["type"].as_str().map(str::to_owned);
        let site = (!frames.is_empty()).then_some((frames, typ));
        let operations = report::rows(&entry["operations"])?;
        add_rows(expected.entry(site).or_default(), &operations);
    }
    expected.retain(|_, rows| !rows.is_empty());
    ensure!(expected.len() > 20, "{} {list}", expected.len());
    ensure!(found == expected, "pprof: {found:?}\nreport: {expected:?}");
    Ok(())
}

#[test]
fn every_number_in_pprof_is_the_reports_swiss() -> Result<()> {
    expect_equal(Go::V1_27)
}

#[test]
fn every_number_in_pprof_is_the_reports_classic() -> Result<()> {
    expect_equal(Go::V1_23)
}

#[test]
fn every_stack_in_pprof_is_the_reports_with_its_numbers() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_27, Go::V1_23] {
        let directory = tempfile::tempdir()?;
        let (profile, json) = (
            directory.path().join("maps.pb.gz"),
            directory.path().join("report.json"),
        );
        let report = record(go, &profile, &json, &["--stacks"])?;
        let samples = pprof::samples(&profile)?;
        expect_places(&samples, &report, "by_stack")?;
        let longest = samples.iter().map(|sample| sample.frames.len()).max();
        ensure!(longest > Some(3), "stacks of {longest:?} frames");
        for (index, sample_type) in ["operations", "probes", "excess_probes"].iter().enumerate() {
            let mut expected: BTreeMap<Vec<String>, u64> = BTreeMap::new();
            for sample in &samples {
                let functions = sample.frames.iter().map(|(function, ..)| function.clone());
                *expected.entry(functions.collect()).or_default() += sample.values[index];
            }
            expected.retain(|_, value| *value > 0);
            let mut found = pprof::traces(&profile, sample_type)?;
            found.retain(|_, value| *value > 0);
            ensure!(
                found == expected,
                "{sample_type}: {found:?}\nexpected: {expected:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_profile_names_its_target_and_how_it_was_measured() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let profile = directory.path().join("maps.pb.gz");
    let target = Target::waiting(Go::V1_27, &[])?;
    let output = profile.to_str().context("a path")?;
    let pid = target.pid();
    let arguments = ["--pid", &pid, "--duration", "300ms", "-o", output];
    let arguments = [&["record", "--max-overhead", "off"][..], &arguments].concat();
    let ended = profiler::run(&arguments)?.success()?;
    // No progress bar without a terminal.
    ensure!(
        ended.stderr.lines().count() == 2 && !ended.stderr.contains('\x1b'),
        "{}",
        ended.stderr
    );
    let comments = pprof::pprof(&["-comments"], &profile)?;
    for words in ["oracle-1.27.3", "go1.27.3", "swiss maps", "quality: "] {
        ensure!(comments.contains(words), "no {words}: {comments}");
    }
    let raw = pprof::pprof(&["-raw"], &profile)?;
    // Go's linker makes a build id since 1.24: 20 bytes.
    let (_, mappings) = raw.split_once("\nMappings\n").context("no mappings")?;
    let build_id = mappings.split_whitespace().nth(3).context("no build id")?;
    ensure!(build_id.len() == 40, "{mappings}");
    ensure!(raw.contains("\nDuration: "), "{raw}");
    Ok(())
}

#[test]
fn a_recording_that_is_killed_leaves_nothing_half_written() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    let profile = directory.path().join("maps.pb.gz");
    std::fs::write(&profile, "from before")?;
    let target = Target::waiting(Go::V1_27, &[])?;
    let output = profile.to_str().context("a path")?;
    let mut profiler = Profiler::start(&[
        "record",
        "--max-overhead",
        "off",
        "--pid",
        &target.pid(),
        "-o",
        output,
    ])?;
    profiler.wait_attached()?;
    drop(profiler);
    ensure!(std::fs::read(&profile)? == b"from before");
    let files = std::fs::read_dir(directory.path())?.count();
    ensure!(files == 1, "{files} files");
    Ok(())
}

#[test]
fn a_place_that_cannot_be_written_is_said_before_the_target_is_touched() -> Result<()> {
    let ended = profiler::run(&["record", "--pid", "1", "-o", "/nonexistent/maps.pb.gz"])?;
    ended.refused(&[2])
}

/// What a text in the DOT language says (<https://graphviz.org/doc/info/lang.html>) in the form that pprof writes:
/// statements of names, `->` and lists of attributes. An error where a quotation ends too early or too late.
fn well_formed(dot: &str) -> Result<()> {
    let mut tokens = Vec::new();
    let mut rest = dot.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => quotation(&rest[1..]).with_context(|| format!("no end: {rest:.300}"))? + 2,
            '{' | '}' | '[' | ']' | '=' | ';' | ',' => 1,
            '-' if rest.starts_with("->") => 2,
            '#' | '.' | '-' | '0'..='9' | 'a'..='z' | 'A'..='Z' | '_' => rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || "#._-".contains(c)))
                .unwrap_or(rest.len()),
            _ => anyhow::bail!("{first:?} outside of a quotation: {rest:.300}"),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    // Each attribute is a name, its value, and the next one or the end of the list.
    let mut in_list = false;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            "[" => in_list = true,
            "]" => in_list = false,
            name if in_list => {
                let is_name = name.chars().all(|c| c.is_ascii_alphanumeric());
                let assigned = tokens.next() == Some("=");
                let value = tokens.next().unwrap_or("]");
                ensure!(
                    is_name && assigned && value != "]",
                    "no attribute: {name:?} {value:?}"
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// How long a quotation is that has just begun.
fn quotation(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

#[test]
fn a_dot_graph_is_read_strictly() {
    assert!(well_formed(r#"digraph "a" { N1 [label="b \" c" id = "n"] N1 -> N2 [w=1] }"#).is_ok());
    for wrong in [
        r#"digraph "a" { N1 [label="json:"b"" id="n"] }"#,
        r#"digraph "a" { N1 [label="b\" id="n"] }"#,
        r#"digraph "a"b" { }"#,
    ] {
        assert!(well_formed(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_graph_of_types_with_struct_tags_is_one_that_can_be_drawn() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let directory = tempfile::tempdir()?;
    // The program's name is the graph's.
    let program = directory.path().join(r#"ta"g\s"#);
    std::fs::copy(go::fixture("tags", Go::V1_27, Variant::Plain)?, &program)?;
    let profile = directory.path().join("maps.pb.gz");
    let (program, output) = (
        program.to_str().context("a path")?,
        profile.to_str().context("a path")?,
    );
    let record = ["record", "--max-overhead", "off", "-o", output];
    profiler::run(&[&record[..], &["--", program]].concat())?.success()?;
    ensure!(
        pprof::pprof(&["-tags"], &profile)?.contains("json:＼＂a,omitempty"),
        "the tag is lost"
    );
    for sample_type in ["operations", "probes"] {
        let sample_type = format!("-sample_index={sample_type}");
        let dot = pprof::pprof(&["-dot", &sample_type], &profile)?;
        ensure!(dot.contains("omitempty"), "{dot}");
        well_formed(&dot).with_context(|| dot.clone())?;
        drawn(&dot)?;
    }
    Ok(())
}

/// Has graphviz read a graph, where it is installed.
fn drawn(dot: &str) -> Result<()> {
    let child = Command::new("dot")
        .arg("-Tcanon")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return Ok(());
    };
    let mut input = child.stdin.take().context("stdin")?;
    input.write_all(dot.as_bytes())?;
    drop(input);
    let ended = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success() && said.is_empty(), "dot: {said}");
    Ok(())
}
