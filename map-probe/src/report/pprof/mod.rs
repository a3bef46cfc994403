//! Reports for `go tool pprof`: operations, probes and excess probes by call site or stack.
//!
//! A sample is one call site (or stack), type, kind of operation and depth. Its values are the operations, the buckets
//! or groups they examined (`probes`), and those beyond the first (`excess_probes`: what better hashing or sizing would
//! save). The sums over all samples are those of the report's operations, whatever fell out of the bounded tables of
//! call sites: that is put under a frame that says so.
//!
//! Of a report of samples the values are samples, and the CPU time that they stand for. Those in map functions whose depth
//! is not known are under the functions' names.

mod proto;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;

use super::model::{Frame, Report, RowKey, Rows, SiteRows};
use super::{about, words};
use crate::sampling::period;

/// What is counted, in the order of a sample's values, and in which unit.
const OPERATIONS: [(&str, &str); 3] = [
    ("operations", "count"),
    ("probes", "count"),
    ("excess_probes", "count"),
];
/// The same of samples.
const SAMPLES: [(&str, &str); 2] = [("samples", "count"), ("cpu", "nanoseconds")];

/// Writes a report as a compressed profile.
///
/// # Errors
/// When `out` cannot be written to.
pub fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let mut gzip = GzEncoder::new(out, Compression::default());
    gzip.write_all(&profile(report).encode_to_vec())?;
    gzip.finish()?.flush()
}

fn profile(report: &Report) -> proto::Profile {
    let mut builder = Builder::default();
    builder.text("");
    builder.header(report);
    let counts = &report.counts;
    let stacks = !counts.by_stack.is_empty();
    let sites = if stacks {
        &counts.by_stack
    } else {
        &counts.by_site
    };
    let mut placed: BTreeMap<Option<&str>, Rows> = BTreeMap::new();
    for site in sites.iter() {
        let Some(locations) = builder.locations(site, stacks) else {
            // Among the rest below, by its type.
            continue;
        };
        placed
            .entry(site.typ.as_deref())
            .or_default()
            .add(&site.rows);
        builder.samples(&locations, site.typ.as_deref(), &site.rows);
    }
    for of_type in counts.by_type.iter() {
        let name = of_type.name.as_deref();
        let rest = match placed.get(&name) {
            Some(placed) => of_type.rows.since(placed),
            None => of_type.rows.clone(),
        };
        if rest.total() > 0 {
            let location = builder.unknown_site(name);
            builder.samples(&[location], name, &rest);
        }
    }
    for function in counts.samples.iter().flat_map(|samples| samples.met()) {
        let unknown = function.total().saturating_sub(function.walked);
        if unknown > 0 {
            let location = builder.stand_in(format!("{} (depth unknown)", function.function));
            builder.sample(&[location], unknown, None, Vec::new());
        }
    }
    builder.done()
}

/// A profile under construction, and what is in its tables already.
#[derive(Default)]
struct Builder {
    profile: proto::Profile,
    texts: HashMap<String, i64>,
    /// By name and file.
    functions: HashMap<(i64, i64), u64>,
    /// By functions and lines.
    locations: HashMap<Vec<(u64, u32)>, u64>,
    /// Whether a sample has excess probes.
    excess: bool,
    /// The nanoseconds of CPU time that a sample stands for, if they are of time.
    period: Option<u64>,
}

impl Builder {
    /// The index of a string.
    fn text(&mut self, text: &str) -> i64 {
        // What pprof prints has lines.
        let text = &about::one_line(text);
        if let Some(index) = self.texts.get(text) {
            return *index;
        }
        let index = number(self.profile.string_table.len() as u64);
        self.profile.string_table.push(text.to_owned());
        self.texts.insert(text.to_owned(), index);
        index
    }

    fn header(&mut self, report: &Report) {
        let samples = report.counts.samples.as_ref();
        self.period = samples.map(|samples| period(samples.frequency));
        let types: &[_] = match self.period {
            None => &OPERATIONS,
            Some(_) => &SAMPLES,
        };
        for (name, unit) in types {
            let sample_type = proto::ValueType {
                r#type: self.text(name),
                unit: self.text(unit),
            };
            self.profile.sample_type.push(sample_type);
        }
        if let Some(period) = self.period {
            self.profile.period_type = self.profile.sample_type.last().copied();
            self.profile.period = number(period);
        }
        let target = &report.target;
        let mapping = proto::Mapping {
            id: 1,
            filename: self.text(&unquoted(&target.exe)),
            build_id: self.text(target.build_id.as_deref().unwrap_or_default()),
            has_functions: true,
            has_filenames: true,
            has_line_numbers: true,
            has_inline_frames: true,
        };
        self.profile.mapping.push(mapping);
        let began = report.started.duration_since(UNIX_EPOCH);
        let began = began.unwrap_or_default() + seconds(report.until_seconds - report.seconds);
        self.profile.time_nanos = i64::try_from(began.as_nanos()).unwrap_or(i64::MAX);
        let length = seconds(report.seconds).as_nanos();
        self.profile.duration_nanos = i64::try_from(length).unwrap_or(i64::MAX);
        for comment in about::all(report) {
            let comment = self.text(&comment);
            self.profile.comment.push(comment);
        }
    }

