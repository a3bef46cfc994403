//! What a fixture says it did, and how it compares with a report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::go::Go;
use crate::report::{Histogram, Kind, Report, Rows, bucket};

/// At most this many differences are printed.
const SHOWN: usize = 40;

/// The exact counts that a fixture prints.
#[derive(Clone, Debug)]
pub struct Truth {
    go: String,
    layout: String,
    /// How often each of the conditions occurred that the workloads are there to bring about.
    pub exercised: BTreeMap<String, u64>,
    /// By type.
    pub types: BTreeMap<String, Rows>,
}

impl Truth {
    /// Reads the line that the oracle prints.
    ///
    /// # Errors
    ///
    /// It is something else.
    pub fn parse(line: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(line)
            .with_context(|| format!("not the oracle's counts: {line:.300}"))?;
        let text = |value: &Value| {
            value
                .as_str()
                .map(str::to_owned)
                .context("a field is missing")
        };
        let mut types = BTreeMap::new();
        for entry in json["types"].as_array().context("no types")? {
            let mut rows = Rows::new();
            for row in entry["rows"].as_array().context("no rows")? {
                let kind = Kind {
                    op: text(&row["op"])?,
                    outcome: text(&row["outcome"])?,
                    class: text(&row["class"])?,
                };
                let mut histogram = Histogram::new();
                for (depth, count) in row["depths"].as_object().context("no depths")? {
                    let count = count.as_u64().context("a count that is no number")?;
                    *histogram.entry(bucket(depth.parse()?)).or_default() += count;
                }
                rows.insert(kind, histogram);
            }
            types.insert(text(&entry["type"])?, rows);
        }
        let mut exercised = BTreeMap::new();
        for (condition, count) in json["exercised"].as_object().context("no conditions")? {
            exercised.insert(condition.clone(), count.as_u64().context("no number")?);
        }
        Ok(Self {
            go: text(&json["go"])?,
            layout: text(&json["layout"])?,
            exercised,
            types,
        })
    }

