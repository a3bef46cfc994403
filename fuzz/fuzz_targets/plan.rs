//! The planner on any code: which version and which of its functions (a byte each), the functions that are called
//! (how many; of each its distance in four bytes and its name's number), then the code.
#![no_main]

use std::collections::HashMap;

use map_probe::plan::{Coverage, Kernel, MapFunction, plan};
use map_probe::target::{Function, GoMaps, fuzzing};
use map_probe_common::site::{Place, STACK_WORDS, Site};

/// Names that mean something to the planner; `cargo xtask fuzz` numbers them alike.
const NAMES: &str = include_str!("../callees.txt");
const ADDRESS: u64 = 0x40_0000;

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
    let resolve = |address| callee.get(&address).map(|name| (*name).to_owned());
    for kernel in [Kernel::ANY, Kernel::of_release("6.18.0")] {
        for planned in plan(maps, &find, &resolve, kernel) {
            let Coverage::Covered(sites) = planned.coverage else {
                continue;
            };
            assert!(!sites.is_empty() && sites.len() <= 16, "{}", sites.len());
            for site in sites {
                assert!((site.offset as usize) < code.len());
                assert_eq!(site.address, ADDRESS + site.offset);
                check(&site.site);
            }
        }
    }
});

fn check(site: &Site) {
    assert!(usize::from(site.stack_words) <= STACK_WORDS);
    assert!(site.op().is_some() && site.key_form().is_some() && site.role().is_some());
    let first = Place::FIRST_STACK_WORD;
    for place in [site.typ, site.map, site.key] {
        assert!(place < first + site.stack_words);
    }
    for place in [site.key_len, site.hash] {
        assert!(place == Place::NONE.0 || place < first + site.stack_words);
    }
}