    /// The locations of a call site or stack, the innermost first; `None` if it is not known.
    fn locations(&mut self, site: &SiteRows, stacks: bool) -> Option<Vec<u64>> {
        let frames = site.frames.as_deref().filter(|frames| !frames.is_empty())?;
        if stacks {
            // Which of a stack's frames are inlined into the next is not told apart.
            let each = frames.chunks(1);
            return Some(each.map(|frame| self.location(frame)).collect());
        }
        // One place in the code: all but the last are inlined into the one behind them.
        Some(vec![self.location(frames)])
    }

    /// The stand-in for a call site that is not known. It has no file and no line.
    fn unknown_site(&mut self, typ: Option<&str>) -> u64 {
        self.stand_in(format!(
            "{} (call site unknown)",
            typ.unwrap_or(words::UNKNOWN_TYPE)
        ))
    }

    fn stand_in(&mut self, function: String) -> u64 {
        self.location(&[Frame {
            function,
            file: String::new(),
            line: 0,
        }])
    }

    fn location(&mut self, frames: &[Frame]) -> u64 {
        let lines: Vec<_> = frames
            .iter()
            .map(|frame| (self.function(frame), frame.line))
            .collect();
        if let Some(id) = self.locations.get(&lines) {
            return *id;
        }
        let id = self.profile.location.len() as u64 + 1;
        let line = lines.iter().map(|(function_id, line)| proto::Line {
            function_id: *function_id,
            line: i64::from(*line),
        });
        self.profile.location.push(proto::Location {
            id,
            mapping_id: 1,
            line: line.collect(),
        });
        self.locations.insert(lines, id);
        id
    }

    fn function(&mut self, frame: &Frame) -> u64 {
        let (name, filename) = (self.text(&frame.function), self.text(&frame.file));
        let next = self.profile.function.len() as u64 + 1;
        *self.functions.entry((name, filename)).or_insert_with(|| {
            // Without a `system_name`: from one, pprof derives names as for C++, and takes away what Go has in
            // parentheses (`main.(*Cache[...]).Get`).
            self.profile.function.push(proto::Function {
                id: next,
                name,
                filename,
            });
            next
        })
    }

    /// A sample for each kind of operation and depth.
    fn samples(&mut self, locations: &[u64], typ: Option<&str>, rows: &Rows) {
        for (kind, depths) in rows.iter() {
            let labels = self.labels(kind, typ);
            for (depth, operations) in depths {
                let mut label = labels.clone();
                label.push(proto::Label {
                    key: self.text("depth"),
                    num: i64::from(depth),
                    num_unit: self.text("probes"),
                    ..proto::Label::default()
                });
                self.sample(locations, operations, Some(depth), label);
            }
        }
    }

    /// So many operations of one depth, or samples.
    fn sample(
        &mut self,
        locations: &[u64],
        count: u64,
        depth: Option<u32>,
        label: Vec<proto::Label>,
    ) {
        let value = if let Some(period) = self.period {
            vec![count, count.saturating_mul(period)]
        } else {
            let depth = u64::from(depth.unwrap_or(1));
            let excess = count.saturating_mul(depth.saturating_sub(1));
            self.excess |= excess > 0;
            vec![count, count.saturating_mul(depth), excess]
        };
        self.profile.sample.push(proto::Sample {
            location_id: locations.to_vec(),
            value: value.into_iter().map(number).collect(),
            label,
        });
    }

    fn labels(&mut self, (op, outcome, class): RowKey, typ: Option<&str>) -> Vec<proto::Label> {
        let known = [
            ("op", Some(words::op(op))),
            ("outcome", Some(words::outcome(op, outcome))),
            ("class", Some(words::class(class))),
            ("type", typ),
        ];
        let mut labels = Vec::with_capacity(known.len() + 1);
        for (key, value) in known {
            if let Some(value) = value {
                labels.push(proto::Label {
                    key: self.text(key),
                    str: self.text(&unquoted(value)),
                    ..proto::Label::default()
                });
            }
        }
        labels
    }

    fn done(mut self) -> proto::Profile {
        // What a user can do something about; but a profile that opens empty looks broken.
        let (shown, _) = match self.period {
            None => OPERATIONS[if self.excess { 2 } else { 0 }],
            Some(_) => SAMPLES[1],
        };
        self.profile.default_sample_type = self.text(shown);
        self.profile
    }
}

/// A text as pprof can have it in labels and as the program's name, both of which it puts between quotation marks without
/// a look (up to Go 1.27's, `internal/graph/dotgraph.go`): what would end or change the quotation is another character of
/// the same look. Names of functions and files it escapes.
fn unquoted(text: &str) -> String {
    text.replace('"', "\u{ff02}").replace('\\', "\u{ff3c}")
}

fn seconds(seconds: f64) -> std::time::Duration {
    std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
