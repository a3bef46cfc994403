//! Reports for programs: one JSON document (`json`), or one a line (`ndjson`). Schema 1.
//!
//! The names and their meaning are bound by the schema's number; fields may be added.

mod verify;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::model::{
    Cost, Depths, Estimate, Estimates, FailureRow, Fate, Life, MapRows, Quality, Report, RowKey,
    Rows, Samples, SiteRows, TargetInfo, TypeRows,
};
use super::summary::{self, Summary};
use super::words;

pub use self::verify::write_verify;

/// The schema's number.
pub const SCHEMA: u32 = 1;

/// Writes a report as one document over several lines, for people too.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_document(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Document::of(report))?;
    out.write_all(b"\n")
}

/// Writes a report as one line.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_line(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Document::of(report))?;
    out.write_all(b"\n")
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    r#final: bool,
    target: Target<'a>,
    /// The programs that the process ran while it was watched; not there if it was one alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lives: Vec<OfLife<'a>>,
    /// What the report is limited to, by the names of the options; not there if it is about all operations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    filter: BTreeMap<&'static str, &'a str>,
    window: Window,
    quality: QualityFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<SampleFields<'a>>,
    operations: Vec<Row>,
    by_type: Each<'a, TypeRows>,
    by_map: Each<'a, MapRows>,
    by_site: Each<'a, SiteRows>,
    #[serde(skip_serializing_if = "Each::is_empty")]
    by_stack: Each<'a, SiteRows>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<CostFields>,
}

/// A list, of which each row is made when it is written: there may be many.
struct Each<'a, T>(&'a [Arc<T>]);

impl<T> Each<'_, T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A row as it is written.
trait Written {
    type As<'a>: Serialize
    where
        Self: 'a;

    fn written(&self) -> Self::As<'_>;
}

impl<T: Written> Serialize for Each<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|row| row.written()))
    }
}

#[derive(Serialize)]
struct Target<'a> {
    pid: i32,
    exe: &'a str,
    go: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed_go: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    untested: bool,
    layout: &'a str,
    arch: &'a str,
    /// How many programs the process ran while it was watched.
    lives: usize,
    functions: Functions<'a>,
    /// What else has to be known of it to understand the numbers.
    notes: &'a [&'static str],
    /// How a command ended; `null` while it lives, and of a process that is not ours.
    ended: Option<Ended>,
}

/// `{"status": 0}` or `{"signal": 11}`.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Ended {
    Status(i32),
    Signal(i32),
}

#[derive(Serialize)]
struct OfLife<'a> {
    exe: Option<&'a str>,
    go: Option<&'a str>,
    layout: Option<&'a str>,
    from_seconds: f64,
    attached_seconds: Option<f64>,
    until_seconds: f64,
    probed: bool,
    reason: Option<&'a str>,
}

impl<'a> OfLife<'a> {
    fn of(life: &'a Life) -> Self {
        Self {
            exe: life.exe.as_deref(),
            go: life.go.as_deref(),
            layout: life.layout,
            from_seconds: life.from_seconds,
            attached_seconds: life.attached_seconds,
            until_seconds: life.until_seconds,
            probed: life.attached_seconds.is_some(),
            reason: life.reason.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Functions<'a> {
    covered: &'a [String],
    not_covered: Vec<NotCovered<'a>>,
}

#[derive(Serialize)]
struct NotCovered<'a> {
    function: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct Window {
    seconds: f64,
    attached_seconds: f64,
    until_seconds: f64,
    /// Where only the operations of windows of time were seen: how many windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    windows: Option<u64>,
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency: Option<u32>,
    small_counted: bool,
}

/// Samples of CPU time, in sample mode: all counts of the report are of such samples.
#[derive(Serialize)]
struct SampleFields<'a> {
    /// All that met the process: its CPU time.
    total: u64,
    /// Those in the kernel.
    in_kernel: u64,
    /// Those in the code of map functions.
    in_map_functions: u64,
    /// Those in functions that map functions called.
    in_callees: u64,
    /// Those of both whose operation was walked: they are in the rows.
    walked: u64,
    /// The others of both.
    depth_unknown: u64,
    by_function: Vec<OfFunction<'a>>,
}

#[derive(Serialize)]
struct OfFunction<'a> {
    function: &'a str,
    samples: u64,
    in_callees: u64,
    walked: u64,
}

