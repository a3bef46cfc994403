//! Who does what, and where: operations by call site, by stack and by map are what the fixture counted itself, on the lines
//! that it marked.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use map_probe_tests::go::{self, Go, Variant};
use map_probe_tests::profiler::Profiler;
use map_probe_tests::target::Target;
use map_probe_tests::{kernel, profiler};
use serde_json::Value;

/// Operations by frames and kind of operation. A frame is `FUNCTION FILE:LINE`.
type Sites = BTreeMap<(Vec<String>, String), u64>;

/// Where the fixture's lines are, by their marks: `//@ NAME`.
fn marks() -> Result<BTreeMap<String, String>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/who");
    let mut marks = BTreeMap::new();
    for file in ["main.go", "sites.go"] {
        let text = std::fs::read_to_string(directory.join(file))?;
        for (index, line) in text.lines().enumerate() {
            if let Some((_, mark)) = line.split_once("//@ ") {
                let place = format!("{file}:{}", index + 1);
                ensure!(
                    marks.insert(mark.trim().to_owned(), place).is_none(),
                    "two lines are {mark}"
                );
            }
        }
    }
    Ok(marks)
}

fn list<'a>(json: &'a Value, name: &str) -> Result<&'a Vec<Value>> {
    json[name].as_array().with_context(|| format!("no {name}"))
}

fn text<'a>(json: &'a Value, name: &str) -> Result<&'a str> {
    json[name].as_str().with_context(|| format!("no {name}"))
}

/// What the fixture did: its sites, and with `stacks` their callers too.
fn truth(json: &Value, stacks: bool) -> Result<Sites> {
    let marks = marks()?;
    let mut sites = Sites::new();
    for site in list(json, "sites")? {
        let mut frames = list(site, "frames")?.clone();
        if stacks {
            frames.extend(site["callers"].as_array().cloned().unwrap_or_default());
        }
        let frames = frames.iter().map(|frame| {
            let frame = frame.as_str().context("a frame")?;
            let (function, mark) = frame.split_once(' ').context("a mark")?;
            let place = marks
                .get(mark)
                .with_context(|| format!("no line is {mark}"))?;
            Ok(format!("{function} {place}"))
        });
        let key = (frames.collect::<Result<_>>()?, text(site, "op")?.to_owned());
        let count = site["count"].as_u64().context("a count")?;
        *sites.entry(key).or_default() += count;
    }
    Ok(sites)
}

/// The report's call sites or stacks that are the program's own, with the frames that are.
fn reported(report: &Value, name: &str) -> Result<Sites> {
    let mut sites = Sites::new();
    for site in list(report, name)? {
        let mut frames = Vec::new();
        for frame in list(site, "frames")? {
            let file = text(frame, "file")?.rsplit('/').next().unwrap_or_default();
            frames.push(format!(
                "{} {file}:{}",
                text(frame, "function")?,
                frame["line"]
            ));
        }
        let first = frames.first().cloned().unwrap_or_default();
        for field in ["function", "file", "line"] {
            let of_frame = &site["frames"][0][field];
            ensure!(&site[field] == of_frame, "{field} is not the first frame's");
        }
        if !first.starts_with("main.") {
            continue;
        }
        frames.retain(|frame| !frame.starts_with("runtime."));
        for row in list(site, "operations")? {
            let key = (frames.clone(), text(row, "op")?.to_owned());
            *sites.entry(key).or_default() += row["count"].as_u64().context("a count")?;
        }
    }
    Ok(sites)
}

fn expect_equal(what: &str, expected: &Sites, found: &Sites) -> Result<()> {
    for (site, count) in expected {
        let found = found.get(site).copied().unwrap_or(0);
        ensure!(
            found == *count,
            "{what} {site:?}: {found} instead of {count}"
        );
    }
    if let Some(site) = found.keys().find(|site| !expected.contains_key(site)) {
        bail!("{what} {site:?} does nothing");
    }
    Ok(())
}

fn sum(rows: &Value) -> u64 {
    let rows = rows.as_array().into_iter().flatten();
    rows.filter_map(|row| row["count"].as_u64()).sum()
}

/// Runs the fixture under the profiler: what it counted itself, and the report.
fn run(go: Go, variant: Variant, arguments: &[&str]) -> Result<(Value, Value)> {
    let fixture = go::fixture("who", go, variant)?;
    let directory = tempfile::tempdir()?;
    let output = directory.path().join("report.json");
    let mut command = vec!["--max-overhead", "off", "--format", "json"];
    command.extend(["--output", output.to_str().context("a path")?]);
    command.extend(arguments);
    command.extend(["--", fixture.to_str().context("a path")?]);
    let ended = profiler::run(&command)?.success()?;
    let truth = ended
        .stdout
        .lines()
        .last()
        .context("the fixture's counts")?;
    let report: Value = serde_json::from_str(&std::fs::read_to_string(output)?)?;
    ensure!(
        report["target"]["go"] == format!("go{}", go.version()),
        "another target: {}",
        report["target"]
    );
    Ok((serde_json::from_str(truth)?, report))
}

