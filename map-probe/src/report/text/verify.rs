//! What `map-probe verify` found, for people.

use super::line::printable;
use super::numbers::exact;
use crate::report::verify::{Conclusion, Difference, FunctionResult, Report};
use crate::report::words;

/// What the comparing costs the target, in every report: who verifies production should know.
const PRICE: &str =
    "each compared operation cost the target two traps, one of them single-stepped: about 20 µs";

/// The report.
#[must_use]
pub fn verify(report: &Report, unicode: bool) -> String {
    let target = &report.target;
    let mut text = format!(
        "verify: {} (pid {}, {}, {} maps), {:.1} s\n\n",
        printable(&target.exe, unicode),
        target.pid,
        target.go,
        target.layout,
        report.seconds
    );
    let sum = report.sum();
    let (ran, idle): (Vec<_>, Vec<_>) = report.functions.iter().partition(|function| {
        function.compared + function.moved + function.changed + function.unread > 0
    });
    if !ran.is_empty() {
        text += &row(
            "map function",
            ["compared", "same slot", "both absent", "differed"],
        );
        for function in ran.into_iter().chain([&sum]) {
            text += &result(function);
        }
        text.push('\n');
    }
    let idle: Vec<_> = idle
        .iter()
        .map(|function| short(&function.function))
        .collect();
    if !idle.is_empty() && sum.compared > 0 {
        let idle = idle.join(", ");
        text.extend(["  not called, or on small maps only: ", &idle, "\n"]);
    }
    for (function, reason) in target.not_covered.iter().chain(&report.left_out) {
        let line = format!("  not covered: {function}: {reason}\n");
        text += &printable(line.trim_end(), unicode);
        text.push('\n');
    }
    text += &not_compared(report, &sum);
    if let Some(fate) = target.ended {
        text.extend(["  the command ended ", &words::ended(fate), "\n"]);
    }
    for difference in &report.differences {
        text += &shown(difference, unicode);
    }
    if sum.compared > 0 {
        text.extend(["  ", PRICE, "\n"]);
    }
    text + &conclusion(report, &sum)
}

/// Operations that a site saw, and that are not among the compared.
fn not_compared(report: &Report, sum: &FunctionResult) -> String {
    let quality = &report.quality;
    let causes = [
        (sum.moved, "their full small map became a table as they ran"),
        (
            sum.changed,
            "their map was changed under the walk, by a data race or from outside",
        ),
        (sum.unread, "memory could not be read when they returned"),
        (quality.lost, "a table of the kernel side had no room"),
        (quality.faults, "memory could not be read"),
        (quality.torn, "the map changed while it was walked"),
        (
            quality.truncated,
            "the walk reached its bound, or keys cannot be compared",
        ),
    ];
    let mut text = String::new();
    for (count, why) in causes.into_iter().filter(|(count, _)| *count > 0) {
        text.extend(["  ", &exact(count), " not compared: ", why, "\n"]);
    }
    text
}

fn shown(difference: &Difference, unicode: bool) -> String {
    let Difference {
        function,
        r#type,
        op,
        outcome,
        class,
        map,
        hash,
        walked,
        returned,
        returned_found,
        entries: (before, after),
    } = difference;
    let typ = printable(
        r#type.as_deref().unwrap_or("a type without a name"),
        unicode,
    );
    let said = match returned_found {
        Some(found) => format!(", {found}"),
        None => String::new(),
    };
    format!(
        "  DIFFERS: {function} on {typ} {map}, hash {hash}:\n    \
         the walk says {op} {outcome} ({class}), element {walked}; \
         the runtime returned {returned}{said}; entries {before} before, {after} after\n"
    )
}

