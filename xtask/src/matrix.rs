//! `docs/matrix.md`: which versions of Go were tried in which builds, and what came of it, from what the tests noted
//! (`tests/src/matrix.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::process::{remove_dir, say};
use crate::workspace;

/// Builds that every toolchain is tried with, and then the others: their names, and how the table calls them.
const BUILDS: [(&str, &str); 19] = [
    ("plain", "plain"),
    ("stripped", "stripped"),
    ("pie", "PIE"),
    ("cgo", "cgo"),
    ("unoptimized", "`-N -l`"),
    ("race", "`-race`"),
    ("pie-stripped", "PIE, stripped"),
    ("cgo-pie-stripped", "cgo, PIE, stripped"),
    ("static-pie", "static PIE with cgo"),
    ("untrimmed", "without `-trimpath`"),
    ("not-inlined", "`-l`"),
    ("v2", "`GOAMD64=v2`"),
    ("v3", "`GOAMD64=v3`"),
    ("v4", "`GOAMD64=v4`"),
    ("profile-guided", "PGO, its own profile"),
    ("compilers-profile", "PGO, that of Go's compiler"),
    ("asan", "`-asan`"),
    ("msan", "`-msan`"),
    ("386", "`GOARCH=386`"),
];
/// How many of them are tried with every toolchain.
const EVERYWHERE: usize = 6;

/// What came of one toolchain and build.
#[derive(Clone, Debug, Deserialize)]
struct Cell {
    go: String,
    experiment: Option<String>,
    layout: String,
    build: String,
    operations: Option<u64>,
    not_covered: Option<String>,
    refused: Option<String>,
    not_applicable: Option<String>,
}

fn records() -> PathBuf {
    workspace::work().join("matrix")
}

/// Forgets what earlier runs noted.
pub(crate) fn forget() -> Result<()> {
    remove_dir(&records())
}

/// Writes the table.
pub(crate) fn run() -> Result<()> {
    let mut cells: Vec<Cell> = Vec::new();
    let folder = std::fs::read_dir(records())
        .context("nothing was noted yet: `cargo xtask test --full` does that")?;
    for entry in folder {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        cells.push(serde_json::from_str(&text).with_context(|| path.display().to_string())?);
    }
    ensure!(!cells.is_empty(), "nothing was noted");
    let path = workspace::root().join("docs/matrix.md");
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    let kernel = nix::sys::utsname::uname()?;
    let release = kernel.release().to_string_lossy().into_owned();
    let release = release.split('-').next().unwrap_or_default();
    std::fs::write(&path, document(&cells, release))?;
    say(&format!("Wrote {}", path.display()));
    Ok(())
}

/// A toolchain, in the order of versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Toolchain {
    version: Vec<u32>,
    experiment: Option<String>,
    layout: String,
}

impl Toolchain {
    fn of(cell: &Cell) -> Self {
        let parts = cell.go.split('.');
        Self {
            version: parts.filter_map(|part| part.parse().ok()).collect(),
            experiment: cell.experiment.clone(),
            layout: cell.layout.clone(),
        }
    }

    fn name(&self) -> String {
        let version: Vec<String> = self.version.iter().map(u32::to_string).collect();
        match &self.experiment {
            None => version.join("."),
            Some(experiment) => format!("{} `{experiment}`", version.join(".")),
        }
    }
}

fn document(cells: &[Cell], kernel: &str) -> String {
    let mut text = format!(
        "# What was tried

Written by `cargo xtask test --full` from what it ran, here on Linux {kernel}; do not edit. Each cell is the oracle program
([tests/README.md](../tests/README.md)) built by that Go in that way, and probed from its first map operation to its end.
*exact*: so many operations on maps of more than one bucket or group, and every count equal to the oracle's by type,
operation, outcome and depth. *exact in part*: the same but for the functions that the note names, as the report does. A
number after *refused* or *n/a* is a note too. Go 1.18 and 1.20 are not here, as there was no toolchain to build the oracle with:
what was seen of them is in [real-programs.md](real-programs.md), and reports mark them *untested*.
"
    );
    let mut reasons: Vec<&str> = Vec::new();
    let (everywhere, others) = BUILDS.split_at(EVERYWHERE);
    for (title, builds) in [
        ("Every toolchain", everywhere),
        ("Other ways of building", others),
    ] {
        let _ = write!(
            text,
            "\n## {title}\n\n{}",
            table(cells, builds, &mut reasons)
        );
    }
    if !reasons.is_empty() {
        text.push_str("\n## Notes\n\n");
    }
    for (index, reason) in reasons.iter().enumerate() {
        let _ = writeln!(text, "{}. {reason}", index + 1);
    }
    text
}