fn sites_stacks_and_maps_are_exact(go: Go, variant: Variant) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let (counted, report) = run(go, variant, &["--stacks"])?;
    expect_equal(
        "site",
        &truth(&counted, false)?,
        &reported(&report, "by_site")?,
    )?;
    expect_equal(
        "stack",
        &truth(&counted, true)?,
        &reported(&report, "by_stack")?,
    )?;
    maps_are(go, &counted, &report)?;

    let all = report["quality"]["operations"]
        .as_u64()
        .context("a count")?;
    for part in ["by_type", "by_site", "by_stack", "by_map"] {
        let entries = list(&report, part)?;
        let of_part: u64 = entries.iter().map(|one| sum(&one["operations"])).sum();
        ensure!(of_part == all, "{of_part} operations {part}, {all} in all");
        for entry in entries {
            let examined: f64 = list(entry, "operations")?
                .iter()
                .map(|row| {
                    let count = row["count"].as_f64().unwrap_or(0.0);
                    count * (row["depth"]["mean"].as_f64().unwrap_or(0.0) - 1.0)
                })
                .sum();
            let excess = entry["excess"].as_f64().context("no excess")?;
            ensure!(
                (examined - excess).abs() < 0.01,
                "excess {excess}, not {examined}"
            );
        }
    }
    // By package reflect, whose functions are the call sites.
    let of_reflect = |op: &str| -> u64 {
        let sites = report["by_site"].as_array().into_iter().flatten();
        let reflects = |site: &&Value| {
            let function = site["function"].as_str().unwrap_or_default();
            function.starts_with("reflect.map")
        };
        let rows = sites
            .filter(reflects)
            .filter_map(|site| site["operations"].as_array());
        let rows = rows.flatten().filter(|row| row["op"] == op);
        rows.filter_map(|row| row["count"].as_u64()).sum()
    };
    let counts = ["insert", "lookup", "delete"].map(of_reflect);
    ensure!(counts == [100, 100, 25], "by reflection: {counts:?}");
    Ok(())
}

fn maps_are(go: Go, counted: &Value, report: &Value) -> Result<()> {
    let reported = list(report, "by_map")?;
    for map in list(counted, "maps")? {
        let address = text(map, "address")?;
        let mut here = reported.iter().filter(|one| one["map"] == *address);
        let found = here
            .next()
            .with_context(|| format!("no map at {address}"))?;
        ensure!(here.next().is_none(), "two maps at {address}");
        ensure!(
            go.uses_shapes() || found["type"] == map["type"],
            "{} instead of {}",
            found["type"],
            map["type"]
        );
        let (operations, expected) = (sum(&found["operations"]), &map["count"]);
        ensure!(*expected == operations, "{operations} operations on {map}");
        // The last operation sees what was there before it.
        let entries = found["entries"].as_u64().context("no entries")?;
        let now = map["entries"].as_u64().context("no entries")?;
        let deleted = u64::from(map["last"] == "delete");
        ensure!(entries == now + deleted, "{entries} entries in {map}");
        let capacity = found["capacity"].as_u64().context("no capacity")?;
        ensure!(
            (512..=2048).contains(&capacity),
            "{capacity} slots in a map that was made for 512"
        );
        let seen = |when: &str| found[when].as_f64().context("no time");
        ensure!(seen("first_seen")? <= seen("last_seen")?, "{found}");
    }
    Ok(())
}