/// What the watching cost. Shares are of 1; `null`: not known.
#[derive(Serialize)]
struct CostFields {
    attached_share: f64,
    windows: u64,
    traps: Option<u64>,
    ns_per_trap: Option<f64>,
    slowdown: Option<f64>,
    bound: Option<f64>,
    profiler: ProfilerFields,
}

#[derive(Serialize)]
struct ProfilerFields {
    cpu_seconds: f64,
    resident_bytes: u64,
}

#[derive(Serialize)]
struct QualityFields<'a> {
    /// The sum of all counts in the report's rows.
    operations: u64,
    lost: u64,
    faults: u64,
    torn: u64,
    truncated: u64,
    /// Operations of the last three, by why and where; `endless` are of those that are truncated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by_site: Vec<FailureFields<'a>>,
}

#[derive(Serialize)]
struct FailureFields<'a> {
    cause: &'static str,
    r#type: Option<&'a str>,
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    count: u64,
}

impl<'a> FailureFields<'a> {
    fn of(row: &'a FailureRow) -> Self {
        let first = row.frames.as_ref().and_then(|frames| frames.first());
        Self {
            cause: words::cause(row.cause),
            r#type: row.typ.as_deref(),
            function: first.map(|frame| frame.function.as_str()),
            file: first.map(|frame| frame.file.as_str()),
            line: first.map(|frame| frame.line),
            count: row.count,
        }
    }
}

#[derive(Serialize)]
struct OfType<'a> {
    r#type: Option<&'a str>,
    /// The sum of depth - 1 over the operations.
    excess: u64,
    operations: Vec<Row>,
}

impl Written for TypeRows {
    type As<'a> = OfType<'a>;

    fn written(&self) -> OfType<'_> {
        OfType {
            r#type: self.name.as_deref(),
            excess: self.rows.excess(),
            operations: rows(&self.rows, None),
        }
    }
}

#[derive(Serialize)]
struct OfMap<'a> {
    /// In hexadecimal; all maps that found no room are one of no address.
    map: Option<String>,
    r#type: Option<&'a str>,
    /// Of which of the programs in `lives`, from 0; not there for the first.
    #[serde(skip_serializing_if = "is_first")]
    life: u32,
    entries: Option<u64>,
    capacity: Option<u64>,
    /// Seconds since the probes were in place, as exact as the intervals are long.
    first_seen: f64,
    last_seen: f64,
    excess: u64,
    operations: Vec<Row>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_first(life: &u32) -> bool {
    *life == 0
}

impl Written for MapRows {
    type As<'a> = OfMap<'a>;

    fn written(&self) -> OfMap<'_> {
        OfMap {
            map: self.address.map(|address| format!("{address:#x}")),
            r#type: self.typ.as_deref(),
            life: self.life,
            entries: self.size.map(|size| size.entries),
            capacity: self.size.and_then(|size| size.capacity),
            first_seen: self.first_seen.as_secs_f64(),
            last_seen: self.last_seen.as_secs_f64(),
            excess: self.rows.excess(),
            operations: rows(&self.rows, None),
        }
    }
}

/// A call site or a stack: its first frame by itself, and all of them.
#[derive(Serialize)]
struct OfSite<'a> {
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    r#type: Option<&'a str>,
    excess: u64,
    frames: Vec<OfFrame<'a>>,
    operations: Vec<Row>,
}

