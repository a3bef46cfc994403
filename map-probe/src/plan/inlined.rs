//! Map functions that a profile-guided build has inlined into their callers in the runtime: what those do never reaches
//! the function itself. (Code outside of the runtime cannot have them inlined: the compiler writes these calls after it
//! has inlined.)

use super::{Arguments, MapFunction, wrappers};
use crate::target::{Function, GoMaps, MapLayout};
use map_probe_common::site::KeyForm;

/// Functions that do operations for package reflect and for `maps.Clone`, and which map function each calls. They
/// differ in arguments or results from that, so they are not probed in its place.
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: reflect_mapaccess has "mapaccess2("
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: reflect_mapaccess_faststr has "mapaccess2_faststr("
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: reflect_mapassign has "mapassign("
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: reflect_mapassign_faststr has "mapassign_faststr("
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: reflect_mapdelete has "mapdelete("
// Go 1.18..1.25 classic runtime/map.go|map_noswiss.go: reflect_mapdelete_faststr has "mapdelete_faststr("
// Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: reflect_mapaccess has "mapaccess2("
// Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: reflect_mapaccess_faststr has "mapaccess2_faststr("
// Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: reflect_mapassign has "mapassign("
// Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: reflect_mapassign_faststr has "mapassign_faststr("
// Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: reflect_mapdelete has "mapdelete("
// Go 1.24..1.27 swiss runtime/map_swiss.go|map.go: reflect_mapdelete_faststr has "mapdelete_faststr("
// Go 1.21..1.25 classic runtime/map.go|map_noswiss.go: mapclone2 has "mapassign(t, dst, srcK)"
const OTHERS: [(&str, &str); 9] = [
    ("reflect.mapaccess", "runtime.mapaccess2"),
    ("reflect.mapaccess_faststr", "runtime.mapaccess2_faststr"),
    // Since Go 1.20 those without a 0 are package reflect's own, and call those with one.
    ("reflect.mapassign", "runtime.mapassign"),
    ("reflect.mapassign0", "runtime.mapassign"),
    ("reflect.mapassign_faststr", "runtime.mapassign_faststr"),
    ("reflect.mapassign_faststr0", "runtime.mapassign_faststr"),
    ("reflect.mapdelete", "runtime.mapdelete"),
    ("reflect.mapdelete_faststr", "runtime.mapdelete_faststr"),
    (CLONE, "runtime.mapassign"),
];
/// Copies a map: of Swiss maps by other means.
const CLONE: &str = "runtime.mapclone2";

/// The names of those functions.
pub(crate) fn others() -> impl Iterator<Item = &'static str> {
    OTHERS.into_iter().map(|(name, _)| name)
}

/// A function that another one was inlined into.
pub(super) struct Inlined {
    /// The function, to be planned like the other.
    pub(super) function: MapFunction,
    /// Why it cannot be, for the user.
    pub(super) refused: Option<String>,
}

/// All functions of the runtime that do map operations without calling the map function that they should.
pub(super) fn functions<'a>(
    maps: &GoMaps,
    find: &dyn Fn(&str) -> Option<Function<'a>>,
) -> Vec<Inlined> {
    let mut found: Vec<Inlined> = Vec::new();
    for function in maps.functions {
        let ways = || function.wrappers.iter().copied().chain([function.symbol]);
        let callees: Vec<u64> = ways()
            .filter_map(|name| Some(find(name)?.address))
            .collect();
        let others = OTHERS
            .into_iter()
            .filter(|(_, callee)| ways().any(|way| way == *callee));
        let wrappers = function.wrappers.iter().map(|name| (*name, true));
        for (name, is_wrapper) in wrappers.chain(others.map(|(name, _)| (name, false))) {
            if name == CLONE && maps.name != MapLayout::Classic {
                continue;
            }
            let own = find(&format!("{name}0")).map(|function| function.address);
            let callees: Vec<u64> = callees.iter().copied().chain(own).collect();
            let is_inlined = |code: &Function<'_>| !wrappers::calls_any(code, &callees);
            if !find(name).as_ref().is_some_and(is_inlined) {
                continue;
            }
            // `mapaccess1_fat` and its like return another zero value.
            let like_it = is_wrapper && !name.ends_with("_fat");
            found.push(Inlined {
                function: in_place_of(function, name),
                refused: (!like_it).then(|| format!("it has {} inlined", function.symbol)),
            });
        }
    }
    found
}

/// A wrapper as a map function of its own: map type, map, and the key as its name says.
fn in_place_of(function: &MapFunction, wrapper: &'static str) -> MapFunction {
    MapFunction {
        symbol: wrapper,
        arguments: Arguments {
            typ: 0,
            map: 1,
            key: 2,
        },
        key_form: match wrapper.rsplit_once('_') {
            Some((_, "fast32")) => KeyForm::Value32,
            Some((_, "fast64")) => KeyForm::Value64,
            Some((_, "faststr")) => KeyForm::String,
            _ => KeyForm::Pointer,
        },
        ..*function
    }
}
