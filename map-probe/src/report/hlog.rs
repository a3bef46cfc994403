//! Reports for the tools of `HdrHistogram`: an interval log, format 1.3, with a histogram of depths per interval and
//! kind of operation (<https://github.com/HdrHistogram/HdrHistogram>, `HistogramLogWriter`).
//!
//! A tag names the kind: `lookup_hit`, `insert_new` and so on for tables, the same with `_small` for small maps. Times
//! are seconds since the `BaseTime` of the head: when the probes were in place. The sum of all intervals is the run.

use std::io::{self, Write};
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};
use map_probe_common::op::Class;

use super::model::{Depths, Report, RowKey};
use super::{about, words};

/// Depths up to 2,000 are told apart, deeper ones to a thousandth.
const DIGITS: u8 = 3;

/// Writes the head: everything before the first interval.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_head(mut out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut head = IntervalLogWriterBuilder::new();
    head.add_comment(concat!(
        "[Logged with map-probe ",
        env!("CARGO_PKG_VERSION"),
        "]"
    ));
    head.add_comment("[Histogram log format version 1.3]");
    for line in about::target(report) {
        head.add_comment(&format!("[{}]", about::one_line(&line)));
    }
    head.add_comment("[Values are depths: buckets or groups examined]");
    head.with_start_time(report.started)
        .with_base_time(report.started)
        .begin_log_with(&mut out, &mut V2DeflateSerializer::new())?;
    out.write_all(
        b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
    )
}

/// Writes the histograms of one interval; kinds without operations have none.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_interval(mut out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let length = Duration::try_from_secs_f64(report.seconds).unwrap_or_default();
    let until = Duration::try_from_secs_f64(report.until_seconds).unwrap_or_default();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new().begin_log_with(&mut out, &mut serializer)?;
    for (kind, depths) in report.counts.operations.iter() {
        let Some(histogram) = histogram(depths) else {
            continue;
        };
        log.write_histogram(
            &histogram,
            until.saturating_sub(length),
            length,
            Tag::new(&tag(kind)),
        )
        .map_err(|error| match error {
            IntervalLogWriterError::IoError(error) => error,
            IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
        })?;
    }
    Ok(())
}

/// Writes what is only known at the end, as comments.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_end(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    for line in about::counts(report) {
        writeln!(out, "#[{}]", about::one_line(&line))?;
    }
    Ok(())
}

fn tag((op, outcome, class): RowKey) -> String {
    let small = match class {
        Class::Table => "",
        Class::Small => "_small",
    };
    format!("{}_{}{small}", words::op(op), words::outcome(op, outcome))
}

/// `None` without operations.
fn histogram(depths: Depths<'_>) -> Option<Histogram<u64>> {
    let mut histogram = Histogram::new(DIGITS).ok()?;
    histogram.auto(true);
    for (depth, operations) in depths {
        // Cannot fail: it grows as far as any depth.
        histogram.record_n(u64::from(depth), operations).ok()?;
    }
    (!histogram.is_empty()).then_some(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn log() -> String {
        let mut report = sample::report();
        let mut out = Vec::new();
        write_head(&mut out, &report).expect("memory can be written to");
        report.is_final = false;
        report.seconds = 0.5;
        write_interval(&mut out, &report).expect("memory can be written to");
        write_end(&mut out, &report).expect("memory can be written to");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_head_has_the_version_the_times_and_the_legend() {
        let log = log();
        for line in [
            "#[Histogram log format version 1.3]",
            "#[StartTime: 1700000000.000 (seconds since epoch)]",
            "#[BaseTime: 1700000000.000 (seconds since epoch)]",
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"",
        ] {
            assert!(log.lines().any(|found| found == line), "{line}: {log}");
        }
    }

    #[test]
    fn every_kind_of_operation_is_read_back_with_its_depths() {
        let log = log();
        let mut found = Vec::new();
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            let LogEntry::Interval(interval) = entry.expect("an entry") else {
                continue;
            };
            assert_eq!(interval.start_timestamp(), Duration::from_millis(9_500));
            assert_eq!(interval.duration(), Duration::from_millis(500));
            let bytes = base64(interval.encoded_histogram());
            let histogram: Histogram<u64> = Deserializer::new()
                .deserialize(&mut &*bytes)
                .expect("a histogram");
            let tag = interval.tag().expect("a tag").as_str().to_owned();
            let max = format!("{:.3}", interval.max());
            assert_eq!(max, format!("{}.000", histogram.max()), "{tag}");
            let depths: Vec<(u32, u64)> = histogram
                .iter_recorded()
                .map(|value| (value.value_iterated_to() as u32, value.count_at_value()))
                .collect();
            found.push((tag, depths));
        }
        let report = sample::report();
        let expected = report.counts.operations.iter();
        let expected: Vec<_> = expected
            .map(|(kind, depths)| (tag(kind), depths.collect::<Vec<_>>()))
            .collect();
        assert_eq!(found, expected);
        let tags: Vec<_> = found.iter().map(|(tag, _)| tag.as_str()).collect();
        assert_eq!(
            tags,
            [
                "lookup_hit",
                "lookup_hit_small",
                "lookup_miss",
                "insert_new"
            ]
        );
    }

    /// The definition (RFC 4648), so that no crate is needed for it.
    fn base64(text: &str) -> Vec<u8> {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
        for byte in text.bytes().filter(|byte| *byte != b'=') {
            let digit = DIGITS.iter().position(|digit| *digit == byte);
            bits = bits << 6 | digit.expect("a digit") as u32;
            count += 6;
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count) as u8);
            }
        }
        bytes
    }
}
