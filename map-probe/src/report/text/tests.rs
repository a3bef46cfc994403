//! What the blocks look like, on fixed data and on any.

use std::sync::Arc;

use map_probe_common::op::{CELLS, of_cell};
use map_probe_common::quality::CAUSES;
use proptest::collection::vec;
use proptest::prelude::*;

use super::line::columns;
use super::{Style, interval, whole_run};
use crate::report::counts::{Counts, Quality, Rows};
use crate::report::model::{Fate, Mode, Report, TargetInfo};
use crate::report::ranked::Ranking;
use crate::report::sample;
use crate::report::words::SYNC_MAP;

#[test]
fn the_whole_run_on_80_columns() {
    let screen = whole_run(&sample::report(), Style::plain(true));
    assert_eq!(screen, WHOLE);
}

const WHOLE: &str = "\
━━ whole run, 10.0 s · app (4711) · 1,234,643 operations · 123k/s ━━━━━━━━━━━━━━

  operations on tables            count   per s  depth mean    p50    p99    max
  lookup hit                  1,200,345    120k        1.06      1      2     40
    depth     1  ███████████████████████████████████████     95.2%     1,142,345
            2–3  █▉                                           4.6%        55,000
            4–7  ▏                                            0.2%         2,960
           8–15                                                 0%             0
          16–31  ▏                                           <0.1%            25
          32–63  ▏                                           <0.1%            15

  lookup miss                    34,000   3.40k        1.12      1      2      2
    depth     1  ████████████████████████████████████▏       88.2%        30,000
            2–3  ████▊                                       11.8%         4,000

  insert new                        222    22.2        1.00      1      1      1
    depth     1  █████████████████████████████████████████    100%           222

  types of these maps                            count  depth mean    p99    max
  map[string]*main.Order                     1,200,330        1.06      2     20
  map[int]bool                                  34,222        1.12      2      2
  type unknown                                      15       40.00     40     40

  call sites                                     count  depth mean    p99    max
  main.(*Cache).Get                          1,192,370        1.04      2     20
    cache.go:42 · map[string]*main.Order · 50,475 excess probes
    inlined in main.serve main.go:118
  call site unknown                             30,000        1.00      1      1
    map[int]bool

  maps                                           count  depth mean    p99    max
  0xc000123400                               1,040,025        1.04      2     20
    map[string]*main.Order · 83% full (95,000 of 114,688) · 40,475 excess probes
  maps that found no room in the table         142,345        1.00      1      1

  small maps  lookup 76 hit (not all: some end before they reach a probe)
  quality     6 operations seen but in no row:
              3 faults (memory of the target could not be read)
              2 torn (the map changed while it was walked)
              1 truncated (bound of the walk reached, or keys not comparable)
              1 map function not covered, operations there not seen

  target      /srv/app (pid 4711), go1.27.3, swiss maps, amd64
  covered     runtime.mapaccess2_fast64, runtime.mapassign_fast64
  not covered runtime.mapassign_fast64ptr: no instruction at which the hash can
              be found
";

#[test]
fn an_interval_in_ascii_that_is_exact() {
    let mut report = sample::report();
    report.is_final = false;
    report.seconds = 0.5;
    report.attached_seconds = 0.5;
    report.until_seconds = 3.0;
    report.small_counted = true;
    report.target.not_covered.clear();
    report.counts.quality = Quality::default();
    Arc::make_mut(&mut report.counts.by_type).truncate(1);
    assert_eq!(interval(&report, Style::plain(false)), EXACT);
}

const EXACT: &str = "\
-- 2.50-3.00 s | app (4711) | 1,234,643 operations | 2.47M/s -------------------

  operations on tables            count   per s  depth mean    p50    p99    max
  lookup hit                  1,200,345   2.40M        1.06      1      2     40
    depth     1  #######################################     95.2%     1,142,345
            2-3  #                                            4.6%        55,000
            4-7  #                                            0.2%         2,960
           8-15                                                 0%             0
          16-31  #                                           <0.1%            25
          32-63  #                                           <0.1%            15

  lookup miss                    34,000   68.0k        1.12      1      2      2
    depth     1  ####################################        88.2%        30,000
            2-3  ####                                        11.8%         4,000

  insert new                        222     444        1.00      1      1      1
    depth     1  #########################################    100%           222

  types of these maps                            count  depth mean    p99    max
  map[string]*main.Order                     1,200,330        1.06      2     20

  call sites                                     count  depth mean    p99    max
  main.(*Cache).Get                          1,192,370        1.04      2     20
    cache.go:42 | map[string]*main.Order | 50,475 excess probes
    inlined in main.serve main.go:118
  call site unknown                             30,000        1.00      1      1
    map[int]bool

  maps                                           count  depth mean    p99    max
  0xc000123400                               1,040,025        1.04      2     20
    map[string]*main.Order | 83% full (95,000 of 114,688) | 40,475 excess probes
  maps that found no room in the table         142,345        1.00      1      1

  small maps  lookup 76 hit
  quality     all operations counted exactly

";

#[test]
fn an_interval_without_operations() {
    let mut report = sample::report();
    report.is_final = false;
    report.seconds = 1.0;
    report.counts = Counts::default();
    report.target.not_covered.clear();
    assert_eq!(interval(&report, Style::plain(true)), IDLE);
}