#[derive(Serialize)]
struct OfFrame<'a> {
    function: &'a str,
    file: &'a str,
    line: u32,
}

impl Written for SiteRows {
    type As<'a> = OfSite<'a>;

    fn written(&self) -> OfSite<'_> {
        let frames = self.frames.iter().flat_map(|frames| frames.iter());
        let frames: Vec<_> = frames
            .map(|frame| OfFrame {
                function: &frame.function,
                file: &frame.file,
                line: frame.line,
            })
            .collect();
        let first = frames.first();
        OfSite {
            function: first.map(|frame| frame.function),
            file: first.map(|frame| frame.file),
            line: first.map(|frame| frame.line),
            r#type: self.typ.as_deref(),
            excess: self.rows.excess(),
            operations: rows(&self.rows, None),
            frames,
        }
    }
}

#[derive(Serialize)]
struct Row {
    op: &'static str,
    outcome: &'static str,
    class: &'static str,
    /// Operations seen.
    count: u64,
    /// Of all operations of the process, seen or not, where only those of windows of time were seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    /// All operations, where only those of windows of time were seen; not there where that would be a guess.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimated: Option<Estimated>,
    depth: Depth,
}

#[derive(Serialize)]
struct Estimated {
    operations: f64,
    ci: [f64; 2],
}

/// Between which two values each number lies, with a probability of 95%.
#[derive(Serialize)]
struct Intervals {
    mean: [f64; 2],
    p50: [u32; 2],
    p90: [u32; 2],
    p99: [u32; 2],
    p999: [u32; 2],
}

#[derive(Serialize)]
struct Depth {
    mean: f64,
    p50: u32,
    p90: u32,
    p99: u32,
    p999: u32,
    max: u32,
    /// Where only the operations of windows of time were seen; not there if there were too few windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    ci: Option<Intervals>,
    histogram: Vec<Bucket>,
}

#[derive(Serialize)]
struct Bucket {
    from: u32,
    to: u32,
    count: u64,
}

impl<'a> Target<'a> {
    fn of(target: &'a TargetInfo) -> Self {
        let not_covered = target.not_covered.iter();
        Self {
            pid: target.pid,
            exe: &target.exe,
            go: &target.go,
            assumed_go: target.assumed.as_deref(),
            untested: target.untested,
            layout: target.layout,
            arch: target.arch,
            lives: target.lives.len().max(1),
            functions: Functions {
                covered: &target.covered,
                not_covered: not_covered
                    .map(|(function, reason)| NotCovered { function, reason })
                    .collect(),
            },
            notes: &target.notes,
            ended: target.ended.map(|fate| match fate {
                Fate::Status(status) => Ended::Status(status),
                Fate::Signal(signal) => Ended::Signal(signal),
            }),
        }
    }
}

impl<'a> Document<'a> {
    fn of(report: &'a Report) -> Self {
        let counts = &report.counts;
        let Quality {
            lost,
            faults,
            torn,
            truncated,
        } = counts.quality;
        let ranking = report.ranking;
        Self {
            schema: SCHEMA,
            r#final: report.is_final,
            target: Target::of(&report.target),
            lives: report.target.lives.iter().map(OfLife::of).collect(),
            filter: report
                .filters
                .iter()
                .map(|(option, value)| (*option, value.as_str()))
                .collect(),
            window: Window {
                seconds: report.seconds,
                attached_seconds: report.attached_seconds,
                until_seconds: report.until_seconds,
                windows: counts
                    .estimates
                    .as_ref()
                    .and(report.cost)
                    .map(|cost| cost.windows),
                mode: words::mode(report.mode),
                frequency: counts.samples.as_ref().map(|samples| samples.frequency),
                small_counted: report.small_counted,
            },
            quality: QualityFields {
                operations: counts.operations.total(),
                lost,
                faults,
                torn,
                truncated,
                by_site: counts.failures.iter().map(FailureFields::of).collect(),
            },
            samples: counts.samples.as_ref().map(samples),
            operations: rows(&counts.operations, counts.estimates.as_ref()),
            by_type: Each(ranking.shown(&counts.by_type)),
            by_map: Each(ranking.shown(&counts.by_map)),
            by_site: Each(ranking.shown(&counts.by_site)),
            by_stack: Each(ranking.shown(&counts.by_stack)),
            cost: report.cost.map(|cost| cost_fields(cost, report)),
        }
    }
}