    /// Finds the oracle's line in everything that a process printed.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn find(output: &str) -> Result<Self> {
        let line = output
            .lines()
            .find(|line| line.starts_with(r#"{"go":"#))
            .with_context(|| format!("the oracle's counts are not in the output: {output:.500}"))?;
        Self::parse(line)
    }

    /// Demands that the fixture is what the test is about.
    ///
    /// # Errors
    ///
    /// It is of another version or layout.
    pub fn expect_go(&self, go: Go) -> Result<()> {
        let version = go.runtime_version();
        ensure!(
            self.go == version,
            "the fixture was built by {}, not {version}",
            self.go
        );
        ensure!(
            self.layout == go.layout(),
            "the fixture has {} maps, not {}",
            self.layout,
            go.layout()
        );
        Ok(())
    }

    /// How many operations on tables there were.
    #[must_use]
    pub fn table_operations(&self) -> u64 {
        let rows = self.types.values().flatten();
        let tables = rows.filter(|(kind, _)| kind.class == "table");
        tables.flat_map(|(_, histogram)| histogram.values()).sum()
    }

    /// Demands that a report has exactly these operations.
    ///
    /// On tables every count has to be equal, by type, operation, outcome and histogram bucket. Operations on small maps
    /// have to be equal in number if the report says that it counts them, else no more than there were.
    ///
    /// # Errors
    ///
    /// The list of differences.
    pub fn expect_equal(&self, report: &Report) -> Result<()> {
        let small_counted = report.json["window"]["small_counted"]
            .as_bool()
            .context("no small_counted")?;
        let mut differences = Vec::new();
        let none = Rows::new();
        for (name, rows) in &self.types {
            let reported = report.by_type.get(&Some(name.clone())).unwrap_or(&none);
            let kinds: std::collections::BTreeSet<_> = rows.keys().chain(reported.keys()).collect();
            for kind in kinds {
                let (true_row, reported_row) = (rows.get(kind), reported.get(kind));
                if kind.class == "table" {
                    tables(name, kind, true_row, reported_row, &mut differences);
                } else {
                    small(
                        name,
                        kind,
                        true_row,
                        reported_row,
                        small_counted,
                        &mut differences,
                    );
                }
            }
        }
        if let Some(rows) = report.by_type.get(&None) {
            for (kind, histogram) in rows {
                let count: u64 = histogram.values().sum();
                differences.push(format!("an unknown type: {count} × {}", describe(kind)));
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        let mut message = format!("{} differences (oracle ≠ report):", differences.len());
        for difference in differences.iter().take(SHOWN) {
            write!(message, "\n  {difference}")?;
        }
        if differences.len() > SHOWN {
            message.push_str("\n  ...");
        }
        bail!(message)
    }
}

fn describe(kind: &Kind) -> String {
    format!("{} {} ({})", kind.op, kind.outcome, kind.class)
}

fn tables(
    name: &str,
    kind: &Kind,
    truth: Option<&Histogram>,
    report: Option<&Histogram>,
    differences: &mut Vec<String>,
) {
    let none = Histogram::new();
    let (truth, report) = (truth.unwrap_or(&none), report.unwrap_or(&none));
    let buckets: std::collections::BTreeSet<_> = truth.keys().chain(report.keys()).collect();
    for depths in buckets {
        let (true_count, reported) = (
            truth.get(depths).unwrap_or(&0),
            report.get(depths).unwrap_or(&0),
        );
        if true_count != reported {
            let (from, to) = depths;
            let range = if from == to {
                from.to_string()
            } else {
                format!("{from}–{to}")
            };
            differences.push(format!(
                "{name}: {} at depth {range}: {true_count} ≠ {reported}",
                describe(kind)
            ));
        }
    }
}

fn small(
    name: &str,
    kind: &Kind,
    truth: Option<&Histogram>,
    report: Option<&Histogram>,
    all: bool,
    differences: &mut Vec<String>,
) {
    let total = |histogram: Option<&Histogram>| histogram.map_or(0, |h| h.values().sum::<u64>());
    let (truth, report) = (total(truth), total(report));
    if report > truth || all && report < truth {
        differences.push(format!("{name}: {}: {truth} ≠ {report}", describe(kind)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: &str = r#"{"go":"go1.27.3","layout":"swiss","exercised":{},"types":[{"type":"map[int]main.cell","rows":[
        {"op":"lookup","outcome":"hit","class":"table","depths":{"1":5,"20":2,"30":1}},
        {"op":"lookup","outcome":"miss","class":"small","depths":{"0":3,"1":1}}]}]}"#;

    fn report(table: &[(u64, u64, u64)], small: u64, small_counted: bool) -> Report {
        let row = |outcome: &str, class: &str, buckets: &[(u64, u64, u64)]| {
            let count: u64 = buckets.iter().map(|b| b.2).sum();
            let sum: u64 = buckets.iter().map(|b| b.0 * b.2).sum();
            let max = buckets.last().map_or(0, |b| b.0);
            let histogram: Vec<_> = buckets
                .iter()
                .map(|b| serde_json::json!({"from": b.0, "to": b.1, "count": b.2}))
                .collect();
            serde_json::json!({"op": "lookup", "outcome": outcome, "class": class, "count": count,
                "depth": {"mean": sum as f64 / count as f64, "p50": 1, "p90": max, "p99": max, "p999": max, "max": max,
                "histogram": histogram}})
        };
        let mut rows = vec![row("hit", "table", table)];
        if small > 0 {
            rows.push(row("miss", "small", &[(1, 1, small)]));
        }
        let json = serde_json::json!({"schema": 1, "final": true, "window": {"small_counted": small_counted},
            "operations": rows, "by_type": [{"type": "map[int]main.cell", "operations": rows}]});
        Report::parse(&json.to_string()).expect("a report by the contract")
    }

    #[test]
    fn equal_counts_are_equal() {
        let truth = Truth::parse(TRUTH).expect("the oracle's counts");
        truth.expect_go(Go::V1_27).expect("Go 1.27");
        truth
            .expect_equal(&report(&[(1, 1, 5), (17, 32, 3)], 0, false))
            .expect("equal");
        truth
            .expect_equal(&report(&[(1, 1, 5), (17, 32, 3)], 4, true))
            .expect("equal, small ones too");
    }

    #[test]
    fn every_difference_is_found() {
        let truth = Truth::parse(TRUTH).expect("the oracle's counts");
        for (report, difference) in [
            (
                report(&[(1, 1, 6), (17, 32, 3)], 0, false),
                "lookup hit (table) at depth 1: 5 ≠ 6",
            ),
            (
                report(&[(1, 1, 5)], 0, false),
                "lookup hit (table) at depth 17–32: 3 ≠ 0",
            ),
            (
                report(&[(1, 1, 5), (2, 2, 1), (17, 32, 3)], 0, false),
                "lookup hit (table) at depth 2: 0 ≠ 1",
            ),
            (
                report(&[(1, 1, 5), (17, 32, 3)], 5, false),
                "lookup miss (small): 4 ≠ 5",
            ),
            (
                report(&[(1, 1, 5), (17, 32, 3)], 3, true),
                "lookup miss (small): 4 ≠ 3",
            ),
        ] {
            let error = truth.expect_equal(&report).expect_err(difference);
            assert!(error.to_string().contains(difference), "{error}");
        }
    }

    #[test]
    fn a_fixture_of_another_go_is_refused() {
        let truth = Truth::parse(TRUTH).expect("the oracle's counts");
        assert!(truth.expect_go(Go::V1_23).is_err());
    }
}
