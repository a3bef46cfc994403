//! Where the operations are that could not be walked, and whether most samples are of one search that does not end.

use map_probe_common::quality::Cause;

use super::line::{Ink, Style, paragraph};
use super::numbers::exact;
use super::plural;
use crate::report::counts::FailureRow;
use crate::report::model::{Report, Samples};
use crate::report::words;

const LABEL: usize = 14;
/// So many places are named.
const SHOWN: usize = 3;

/// Below the line of quality: the places where there were most.
pub(super) fn failures(report: &Report, style: Style) -> String {
    let shown = report.counts.failures.iter().take(SHOWN);
    let lines = shown.map(|row| {
        let text = format!(
            "{} {} {}",
            exact(row.count),
            words::cause(row.cause),
            place(row)
        );
        paragraph(style, (Ink::Faint, ""), LABEL, Ink::Bad, &text)
    });
    lines.collect()
}

/// That most samples in map operations are of one search that does not end, if they are.
pub(super) fn endless(report: &Report, samples: &Samples, style: Style) -> String {
    let met = samples.in_map_functions() + samples.in_callees();
    let is_endless = |row: &&FailureRow| matches!(row.cause, Cause::Endless | Cause::Bound);
    let Some(row) = report.counts.failures.iter().find(is_endless) else {
        return String::new();
    };
    if row.count * 2 <= met {
        return String::new();
    }
    let why = match row.cause {
        Cause::Endless => "no group of its table has an empty slot",
        _ => "it takes more steps than a sample can follow",
    };
    let text = format!(
        "{} of {} in map operations are in one search that does not end ({why}) {}",
        exact(row.count),
        plural(met, "sample"),
        place(row)
    );
    paragraph(style, (Ink::Faint, "stuck"), LABEL, Ink::Bad, &text)
}

fn place(row: &FailureRow) -> String {
    let typ = row.typ.as_deref().unwrap_or("a map of unknown type");
    let frame = row.frames.as_ref().and_then(|frames| frames.first());
    let site = frame.map_or("a call site that is not known".to_owned(), |frame| {
        let file = frame.file.rsplit('/').next().unwrap_or_default();
        format!("{} ({file}:{})", frame.function, frame.line)
    });
    format!("on {typ} at {site}")
}
