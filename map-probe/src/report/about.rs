//! What a report is about, in lines of words, for formats that have comments.

use super::model::{Mode, Quality, Report};
use super::words;

/// Whom it is about, how it was measured, and what may be missing.
#[must_use]
pub fn all(report: &Report) -> Vec<String> {
    let mut lines = target(report);
    lines.extend(counts(report));
    lines
}

/// Whom it is about: known from the start.
#[must_use]
pub fn target(report: &Report) -> Vec<String> {
    let target = &report.target;
    let mut lines = vec![
        format!(
            "target: {} (pid {}), {}, {} maps, {}",
            target.exe, target.pid, target.go, target.layout, target.arch
        ),
        format!("map-probe: {}", env!("CARGO_PKG_VERSION")),
    ];
    if let Some(assumed) = &target.assumed {
        lines.push(format!("note: {}", words::assumed(&target.go, assumed)));
    }
    if target.untested {
        lines.push(format!("untested: {}", words::UNTESTED));
    }
    lines
}

/// What may be missing: known at the end.
#[must_use]
pub fn counts(report: &Report) -> Vec<String> {
    let attached = format!(
        "attached {:.3} s of {:.3} s",
        report.attached_seconds, report.seconds
    );
    let mode = match report.mode {
        Mode::Trace => "operations trapped",
        Mode::Sample => "samples of CPU time, not operations",
    };
    let mut lines = vec![
        format!("mode: {mode}; {attached}"),
        format!("quality: {}", quality(&report.counts.quality)),
    ];
    if !report.small_counted {
        lines.push("small maps: not all operations; some end before they reach a probe".to_owned());
    }
    for (function, reason) in &report.target.not_covered {
        lines.push(format!("not covered: {function}: {reason}"));
    }
    for note in &report.target.notes {
        lines.push(format!("note: {note}"));
    }
    if let Some(fate) = report.target.ended {
        lines.push(format!("the command ended {}", words::ended(fate)));
    }
    lines
}

/// A line with what would end it or hide in it made visible.
#[must_use]
pub fn one_line(text: &str) -> String {
    let characters = text.chars();
    characters
        .map(|character| {
            if character.is_control() {
                '?'
            } else {
                character
            }
        })
        .collect()
}

fn quality(quality: &Quality) -> String {
    let Quality {
        lost,
        faults,
        torn,
        truncated,
    } = *quality;
    if quality.missing() == 0 {
        return "no operation seen is missing".to_owned();
    }
    format!("missing: {lost} lost, {faults} faults, {torn} torn, {truncated} truncated")
}
