//! Profiles, decoded again by the same messages; `tests/tests/record.rs` has `go tool pprof` read them.

use std::io::Read as _;

use flate2::read::GzDecoder;
use map_probe_common::op::{Class, Op, Outcome};
use prost::Message as _;

use super::proto::Profile;
use super::*;
use crate::report::counts::{List, listed};
use crate::report::model::{FunctionRow, Mode, Samples};
use crate::report::sample;
use proptest::prelude::*;

fn decoded(report: &Report) -> Profile {
    let mut compressed = Vec::new();
    write(&mut compressed, report).expect("memory can be written to");
    let mut bytes = Vec::new();
    GzDecoder::new(&*compressed)
        .read_to_end(&mut bytes)
        .expect("gzip");
    Profile::decode(&*bytes).expect("a profile")
}

/// The functions and lines of a sample's stack, a `/` between locations and a `<` before who something is inlined into.
fn stack(profile: &Profile, sample: &proto::Sample) -> String {
    let text = |index: i64| profile.string_table[usize::try_from(index).expect("an index")].clone();
    let locations = sample.location_id.iter().map(|id| {
        let mut locations = profile.location.iter();
        let location = locations.find(|location| location.id == *id);
        let lines = location.expect("the location").line.iter().map(|line| {
            let mut functions = profile.function.iter();
            let function = functions.find(|function| function.id == line.function_id);
            let function = function.expect("the function");
            format!(
                "{}@{}:{}",
                text(function.name),
                text(function.filename),
                line.line
            )
        });
        lines.collect::<Vec<_>>().join(" < ")
    });
    locations.collect::<Vec<_>>().join(" / ")
}

/// A sample's labels, as `key=value`.
fn labels(profile: &Profile, sample: &proto::Sample) -> String {
    let text = |index: i64| profile.string_table[usize::try_from(index).expect("an index")].clone();
    let labels = sample.label.iter().map(|label| {
        if label.str == 0 {
            format!("{}={}{}", text(label.key), label.num, text(label.num_unit))
        } else {
            format!("{}={}", text(label.key), text(label.str))
        }
    });
    labels.collect::<Vec<_>>().join(" ")
}

fn frame(function: &str, file: &str, line: u32) -> Frame {
    Frame {
        function: function.to_owned(),
        file: file.to_owned(),
        line,
    }
}

fn site(frames: Option<Vec<Frame>>, typ: &str, depth: u32, operations: u64) -> SiteRows {
    let mut rows = Rows::default();
    rows.record(
        (Op::Lookup, Outcome::Found, Class::Table),
        depth,
        operations,
    );
    SiteRows {
        frames: frames.map(Into::into),
        typ: Some(typ.into()),
        rows,
    }
}

/// The sums of the samples' values.
fn sums(profile: &Profile) -> [i64; 3] {
    let mut sums = [0; 3];
    for sample in &profile.sample {
        for (sum, value) in sums.iter_mut().zip(&sample.value) {
            *sum += value;
        }
    }
    sums
}

