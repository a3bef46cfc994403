//! The Go toolchains at hand, and what their sources say.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use super::program::Program;
use crate::process::read;
use crate::{tools, workspace};

/// A family of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Classic,
    Swiss,
}

/// Packages that facts are about.
const PACKAGES: [&str; 5] = [
    "runtime",
    "internal/abi",
    "internal/runtime/maps",
    "debug/buildinfo",
    "debug/gosym",
];

/// Experiments that change maps, by the minor version that has them.
const EXPERIMENTS: [(u32, &str, Family); 3] = [
    (24, "noswissmap", Family::Classic),
    (25, "noswissmap", Family::Classic),
    (27, "mapsplitgroup", Family::Swiss),
];

/// The first version with Swiss maps.
const FIRST_SWISS: u32 = 24;

/// A toolchain with or without an experiment: what facts are checked against.
pub(super) struct Build {
    /// `1.24.11` or `1.24.11 noswissmap`.
    pub(super) name: String,
    pub(super) minor: u32,
    pub(super) family: Family,
    /// The folder `src`.
    pub(super) sources: PathBuf,
    pub(super) packages: HashMap<String, Package>,
    pub(super) program: Program,
}

/// What the sources of a package say, as `xtask/go/facts` prints it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Package {
    pub(super) constants: HashMap<String, Constant>,
    pub(super) structs: HashMap<String, Struct>,
    pub(super) functions: HashMap<String, Function>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Constant {
    pub(super) value: String,
    pub(super) file: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Struct {
    pub(super) file: String,
    pub(super) size: u64,
    /// Offset and size in bytes, by path.
    pub(super) fields: HashMap<String, [u64; 2]>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub(super) file: String,
    pub(super) parameters: Vec<String>,
}

/// Every toolchain that `cargo xtask test` fetches and is there, with each experiment that matters. With `all`, each has
/// to be there, and programs are looked at as PIEs too.
pub(super) fn at_hand(all: bool) -> Result<Vec<Build>> {
    let versions = tools::GO_VERSIONS.iter().chain(&tools::MORE_GO_VERSIONS);
    let mut versions: Vec<&str> = versions
        .copied()
        .chain([tools::DEBIAN_GO_VERSION])
        .collect();
    versions.sort_unstable();
    let newest = tools::go_path(versions.last().context("no versions")?);
    ensure!(
        newest.is_file(),
        "no Go toolchain is here: `cargo xtask test` fetches them"
    );
    let folder = workspace::work().join("go-layout");
    fs::create_dir_all(&folder)?;
    let reader = folder.join("facts");
    build(&newest, "facts", &reader, &[], "")?;
    let mut builds = Vec::new();
    for version in versions {
        let go = tools::go_path(version);
        if !go.is_file() {
            ensure!(
                !all,
                "Go {version} is not here: `cargo xtask test --full` fetches it"
            );
            continue;
        }
        let minor = version
            .split('.')
            .nth(1)
            .and_then(|minor| minor.parse().ok());
        let minor: u32 = minor.with_context(|| format!("{version} is no version"))?;
        let default = if minor < FIRST_SWISS {
            Family::Classic
        } else {
            Family::Swiss
        };
        let experiments = EXPERIMENTS.iter().filter(|(of, ..)| *of == minor);
        let experiments = experiments.map(|(_, experiment, family)| (*experiment, *family));
        for (experiment, family) in [("", default)].into_iter().chain(experiments) {
            let name = format!("{version} {experiment}").trim_end().to_owned();
            let program = folder.join(name.replace(' ', "-"));
            builds.push(Build {
                minor,
                family,
                sources: PathBuf::from(read(Command::new(&go).args(["env", "GOROOT"]))?)
                    .join("src"),
                packages: facts(&go, &reader, experiment).with_context(|| format!("Go {name}"))?,
                program: programs(&go, &program, experiment, all)
                    .with_context(|| format!("Go {name}"))?,
                name,
            });
        }
    }
    Ok(builds)
}

/// Builds one of our Go programs.
fn build(go: &Path, name: &str, output: &Path, arguments: &[&str], experiment: &str) -> Result<()> {
    let source = workspace::root().join("xtask/go").join(name);
    let mut command = tools::go_build(go, &source, output);
    command
        .args(arguments)
        .env("GOEXPERIMENT", experiment)
        .env("GOARCH", "amd64");
    read(&mut command).map(|_| ())
}

fn programs(go: &Path, output: &Path, experiment: &str, pie: bool) -> Result<Program> {
    // DWARF as it is, and the packages as the fixtures have them, so that they are compiled once.
    const FLAGS: [&str; 2] = ["-trimpath", "-ldflags=-compressdwarf=false"];
    build(go, "program", output, &FLAGS, experiment)?;
    let mut program = Program::read(&fs::read(output)?)?;
    if pie {
        let output = output.with_file_name(format!(
            "{}-pie",
            output.file_name().unwrap_or_default().display()
        ));
        build(
            go,
            "program",
            &output,
            &["-trimpath", "-buildmode=pie"],
            experiment,
        )?;
        program.look_at_pie(&fs::read(output)?)?;
    }
    Ok(program)
}

/// What the sources of the toolchain say, read by `reader`.
fn facts(go: &Path, reader: &Path, experiment: &str) -> Result<HashMap<String, Package>> {
    const FORM: &str = r#"{{.ImportPath}} {{.Dir}} {{join .GoFiles " "}}"#;
    let root = PathBuf::from(read(Command::new(go).args(["env", "GOROOT"]))?);
    let there = PACKAGES
        .into_iter()
        .filter(|name| root.join("src").join(name).is_dir());
    let packages: Vec<&str> = there.collect();
    let mut list = Command::new(go);
    list.args(["list", "-deps", "-f", FORM])
        .args(&packages)
        .current_dir(workspace::root().join("xtask/go/program"))
        .env("GOEXPERIMENT", experiment);
    tools::alone(&mut list);
    let list = read(&mut list)?;
    let mut child = Command::new(reader)
        .args(&packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the program that reads sources")?;
    let mut input = child.stdin.take().context("a pipe")?;
    // It reads all of it before it prints.
    input.write_all(list.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("reading the sources failed: {}", output.status);
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
