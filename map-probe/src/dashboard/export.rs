//! What is on the screen as JSON: a report of schema 1 with the rows of the page, and how the page was chosen.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::state::history::Strip;
use super::state::list::{List, Subject, Table, place};
use super::state::{Kind, Scope, State, Tab};
use crate::place::Draft;
use crate::report::model::{Counts, Report, Rows};
use crate::report::words;
use crate::report::{counts, json};

/// Files tried before giving up.
const NAMES: u32 = 10_000;

/// Writes what is on the screen to a new file in `directory`; its name.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(state: &State, directory: &Path) -> io::Result<String> {
    let document = document(state)?;
    let pid = state.report().target.pid;
    for number in 1..=NAMES {
        let name = format!("map-probe-{pid}-{number}.json");
        let path = directory.join(&name);
        if path.symlink_metadata().is_ok() {
            continue;
        }
        let mut draft = Draft::beside(&path)?;
        draft.write_all(&document)?;
        // Never follows a link, never overwrites.
        match draft.keep(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            kept => return kept.map(|()| name),
        }
    }
    Err(io::Error::other(format!(
        "there are {NAMES} exports here already"
    )))
}

fn document(state: &State) -> io::Result<Vec<u8>> {
    let mut report = Vec::new();
    json::write_document(&mut report, &shown(state))?;
    let mut document: Value = serde_json::from_slice(&report)?;
    if let Value::Object(fields) = &mut document {
        fields.insert("screen".to_owned(), screen(state));
        if state.opened().is_none() && matches!(state.tab(), Tab::Time | Tab::Overview) {
            fields.insert("history".to_owned(), history(state));
        }
    }
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    Ok(text)
}

/// The report with the rows of the page, in their order.
fn shown(state: &State) -> Report {
    let report = state.report();
    let kind = state.choice.kind;
    let counts = &report.counts;
    let mut shown = Counts {
        operations: only(&counts.operations, kind),
        estimates: counts.estimates.clone(),
        quality: counts.quality,
        ..Counts::default()
    };
    if state.opened().is_some() {
        shown.estimates = None;
        shown.operations = state
            .opened_rows()
            .map(|rows| only(rows, kind))
            .unwrap_or_default();
    }
    for table in state.tables() {
        match table.list {
            List::Types => shown.by_type = pick(&counts.by_type, table, kind),
            List::Maps => shown.by_map = pick(&counts.by_map, table, kind),
            List::Sites => shown.by_site = pick(&counts.by_site, table, kind),
            List::Stacks => shown.by_stack = pick(&counts.by_stack, table, kind),
        }
    }
    Report {
        is_final: state.ended && state.scope == Scope::Whole,
        counts: shown,
        ..report.clone()
    }
}

fn pick<T: counts::Entry>(
    rows: &counts::List<T>,
    table: &Table,
    kind: Option<Kind>,
) -> counts::List<T> {
    let rows = table.places().filter_map(|place| rows.get(place));
    let rows = rows.map(|row| Arc::new(row.with(only(row.rows(), kind))));
    Arc::new(rows.collect())
}

fn only(rows: &Rows, kind: Option<Kind>) -> Rows {
    let chosen = rows
        .iter()
        .filter(|((op, outcome, _), _)| kind.is_none_or(|kind| kind == (*op, *outcome)));
    let cells = chosen
        .flat_map(|(row, depths)| depths.map(move |(depth, operations)| (row, depth, operations)));
    cells.collect()
}

fn screen(state: &State) -> Value {
    let choice = &state.choice;
    json!({
        "page": state.tab().name().to_lowercase(),
        "opened": state.trail().iter().map(opened).collect::<Vec<_>>(),
        "time": match state.scope {
            Scope::Whole => "whole",
            Scope::Interval => "interval",
        },
        "reset_at_seconds": state.data().reset_seconds(),
        "operation": choice.kind.map(|(op, outcome)| json!({
            "op": words::op(op),
            "outcome": words::outcome(op, outcome),
        })),
        "filter": choice.filter,
        "sort": choice.sort.name(),
        "reversed": choice.reversed,
        "paused": state.is_paused(),
    })
}

