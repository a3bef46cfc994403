//! Reports for spreadsheets and data frames: RFC 4180, one line per kind of operation, for the process and for each type,
//! map, call site and stack.
//!
//! Intervals come as they end, with `final` false; the whole run last, with `final` true. Fields that do not apply or are
//! not known are empty. The names of the columns are stable; new ones are added at the end.

use std::io::{self, Write};

use csv::{Terminator, Writer, WriterBuilder};
use serde::Serialize;

use super::counts;
use super::model::{Frames, Report, Rows};
use super::summary::Summary;
use super::words;

/// Writes the line of column names.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_header(out: &mut dyn Write) -> io::Result<()> {
    let mut out = writer(out);
    out.write_record(COLUMNS)?;
    out.flush()
}

/// Writes the lines of one report.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write_rows(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut out = writer(out);
    let counts = &report.counts;
    let head = Line {
        r#final: report.is_final,
        from_seconds: (report.until_seconds - report.seconds).max(0.0),
        until_seconds: report.until_seconds,
        scope: "process",
        mode: words::mode(report.mode),
        ..Line::default()
    };
    write(&mut out, &head, &counts.operations)?;
    let ranking = report.ranking;
    for of_type in ranking.shown(&counts.by_type) {
        let head = Line {
            scope: "type",
            r#type: of_type.name.as_deref(),
            ..head.clone()
        };
        write(&mut out, &head, &of_type.rows)?;
    }
    for map in ranking.shown(&counts.by_map) {
        let head = Line {
            scope: "map",
            r#type: map.typ.as_deref(),
            map: map.address.map(|address| format!("{address:#x}")),
            entries: map.size.map(|size| size.entries),
            capacity: map.size.and_then(|size| size.capacity),
            ..head.clone()
        };
        write(&mut out, &head, &map.rows)?;
    }
    let sites = ranking
        .shown(&counts.by_site)
        .iter()
        .map(|site| ("site", site));
    let stacks = ranking
        .shown(&counts.by_stack)
        .iter()
        .map(|stack| ("stack", stack));
    for (scope, site) in sites.chain(stacks) {
        let head = Line {
            scope,
            r#type: site.typ.as_deref(),
            ..head.clone()
        };
        write(&mut out, &head.at(site.frames.as_ref()), &site.rows)?;
    }
    out.flush()
}

/// In the order of [`Line`]'s fields; a test compares.
const COLUMNS: [&str; 24] = [
    "final",
    "from_seconds",
    "until_seconds",
    "scope",
    "type",
    "map",
    "function",
    "file",
    "line",
    "callers",
    "op",
    "outcome",
    "class",
    "count",
    "excess_probes",
    "mean",
    "p50",
    "p90",
    "p99",
    "p999",
    "max",
    "entries",
    "capacity",
    "mode",
];

#[derive(Clone, Default, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "a field per column, one of them the line in the source"
)]
struct Line<'a> {
    r#final: bool,
    /// Seconds since the probes were in place.
    from_seconds: f64,
    until_seconds: f64,
    /// `process`, `type`, `map`, `site` or `stack`.
    scope: &'static str,
    r#type: Option<&'a str>,
    map: Option<String>,
    /// The function that does the operation, and where.
    function: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    /// Those it is inlined into or called by: `function file:line`, `;` between them.
    callers: String,
    op: &'static str,
    outcome: &'static str,
    class: &'static str,
    count: u64,
    excess_probes: u64,
    mean: f64,
    p50: u32,
    p90: u32,
    p99: u32,
    p999: u32,
    max: u32,
    entries: Option<u64>,
    capacity: Option<u64>,
    /// `trace`: counts are of operations; `sample`: of samples of CPU time.
    mode: &'static str,
}

impl<'a> Line<'a> {
    fn at(mut self, frames: Option<&'a Frames>) -> Self {
        let Some([first, callers @ ..]) = frames.map(AsRef::as_ref) else {
            return self;
        };
        self.function = Some(&first.function);
        self.file = Some(&first.file);
        self.line = (first.line > 0).then_some(first.line);
        let callers = callers
            .iter()
            .map(|frame| format!("{} {}:{}", frame.function, frame.file, frame.line));
        self.callers = callers.collect::<Vec<_>>().join(";");
        self
    }
}

fn write<W: Write>(out: &mut Writer<W>, head: &Line<'_>, rows: &Rows) -> io::Result<()> {
    for ((op, outcome, class), depths) in rows.iter() {
        let Some(summary) = Summary::of(depths.clone()) else {
            continue;
        };
        let line = Line {
            op: words::op(op),
            outcome: words::outcome(op, outcome),
            class: words::class(class),
            count: summary.count,
            excess_probes: counts::excess(depths),
            mean: summary.mean,
            p50: summary.p50,
            p90: summary.p90,
            p99: summary.p99,
            p999: summary.p999,
            max: summary.max,
            ..head.clone()
        };
        out.serialize(line)?;
    }
    Ok(())
}

