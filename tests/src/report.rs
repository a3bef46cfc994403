//! A report as JSON, read by the words of the contract (schema 1).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// Operation, outcome and class, in the contract's words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// `lookup`, `insert` or `delete`.
    pub op: String,
    /// `hit`, `miss`, `update` or `new`.
    pub outcome: String,
    /// `table` or `small`.
    pub class: String,
}

/// How many operations per histogram bucket, which is named by its first and last depth.
pub type Histogram = BTreeMap<(u64, u64), u64>;

/// The rows of a report.
pub type Rows = BTreeMap<Kind, Histogram>;

/// One report.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether it covers everything.
    pub is_final: bool,
    /// The document itself.
    pub json: Value,
    /// Of the whole process.
    pub operations: Rows,
    /// By type; `None` is unknown.
    pub by_type: BTreeMap<Option<String>, Rows>,
}

/// The histogram bucket that a depth belongs to: exact up to 16, then 17–32, 33–64, ...
#[must_use]
pub fn bucket(depth: u64) -> (u64, u64) {
    if depth <= 16 {
        return (depth, depth);
    }
    let last = depth.next_power_of_two();
    (last / 2 + 1, last)
}

impl Report {
    /// Reads one document.
    ///
    /// # Errors
    ///
    /// It is not as the contract says.
    pub fn parse(text: &str) -> Result<Self> {
        let json: Value =
            serde_json::from_str(text).with_context(|| format!("not JSON: {text:.300}"))?;
        ensure!(
            json["schema"] == 1,
            "schema {} instead of 1",
            json["schema"]
        );
        let mut by_type = BTreeMap::new();
        for entry in json["by_type"].as_array().context("no by_type")? {
            let name = match &entry["type"] {
                Value::Null => None,
                Value::String(name) => Some(name.clone()),
                other => bail!("a type that is {other}"),
            };
            // Types that have the same name are one here.
            let into: &mut Rows = by_type.entry(name).or_default();
            add_rows(into, &rows(&entry["operations"])?);
        }
        let is_final = json.get("final").is_some_and(|value| value == true);
        Ok(Self {
            is_final,
            operations: rows(&json["operations"])?,
            by_type,
            json,
        })
    }

    /// Sums up the types whose names are wanted, as one type of another name.
    pub fn merge_types(&mut self, name: &str, wanted: impl Fn(&str) -> bool) {
        let mut sum = Rows::new();
        self.by_type.retain(|typ, rows| {
            let merged = typ.as_deref().is_some_and(&wanted);
            if merged {
                add_rows(&mut sum, rows);
            }
            !merged
        });
        self.by_type.insert(Some(name.to_owned()), sum);
    }

    /// A whole number of the document, by its path: `quality/lost`.
    ///
    /// # Errors
    ///
    /// There is no such number.
    pub fn number(&self, path: &str) -> Result<u64> {
        self.json
            .pointer(&format!("/{path}"))
            .and_then(Value::as_u64)
            .with_context(|| format!("no whole number {path}"))
    }

    /// Demands that each list has every operation once.
    ///
    /// # Errors
    ///
    /// They do not agree.
    pub fn expect_consistent(&self) -> Result<()> {
        let total = sum(&self.operations);
        let seen = self.number("quality/operations")?;
        ensure!(
            total == seen,
            "{total} operations in rows, but {seen} were seen"
        );
        for list in ["by_type", "by_map", "by_site"] {
            let entries = self.json[list].as_array();
            let entries = entries.with_context(|| format!("no {list}"))?;
            let mut in_list = 0;
            for entry in entries {
                in_list += sum(&rows(&entry["operations"])?);
            }
            ensure!(
                total == in_list,
                "{total} operations in all, but {in_list} in {list}"
            );
        }
        Ok(())
    }

    /// Demands that nothing was missed and that all sums agree.
    ///
    /// # Errors
    ///
    /// What does not.
    pub fn expect_complete(&self) -> Result<()> {
        for cause in ["lost", "faults", "torn", "truncated"] {
            let count = self.number(&format!("quality/{cause}"))?;
            ensure!(
                count == 0,
                "{count} operations are {cause}: {}",
                self.json["quality"]
            );
        }
        let total = sum(&self.operations);
        let by_type: u64 = self.by_type.values().map(sum).sum();
        ensure!(
            total == by_type,
            "{total} operations in all, but {by_type} by type"
        );
        let seen = self.number("quality/operations")?;
        ensure!(
            total == seen,
            "{total} operations in rows, but {seen} were seen"
        );
        Ok(())
    }
}

/// Adds rows to rows.
pub fn add_rows(into: &mut Rows, rows: &Rows) {
    for (kind, histogram) in rows {
        let into = into.entry(kind.clone()).or_default();
        for (bucket, count) in histogram {
            *into.entry(*bucket).or_default() += count;
        }
    }
}

/// All operations of some rows.
#[must_use]
pub fn sum(rows: &Rows) -> u64 {
    rows.values().flat_map(BTreeMap::values).sum()
}

