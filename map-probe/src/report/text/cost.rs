//! What the watching cost: the end of every report.

use super::line::{Ink, Style, paragraph};
use super::numbers::{compact, exact, percent};
use super::plural;
use crate::report::model::{Cost, Mode, Report};

/// What it cost the target, and what it cost beside; nothing if that is not known.
pub(super) fn cost(report: &Report, style: Style) -> String {
    let Some(cost) = report.cost else {
        return String::new();
    };
    let lines = [
        (Ink::Plain, attached(report, cost)),
        (ink(cost), slowdown(cost)),
        (Ink::Plain, own(report, cost)),
    ];
    let lines = lines.iter().enumerate().map(|(index, (ink, text))| {
        let label = if index == 0 { "cost" } else { "" };
        paragraph(style, (Ink::Faint, label), 14, *ink, text)
    });
    lines.collect()
}

fn attached(report: &Report, cost: Cost) -> String {
    let share = report.attached_share();
    let time = if share >= 1.0 {
        "probes attached all the time".to_owned()
    } else {
        let windows = plural(cost.windows, "window");
        format!(
            "probes attached {} of the time, in {windows}",
            percent(share)
        )
    };
    let each = cost.ns_per_trap.map_or(String::new(), |ns| {
        format!(" of {} ns", compact(ns.round()))
    });
    match (report.mode, cost.traps) {
        (Mode::Sample, samples) => {
            let samples = exact(samples.unwrap_or(0));
            format!("no probes, no traps: {samples} samples{each}")
        }
        (Mode::Trace, Some(traps)) => format!("{time}: {} traps{each}", exact(traps)),
        (Mode::Trace, None) => {
            format!("{time}; operations that the filter leaves out were trapped, too")
        }
    }
}

fn slowdown(cost: Cost) -> String {
    let bound = cost
        .bound
        .map_or("no bound was asked for".to_owned(), |bound| {
            format!("the bound is {}", percent(bound))
        });
    match cost.slowdown {
        Some(slowdown) => format!(
            "target slowed down by an estimated {}; {bound}",
            percent(slowdown)
        ),
        None => format!("how much the target was slowed down is not measured; {bound}"),
    }
}

/// An estimate over the bound is not hidden.
fn ink(cost: Cost) -> Ink {
    match (cost.slowdown, cost.bound) {
        (Some(slowdown), Some(bound)) if slowdown > bound => Ink::Bad,
        _ => Ink::Plain,
    }
}

fn own(report: &Report, cost: Cost) -> String {
    let share = if report.seconds > 0.0 {
        cost.cpu_seconds / report.seconds
    } else {
        0.0
    };
    let megabytes = cost.resident_bytes as f64 / 1e6;
    format!(
        "map-probe itself: {} of one CPU, {megabytes:.1} MB of memory",
        percent(share)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn words(cost: Cost, attached_seconds: f64) -> String {
        let mut report = sample::report();
        report.attached_seconds = attached_seconds;
        report.cost = Some(cost);
        let text = super::cost(&report, Style::plain(true));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_price_of_windows_is_said_against_the_bound() {
        assert_eq!(
            words(sample::cost(), 0.1),
            "cost probes attached 1% of the time, in 200 windows: 140,000 traps of 713 ns \
             target slowed down by an estimated 0.95%; the bound is 1% \
             map-probe itself: 0.5% of one CPU, 12.3 MB of memory"
        );
    }

    #[test]
    fn what_is_not_measured_is_not_claimed() {
        let cost = Cost {
            ns_per_trap: None,
            slowdown: None,
            bound: None,
            ..sample::cost()
        };
        assert_eq!(
            words(cost, 10.0),
            "cost probes attached all the time: 140,000 traps \
             how much the target was slowed down is not measured; no bound was asked for \
             map-probe itself: 0.5% of one CPU, 12.3 MB of memory"
        );
    }
}
