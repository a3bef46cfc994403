//! One report that the tests of all formats share.

use std::time::{Duration, UNIX_EPOCH};

use map_probe_common::op::{Class, Op, Outcome};

use super::counts::{Entry, listed};
use super::model::{
    Cost, Counts, Estimate, Estimates, Frame, List, MapRows, MapSize, Mode, Quality, Range, Report,
    RowKey, Rows, SiteRows, TargetInfo,
};
use super::ranked::Ranking;

const HIT: RowKey = (Op::Lookup, Outcome::Found, Class::Table);
const MISS: RowKey = (Op::Lookup, Outcome::Absent, Class::Table);
const NEW: RowKey = (Op::Insert, Outcome::Absent, Class::Table);
const SMALL: RowKey = (Op::Lookup, Outcome::Found, Class::Small);

fn rows(cells: &[(RowKey, u32, u64)]) -> Rows {
    cells.iter().copied().collect()
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
        (Some("map[string]*main.Order".into()), orders),
        (Some("map[int]bool".into()), bools),
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
            lives: Vec::new(),
            notes: Vec::new(),
            ended: None,
        },
        filters: Vec::new(),
        ranking: Ranking::default(),
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
fn maps() -> List<MapRows> {
    let map = MapRows {
        address: Some(0xc0_0012_3400),
        typ: Some("map[string]*main.Order".into()),
        life: 0,
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
        life: 0,
        size: None,
        rows: rows(&[(SMALL, 1, 76)]),
        ..map.clone()
    };
    let rest = MapRows {
        address: None,
        typ: None,
        life: 0,
        size: None,
        first_seen: Duration::ZERO,
        rows: rows(&[(HIT, 1, 142_345)]),
        ..map.clone()
    };
    listed([map, rest, small].map(Into::into))
}

/// Operations by call site: in a function that is inlined into another, and somewhere unknown.
fn sites() -> List<SiteRows> {
    let frame = |function: &str, file: &str, line| Frame {
        function: function.to_owned(),
        file: file.to_owned(),
        line,
    };
    let sites = [
        SiteRows {
            frames: Some(
                [
                    frame("main.(*Cache).Get", "/srv/src/cache.go", 42),
                    frame("main.serve", "/srv/src/main.go", 118),
                ]
                .into(),
            ),
            typ: Some("map[string]*main.Order".into()),
            rows: rows(&[(HIT, 1, 1_142_345), (HIT, 2, 50_000), (HIT, 20, 25)]),
        },
        SiteRows {
            frames: None,
            typ: Some("map[int]bool".into()),
            rows: rows(&[(MISS, 1, 30_000)]),
        },
    ];
    listed(sites.map(Into::into))
}

/// The counts of two times together.
pub(crate) fn added(one: &Counts, other: &Counts) -> Counts {
    let mut operations = one.operations.clone();
    operations.add(&other.operations);
    let sum = |one: u64, other: u64| one.saturating_add(other);
    let (mine, more) = (one.quality, other.quality);
    Counts {
        operations,
        by_type: both(&one.by_type, &other.by_type),
        by_map: both(&one.by_map, &other.by_map),
        by_site: both(&one.by_site, &other.by_site),
        by_stack: both(&one.by_stack, &other.by_stack),
        quality: Quality {
            lost: sum(mine.lost, more.lost),
            faults: sum(mine.faults, more.faults),
            torn: sum(mine.torn, more.torn),
            truncated: sum(mine.truncated, more.truncated),
        },
        ..Counts::default()
    }
}

fn both<T: Entry>(one: &List<T>, other: &List<T>) -> List<T> {
    let mut rows: Vec<T> = one.iter().map(|row| T::clone(row)).collect();
    for more in other.iter() {
        match rows.iter_mut().find(|row| row.key() == more.key()) {
            Some(row) => {
                let mut sum = row.rows().clone();
                sum.add(more.rows());
                *row = row.with(sum);
            }
            None => rows.push(T::clone(more)),
        }
    }
    listed(rows.into_iter().map(Into::into))
}

pub(crate) fn cost() -> Cost {
    Cost {
        windows: 200,
        traps: Some(140_000),
        ns_per_trap: Some(712.5),
        slowdown: Some(0.0095),
        bound: Some(0.01),
        cpu_seconds: 0.05,
        resident_bytes: 12_345_678,
    }
}

/// Of lookups that hit, all is known; of others, nothing.
pub(crate) fn estimates() -> Estimates {
    let range = |low, high| Range { low, high };
    let hits = Estimate {
        share: 0.75,
        operations: Some((
            5e8,
            Range {
                low: 4.5e8,
                high: 5.5e8,
            },
        )),
        mean: Some(Range {
            low: 1.05,
            high: 1.07,
        }),
        quantiles: Some([range(1, 1), range(1, 1), range(2, 3), range(4, 20)]),
    };
    let unknown = Estimate {
        share: 0.25,
        operations: None,
        mean: None,
        quantiles: None,
    };
    Estimates {
        tables: Some(Estimate {
            share: 1.0,
            operations: None,
            ..hits.clone()
        }),
        rows: [(HIT, hits), (MISS, unknown)].into(),
    }
}
