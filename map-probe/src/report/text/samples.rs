//! What a report of samples says beside its rows: where the CPU time went, and what is not known of it.

use map_probe_common::op::Class;

use super::failures::{endless, failures};
use super::line::{Ink, Line, Style, paragraph, shorten_middle};
use super::numbers::{exact, share};
use super::plural;
use crate::report::model::{Report, Samples};

const LABEL: usize = 14;
const COUNT: usize = 14;
const SHARE: usize = 8;
const DEPTH_KNOWN: usize = 14;
const INDENT: usize = 2;

/// The functions, then the shares of the whole, then what could not be walked.
pub(super) fn samples(report: &Report, samples: &Samples, style: Style) -> String {
    functions(samples, style)
        + &shares(report, samples, style)
        + &endless(report, samples, style)
        + &quality(report, style)
        + &failures(report, style)
}

/// The map functions that took time.
fn functions(samples: &Samples, style: Style) -> String {
    let met = samples.met();
    if met.is_empty() {
        return String::new();
    }
    let name = style
        .width
        .saturating_sub(INDENT + COUNT + SHARE + DEPTH_KNOWN);
    let mut text = Line::new(style)
        .blank(INDENT)
        .left_in(Ink::Faint, name, "map functions")
        .right(Ink::Faint, COUNT, "samples")
        .right(Ink::Faint, SHARE, "of all")
        .right(Ink::Faint, DEPTH_KNOWN, "depth known")
        .end();
    for row in met {
        text += &Line::new(style)
            .blank(INDENT)
            .left_in(
                Ink::Plain,
                name,
                &shorten_middle(&row.function, name, style),
            )
            .right(Ink::Plain, COUNT, &exact(row.total()))
            .right(Ink::Plain, SHARE, &share(row.total(), samples.total))
            .right(Ink::Plain, DEPTH_KNOWN, &share(row.walked, row.total()))
            .end();
    }
    text.push('\n');
    text
}

/// What the samples are shares of.
fn shares(report: &Report, samples: &Samples, style: Style) -> String {
    let in_operations = samples.in_map_functions() + samples.in_callees();
    let small = report.counts.operations.total_of(Class::Small);
    let total = samples.total;
    let lines = [
        (
            "CPU time",
            format!(
                "{} in map operations ({} of it in what map functions call); in the kernel {}",
                share(in_operations, total),
                share(samples.in_callees(), in_operations),
                share(samples.kernel, total),
            ),
        ),
        (
            "small maps",
            format!(
                "{} of the CPU time: there is nothing to probe",
                share(small, total)
            ),
        ),
        (
            "unknown",
            format!(
                "depth of {} of the CPU time: inserts and deletes that had done their work, growing, keys hashed in parts",
                share(samples.depth_unknown(), total)
            ),
        ),
        (
            "",
            "samples are shares of CPU time: a slow operation is met more often than a fast one"
                .to_owned(),
        ),
    ];
    let lines = lines.iter();
    lines
        .map(|(label, text)| paragraph(style, (Ink::Faint, label), LABEL, Ink::Plain, text))
        .collect()
}

fn quality(report: &Report, style: Style) -> String {
    let missing = report.counts.quality;
    let label = (Ink::Faint, "quality");
    if missing.missing() == 0 {
        return paragraph(style, label, LABEL, Ink::Good, "every walk came to its end");
    }
    let text = format!(
        "{} could not be walked: {} lost, {} faults, {} torn, {} truncated",
        plural(missing.missing(), "sample"),
        exact(missing.lost),
        exact(missing.faults),
        exact(missing.torn),
        exact(missing.truncated)
    );
    paragraph(style, label, LABEL, Ink::Bad, &text)
}