#[test]
fn the_head_says_what_was_measured_on_what_and_when() {
    let profile = decoded(&sample::report());
    let text =
        |index: i64| profile.string_table[usize::try_from(index).expect("an index")].as_str();
    assert_eq!(profile.string_table[0], "");
    let types: Vec<_> = profile
        .sample_type
        .iter()
        .map(|of| (text(of.r#type), text(of.unit)))
        .collect();
    assert_eq!(types, OPERATIONS);
    assert_eq!(text(profile.default_sample_type), "excess_probes");
    assert_eq!(profile.time_nanos, 1_700_000_000_000_000_000);
    assert_eq!(profile.duration_nanos, 10_000_000_000);
    assert_eq!(text(profile.mapping[0].filename), "/srv/app");
    assert_eq!(text(profile.mapping[0].build_id), "1f2e3d");
    let comments: Vec<_> = profile.comment.iter().map(|index| text(*index)).collect();
    let all = comments.join("\n");
    for words in [
        "/srv/app (pid 4711)",
        "go1.27.3",
        "3 faults",
        "mapassign_fast64ptr",
    ] {
        assert!(all.contains(words), "{words}: {all}");
    }
}

#[test]
fn without_call_sites_the_operations_are_under_their_types() {
    let mut report = sample::report();
    report.counts.by_site = List::default();
    let profile = decoded(&report);
    let first = &profile.sample[0];
    assert_eq!(
        stack(&profile, first),
        "map[string]*main.Order (call site unknown)@:0"
    );
    assert_eq!(
        labels(&profile, first),
        "op=lookup outcome=hit class=table type=map[string]*main.Order depth=1probes"
    );
    assert_eq!(first.value, [1_142_345, 1_142_345, 0]);
    let unknown = profile.sample.last().expect("samples");
    assert_eq!(
        stack(&profile, unknown),
        "type unknown (call site unknown)@:0"
    );
    assert_eq!(
        labels(&profile, unknown),
        "op=lookup outcome=hit class=table depth=40probes"
    );
    assert_eq!(unknown.value, [15, 600, 585]);
    let operations = i64::try_from(report.counts.operations.total()).expect("a count");
    let excess = i64::try_from(report.counts.operations.excess()).expect("a count");
    assert_eq!(sums(&profile), [operations, operations + excess, excess]);
}

#[test]
fn inlined_frames_are_lines_of_one_location() {
    let get = frame("main.(*Cache).Get", "/src/cache.go", 42);
    let serve = frame("main.serve", "/src/main.go", 7);
    let mut report = sample::report();
    let typ = "map[string]*main.Order";
    let sites = [
        site(Some(vec![get.clone(), serve.clone()]), typ, 2, 40_000),
        site(Some(vec![serve]), typ, 2, 9_000),
        // What found no room in the table is of all types together.
        SiteRows {
            typ: None,
            ..site(None, typ, 3, 5_000)
        },
    ];
    report.counts.by_site = listed(sites.map(Into::into));
    let profile = decoded(&report);
    let stacks: Vec<_> = profile.sample[..3]
        .iter()
        .map(|sample| stack(&profile, sample))
        .collect();
    let expected = [
        "main.(*Cache).Get@/src/cache.go:42 < main.serve@/src/main.go:7",
        "main.serve@/src/main.go:7",
        "map[string]*main.Order (call site unknown)@:0",
    ];
    assert_eq!(stacks, expected);
    // What is at no call site is there all the same, once.
    let operations = i64::try_from(report.counts.operations.total()).expect("a count");
    let excess = i64::try_from(report.counts.operations.excess()).expect("a count");
    assert_eq!(sums(&profile), [operations, operations + excess, excess]);
}

#[test]
fn a_stack_has_a_location_per_frame_and_takes_the_place_of_call_sites() {
    let frames = vec![
        frame("main.(*Cache).Get", "/src/cache.go", 42),
        frame("main.serve", "/src/main.go", 7),
        frame("main.main", "/src/main.go", 99),
    ];
    let mut report = sample::report();
    let alone = site(
        Some(frames[..1].to_vec()),
        "map[string]*main.Order",
        2,
        50_000,
    );
    report.counts.by_site = listed([alone.into()]);
    let whole = site(Some(frames), "map[string]*main.Order", 2, 50_000);
    report.counts.by_stack = listed([whole.into()]);
    let profile = decoded(&report);
    assert_eq!(
        stack(&profile, &profile.sample[0]),
        "main.(*Cache).Get@/src/cache.go:42 / main.serve@/src/main.go:7 / main.main@/src/main.go:99"
    );
    let operations = i64::try_from(report.counts.operations.total()).expect("a count");
    assert_eq!(sums(&profile)[0], operations);
}

#[test]
fn a_profile_without_excess_probes_opens_with_operations() {
    let mut report = sample::report();
    report.counts = crate::report::model::Counts::default();
    let profile = decoded(&report);
    let shown = usize::try_from(profile.default_sample_type).expect("an index");
    assert_eq!(profile.string_table[shown], "operations");
    assert!(profile.sample.is_empty());
}

#[test]
fn samples_stand_for_time_and_those_of_unknown_depth_are_there() {
    let mut report = sample::report();
    let walked = report.counts.operations.total();
    report.mode = Mode::Sample;
    report.counts.samples = Some(Samples {
        frequency: 999,
        total: 5_000_000,
        kernel: 0,
        functions: vec![FunctionRow {
            function: "runtime.mapassign".to_owned(),
            inside: walked,
            below: 7,
            walked,
        }],
    });
    let profile = decoded(&report);
    let text =
        |index: i64| profile.string_table[usize::try_from(index).expect("an index")].as_str();
    let types = profile.sample_type.iter();
    let types: Vec<_> = types.map(|of| (text(of.r#type), text(of.unit))).collect();
    assert_eq!(types, SAMPLES);
    assert_eq!(text(profile.default_sample_type), "cpu");
    assert_eq!(profile.period, 1_001_384);
    assert_eq!(profile.period_type, profile.sample_type.last().copied());
    let unknown = profile.sample.last().expect("samples");
    assert_eq!(
        stack(&profile, unknown),
        "runtime.mapassign (depth unknown)@:0"
    );
    assert_eq!(unknown.value, [7, 7 * 1_001_384]);
    let all: i64 = profile.sample.iter().map(|sample| sample.value[0]).sum();
    assert_eq!(all, i64::try_from(walked + 7).expect("a count"));
}

#[test]
fn a_struct_tag_in_a_label_is_read_as_before_and_ends_no_quotation() {
    let tag = r#"struct { A int "json:\"a\"" }"#;
    assert_eq!(unquoted(tag), "struct { A int ＂json:＼＂a＼＂＂ }");
}

proptest! {
    #[test]
    fn whatever_names_say_they_are_lines_and_labels_hold_no_quotation(
        typ in any::<String>(), function in any::<String>(), exe in any::<String>(),
        hostile in "[\"\\\\\n\r\x1b,\\]<>{}|%;#a]{0,20}",
    ) {
        let mut report = sample::report();
        report.target.exe = format!("{exe}{hostile}");
        let name = format!("{hostile}{typ}");
        let site = std::sync::Arc::new(SiteRows {
            frames: Some(vec![frame(&format!("{function}{hostile}"), &hostile, 1)].into()),
            typ: Some(name.as_str().into()),
            rows: report.counts.operations.clone(),
        });
        report.counts.by_site = listed([site]);
        let profile = decoded(&report);
        for text in &profile.string_table {
            prop_assert!(!text.contains(char::is_control), "{text:?}");
        }
        let quoted = |index: i64| {
            let index = usize::try_from(index).expect("an index");
            profile.string_table[index].contains(['"', '\\'])
        };
        let labels = profile.sample.iter().flat_map(|sample| &sample.label);
        for label in labels {
            prop_assert!(!quoted(label.str) && !quoted(label.key));
        }
        prop_assert!(!quoted(profile.mapping[0].filename));
    }
}
