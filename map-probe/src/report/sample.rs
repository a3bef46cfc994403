//! One report that the tests of all formats share.

use map_probe_common::op::{Class, Op, Outcome};

use super::model::{Cost, Counts, Mode, Quality, Report, RowKey, Rows, TargetInfo};

const HIT: RowKey = (Op::Lookup, Outcome::Found, Class::Table);
const MISS: RowKey = (Op::Lookup, Outcome::Absent, Class::Table);
const NEW: RowKey = (Op::Insert, Outcome::Absent, Class::Table);
const SMALL: RowKey = (Op::Lookup, Outcome::Found, Class::Small);

fn rows(cells: &[(RowKey, u32, u64)]) -> Rows {
    let mut rows = Rows::default();
    for (kind, depth, operations) in cells {
        rows.record(*kind, *depth, *operations);
    }
    rows
}

pub(crate) fn report() -> Report {
    let orders = rows(&[
        (HIT, 1, 1_142_345),
        (HIT, 2, 50_000),
        (HIT, 3, 5_000),
        (HIT, 4, 2_960),
        (HIT, 20, 25),
        (SMALL, 1, 76),
    ]);
    let bools = rows(&[(MISS, 1, 30_000), (MISS, 2, 4_000), (NEW, 1, 222)]);
    let unknown = rows(&[(HIT, 40, 15)]);
    let quality = Quality {
        lost: 0,
        faults: 3,
        torn: 2,
        truncated: 1,
    };
    let types = [
        (Some("map[string]*main.Order".to_owned()), orders),
        (Some("map[int]bool".to_owned()), bools),
        (None, unknown),
    ];
    Report {
        target: TargetInfo {
            pid: 4711,
            exe: "/srv/app".to_owned(),
            go: "go1.27.3".to_owned(),
            assumed: None,
            untested: false,
            layout: "swiss",
            arch: "amd64",
            covered: vec![
                "runtime.mapaccess2_fast64".to_owned(),
                "runtime.mapassign_fast64".to_owned(),
            ],
            not_covered: vec![(
                "runtime.mapassign_fast64ptr".to_owned(),
                "no instruction at which the hash can be found".to_owned(),
            )],
        },
        is_final: true,
        until_seconds: 10.0,
        seconds: 10.0,
        attached_seconds: 10.0,
        small_counted: false,
        mode: Mode::Trace,
        cost: None,
        counts: Counts::of_types(types, quality),
    }
}

pub(crate) fn cost() -> Cost {
    Cost {
        windows: 200,
        traps: 140_000,
        ns_per_trap: Some(712.5),
        slowdown: Some(0.0095),
        bound: Some(0.01),
        cpu_seconds: 0.05,
        resident_bytes: 12_345_678,
    }
}
