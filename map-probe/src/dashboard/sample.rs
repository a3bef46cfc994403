//! A run that the tests of the dashboard share: four intervals, with maps, call sites and stacks.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Effect, Event, State};
use crate::report::counts::{Frame, MapRows, MapSize, SiteRows, TypeRows, listed};
use crate::report::model::{Cost, Counts, Report, Rows};
use crate::report::sample;

/// Intervals of [`state`].
pub(super) const INTERVALS: usize = 4;

const ORDERS: &str = "map[string]*main.Order";

/// The report that all formats share, with tables for all pages.
pub(super) fn report() -> Report {
    let mut report = sample::report();
    report.is_final = false;
    let rows = |name: &str| rows_of(&report.counts.by_type, name);
    let (orders, bools) = (rows(ORDERS), rows("map[int]bool"));
    let frame = |function: &str, file: &str, line| Frame {
        function: function.to_owned(),
        file: file.to_owned(),
        line,
    };
    let get = frame("main.(*Cache).Get", "/src/shop/cache.go", 42);
    let serve = frame("main.serve", "/src/shop/main.go", 107);
    let map = |address, typ: &str, entries, rows: &Rows| MapRows {
        address: Some(address),
        typ: Some(typ.into()),
        life: 0,
        size: Some(MapSize {
            entries,
            capacity: Some(2048),
        }),
        first_seen: Duration::from_secs(1),
        last_seen: Duration::from_secs(10),
        rows: rows.clone(),
    };
    let mut rest = map(0, ORDERS, 0, &bools);
    (rest.address, rest.typ, rest.size) = (None, None, None);
    let by_map = [
        map(0xc0_0012_3400, ORDERS, 1500, &orders),
        map(0xc0_0077_7700, "map[int]bool", 40, &bools),
        rest,
    ];
    let site = |frames: &[&Frame], typ: &str, rows: &Rows| SiteRows {
        frames: Some(frames.iter().map(|frame| (*frame).clone()).collect()),
        typ: Some(typ.into()),
        rows: rows.clone(),
    };
    let by_site = [
        site(&[&get, &serve], ORDERS, &orders),
        site(&[&serve], "map[int]bool", &bools),
    ];
    let by_stack = [site(
        &[&get, &serve, &frame("main.main", "/src/shop/main.go", 12)],
        ORDERS,
        &orders,
    )];
    report.counts = Counts {
        by_map: listed(by_map.map(Into::into)),
        by_site: listed(by_site.map(Into::into)),
        by_stack: listed(by_stack.map(Into::into)),
        ..report.counts
    };
    report.cost = Some(Cost {
        windows: 12,
        traps: Some(1_234_567),
        ns_per_trap: Some(412.0),
        slowdown: Some(0.0083),
        bound: Some(0.01),
        cpu_seconds: 0.05,
        resident_bytes: 22_000_000,
    });
    report
}

fn rows_of(types: &[Arc<TypeRows>], name: &str) -> Rows {
    let found = types.iter().find(|of| of.name.as_deref() == Some(name));
    found.expect("a type of the sample").rows.clone()
}

/// After four intervals, all alike.
pub(super) fn state() -> State {
    let mut nothing = report();
    nothing.counts = Counts::default();
    nothing.seconds = 0.0;
    nothing.until_seconds = 0.0;
    let mut state = State::new(nothing);
    for number in 1..=INTERVALS {
        let mut interval = report();
        interval.seconds = 2.5;
        interval.cost = interval.cost.map(|cost| Cost {
            cpu_seconds: 0.01,
            ..cost
        });
        interval.attached_seconds = 2.5;
        interval.until_seconds = 2.5 * number as f64;
        state.update(Event::Reports(Box::new((interval, report()))));
    }
    state
}

/// Presses keys, one after the other; what the last one asks for.
pub(super) fn press(state: &mut State, keys: &[KeyCode]) -> Effect {
    let mut effect = Effect::None;
    for key in keys {
        effect = state.update(Event::Key(KeyEvent::new(*key, KeyModifiers::NONE)));
    }
    effect
}