fn writer<W: Write>(out: W) -> Writer<W> {
    WriterBuilder::new()
        .has_headers(false)
        .terminator(Terminator::CRLF)
        .from_writer(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::counts::{Frame, MapRows, MapSize, Name, SiteRows, listed};
    use crate::report::model::{Counts, Quality};
    use crate::report::sample;
    use proptest::prelude::*;
    use std::time::Duration;

    fn lines(report: &Report) -> String {
        let mut out = Vec::new();
        write_header(&mut out).expect("memory can be written to");
        write_rows(&mut out, report).expect("memory can be written to");
        String::from_utf8(out).expect("UTF-8")
    }

    /// The lines of a scope, each as its fields by column.
    fn parsed(report: &Report, scope: &str) -> Vec<serde_json::Map<String, serde_json::Value>> {
        let text = lines(report);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader
            .deserialize()
            .map(|line| line.expect("a line"))
            .filter(|line: &serde_json::Map<_, _>| line["scope"] == scope)
            .collect()
    }

    #[test]
    fn the_columns_are_those_of_the_lines() {
        let mut out = Vec::new();
        let mut with_headers = Writer::from_writer(&mut out);
        with_headers
            .serialize(Line::default())
            .expect("memory can be written to");
        drop(with_headers);
        let text = String::from_utf8(out).expect("UTF-8");
        let columns: Vec<_> = text.lines().next().expect("a header").split(',').collect();
        assert_eq!(columns, COLUMNS);
    }

    #[test]
    fn a_file_begins_with_the_columns_and_the_process() {
        let text = lines(&sample::report());
        let probes = 1_200_345 + 50_000 + 2 * 5_000 + 3 * 2_960 + 19 * 25 + 39 * 15;
        let mean = f64::from(probes) / 1_200_345.0;
        let expected = format!(
            "final,from_seconds,until_seconds,scope,type,map,function,file,line,callers,\
             op,outcome,class,count,excess_probes,mean,p50,p90,p99,p999,max,entries,capacity,mode\r\n\
             true,0.0,10.0,process,,,,,,,lookup,hit,table,1200345,{},{mean},1,1,2,4,40,,,trace\r\n",
            probes - 1_200_345
        );
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.lines().count() > 2 && !text.replace("\r\n", "").contains('\n'));
    }

    #[test]
    fn maps_call_sites_and_stacks_have_lines_of_their_own() {
        let mut report = sample::report();
        let rows = report.counts.by_type[1].rows.clone();
        let typ: Name = Some("map[struct { a, b int }]bool".into());
        report.counts.by_map = listed([MapRows {
            address: Some(0xc000_1234),
            typ: typ.clone(),
            life: 0,
            size: Some(MapSize {
                entries: 7,
                capacity: Some(16),
            }),
            first_seen: Duration::ZERO,
            last_seen: Duration::from_secs(3),
            rows: rows.clone(),
        }
        .into()]);
        let frame = |function: &str, line| Frame {
            function: function.to_owned(),
            file: "/src/a \"quoted\", name.go".to_owned(),
            line,
        };
        let sites = [
            SiteRows {
                frames: Some([frame("main.get", 4), frame("main.main", 9)].into()),
                typ: typ.clone(),
                rows: rows.clone(),
            },
            SiteRows {
                frames: None,
                typ,
                rows,
            },
        ];
        report.counts.by_stack = listed([sites[0].clone().into()]);
        report.counts.by_site = listed(sites.map(Into::into));
        let map = &parsed(&report, "map")[0];
        assert_eq!(map["map"], "0xc0001234");
        assert_eq!(map["type"], "map[struct { a, b int }]bool");
        assert_eq!((&map["entries"], &map["capacity"]), (&7.into(), &16.into()));
        let sites = parsed(&report, "site");
        let known = &sites[sites.len() - 1];
        assert_eq!(known["function"], "main.get");
        assert_eq!(known["file"], "/src/a \"quoted\", name.go");
        assert_eq!(known["line"], 4);
        assert_eq!(known["callers"], "main.main /src/a \"quoted\", name.go:9");
        let unknown = &sites[0];
        assert_eq!(
            (&unknown["function"], &unknown["line"]),
            (&"".into(), &"".into())
        );
        assert_eq!(parsed(&report, "stack").len(), sites.len() / 2);
    }

    #[test]
    fn the_types_lines_add_up_to_the_process() {
        let report = sample::report();
        let count = |scope| -> u64 {
            let lines = parsed(&report, scope);
            lines
                .iter()
                .map(|line| line["count"].as_u64().expect("a count"))
                .sum()
        };
        assert_eq!(count("process"), report.counts.operations.total());
        assert_eq!(count("type"), count("process"));
    }

    proptest! {
        #[test]
        fn whatever_names_say_they_are_read_back_as_they_are(
            name in any::<String>(), hostile in "[\",\r\n\t';=\\\\ a]{0,12}",
        ) {
            let mut report = sample::report();
            let name = format!("map[{hostile}{name}");
            report.target.exe.clone_from(&name);
            let types = [(Some(name.as_str().into()), report.counts.operations.clone())];
            report.counts = Counts::of_types(types, Quality::default());
            let found = parsed(&report, "type");
            prop_assert!(!found.is_empty());
            for row in found {
                prop_assert_eq!(&row["type"], &serde_json::json!(name));
            }
        }
    }
}