fn cost_fields(cost: Cost, report: &Report) -> CostFields {
    let Cost {
        windows,
        traps,
        ns_per_trap,
        slowdown,
        bound,
        cpu_seconds,
        resident_bytes,
    } = cost;
    CostFields {
        attached_share: report.attached_share(),
        windows,
        traps,
        ns_per_trap,
        slowdown,
        bound,
        profiler: ProfilerFields {
            cpu_seconds,
            resident_bytes,
        },
    }
}

fn samples(samples: &Samples) -> SampleFields<'_> {
    let by_function = samples.met().into_iter();
    SampleFields {
        total: samples.total,
        in_kernel: samples.kernel,
        in_map_functions: samples.in_map_functions(),
        in_callees: samples.in_callees(),
        walked: samples.walked(),
        depth_unknown: samples.depth_unknown(),
        by_function: by_function
            .map(|row| OfFunction {
                function: &row.function,
                samples: row.total(),
                in_callees: row.below,
                walked: row.walked,
            })
            .collect(),
    }
}

fn rows(rows: &Rows, estimates: Option<&Estimates>) -> Vec<Row> {
    let rows = rows.iter();
    rows.filter_map(|(kind, depths)| {
        let estimate = estimates.and_then(|estimates| estimates.rows.get(&kind));
        row(kind, depths, estimate)
    })
    .collect()
}

fn row(
    (op, outcome, class): RowKey,
    depths: Depths<'_>,
    estimate: Option<&Estimate>,
) -> Option<Row> {
    let Summary {
        count,
        mean,
        p50,
        p90,
        p99,
        p999,
        max,
    } = Summary::of(depths.clone())?;
    let histogram = summary::buckets(depths).into_iter();
    let histogram = histogram.map(|summary::Bucket { from, to, count }| Bucket { from, to, count });
    Some(Row {
        op: words::op(op),
        outcome: words::outcome(op, outcome),
        class: words::class(class),
        count,
        share: estimate.map(|estimate| estimate.share),
        estimated: estimate
            .and_then(|estimate| estimate.operations)
            .map(|(operations, range)| Estimated {
                operations,
                ci: [range.low, range.high],
            }),
        depth: Depth {
            mean,
            p50,
            p90,
            p99,
            p999,
            max,
            ci: estimate.and_then(intervals),
            histogram: histogram.collect(),
        },
    })
}

