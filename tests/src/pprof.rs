//! Profiles as `go tool pprof` reads them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::go::{Go, build_dir};
use crate::report::Kind;

/// A function, its file and line.
pub type Line = (String, String, u64);

/// Labels by key; a number has its unit behind it.
type Labels = BTreeMap<String, String>;

/// One sample of `-raw`.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Operations, probes, excess probes.
    pub values: [u64; 3],
    /// The stack: the innermost frame first, inlined ones included.
    pub frames: Vec<Line>,
    /// What it did.
    pub kind: Kind,
    /// The map's type; `None` is unknown.
    pub typ: Option<String>,
    /// Buckets or groups examined.
    pub depth: u64,
}

/// Runs `go tool pprof` on a profile, without anything from outside.
///
/// # Errors
///
/// It refuses the profile.
pub fn pprof(arguments: &[&str], profile: &Path) -> Result<String> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(Go::V1_27.command()?);
    if std::env::var_os("GOCACHE").is_none() {
        // Go builds this tool when it is first asked for.
        command.env("GOCACHE", build_dir().join("gocache"));
    }
    let output = command
        .args(["tool", "pprof"])
        .args(arguments)
        .arg(profile)
        .env("HOME", home.path())
        .env("PPROF_TMPDIR", home.path())
        .env("GOTOOLCHAIN", "local")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "go tool pprof: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// All samples, as `-raw` lists them.
///
/// # Errors
///
/// It says something that is not understood.
pub fn samples(profile: &Path) -> Result<Vec<Sample>> {
    let raw = pprof(&["-raw"], profile)?;
    let (_, rest) = raw.split_once("\nSamples:\n").context("no samples")?;
    let (samples, rest) = rest.split_once("\nLocations\n").context("no locations")?;
    let (locations, _) = rest.split_once("\nMappings\n").context("no mappings")?;
    let locations = read_locations(locations)?;
    let mut lines = samples.lines();
    let types = lines.next().context("no sample types")?;
    ensure!(
        types.replace("[dflt]", "").trim() == "operations/count probes/count excess_probes/count",
        "{types}"
    );
    let mut found: Vec<(Vec<u64>, Vec<u64>, Labels)> = Vec::new();
    for line in lines {
        match line.split_once(": ") {
            Some((values, ids)) if !values.contains('[') => {
                found.push((numbers(values)?, numbers(ids)?, BTreeMap::new()));
            }
            _ => {
                let labels = &mut found.last_mut().context("labels of nothing")?.2;
                read_labels(line.trim(), labels)?;
            }
        }
    }
    let found = found.into_iter();
    found
        .map(|(values, ids, mut labels)| {
            let mut frames = Vec::new();
            for id in ids {
                frames.extend_from_slice(locations.get(&id).context("no such location")?);
            }
            let mut word = |key| labels.remove(key).with_context(|| format!("no {key}"));
            let kind = Kind {
                op: word("op")?,
                outcome: word("outcome")?,
                class: word("class")?,
            };
            let depth = word("depth")?;
            let depth = depth.strip_suffix(" probes").context("no unit")?.parse()?;
            let values = values
                .try_into()
                .ok()
                .context("another number of values than 3")?;
            Ok(Sample {
                values,
                frames,
                kind,
                typ: labels.remove("type"),
                depth,
            })
        })
        .collect()
}

fn numbers(text: &str) -> Result<Vec<u64>> {
    text.split_whitespace()
        .map(|number| Ok(number.parse()?))
        .collect()
}

/// `class:[table] op:[lookup] outcome:[hit] type:[map[string]int]`: in the order of the keys, so that `type` is last.
fn read_labels(mut line: &str, labels: &mut Labels) -> Result<()> {
    while !line.is_empty() {
        let (key, rest) = line.split_once(":[").context("no label")?;
        let (value, rest) = match rest.split_once("] ") {
            Some(parts) if key != "type" => parts,
            _ => (rest.strip_suffix(']').context("no end")?, ""),
        };
        labels.insert(key.to_owned(), value.to_owned());
        line = rest.trim();
    }
    Ok(())
}

/// `  1: 0x0 M=1 main.get /src/main.go:4:0 s=0`, and a line more for each function this one is inlined into.
fn read_locations(text: &str) -> Result<BTreeMap<u64, Vec<Line>>> {
    let mut locations: BTreeMap<u64, Vec<Line>> = BTreeMap::new();
    let mut id = 0;
    for line in text.lines() {
        let mut line = line.trim();
        if let Some((number, rest)) = line.split_once(": 0x0 M=1 ") {
            id = number.parse()?;
            line = rest;
        }
        // Behind the name of a function that has a system name of its own there is that name.
        let (line, _) = line
            .rsplit_once(" s=")
            .with_context(|| format!("no start line: {line}"))?;
        let (line, _column) = line.rsplit_once(':').context("no column")?;
        let (line, number) = line.rsplit_once(':').context("no line")?;
        let (function, file) = match line.split_once(" /") {
            Some((function, file)) => (function, format!("/{file}")),
            None => line
                .trim_end()
                .rsplit_once(' ')
                .filter(|_| !line.ends_with(' '))
                .map_or((line.trim_end(), String::new()), |(function, file)| {
                    (function, file.to_owned())
                }),
        };
        let frame = (function.to_owned(), file, number.parse()?);
        locations.entry(id).or_default().push(frame);
    }
    Ok(locations)
}

/// The flat values by function, as `-top` lists them.
///
/// # Errors
///
/// It says something that is not understood.
pub fn top(profile: &Path, sample_type: &str) -> Result<BTreeMap<String, u64>> {
    let index = format!("-sample_index={sample_type}");
    let all = ["-top", &index, "-nodefraction=0", "-nodecount=100000"];
    let text = pprof(&all, profile)?;
    let (_, table) = text
        .split_once("flat  flat%   sum%        cum   cum%\n")
        .context("no table")?;
    let mut flat = BTreeMap::new();
    for line in table.lines() {
        let mut rest = line.trim_start();
        let mut fields = Vec::new();
        for _ in 0..5 {
            let (field, after) = rest.split_once(' ').context("no column")?;
            fields.push(field);
            rest = after.trim_start();
        }
        let function = rest
            .trim_end_matches(" (inline)")
            .trim_end_matches(" (partial-inline)");
        *flat.entry(function.to_owned()).or_default() += fields[0].parse::<u64>()?;
    }
    Ok(flat)
}

/// The values of one sample type by stack, the innermost function first, as `-traces` lists them.
///
/// # Errors
///
/// It says something that is not understood.
pub fn traces(profile: &Path, sample_type: &str) -> Result<BTreeMap<Vec<String>, u64>> {
    let index = format!("-sample_index={sample_type}");
    let text = pprof(&["-traces", &index], profile)?;
    let mut traces = BTreeMap::new();
    // Behind each line of dashes a sample: its labels, its value with the first function, the others.
    for trace in text.split("-----------+").skip(1) {
        let mut value = None;
        let mut stack = Vec::new();
        for line in trace.lines().skip(1) {
            let line = line.trim().trim_end_matches(" (inline)");
            let first = line.split_once(' ').and_then(|(number, function)| {
                Some((number.parse::<u64>().ok()?, function.trim_start()))
            });
            match (value, first) {
                (None, Some((number, function))) => {
                    value = Some(number);
                    stack.push(function.to_owned());
                }
                (Some(_), _) if !line.is_empty() => stack.push(line.to_owned()),
                // A label.
                _ => {}
            }
        }
        if let Some(value) = value {
            *traces.entry(stack).or_default() += value;
        }
    }
    Ok(traces)
}
