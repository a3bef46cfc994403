//! Interval logs, as the reader of `HdrHistogram`'s own project has them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use map_probe_tests::go::Go;
use map_probe_tests::hdrhistogram;
use map_probe_tests::kernel;
use map_probe_tests::profiler::Profiler;
use map_probe_tests::report::{Kind, Report, Rows, bucket};
use map_probe_tests::target::Target;

/// `lookup_hit`, `insert_new_small`.
fn kind(tag: &str) -> Result<Kind> {
    let mut words = tag.split('_');
    let mut word = || words.next().map(str::to_owned);
    Ok(Kind {
        op: word().context("no operation")?,
        outcome: word().context("no outcome")?,
        class: word().unwrap_or_else(|| "table".to_owned()),
    })
}

#[test]
fn every_depth_in_the_log_is_the_oracles() -> Result<()> {
    if !kernel::wanted()? || !hdrhistogram::wanted()? {
        return Ok(());
    }
    for go in [Go::V1_23, Go::V1_27] {
        let directory = tempfile::tempdir()?;
        let log = directory.path().join("depths.hlog");
        let output = log.to_str().context("a path")?;
        let mut target = Target::waiting(go, &["-n", "300"])?;
        let more = ["--output", output, "--interval", "20ms"];
        let logging = Profiler::attach(&target.pid(), "hlog", &more)?;
        // Another one beside it: both see every operation.
        let reporting = Profiler::attach(&target.pid(), "json", &[])?;
        target.begin()?;
        target.wait_done()?;
        for profiler in [&logging, &reporting] {
            profiler.interrupt()?;
        }
        logging.finish()?.success()?;
        let report = Report::parse(&reporting.finish()?.success()?.stdout)?;
        target.finish()?.expect_equal(&report)?;

        let intervals = hdrhistogram::intervals(&log)?;
        let mut found = Rows::new();
        let mut last: BTreeMap<&str, f64> = BTreeMap::new();
        for (index, interval) in intervals.iter().enumerate() {
            let row = found.entry(kind(&interval.tag)?).or_default();
            for (depth, count) in &interval.depths {
                *row.entry(bucket(*depth)).or_default() += count;
            }
            let (start, end) = interval.time;
            // Times are written in milliseconds. The last reading, of the run's end, may be less than one after that before it.
            let is_last = intervals[index + 1..]
                .iter()
                .all(|later| later.tag != interval.tag);
            let before = last.insert(&interval.tag, end).unwrap_or(0.0);
            ensure!(
                before - 1.5 <= start && (start < end || is_last && start <= end),
                "{interval:?} after {before}"
            );
        }
        ensure!(
            found == report.operations,
            "the log: {found:?}\nthe report: {:?}",
            report.operations
        );
        ensure!(intervals.len() > found.len(), "a single interval");
    }
    Ok(())
}
