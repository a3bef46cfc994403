//! One report that the tests of all formats share.

use std::time::{Duration, UNIX_EPOCH};

use map_probe_common::op::{Class, Op, Outcome};

use super::model::{
    Cost, Counts, Frame, MapRows, MapSize, Mode, Quality, Report, RowKey, Rows, SiteRows,
    TargetInfo,
};

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
            build_id: Some("1f2e3d".to_owned()),
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
        started: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        until_seconds: 10.0,
        seconds: 10.0,
        attached_seconds: 10.0,
        small_counted: false,
        mode: Mode::Trace,
        cost: None,
        counts: Counts {
            by_map: maps(),
            by_site: sites(),
            ..Counts::of_types(types, quality)
        },
    }
}

/// Operations of the report's first type, by map; some maps found no room.
fn maps() -> Vec<MapRows> {
    let map = MapRows {
        address: Some(0xc0_0012_3400),
        typ: Some("map[string]*main.Order".to_owned()),
        size: Some(MapSize {
            entries: 95_000,
            capacity: Some(114_688),
        }),
        first_seen: Duration::from_secs(1),
        last_seen: Duration::from_secs(10),
        rows: rows(&[(HIT, 1, 1_000_000), (HIT, 2, 40_000), (HIT, 20, 25)]),
    };
    let small = MapRows {
        address: Some(0xc0_0004_2180),
        size: None,
        rows: rows(&[(SMALL, 1, 76)]),
        ..map.clone()
    };
    let rest = MapRows {
        address: None,
        typ: None,
        size: None,
        first_seen: Duration::ZERO,
        rows: rows(&[(HIT, 1, 142_345)]),
        ..map.clone()
    };
    vec![map, rest, small]
}

/// Operations by call site: in a function that is inlined into another, and somewhere unknown.
fn sites() -> Vec<SiteRows> {
    let frame = |function: &str, file: &str, line| Frame {
        function: function.to_owned(),
        file: file.to_owned(),
        line,
    };
    vec![
        SiteRows {
            frames: Some(vec![
                frame("main.(*Cache).Get", "/srv/src/cache.go", 42),
                frame("main.serve", "/srv/src/main.go", 118),
            ]),
            typ: Some("map[string]*main.Order".to_owned()),
            rows: rows(&[(HIT, 1, 1_142_345), (HIT, 2, 50_000), (HIT, 20, 25)]),
        },
        SiteRows {
            frames: None,
            typ: Some("map[int]bool".to_owned()),
            rows: rows(&[(MISS, 1, 30_000)]),
        },
    ]
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