fn conclusion(report: &Report, sum: &FunctionResult) -> String {
    let compared = exact(sum.compared);
    match report.conclusion() {
        Conclusion::Same => format!("VERIFIED: {compared} operations compared, none differed\n"),
        Conclusion::Different => format!(
            "DIFFERENT: {} of {compared} operations compared differed; please report this with the lines above\n",
            exact(sum.different)
        ),
        Conclusion::Nothing => format!(
            "NOTHING COMPARED: in {:.1} s no operation reached a probe, so nothing is verified\n\
             hint: give the program something to do, or a longer --duration\n",
            report.seconds
        ),
    }
}

fn result(function: &FunctionResult) -> String {
    let counts = [
        function.compared,
        function.same_slot,
        function.both_absent,
        function.different,
    ];
    let counts = counts.map(exact);
    row(
        &short(&function.function),
        counts.each_ref().map(String::as_str),
    )
}

fn row(name: &str, [compared, same, absent, differed]: [&str; 4]) -> String {
    format!("  {name:<24} {compared:>13} {same:>13} {absent:>13} {differed:>9}\n")
}

/// `mapassign_fast64`, `(*Map).Delete`: a symbol without its package.
fn short(symbol: &str) -> String {
    let without = symbol
        .strip_prefix("internal/runtime/maps.")
        .or_else(|| symbol.strip_prefix("runtime."));
    without.unwrap_or(symbol).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Quality;
    use crate::report::sample;

    fn report(different: u64) -> Report {
        let function = |name: &str, same_slot, both_absent, different| FunctionResult {
            function: name.to_owned(),
            compared: same_slot + both_absent + different,
            same_slot,
            both_absent,
            different,
            ..FunctionResult::default()
        };
        let difference = Difference {
            function: "runtime.mapaccess2_fast64".to_owned(),
            r#type: Some("map[int]bool".to_owned()),
            op: "lookup",
            outcome: "hit",
            class: "table",
            map: "0xc000010000".to_owned(),
            hash: "0x1".to_owned(),
            walked: "0xc000020008".to_owned(),
            returned: "0x5cd000".to_owned(),
            returned_found: Some(false),
            entries: (9, 9),
        };
        Report {
            target: sample::report().target,
            seconds: 5.0,
            functions: vec![
                function("runtime.mapaccess2_fast64", 1_234_567, 89, different),
                function("internal/runtime/maps.(*Map).Delete", 0, 0, 0),
            ],
            left_out: Vec::new(),
            differences: vec![difference; usize::from(different > 0)],
            quality: Quality {
                truncated: 3,
                ..Quality::default()
            },
        }
    }

    #[test]
    fn no_difference_is_said_last_and_what_was_not_compared_before() {
        let text = verify(&report(0), true);
        assert!(
            text.contains(
                "\n  mapaccess2_fast64            1,234,656     1,234,567            89         0\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("  not called, or on small maps only: (*Map).Delete\n"),
            "{text}"
        );
        assert!(
            text.contains("  not covered: runtime.mapassign_fast64ptr: no instruction"),
            "{text}"
        );
        assert!(text.contains("  3 not compared: "), "{text}");
        assert!(
            text.ends_with("\nVERIFIED: 1,234,656 operations compared, none differed\n"),
            "{text}"
        );
    }

    #[test]
    fn differences_are_shown() {
        let text = verify(&report(2), true);
        assert!(
            text.contains("DIFFERS: runtime.mapaccess2_fast64 on map[int]bool 0xc000010000"),
            "{text}"
        );
        assert!(text.contains("returned 0x5cd000, false"), "{text}");
        assert!(
            text.contains("DIFFERENT: 2 of 1,234,658 operations"),
            "{text}"
        );
        assert!(!text.contains("VERIFIED"), "{text}");
    }

    #[test]
    fn nothing_compared_does_not_look_like_success() {
        let mut report = report(0);
        report.functions.clear();
        let text = verify(&report, true);
        assert!(text.contains("\nNOTHING COMPARED: "), "{text}");
        assert!(text.contains("\nhint: "), "{text}");
        assert!(!text.contains("VERIFIED"), "{text}");
    }
}
