//! `cargo xtask go-layout`: every fact about Go that the code relies on, against every Go toolchain at hand.

mod annotation;
mod check;
mod program;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::annotation::Annotation;
use self::check::{Verdict, check};
use self::toolchain::Build;
use crate::process::{print, say};
use crate::workspace;

/// Where the code that relies on Go is.
const FOLDERS: [&str; 3] = [
    "map-probe/src",
    "map-probe-common/src",
    "map-probe-ebpf/src",
];

/// Minor versions of which there was never a toolchain: reports mark them untested.
const UNTESTED: [u32; 2] = [18, 20];

/// Options of `cargo xtask go-layout`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Every toolchain has to be there, and programs are looked at as PIEs too; without, those that are there, in a few seconds.
    #[arg(long)]
    pub(crate) all: bool,
    /// Print the table also when every fact holds.
    #[arg(long)]
    pub(crate) table: bool,
}

/// Checks all facts; an error if any does not hold, or cannot be checked.
pub(crate) fn run(args: &Args) -> Result<()> {
    say(
        "Checking every fact about Go that the code relies on. Needs: Go toolchains, which `cargo xtask test` fetches.",
    );
    let facts = facts()?;
    let builds = toolchain::at_hand(args.all)?;
    let rows: Vec<Row<'_>> = facts.iter().map(|fact| Row::new(fact, &builds)).collect();
    let problems: Vec<String> = rows
        .iter()
        .flat_map(|row| row.problems(&builds, args.all))
        .collect();
    if args.table || !problems.is_empty() {
        table(&rows, &builds);
    }
    let names: Vec<&str> = builds.iter().map(|build| build.name.as_str()).collect();
    let checks = rows.iter().flat_map(|row| &row.verdicts);
    let held = checks
        .filter(|verdict| matches!(verdict, Verdict::Holds(_)))
        .count();
    print(&format!(
        "go-layout: {} facts, {held} checks held, against Go {}",
        facts.len(),
        names.join(", ")
    ));
    for problem in &problems {
        print(problem);
    }
    if !problems.is_empty() {
        bail!(
            "{} facts about Go are not as they are written down",
            problems.len()
        );
    }
    Ok(())
}

/// All facts in the code, in the order of files and lines.
fn facts() -> Result<Vec<Annotation>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        rust_files(&workspace::root().join(folder), &mut files)?;
    }
    files.sort();
    let mut facts = Vec::new();
    for file in files {
        let source = std::fs::read_to_string(&file)?;
        let name = file.strip_prefix(workspace::root()).unwrap_or(&file);
        facts.extend(annotation::find(name, &source)?);
    }
    Ok(facts)
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// A fact and what each toolchain says of it.
struct Row<'a> {
    fact: &'a Annotation,
    verdicts: Vec<Verdict>,
}

impl<'a> Row<'a> {
    fn new(fact: &'a Annotation, builds: &[Build]) -> Self {
        Self {
            fact,
            verdicts: builds.iter().map(|build| check(fact, build)).collect(),
        }
    }

    fn problems(&self, builds: &[Build], all: bool) -> Vec<String> {
        let fact = self.fact;
        let mut problems: Vec<String> = builds
            .iter()
            .zip(&self.verdicts)
            .filter_map(|(build, verdict)| match verdict {
                Verdict::Fails(why) => Some(format!("{fact}\n    Go {}: {why}", build.name)),
                _ => None,
            })
            .collect();
        let held = self
            .verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Holds(_)));
        let minors = fact.minors.iter().flat_map(|(first, last)| *first..=*last);
        let known = minors.filter(|minor| !UNTESTED.contains(minor)).count();
        // Without `--all`, the toolchains that it is about may not be there, or it is about PIEs.
        let nobody = self
            .verdicts
            .iter()
            .all(|verdict| *verdict == Verdict::NotApplicable)
            || self.verdicts.contains(&Verdict::NotTried);
        if problems.is_empty() && !held && known > 0 && (all || !nobody) {
            problems.push(format!("{fact}\n    no toolchain here could check it"));
        }
        problems
    }
}

fn table(rows: &[Row<'_>], builds: &[Build]) {
    const WIDTH: usize = 12;
    let heading = builds.iter().map(|build| {
        format!(
            "{:>WIDTH$}",
            build
                .name
                .replace("swissmap", "")
                .replace("mapsplitgroup", "split")
        )
    });
    let mut file = None;
    for row in rows {
        if file != Some(&row.fact.file) {
            file = Some(&row.fact.file);
            print("");
            print(&format!(
                "{:62}{}",
                row.fact.file.display(),
                heading.clone().collect::<String>()
            ));
        }
        let cells = row
            .verdicts
            .iter()
            .map(|verdict| format!("{:>WIDTH$}", verdict.to_string()));
        let text: String = format!("{:4} {}", row.fact.line, row.fact.text)
            .chars()
            .take(60)
            .collect();
        print(&format!("{text:62}{}", cells.collect::<String>()));
    }
    print("");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_in_the_code_is_understood_and_says_what_the_code_says() {
        let facts = facts().expect("in order");
        assert!(
            facts.len() > 100,
            "only {} facts are written down",
            facts.len()
        );
    }

    /// A line of a layout without its fact would be checked by nothing.
    #[test]
    fn every_offset_and_function_of_a_layout_has_its_fact() {
        for file in ["classic.rs", "swiss.rs"] {
            let path = workspace::root().join("map-probe/src/target/go").join(file);
            let source = std::fs::read_to_string(path).expect("there");
            let mut above = "";
            for line in source.lines().map(str::trim) {
                let relies = [
                    "Field::at(",
                    "Field::constant(8",
                    "\"runtime.map",
                    "\"internal/",
                ];
                let numbers = [
                    "_offset: ",
                    "_mask: ",
                    "_key: ",
                    "_memory: ",
                    "text: ",
                    "types: ",
                ];
                let relies = relies.iter().any(|part| line.contains(part))
                    || numbers
                        .iter()
                        .any(|part| line.contains(part) && line.ends_with(','))
                        && line.contains(|c: char| ('1'..='9').contains(&c));
                let is_code = !line.starts_with("//") && !line.starts_with("/*");
                // rustfmt puts a call's arguments on lines of their own.
                let has = above.starts_with("// Go 1.") || above.ends_with('(');
                assert!(!relies || !is_code || has, "{file}: no fact above: {line}");
                above = line;
            }
        }
    }

    #[test]
    fn a_fact_that_nobody_can_check_is_a_problem_unless_its_version_is_untested() {
        let fact = |head: &str| {
            let source = format!("// Go {head} runtime/type.go: const a = 1\nlet a = 1;\n");
            annotation::find(Path::new("a.rs"), &source)
                .expect("in order")
                .remove(0)
        };
        let (old, known) = (fact("1.18"), fact("1.19"));
        assert_eq!(Row::new(&old, &[]).problems(&[], true), [""; 0]);
        assert_eq!(Row::new(&known, &[]).problems(&[], false), [""; 0]);
        let problems = Row::new(&known, &[]).problems(&[], true);
        assert!(problems[0].contains("no toolchain"), "{problems:?}");
    }
}