macro_rules! exact_with {
    ($($(#[$attribute:meta])* $name:ident: $go:expr;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            $(#[$attribute])*
            fn sites_stacks_and_maps_are_what_the_program_counted() -> Result<()> {
                sites_stacks_and_maps_are_exact($go, Variant::Plain)
            }

            #[test]
            $(#[$attribute])*
            fn a_stripped_program_tells_as_much() -> Result<()> {
                sites_stacks_and_maps_are_exact($go, Variant::Stripped)
            }
        }
    )*};
}

exact_with! {
    #[ignore = "of `cargo xtask test --full`, which looks for the toolchain"]
    go_1_19: Go::V1_19;
    go_1_21: Go::V1_21;
    go_1_23: Go::V1_23;
    go_1_24: Go::V1_24;
    go_1_26: Go::V1_26;
    go_1_27: Go::V1_27;
}

#[test]
fn a_position_independent_program_tells_as_much() -> Result<()> {
    sites_stacks_and_maps_are_exact(Go::V1_27, Variant::PieStripped)?;
    sites_stacks_and_maps_are_exact(Go::V1_23, Variant::Pie)
}

#[test]
fn a_report_has_what_is_asked_for_and_says_so_with_swiss_maps() -> Result<()> {
    has_what_is_asked_for(Go::V1_27)
}

#[test]
fn a_report_has_what_is_asked_for_and_says_so_with_classic_maps() -> Result<()> {
    has_what_is_asked_for(Go::V1_23)
}

#[test]
#[ignore = "of `cargo xtask test --full`, which looks for the toolchain"]
fn a_report_has_what_is_asked_for_and_says_so_with_the_oldest_go() -> Result<()> {
    has_what_is_asked_for(Go::V1_19)
}

/// Every part of a report has so many operations, all of one type.
fn all_are_of_strings(report: &Value, expected: u64) -> Result<()> {
    for part in ["by_type", "by_site", "by_map"] {
        let entries = list(report, part)?;
        let of_part: u64 = entries.iter().map(|one| sum(&one["operations"])).sum();
        ensure!(of_part == expected, "{of_part} operations {part}");
        for entry in entries {
            ensure!(entry["type"] == "map[string]uint64", "{entry}");
        }
    }
    Ok(())
}

fn has_what_is_asked_for(go: Go) -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let arguments = [
        "--type",
        "map[string]*",
        "--function",
        "main.direct",
        "--op",
        "lookup,delete",
    ];
    let (counted, report) = run(go, Variant::Plain, &arguments)?;
    let asked = serde_json::json!({"type": "map[string]*", "function": "main.direct", "op": "lookup, delete"});
    ensure!(report["filter"] == asked, "{}", report["filter"]);
    // Hits, misses and deletes.
    let expected = 100 + 100 + 50;
    ensure!(
        report["quality"]["operations"] == expected,
        "{}",
        report["quality"]
    );
    all_are_of_strings(&report, expected)?;
    let covered = &report["target"]["functions"]["covered"];
    let covered = covered.as_array().context("a list")?;
    ensure!(
        !covered
            .iter()
            .any(|name| name.as_str().is_some_and(|name| name.contains("assign"))),
        "{covered:?}"
    );
    let maps = list(&report, "by_map")?;
    let names = list(&counted, "maps")?
        .iter()
        .find(|map| map["type"] == "map[string]uint64")
        .context("the map")?;
    ensure!(
        maps.len() == 1 && maps[0]["map"] == names["address"],
        "{maps:?}"
    );
    Ok(())
}

#[test]
fn one_map_can_be_watched_alone() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    // No map is at this address.
    let (_, report) = run(Go::V1_23, Variant::Plain, &["--map", "0x10"])?;
    ensure!(
        report["quality"]["operations"] == 0,
        "{}",
        report["quality"]
    );
    ensure!(report["filter"]["map"] == "0x10", "{}", report["filter"]);
    for go in [Go::V1_23, Go::V1_27] {
        one_map_alone(go)?;
    }
    Ok(())
}

/// All operations on a map that is there, and no others.
fn one_map_alone(go: Go) -> Result<()> {
    let mut target = Target::start(&go::fixture("who", go, Variant::Plain)?, &[])?;
    let ready = target.ready().to_owned();
    let address = ready.split_whitespace().nth(2).context("no address")?;
    let profiler = Profiler::attach(&target.pid(), "json", &["--map", address])?;
    target.begin()?;
    target.wait_done()?;
    profiler.interrupt()?;
    let report: Value = serde_json::from_str(&profiler.finish()?.success()?.stdout)?;
    let counted: Value = serde_json::from_str(&target.last_line()?)?;
    let map = list(&counted, "maps")?
        .iter()
        .find(|map| map["address"] == address)
        .with_context(|| format!("no map at {address}"))?;
    let expected = map["count"].as_u64().context("a count")?;
    ensure!(expected > 100, "{map}");
    ensure!(
        report["quality"]["operations"] == expected,
        "{} instead of {expected} of {address}",
        report["quality"]
    );
    all_are_of_strings(&report, expected)?;
    let maps = list(&report, "by_map")?;
    ensure!(maps.len() == 1 && maps[0]["map"] == address, "{maps:?}");
    Ok(())
}

#[test]
fn the_top_comes_in_the_order_asked_for() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let (_, report) = run(
        Go::V1_27,
        Variant::Plain,
        &["--top", "3", "--sort", "excess"],
    )?;
    for part in ["by_type", "by_site", "by_map"] {
        let excess: Vec<_> = list(&report, part)?
            .iter()
            .map(|one| one["excess"].as_u64().unwrap_or(0))
            .collect();
        ensure!(excess.len() == 3, "{part}: {excess:?}");
        ensure!(excess.is_sorted_by(|a, b| a >= b), "{part}: {excess:?}");
    }
    Ok(())
}