fn intervals(estimate: &Estimate) -> Option<Intervals> {
    let mean = estimate.mean?;
    let [p50, p90, p99, p999] = estimate.quantiles?.map(|range| [range.low, range.high]);
    Some(Intervals {
        mean: [mean.low, mean.high],
        p50,
        p90,
        p99,
        p999,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use serde_json::{Value, json};

    fn line(report: &Report) -> String {
        let mut out = Vec::new();
        write_line(&mut out, report).expect("memory can be written to");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn a_commands_end_is_its_status_or_its_signal() {
        for (fate, expected) in [
            (Fate::Status(3), json!({"status": 3})),
            (Fate::Signal(11), json!({"signal": 11})),
        ] {
            let mut report = sample::report();
            report.target.ended = Some(fate);
            let mut out = Vec::new();
            write_line(&mut out, &report).expect("memory can be written to");
            let document: Value = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(document["target"]["ended"], expected);
        }
    }

    #[test]
    fn a_document_has_every_field_of_the_schema() {
        let document: Value = serde_json::from_str(&line(&sample::report())).expect("JSON");
        let lookup_hit = json!({
            "op": "lookup", "outcome": "hit", "class": "table", "count": 1_200_345,
            "depth": {
                "p50": 1, "p90": 1, "p99": 2, "p999": 4, "max": 40,
                "histogram": [
                    {"from": 1, "to": 1, "count": 1_142_345},
                    {"from": 2, "to": 2, "count": 50_000},
                    {"from": 3, "to": 3, "count": 5_000},
                    {"from": 4, "to": 4, "count": 2_960},
                    {"from": 17, "to": 32, "count": 25},
                    {"from": 33, "to": 64, "count": 15},
                ],
            },
        });
        let mut found = document["operations"][0].clone();
        let mean = found["depth"]
            .as_object_mut()
            .expect("an object")
            .remove("mean");
        let mean = mean.expect("a mean").as_f64().expect("a number");
        let examined = 1_142_345 + 2 * 50_000 + 3 * 5_000 + 4 * 2_960 + 20 * 25 + 40 * 15;
        assert!((mean - f64::from(examined) / 1_200_345.0).abs() < 1e-12);
        assert_eq!(found, lookup_hit);

        let head = json!({
            "schema": 1,
            "final": true,
            "target": {
                "pid": 4711, "exe": "/srv/app", "go": "go1.27.3", "layout": "swiss", "arch": "amd64", "lives": 1,
                "functions": {
                    "covered": ["runtime.mapaccess2_fast64", "runtime.mapassign_fast64"],
                    "not_covered": [
                        {"function": "runtime.mapassign_fast64ptr", "reason": "no instruction at which the hash can be found"},
                    ],
                },
                "notes": [], "ended": null,
            },
            "window": {
                "seconds": 10.0, "attached_seconds": 10.0, "until_seconds": 10.0,
                "mode": "trace", "small_counted": false,
            },
            "quality": {"operations": 1_234_643, "lost": 0, "faults": 3, "torn": 2, "truncated": 1},
        });
        for (field, expected) in head.as_object().expect("an object") {
            assert_eq!(&document[field], expected, "{field}");
        }
        let kinds: Vec<_> = document["operations"]
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| {
                [&row["op"], &row["outcome"], &row["class"]]
                    .map(|word| word.as_str().expect("a word"))
            })
            .collect();
        let expected = [
            ["lookup", "hit", "table"],
            ["lookup", "hit", "small"],
            ["lookup", "miss", "table"],
            ["insert", "new", "table"],
        ];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn the_sum_of_all_counts_is_the_number_of_operations() {
        let document: Value = serde_json::from_str(&line(&sample::report())).expect("JSON");
        let count = |rows: &Value| -> u64 {
            let rows = rows.as_array().expect("rows").iter();
            rows.map(|row| row["count"].as_u64().expect("a count"))
                .sum()
        };
        let all = document["quality"]["operations"].as_u64().expect("a count");
        assert_eq!(count(&document["operations"]), all);
        let types = document["by_type"].as_array().expect("types").iter();
        assert_eq!(
            types
                .map(|of_type| count(&of_type["operations"]))
                .sum::<u64>(),
            all
        );
    }

    #[test]
    fn maps_and_call_sites_have_every_field_and_what_is_unknown_is_null() {
        let document: Value = serde_json::from_str(&line(&sample::report())).expect("JSON");
        let without_rows = |list: &Value| -> Vec<Value> {
            let mut list = list.as_array().expect("a list").clone();
            for one in &mut list {
                let rows = one.as_object_mut().expect("an object").remove("operations");
                assert!(!rows.expect("rows").as_array().expect("rows").is_empty());
            }
            list
        };
        let orders = "map[string]*main.Order";
        let maps = json!([
            {"map": "0xc000123400", "type": orders, "entries": 95_000, "capacity": 114_688,
             "first_seen": 1.0, "last_seen": 10.0, "excess": 40_000 + 19 * 25},
            {"map": null, "type": null, "entries": null, "capacity": null,
             "first_seen": 0.0, "last_seen": 10.0, "excess": 0},
            {"map": "0xc000042180", "type": orders, "entries": null, "capacity": null,
             "first_seen": 1.0, "last_seen": 10.0, "excess": 0},
        ]);
        assert_eq!(json!(without_rows(&document["by_map"])), maps);
        let sites = json!([
            {"function": "main.(*Cache).Get", "file": "/srv/src/cache.go", "line": 42, "type": orders,
             "excess": 50_000 + 19 * 25,
             "frames": [
                {"function": "main.(*Cache).Get", "file": "/srv/src/cache.go", "line": 42},
                {"function": "main.serve", "file": "/srv/src/main.go", "line": 118},
             ]},
            {"function": null, "file": null, "line": null, "type": "map[int]bool", "excess": 0, "frames": []},
        ]);
        assert_eq!(json!(without_rows(&document["by_site"])), sites);
    }

    #[test]
    fn what_the_watching_cost_is_in_the_document_if_it_is_known() {
        let mut report = sample::report();
        let document: Value = serde_json::from_str(&line(&report)).expect("JSON");
        assert!(document.get("cost").is_none());
        report.attached_seconds = 0.1;
        report.cost = Some(sample::cost());
        let document: Value = serde_json::from_str(&line(&report)).expect("JSON");
        let expected = json!({
            "attached_share": 0.01, "windows": 200, "traps": 140_000, "ns_per_trap": 712.5,
            "slowdown": 0.0095, "bound": 0.01,
            "profiler": {"cpu_seconds": 0.05, "resident_bytes": 12_345_678},
        });
        assert_eq!(document["cost"], expected);
    }

    #[test]
    fn rows_of_windows_have_estimates_where_they_are_no_guesses() {
        let mut report = sample::report();
        report.counts.estimates = Some(sample::estimates());
        report.cost = Some(sample::cost());
        let document: Value = serde_json::from_str(&line(&report)).expect("JSON");
        assert_eq!(document["window"]["windows"], 200);
        let hit = &document["operations"][0];
        let expected = json!({"operations": 5e8, "ci": [4.5e8, 5.5e8]});
        assert_eq!(hit["estimated"], expected);
        assert_eq!(hit["share"], 0.75);
        let expected = json!({
            "mean": [1.05, 1.07], "p50": [1, 1], "p90": [1, 1], "p99": [2, 3], "p999": [4, 20],
        });
        assert_eq!(hit["depth"]["ci"], expected);
        let miss = &document["operations"][2];
        assert_eq!(miss["op"], "lookup");
        assert!(miss.get("estimated").is_none() && miss["depth"].get("ci").is_none());
        assert!(
            document["by_type"][0]["operations"][0]
                .get("estimated")
                .is_none()
        );
    }

    #[test]
    fn a_type_without_a_name_is_null() {
        let document: Value = serde_json::from_str(&line(&sample::report())).expect("JSON");
        let names: Vec<_> = document["by_type"]
            .as_array()
            .expect("types")
            .iter()
            .map(|of_type| of_type["type"].as_str())
            .collect();
        assert_eq!(
            names,
            [Some("map[string]*main.Order"), Some("map[int]bool"), None]
        );
    }

    #[test]
    fn a_line_is_one_line_and_a_document_says_the_same() {
        let mut report = sample::report();
        report.target.exe = "/srv/line\nbreak".to_owned();
        let line = line(&report);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with('\n'));
        let mut document = Vec::new();
        write_document(&mut document, &report).expect("memory can be written to");
        let document: Value = serde_json::from_slice(&document).expect("JSON");
        assert_eq!(
            document,
            serde_json::from_str::<Value>(&line).expect("JSON")
        );
    }
}
