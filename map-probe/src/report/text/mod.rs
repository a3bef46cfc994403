//! Reports for people: a block of text per interval, and one for the whole run.
//!
//! Nothing is wider than [`Style::width`]; type names are cut in the middle.

mod cost;
mod failures;
pub(crate) mod line;
pub(crate) mod numbers;
pub(crate) mod operations;
mod samples;
#[cfg(test)]
pub(crate) mod tests;
mod verify;
mod who;

use map_probe_common::op::{Class, Op};

use self::line::{Ink, Line, paragraph, shorten_middle};
use self::numbers::{compact, exact, seconds};
use super::counts::total;
use super::model::Report;
use super::words;

pub use self::line::Style;
pub use self::verify::verify;

/// The block of one interval.
#[must_use]
pub fn interval(report: &Report, style: Style) -> String {
    let from = (report.until_seconds - report.seconds).max(0.0);
    let window = format!(
        "{}{}{} s",
        seconds(from, report.seconds),
        style.pick("–", "-"),
        seconds(report.until_seconds, report.seconds)
    );
    block(report, &window, style.pick("─", "-"), style) + &cost::cost(report, style) + "\n"
}

/// The block of the whole run, with what was and was not covered, and what it cost.
#[must_use]
pub fn whole_run(report: &Report, style: Style) -> String {
    let window = format!("whole run, {} s", seconds(report.seconds, report.seconds));
    let mut text = block(report, &window, style.pick("━", "="), style);
    text.push('\n');
    text + &target(report, style) + &cost::cost(report, style)
}

fn block(report: &Report, window: &str, rule: &str, style: Style) -> String {
    let mut text = header(report, window, rule, style);
    text.push('\n');
    text += &operations::operations(report, style);
    for table in [
        who::types(report, style),
        who::sites(report, style),
        who::maps(report, style),
        who::stacks(report, style),
    ] {
        if !table.is_empty() {
            text.push('\n');
            text += &table;
        }
    }
    text.push('\n');
    text += &filter(report, style);
    match &report.counts.samples {
        Some(samples) => text + &samples::samples(report, samples, style),
        None => {
            text + &small(report, style)
                + &quality(report, style)
                + &failures::failures(report, style)
        }
    }
}

/// When, whom, how much, how fast; a rule to the end of the line.
fn header(report: &Report, window: &str, rule: &str, style: Style) -> String {
    let (what, how_often) = if let Some(samples) = &report.counts.samples {
        let frequency = format!("{} Hz ", samples.frequency);
        (plural(samples.total, "sample"), frequency)
    } else {
        let operations = report.counts.operations.total();
        let rate = report.per_second(operations);
        let rate = rate.map_or("-".to_owned(), compact);
        (plural(operations, "operation"), format!("{rate}/s "))
    };
    let dot = format!(" {} ", style.pick("·", "|"));
    let name = report.target.exe.rsplit('/').next().unwrap_or_default();
    let line = Line::new(style)
        .push(Ink::Faint, &rule.repeat(2))
        .push(Ink::Strong, &format!(" {window}"))
        .push(Ink::Faint, &dot)
        .push(Ink::Strong, &shorten_middle(name, 20, style))
        .push(Ink::Faint, &format!(" ({})", report.target.pid))
        .push(Ink::Faint, &dot)
        .push(Ink::Strong, &what)
        .push(Ink::Faint, &dot)
        .push(Ink::Strong, &how_often);
    let rest = rule.repeat(line.left());
    line.push(Ink::Faint, &rest).end()
}

/// What the report is limited to.
fn filter(report: &Report, style: Style) -> String {
    let filters = report.filters.iter();
    let filters: Vec<_> = filters
        .map(|(option, value)| format!("{option} {value}"))
        .collect();
    if filters.is_empty() {
        return String::new();
    }
    let text = format!("only {}", filters.join("; "));
    paragraph(style, (Ink::Faint, "filter"), 14, Ink::Strong, &text)
}

/// Operations on small maps, in a line: there is nothing to probe.
fn small(report: &Report, style: Style) -> String {
    let label = (Ink::Faint, "small maps");
    let rows: Vec<_> = report.counts.operations.of(Class::Small).collect();
    let mut parts = Vec::new();
    for op in [Op::Lookup, Op::Insert, Op::Delete] {
        let of_op: Vec<_> = rows
            .iter()
            .filter(|((of, ..), _)| *of == op)
            .map(|((_, outcome, _), depths)| {
                format!(
                    "{} {}",
                    exact(total(depths.clone())),
                    words::outcome(op, *outcome)
                )
            })
            .collect();
        if !of_op.is_empty() {
            parts.push(format!("{} {}", words::op(op), of_op.join(", ")));
        }
    }
    let text = match (parts.join("; "), report.small_counted) {
        (none, true) if none.is_empty() => "no operations".to_owned(),
        (none, false) if none.is_empty() => {
            "none seen (some end before they reach a probe)".to_owned()
        }
        (parts, true) => parts,
        (parts, false) => format!("{parts} (not all: some end before they reach a probe)"),
    };
    paragraph(style, label, 14, Ink::Plain, &text)
}