const IDLE: &str = "\
── 9.0–10.0 s · app (4711) · 0 operations · 0/s ────────────────────────────────

  no operations on tables in this time

  small maps  none seen (some end before they reach a probe)
  quality     all operations on tables counted exactly

";

#[test]
fn functions_that_are_not_covered_are_said_beside_exact_counts() {
    let mut report = sample::report();
    report.counts.quality = Quality::default();
    let screen = interval(&report, Style::plain(true));
    let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "1 map function not covered, operations there not seen; all others on tables counted exactly";
    assert!(words.ends_with(said), "{screen}");
}

#[test]
fn the_ten_most_frequent_types_are_listed_and_the_rest_is_counted() {
    let mut report = sample::report();
    let kind = of_cell(0).expect("a cell");
    let types = (1..=13_u64).map(|number| {
        let mut rows = Rows::default();
        rows.record(kind, 1, number);
        (Some(format!("map[int]main.T{number}").into()), rows)
    });
    report.counts = Counts::of_types(types, Quality::default());
    let screen = interval(&report, Style::plain(true));
    assert!(screen.contains("map[int]main.T4 "), "{screen}");
    assert!(!screen.contains("map[int]main.T3 "), "{screen}");
    let more = screen
        .lines()
        .find(|line| line.contains("and 3 more"))
        .expect("a line for the rest");
    assert_eq!(more.split_whitespace().last(), Some("6"));
}

#[test]
fn a_report_of_windows_says_how_sure_it_is_and_what_it_does_not_know() {
    let mut report = sample::report();
    report.counts.estimates = Some(sample::estimates());
    report.cost = Some(sample::cost());
    let screen = interval(&report, Style::plain(true));
    let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "lookup hit 1,200,345 50.0M 1.06 1 2 40 95% sure: mean 1.05–1.07, p50 1, p90 1, p99 2–3",
        "lookup miss 34,000 - 1.12 1 2 2 too few windows to tell how sure this is",
        "quality in 200 windows; depths are those of all operations",
        "the bound is 1%",
    ] {
        assert!(words.contains(said), "{said}: {screen}");
    }
}

#[test]
fn colours_do_not_change_what_a_screen_says() {
    let plain = Style::plain(true);
    let colour = Style {
        colour: true,
        ..plain
    };
    let coloured = whole_run(&sample::report(), colour);
    assert!(coloured.contains("\x1b["));
    let mut text = String::new();
    for (index, part) in coloured.split('\x1b').enumerate() {
        let part = if index == 0 {
            part
        } else {
            part.split_once('m').expect("an escape ends with m").1
        };
        text.push_str(part);
    }
    let trimmed = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    };
    assert_eq!(
        trimmed(&text),
        trimmed(&whole_run(&sample::report(), plain))
    );
}

pub(crate) fn any_report() -> impl Strategy<Value = Report> {
    // A histogram of great depths takes much memory, so most are not.
    let depth = prop_oneof![99 => 0..300_u32, 1 => any::<u32>()];
    let cells = vec((0..CELLS, depth, any::<u64>()), 0..20);
    let types = vec((any::<Option<String>>(), cells), 0..15);
    let names = vec(any::<String>(), 0..4);
    let not_covered = vec(any::<(String, String)>(), 0..4);
    let times = (0.0..1e9_f64, 0.0..1e9_f64, 0.0..1e9_f64);
    let flags = any::<(bool, bool, bool, i32)>();
    let strings = any::<(String, String)>();
    let causes = any::<[u64; CAUSES]>();
    (types, names, not_covered, times, flags, strings, causes).prop_map(
        |(
            types,
            covered,
            not_covered,
            times,
            (is_final, small_counted, untested, pid),
            strings,
            causes,
        )| {
            let assumed = untested.then(|| strings.1.clone());
            let types = types.into_iter().map(|(name, cells)| {
                let mut rows = Rows::default();
                for (cell, depth, operations) in cells {
                    rows.record(of_cell(cell).expect("within CELLS"), depth, operations);
                }
                (name.map(Into::into), rows)
            });
            Report {
                filters: Vec::new(),
                ranking: Ranking::default(),
                target: TargetInfo {
                    pid,
                    exe: strings.0,
                    build_id: None,
                    go: strings.1,
                    assumed,
                    untested,
                    layout: "swiss-split",
                    arch: "amd64",
                    covered,
                    not_covered,
                    lives: Vec::new(),
                    notes: vec![SYNC_MAP; usize::from(small_counted)],
                    ended: untested.then_some(Fate::Signal(pid)),
                },
                is_final,
                started: std::time::UNIX_EPOCH,
                until_seconds: times.0,
                seconds: times.1,
                attached_seconds: times.2,
                small_counted,
                mode: Mode::Trace,
                cost: None,
                counts: Counts::of_types(types, Quality::from_causes(&causes)),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_line_is_wider_than_the_screen(
        report in any_report(),
        width in 1..200_usize,
        unicode in any::<bool>(),
    ) {
        let style = Style { width, colour: false, unicode };
        for screen in [interval(&report, style), whole_run(&report, style)] {
            for line in screen.split('\n') {
                prop_assert!(columns(line) <= width, "{width}: {line}");
                prop_assert!(!line.chars().any(char::is_control), "{line:?}");
                prop_assert!(unicode || line.is_ascii(), "{line}");
            }
        }
    }
}