/// Reads rows, and checks each against itself.
///
/// # Errors
///
/// They are not as the contract says, or a row contradicts itself.
pub fn rows(json: &Value) -> Result<Rows> {
    let mut rows = Rows::new();
    for row in json.as_array().context("rows that are no list")? {
        let word = |name: &str| {
            row[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("a row without {name}: {row}"))
        };
        let kind = Kind {
            op: word("op")?,
            outcome: word("outcome")?,
            class: word("class")?,
        };
        let histogram = histogram(row).with_context(|| format!("in {row:.500}"))?;
        ensure!(
            rows.insert(kind.clone(), histogram).is_none(),
            "two rows of {kind:?}"
        );
    }
    Ok(rows)
}

fn histogram(row: &Value) -> Result<Histogram> {
    let count = row["count"].as_u64().context("no count")?;
    ensure!(count > 0, "a row without operations");
    let mut histogram = Histogram::new();
    let mut end = 0;
    for entry in row["depth"]["histogram"]
        .as_array()
        .context("no histogram")?
    {
        let field = |name: &str| entry[name].as_u64().with_context(|| format!("no {name}"));
        let (from, to, count) = (field("from")?, field("to")?, field("count")?);
        ensure!(bucket(from) == (from, to), "a bucket from {from} to {to}");
        ensure!(count > 0, "an empty bucket from {from} to {to}");
        ensure!(histogram.is_empty() || from > end, "buckets out of order");
        end = to;
        histogram.insert((from, to), count);
    }
    let total: u64 = histogram.values().sum();
    ensure!(
        total == count,
        "a count of {count} and {total} in the histogram"
    );
    statistics(&row["depth"], &histogram, total)?;
    Ok(histogram)
}

/// Checks mean, percentiles and maximum against the histogram.
fn statistics(depth: &Value, histogram: &Histogram, total: u64) -> Result<()> {
    let number = |name: &str| depth[name].as_f64().with_context(|| format!("no {name}"));
    let weigh = |side: fn(&(u64, u64)) -> u64| -> f64 {
        histogram
            .iter()
            .map(|(bucket, count)| side(bucket) as f64 * *count as f64)
            .sum::<f64>()
            / total as f64
    };
    let (low, high, mean) = (weigh(|b| b.0), weigh(|b| b.1), number("mean")?);
    ensure!(
        mean >= low - 0.01 && mean <= high + 0.01,
        "a mean of {mean}, where {low} to {high} is possible"
    );
    let last = histogram.keys().next_back().context("an empty histogram")?;
    let max = number("max")?;
    ensure!(
        max >= last.0 as f64 && max <= last.1 as f64,
        "a maximum of {max}, not in {last:?}"
    );
    for (name, part) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
        let value = number(name)?;
        // Whichever way a percentile is rounded, it lies between the neighbours of its place.
        let place = part * total as f64;
        let low = bucket_at(histogram, (place - 1.0).max(0.0)).0;
        let high = bucket_at(histogram, place + 1.0).1;
        ensure!(
            value >= low as f64 && value <= high as f64,
            "{name} is {value}, where {low} to {high} is possible"
        );
    }
    Ok(())
}

/// The bucket of the operation at a place, when all are in order of depth.
fn bucket_at(histogram: &Histogram, place: f64) -> (u64, u64) {
    let mut before = 0;
    let mut found = (0, 0);
    for (bucket, count) in histogram {
        found = *bucket;
        before += count;
        if before as f64 >= place {
            break;
        }
    }
    found
}

/// The addresses of all sites in what `map-probe sites --format json` says.
///
/// # Errors
///
/// It is not that.
pub fn site_addresses(plan: &str) -> Result<Vec<u64>> {
    let plan: Value = serde_json::from_str(plan)?;
    let functions = plan["functions"].as_array().context("no functions")?;
    let sites = functions
        .iter()
        .filter_map(|function| function["sites"].as_array());
    sites
        .flatten()
        .map(|site| {
            let address = site["address"].as_str().context("no address")?;
            Ok(u64::from_str_radix(address.trim_start_matches("0x"), 16)?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_exact_up_to_16_and_powers_of_two_above() {
        let first_depths: Vec<_> = [1, 2, 16, 17, 32, 33, 64, 65, 1000].map(bucket).into();
        let expected = [
            (1, 1),
            (2, 2),
            (16, 16),
            (17, 32),
            (17, 32),
            (33, 64),
            (33, 64),
            (65, 128),
            (513, 1024),
        ];
        assert_eq!(first_depths, expected);
    }

    #[test]
    fn a_row_that_contradicts_itself_is_an_error() {
        let row = |count: u64, max: u64, p50: u64| {
            serde_json::json!([{"op": "lookup", "outcome": "hit", "class": "table", "count": count,
                "depth": {"mean": 1.25, "p50": p50, "p90": 2, "p99": 2, "p999": 2, "max": max,
                "histogram": [{"from": 1, "to": 1, "count": 30}, {"from": 2, "to": 2, "count": 10}]}}])
        };
        assert!(rows(&row(40, 2, 1)).is_ok());
        assert!(rows(&row(41, 2, 1)).is_err());
        assert!(rows(&row(40, 3, 1)).is_err());
        assert!(rows(&row(40, 2, 2)).is_err());
    }
}