/// That the counts are exact, or each cause why they are not.
fn quality(report: &Report, style: Style) -> String {
    let label = (Ink::Faint, "quality");
    let quality = &report.counts.quality;
    let missing = quality.missing();
    let functions = report.target.not_covered.len();
    let which = if report.small_counted {
        ""
    } else {
        " on tables"
    };
    let unprobed = report.unprobed_seconds();
    if missing == 0 && functions == 0 && unprobed == 0.0 {
        let text = match &report.counts.estimates {
            Some(_) => format!(
                "{}: all operations{which} counted exactly",
                in_windows(report)
            ),
            None => format!("all operations{which} counted exactly"),
        };
        return paragraph(style, label, 14, Ink::Good, &text);
    }
    let mut causes = Vec::new();
    if report.counts.estimates.is_some() {
        causes.push(format!(
            "{}; depths are those of all operations",
            in_windows(report)
        ));
    }
    if missing > 0 {
        causes.push(format!(
            "{} seen but in no row:",
            plural(missing, "operation")
        ));
        let counters = [
            (
                quality.lost,
                "lost",
                "the kernel side had no room or no site for them",
            ),
            (
                quality.faults,
                "faults",
                "memory of the target could not be read",
            ),
            (quality.torn, "torn", "the map changed while it was walked"),
            (
                quality.truncated,
                "truncated",
                "bound of the walk reached, or keys not comparable",
            ),
        ];
        for (count, name, words) in counters {
            if count > 0 {
                causes.push(format!("{} {name} ({words})", exact(count)));
            }
        }
    }
    if unprobed > 0.0 {
        causes.push(format!(
            "for {unprobed:.3} s no probes were attached, as the process had begun to run another program: operations then not seen"
        ));
    }
    if functions > 0 {
        let rest = if missing == 0 {
            format!("; all others{which} counted exactly")
        } else {
            String::new()
        };
        let functions = plural(functions as u64, "map function");
        causes.push(format!(
            "{functions} not covered, operations there not seen{rest}"
        ));
    }
    let lines = causes.iter().enumerate().map(|(index, cause)| {
        let label = if index == 0 { label } else { (Ink::Faint, "") };
        paragraph(style, label, 14, Ink::Bad, cause)
    });
    lines.collect()
}

/// What the counts are of, where they are not of all the time.
fn in_windows(report: &Report) -> String {
    let windows = report.cost.map_or(0, |cost| cost.windows);
    match windows {
        0 if report.counts.operations.total() == 0 => {
            "no window yet: the bound on the slowdown allows the first only after a while"
                .to_owned()
        }
        0 => "in a window that began before".to_owned(),
        windows => format!("in {}", plural(windows, "window")),
    }
}

fn plural(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {noun}{s}", exact(count))
}

/// Whom the report is about, and which of its functions were probed.
fn target(report: &Report, style: Style) -> String {
    let target = &report.target;
    let facts = |label, ink, text: &str| paragraph(style, (Ink::Faint, label), 14, ink, text);
    let (exe, pid, go) = (&target.exe, target.pid, &target.go);
    let (layout, arch) = (target.layout, target.arch);
    let mut text = facts(
        "target",
        Ink::Plain,
        &format!("{exe} (pid {pid}), {go}, {layout} maps, {arch}"),
    );
    for (index, life) in target.lives.iter().enumerate() {
        let label = if index == 0 { "programs" } else { "" };
        let ink = if life.attached_seconds.is_some() {
            Ink::Plain
        } else {
            Ink::Bad
        };
        text += &facts(label, ink, &words::life(life));
    }
    if let Some(assumed) = &target.assumed {
        text += &facts("assumed", Ink::Bad, &words::assumed(go, assumed));
    }
    if target.untested {
        text += &facts("untested", Ink::Bad, words::UNTESTED);
    }
    if let Some(fate) = target.ended {
        let ink = if fate.is_success() {
            Ink::Plain
        } else {
            Ink::Bad
        };
        text += &facts("ended", ink, &words::ended(fate));
    }
    for note in &target.notes {
        text += &facts("note", Ink::Plain, note);
    }
    if !target.covered.is_empty() {
        text += &facts("covered", Ink::Plain, &target.covered.join(", "));
    }
    for (index, (function, reason)) in target.not_covered.iter().enumerate() {
        let label = if index == 0 { "not covered" } else { "" };
        text += &facts(label, Ink::Bad, &format!("{function}: {reason}"));
    }
    text
}
