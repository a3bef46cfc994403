//! Where to probe: for each map function the cheapest instruction that every
//! hashed operation passes exactly once and at which all its values can be found.

mod callee;
mod cfg;
mod choose;
mod cost;
mod effects;
mod facts;
mod flow;
mod inlined;
mod place;
mod reason;
pub mod returns;
pub mod sampling;
pub mod sites_text;
mod step;
mod value;
mod wrappers;

#[cfg(test)]
mod tests;

use map_probe_common::op::Op;
use map_probe_common::site::{KeyForm, Role, Site};

pub use cost::Kernel;
pub(crate) use inlined::others as callers_to_check;
pub use wrappers::name_callers;

use crate::target::{Function, GoMaps};

/// One function of Go's runtime that carries out map operations.
#[derive(Clone, Copy, Debug)]
pub struct MapFunction {
    /// Its symbol (`runtime.mapaccess2_fast64`).
    pub symbol: &'static str,
    /// What it does.
    pub op: Op,
    /// How it takes the key.
    pub key_form: KeyForm,
    /// The integer argument register that holds each value on entry (0 is RAX, 1 RBX, 2 RCX, 3 RDI, ...).
    pub arguments: Arguments,
    /// [`map_probe_common::site::STOPS_AT_EMPTY_REST`] and its siblings.
    pub search: u8,
    /// Classic inserts and deletes: the function they call to evacuate the old bucket first, when the map is growing.
    pub grow_work: Option<&'static str>,
    /// Functions of the runtime that call it on behalf of their own callers.
    pub wrappers: &'static [&'static str],
}

/// Which integer argument each value is on entry, counted from 0.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// The map's type.
    pub typ: u8,
    /// The map.
    pub map: u8,
    /// The key, or the pointer to it; a string key's length is the next argument.
    pub key: u8,
}

/// What a trap on an instruction costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// The kernel emulates it: one trap.
    Emulated,
    /// It is single-stepped out of line: two traps.
    SingleStepped,
}

/// One probe site of the target.
#[derive(Clone, Debug)]
pub struct PlannedSite {
    /// Virtual address in the file.
    pub address: u64,
    /// Offset from the function's start.
    pub offset: u64,
    /// The instruction as a disassembler prints it.
    pub instruction: String,
    /// What trapping there costs.
    pub cost: Cost,
    /// When its operations are walked.
    pub role: Role,
    /// Where the values are, as the kernel side needs it.
    pub site: Site,
}

/// What came of planning one function.
#[derive(Clone, Debug)]
pub enum Coverage {
    /// Its operations are counted at these sites: one, or two for a classic insert or delete.
    Covered(Vec<PlannedSite>),
    /// The binary does not have the function: nothing in it calls it.
    Absent,
    /// The function is there, and no site could be proved right. The reason is for the user.
    NotCovered(String),
}

/// A map function of the target and what came of planning it.
#[derive(Clone, Debug)]
pub struct PlannedFunction {
    /// The function.
    pub function: MapFunction,
    /// Virtual address in the file; 0 if absent.
    pub address: u64,
    /// Sites, or why there are none.
    pub coverage: Coverage,
}

/// Plans all map functions of a Go version, and those of their callers in the runtime that have one of them inlined.
///
/// `find` finds a function of the binary by its symbol; `resolve` names the function at an address. Sites are
/// chosen for what `kernel` does cheaply.
#[must_use]
pub fn plan<'a>(
    maps: &GoMaps,
    find: &dyn Fn(&str) -> Option<Function<'a>>,
    resolve: &dyn Fn(u64) -> Option<String>,
    kernel: Kernel,
) -> Vec<PlannedFunction> {
    let one = |function: &MapFunction, refused: Option<String>| {
        let code = find(function.symbol);
        PlannedFunction {
            function: *function,
            address: code.as_ref().map_or(0, |code| code.address),
            coverage: match (code, refused) {
                (None, _) => Coverage::Absent,
                (_, Some(reason)) => Coverage::NotCovered(reason),
                (Some(code), None) => match choose::sites(function, &code, maps, resolve, kernel) {
                    Ok(sites) => Coverage::Covered(sites),
                    Err(reason) => Coverage::NotCovered(reason.to_string()),
                },
            },
        }
    };
    let inlined = inlined::functions(maps, find).into_iter();
    maps.functions
        .iter()
        .map(|function| one(function, None))
        .chain(inlined.map(|inlined| one(&inlined.function, inlined.refused)))
        .collect()
}
