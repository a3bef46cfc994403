//! What map-probe's own report has to say for a measurement to count.

use super::trace::Operation;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// An error unless the report shows what the bench is about: nothing lost, everything at depth 1 in a table, and of each
/// kind of operation that was done enough, and the one that its map is for.
pub(super) fn check(report: &Value, operations: &[Operation]) -> Result<()> {
    for counter in ["lost", "faults", "torn", "truncated"] {
        let count = report["quality"][counter].as_u64();
        if count != Some(0) {
            bail!("quality counter `{counter}` is {count:?}");
        }
    }
    let types = report["by_type"]
        .as_array()
        .ok_or_else(|| anyhow!("no `by_type`"))?;
    let mut found = 0;
    for operation in operations {
        let Some(map) = types.iter().find(|entry| entry["type"] == operation.typ) else {
            continue;
        };
        found += 1;
        let rows = map["operations"]
            .as_array()
            .ok_or_else(|| anyhow!("no `operations`"))?;
        check_rows(rows, operation).with_context(|| operation.typ.to_owned())?;
    }
    if found == 0 {
        bail!("none of the bench's maps");
    }
    Ok(())
}

fn check_rows(rows: &[Value], operation: &Operation) -> Result<()> {
    let mut counted = 0;
    for row in rows {
        let kind = (row["op"].as_str(), row["outcome"].as_str());
        let (op, outcome) = operation.kind;
        let count = row["count"].as_u64().unwrap_or(0);
        if row["class"] != "table" || row["depth"]["max"] != 1 {
            bail!("not all operations are on a table and end at depth 1: {row}");
        }
        if kind == (Some(op), Some(outcome)) {
            counted += count;
        } else if (op, kind) != ("delete", (Some("insert"), Some("new"))) {
            // What was deleted is put back, off the clock.
            bail!("there are other operations: {row}");
        }
    }
    if counted < 1000 {
        bail!("only {counted} operations");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::trace::LOOKUP;
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
        check(&report(), &[LOOKUP]).expect("as it should be");
    }

    #[test]
    fn a_report_that_lost_operations_is_refused() {
        let mut report = report();
        report["quality"]["lost"] = json!(3);
        let error = check(&report, &[LOOKUP]).expect_err("3 lost");
        assert!(error.to_string().contains("lost"), "{error}");
    }

    #[test]
    fn a_report_with_deeper_other_or_too_few_lookups_is_refused() {
        for (field, value) in [
            ("depth", json!({"max": 2})),
            ("outcome", json!("miss")),
            ("class", json!("small")),
            ("count", json!(999)),
        ] {
            let mut report = report();
            report["by_type"][0]["operations"][0][field] = value;
            assert!(check(&report, &[LOOKUP]).is_err(), "{field}");
        }
    }

    #[test]
    fn a_report_without_the_map_is_refused() {
        let mut report = report();
        report["by_type"] = json!([]);
        assert!(check(&report, &[LOOKUP]).is_err());
    }
}
