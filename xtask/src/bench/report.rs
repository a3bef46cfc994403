//! What map-probe's own report has to say for a measurement to count.

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

/// The type of the target's map, as Go prints it.
const MAP: &str = "map[uint64]uint64";

/// An error unless the report shows what the bench is about: lookups that hit at depth 1 in a table, nothing lost.
pub(super) fn check(report: &Value) -> Result<()> {
    for counter in ["lost", "faults", "torn", "truncated"] {
        let count = report["quality"][counter].as_u64();
        if count != Some(0) {
            bail!("quality counter `{counter}` is {count:?}");
        }
    }
    let types = report["by_type"]
        .as_array()
        .ok_or_else(|| anyhow!("no `by_type`"))?;
    let map = types
        .iter()
        .find(|entry| entry["type"] == MAP)
        .ok_or_else(|| anyhow!("no {MAP}"))?;
    let rows = map["operations"]
        .as_array()
        .ok_or_else(|| anyhow!("no `operations`"))?;
    for row in rows {
        if (
            row["op"].as_str(),
            row["outcome"].as_str(),
            row["class"].as_str(),
        ) != (Some("lookup"), Some("hit"), Some("table"))
        {
            bail!("there are other operations: {row}");
        }
        if row["depth"]["max"] != 1 || row["count"].as_u64().unwrap_or(0) < 1000 {
            bail!("not all lookups end at depth 1, or there are too few: {row}");
        }
    }
    if rows.is_empty() {
        bail!("no lookups of {MAP}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({
            "quality": {"operations": 5000, "lost": 0, "faults": 0, "torn": 0, "truncated": 0},
            "by_type": [{"type": "map[uint64]uint64", "operations": [
                {"op": "lookup", "outcome": "hit", "class": "table", "count": 5000, "depth": {"max": 1}}
            ]}]
        })
    }

    #[test]
    fn a_report_of_lookups_at_depth_1_is_what_is_measured() {
        check(&report()).expect("as it should be");
    }

    #[test]
    fn a_report_that_lost_operations_is_refused() {
        let mut report = report();
        report["quality"]["lost"] = json!(3);
        let error = check(&report).expect_err("3 lost");
        assert!(error.to_string().contains("lost"), "{error}");
    }

    #[test]
    fn a_report_with_deeper_lookups_is_refused() {
        let mut report = report();
        report["by_type"][0]["operations"][0]["depth"]["max"] = json!(2);
        assert!(check(&report).is_err());
    }

    #[test]
    fn a_report_without_the_map_is_refused() {
        let mut report = report();
        report["by_type"] = json!([]);
        assert!(check(&report).is_err());
    }
}