fn table<'a>(cells: &'a [Cell], builds: &[(&str, &str)], reasons: &mut Vec<&'a str>) -> String {
    let mut rows: BTreeMap<Toolchain, BTreeMap<&str, &Cell>> = BTreeMap::new();
    for cell in cells {
        if builds.iter().any(|(build, _)| *build == cell.build) {
            rows.entry(Toolchain::of(cell))
                .or_default()
                .insert(&cell.build, cell);
        }
    }
    let used: BTreeSet<&str> = rows.values().flat_map(|row| row.keys().copied()).collect();
    let builds: Vec<_> = builds
        .iter()
        .filter(|(build, _)| used.contains(build))
        .collect();
    let mut text = String::from("| Go | maps |");
    for (_, title) in &builds {
        let _ = write!(text, " {title} |");
    }
    let _ = writeln!(text, "\n|{}", "---|".repeat(builds.len() + 2));
    for (toolchain, row) in rows {
        let _ = write!(text, "| {} | {} |", toolchain.name(), toolchain.layout);
        for (build, _) in &builds {
            let _ = write!(
                text,
                " {} |",
                row.get(build)
                    .map_or(String::new(), |cell| result(cell, reasons))
            );
        }
        text.push('\n');
    }
    text
}

fn result<'a>(cell: &'a Cell, reasons: &mut Vec<&'a str>) -> String {
    let mut noted = |word: &str, reason: &'a str| {
        let at = reasons.iter().position(|known| *known == reason);
        let at = at.unwrap_or_else(|| {
            reasons.push(reason);
            reasons.len() - 1
        });
        format!("{word} ({})", at + 1)
    };
    if let (Some(operations), Some(functions)) = (cell.operations, &cell.not_covered) {
        return noted(
            &format!("exact in part, {}", rounded(operations)),
            functions,
        );
    }
    match (cell.operations, &cell.refused, &cell.not_applicable) {
        (Some(operations), ..) => format!("exact, {}", rounded(operations)),
        (_, Some(reason), _) => noted("refused", reason),
        (_, _, Some(reason)) => noted("n/a", reason),
        _ => "?".to_owned(),
    }
}

/// To two or three digits: runs differ a little, as maps' seeds do.
fn rounded(operations: u64) -> String {
    match operations {
        0..1_000 => operations.to_string(),
        1_000..1_000_000 => format!("{}k", operations / 1_000),
        _ => format!("{}.{} M", operations / 1_000_000, operations / 100_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(go: &str, experiment: Option<&str>, build: &str, operations: Option<u64>) -> Cell {
        Cell {
            go: go.to_owned(),
            experiment: experiment.map(str::to_owned),
            layout: "swiss".to_owned(),
            build: build.to_owned(),
            operations,
            not_covered: None,
            refused: operations
                .is_none()
                .then(|| "it cannot be probed".to_owned()),
            not_applicable: None,
        }
    }

    #[test]
    fn rows_are_toolchains_by_version_and_cells_say_what_came_of_it() {
        let cells = [
            cell("1.27.3", None, "plain", Some(1_234_567)),
            cell("1.9.1", None, "race", Some(999)),
            cell("1.27.3", Some("simd"), "plain", None),
            cell("1.27.3", None, "v2", Some(45_678)),
        ];
        let text = document(&cells, "6.18");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        let expected = [
            "| Go | maps | plain | `-race` |",
            "|---|---|---|---|",
            "| 1.9.1 | swiss |  | exact, 999 |",
            "| 1.27.3 | swiss | exact, 1.2 M |  |",
            "| 1.27.3 `simd` | swiss | refused (1) |  |",
            "| Go | maps | `GOAMD64=v2` |",
            "|---|---|---|",
            "| 1.27.3 | swiss | exact, 45k |",
        ];
        assert_eq!(rows, expected);
        assert!(
            text.ends_with("## Notes\n\n1. it cannot be probed\n"),
            "{text}"
        );
    }
}