fn opened(subject: &Subject) -> Value {
    let kind = match subject {
        Subject::Type(_) => "type",
        Subject::Map(..) => "map",
        Subject::Site(..) => "site",
        Subject::Stack(..) => "stack",
    };
    let frames = match subject {
        Subject::Site(Some(frames), _) | Subject::Stack(Some(frames), _) => frames
            .iter()
            .map(|frame| format!("{} {}", frame.function, place(frame)))
            .collect(),
        _ => Vec::new(),
    };
    json!({ "kind": kind, "name": subject.label(), "type": subject.typ(), "frames": frames })
}

/// The intervals of the time page, oldest first; those without operations have no depths.
fn history(state: &State) -> Value {
    let in_windows = state.report().counts.estimates.is_some();
    let interval = |(until, strip): (f64, Option<&Strip>)| {
        let Some(strip) = strip else {
            return json!({ "until_seconds": until });
        };
        let [p50, p90, p99, p999, max] = strip.percentiles;
        // Below 64 every depth for itself, then from each power of two to the next.
        let depths = strip
            .cells
            .iter()
            .map(|(from, count)| json!({ "from": from, "count": count }));
        let mut moment = json!({
            "until_seconds": until, "p50": p50, "p90": p90, "p99": p99, "p999": p999, "max": max,
            "histogram": depths.collect::<Vec<_>>(),
        });
        if let (true, Some(ranges)) = (in_windows, strip.ranges) {
            let [p50, p90, p99, p999] = ranges.map(|range| [range.low, range.high]);
            moment["ci"] = json!({ "p50": p50, "p90": p90, "p99": p99, "p999": p999 });
        }
        moment
    };
    state
        .data()
        .history
        .moments(state.choice.kind)
        .map(interval)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::sample;
    use crossterm::event::KeyCode;

    fn exported(keys: &[KeyCode]) -> Value {
        let mut state = sample::state();
        sample::press(&mut state, keys);
        serde_json::from_slice(&document(&state).expect("JSON")).expect("JSON")
    }

    #[test]
    fn a_table_is_exported_as_it_is_on_the_screen_and_as_schema_1() {
        let keys = [
            KeyCode::Char('3'),
            KeyCode::Char('s'),
            KeyCode::Char('s'),
            KeyCode::Char('o'),
        ];
        let document = exported(&keys);
        assert_eq!(document["schema"], 1);
        assert_eq!(document["screen"]["page"], "types");
        assert_eq!(document["screen"]["sort"], "mean");
        assert_eq!(document["screen"]["operation"]["outcome"], "hit");
        let types = document["by_type"].as_array().expect("rows");
        assert_eq!(types[0]["type"], Value::Null, "{types:?}");
        let operations = types
            .iter()
            .flat_map(|of| of["operations"].as_array().expect("rows"));
        let outcomes: Vec<_> = operations
            .map(|row| (row["op"].clone(), row["outcome"].clone()))
            .collect();
        assert!(!outcomes.is_empty());
        assert!(
            outcomes
                .iter()
                .all(|(op, outcome)| op == "lookup" && outcome == "hit"),
            "{outcomes:?}"
        );
    }

    #[test]
    fn an_opened_type_is_exported_with_its_own_operations() {
        let keys = [
            KeyCode::Char('3'),
            KeyCode::Char('/'),
            KeyCode::Char('b'),
            KeyCode::Char('o'),
            KeyCode::Char('o'),
            KeyCode::Enter,
            KeyCode::Enter,
        ];
        let document = exported(&keys);
        assert_eq!(document["screen"]["opened"][0]["name"], "map[int]bool");
        assert_eq!(document["quality"]["operations"], 34_222);
    }

    #[test]
    fn the_time_is_exported_interval_by_interval() {
        let document = exported(&[KeyCode::Char('2')]);
        let history = document["history"].as_array().expect("intervals");
        assert_eq!(history.len(), sample::INTERVALS);
        assert!(history[0]["max"].is_u64());
    }

    #[test]
    fn a_file_that_is_there_is_never_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = sample::state();
        std::fs::write(directory.path().join("map-probe-4711-1.json"), "mine").expect("written");
        let name = write(&state, directory.path()).expect("written");
        assert_eq!(name, "map-probe-4711-2.json");
        let first =
            std::fs::read_to_string(directory.path().join("map-probe-4711-1.json")).expect("there");
        assert_eq!(first, "mine");
        assert!(write(&state, &directory.path().join("missing")).is_err());
    }
}
