//! Interval logs as the reader of `HdrHistogram`'s own project for Python has them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::go::build_dir;

/// Reads a log and prints its intervals as JSON, one a line.
const READER: &str = r#"
import json, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

log = HistogramLogReader(sys.argv[1], HdrHistogram(1, 2 ** 32, 3))
while True:
    interval = log.get_next_interval_histogram()
    if interval is None:
        break
    values = {item.value_iterated_to: item.count_at_value_iterated_to
              for item in interval.get_recorded_iterator()}
    print(json.dumps({"tag": interval.get_tag(), "values": values, "max": interval.get_max_value(),
                      "start": interval.get_start_time_stamp(), "end": interval.get_end_time_stamp()}))
"#;

/// One interval of a log.
#[derive(Clone, Debug)]
pub struct Interval {
    /// The kind of operation.
    pub tag: String,
    /// Operations by depth.
    pub depths: BTreeMap<u64, u64>,
    /// When it began and ended, in milliseconds.
    pub time: (f64, f64),
}

fn package() -> PathBuf {
    build_dir().join("tools/hdrhistogram")
}

/// Whether the reader is there; `false` with a message if not.
///
/// # Errors
///
/// The message cannot be written.
pub fn wanted() -> Result<bool> {
    let found = package().is_dir();
    if !found {
        writeln!(
            std::io::stderr(),
            "ignored: Python's package `hdrhistogram` is missing (cargo xtask test fetches it)"
        )?;
    }
    Ok(found)
}

/// All intervals of a log, in their order.
///
/// # Errors
///
/// The reader does not understand the log.
pub fn intervals(log: &Path) -> Result<Vec<Interval>> {
    let output = Command::new("python3")
        .args(["-c", READER])
        .arg(log)
        .env("PYTHONPATH", package())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the reader says {said}");
    let interval = |line: &str| {
        let json: Value = serde_json::from_str(line)?;
        let values = json["values"].as_object().context("no values")?;
        let depths = values.iter().map(|(depth, count)| {
            let count = count.as_u64().context("no count")?;
            Ok((depth.parse()?, count))
        });
        let depths: BTreeMap<u64, u64> = depths.collect::<Result<_>>()?;
        ensure!(
            json["max"].as_u64() == depths.keys().last().copied(),
            "{line}"
        );
        Ok(Interval {
            tag: json["tag"].as_str().context("no tag")?.to_owned(),
            depths,
            time: (
                json["start"].as_f64().context("no start")?,
                json["end"].as_f64().context("no end")?,
            ),
        })
    };
    String::from_utf8(output.stdout)?
        .lines()
        .map(interval)
        .collect()
}
