//! The planner on any code: which version and which of its functions (a byte each), the functions that are called
//! (how many; of each its distance in four bytes and its name's number), then the code.
#![no_main]

use std::collections::HashMap;

use map_probe::plan::{Coverage, Kernel, MapFunction, name_callers, plan};
use map_probe::target::{Function, GoMaps, fuzzing};
use map_probe_common::site::{Place, STACK_WORDS, Site};

/// Names that mean something to the planner; `cargo xtask fuzz` numbers them alike.
const NAMES: &str = include_str!("../callees.txt");
const ADDRESS: u64 = 0x40_0000;
/// Bytes from one wrapper to the next: more than an input has.
const WRAPPER_DISTANCE: u64 = 0x2000;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [version, function, callees, rest @ ..] = bytes else {
        return;
    };
    let all: Vec<&GoMaps> = fuzzing::maps().collect();
    let maps = all[usize::from(*version) % all.len()];
    let function: MapFunction = maps.functions[usize::from(*function) % maps.functions.len()];
    let names: Vec<&str> = NAMES.lines().collect();
    let mut callee = HashMap::new();
    let len = rest.len().min(5 * usize::from(*callees));
    let (list, code) = rest.split_at(len);
    for entry in list.chunks_exact(5) {
        let distance = i32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
        let name = names[usize::from(entry[4]) % names.len()];
        callee.insert(ADDRESS.wrapping_add_signed(distance.into()), name);
    }
    let find = |symbol: &str| {
        (symbol == function.symbol).then(|| Function {
            name: symbol.to_owned(),
            address: ADDRESS,
            code,
        })
    };
    // Any code is a wrapper's too: each has the same, further on.
    let find_wrapper = |symbol: &str| {
        let index = function.wrappers.iter().position(|name| *name == symbol)?;
        Some(Function {
            name: symbol.to_owned(),
            address: ADDRESS + (index as u64 + 1) * WRAPPER_DISTANCE,
            code,
        })
    };
    let stack_bytes = |address: u64| (address % 7 != 0).then_some(*version as u32 * 8);
    let resolve = |address| callee.get(&address).map(|name| (*name).to_owned());
    for kernel in [Kernel::ANY, Kernel::of_release("6.18.0")] {
        let mut planned = plan(maps, &find, &resolve, kernel);
        name_callers(&mut planned, &find_wrapper, &stack_bytes);
        for planned in planned {
            let Coverage::Covered(sites) = planned.coverage else {
                continue;
            };
            assert!(!sites.is_empty() && sites.len() <= 16, "{}", sites.len());
            for site in sites {
                assert!((site.offset as usize) < code.len());
                assert_eq!(site.address, ADDRESS + site.offset);
                check(&site.site, code.len() as u64);
            }
        }
    }
});

fn check(site: &Site, code: u64) {
    assert!(usize::from(site.wide_words) <= STACK_WORDS && site.stack_words <= site.wide_words);
    for wrapper in &site.wrappers {
        let into = wrapper.return_address.checked_sub(ADDRESS + WRAPPER_DISTANCE);
        assert!(wrapper.return_address == 0 || into.is_some_and(|into| into % WRAPPER_DISTANCE <= code));
    }
    assert!(site.op().is_some() && site.key_form().is_some() && site.role().is_some());
    let first = Place::FIRST_STACK_WORD;
    for place in [site.typ, site.map, site.key] {
        assert!(place < first + site.stack_words);
    }
    for place in [site.key_len, site.hash] {
        assert!(place == Place::NONE.0 || place < first + site.stack_words);
    }
}
