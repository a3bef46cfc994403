//! Where type, map, key and hash are at every instruction of the map functions: what a sample needs, which meets an
//! operation anywhere.
//!
//! A site to trap on has to be passed by every operation once. An instruction that is met by chance need not: here all
//! count at which the values can be found and the operation has not yet done its work. What an insert or delete does to
//! its map comes at its end; growing, which comes before, leaves the map complete, and the search begins anew.
//!
//! Lookups drop their hash early. It is then computed from the key: such sites have no place for it.

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, FlowControl, InstructionInfoFactory, OpAccess, Register};
use map_probe_common::op::Op;
use map_probe_common::site::{KeyForm, Role, Site};

use super::callee::Callee;
use super::cfg::Cfg;
use super::effects::RSP;
use super::facts::Facts;
use super::flow::Flow;
use super::place::{self, locate};
use super::reason::Reason;
use super::value::State;
use super::value::Value::{self, Hash, Key, KeyLen, Map, Typ};
use super::{MapFunction, inlined, wrappers};
use crate::target::{Function, GoMaps};

/// Functions without a frame of their own that map functions call, if they are compiled so.
pub const MAYBE_FRAMELESS: [&str; 22] = [
    "aeshashbody",
    "internal/runtime/maps.memHash32AES",
    "internal/runtime/maps.memHash64AES",
    "internal/runtime/maps.memHashAES",
    "memeqbody",
    "runtime.f64equal",
    "runtime.memequal",
    "runtime.memequal0",
    "runtime.memequal128",
    "runtime.memequal16",
    "runtime.memequal32",
    "runtime.memequal64",
    "runtime.memequal8",
    "runtime.memhash",
    "runtime.memhash0",
    "runtime.memhash128",
    "runtime.memhash16",
    "runtime.memhash32",
    "runtime.memhash64",
    "runtime.memhash8",
    "runtime.strequal",
    "runtime.strhash",
];

/// The map functions of a program as a sampler needs them.
#[derive(Clone, Debug, Default)]
pub struct SampleTable {
    /// The functions that the program has.
    pub functions: Vec<SampledFunction>,
    /// For every byte of their code 0, or the number of a site, from 1 on. At an instruction's first byte it is the site
    /// for a sample there, at the last byte of a call the one for a sample in what is called.
    pub code: Vec<u16>,
    /// All different sites.
    pub sites: Vec<Site>,
    /// Linked addresses of functions without a frame, first and one past the last.
    pub frameless: Vec<(u64, u64)>,
}

/// One map function.
#[derive(Clone, Debug)]
pub struct SampledFunction {
    /// Its symbol.
    pub symbol: &'static str,
    /// Linked address.
    pub address: u64,
    /// Bytes of code.
    pub len: usize,
    /// Its first byte in [`SampleTable::code`].
    pub first: usize,
}

/// The table of a program; `find`, `resolve` and `stack_bytes` as [`super::plan`] and [`super::name_callers`] take them.
#[must_use]
pub fn table<'a>(
    maps: &GoMaps,
    find: &dyn Fn(&str) -> Option<Function<'a>>,
    resolve: &dyn Fn(u64) -> Option<String>,
    stack_bytes: &dyn Fn(u64) -> Option<u32>,
) -> SampleTable {
    let mut table = SampleTable::default();
    let mut numbers = HashMap::new();
    let inlined = inlined::functions(maps, find).into_iter();
    let inlined: Vec<_> = inlined
        .filter(|inlined| inlined.refused.is_none())
        .map(|inlined| inlined.function)
        .collect();
    for function in maps
        .functions
        .iter()
        .chain(maps.also_sampled)
        .chain(&inlined)
    {
        let Some(code) = find(function.symbol) else {
            continue;
        };
        let first = table.code.len();
        table.code.resize(first + code.code.len(), 0);
        // A function that cannot be followed has no sites: samples in it are counted, and not walked.
        let wrappers = wrappers::wrappers(function, code.address, find, stack_bytes);
        for (offset, mut site) in sites(function, &code, maps, resolve).unwrap_or_default() {
            wrappers::set(&mut site, &wrappers);
            let number = *numbers.entry(site).or_insert_with(|| {
                table.sites.push(site);
                u16::try_from(table.sites.len()).unwrap_or(0)
            });
            if let Some(entry) = table.code.get_mut(first + offset) {
                *entry = number;
            }
        }
        table.functions.push(SampledFunction {
            symbol: function.symbol,
            address: code.address,
            len: code.code.len(),
            first,
        });
    }
    let frameless = MAYBE_FRAMELESS.iter().filter_map(|name| find(name));
    table.frameless = frameless
        .filter(is_frameless)
        .map(|code| (code.address, code.address + code.code.len() as u64))
        .collect();
    table
}

/// The sites of one function, by offset.
fn sites(
    function: &MapFunction,
    code: &Function<'_>,
    maps: &GoMaps,
    resolve: &dyn Fn(u64) -> Option<String>,
) -> Result<Vec<(usize, Site)>, Reason> {
    let cfg = Cfg::new(code.code, code.address, resolve, function.grow_work)?;
    let flow = Flow::new(&cfg, Facts::new(function, maps))?;
    let done = done(function.op, &cfg, &flow);
    let mut sites = Vec::new();
    for (index, node) in cfg.nodes.iter().enumerate() {
        if done[index] {
            continue;
        }
        let mut add = |offset, state: &State| {
            if let Some(site) = site(function, &flow, state) {
                sites.push((offset, site));
            }
        };
        if let Some(state) = flow.before(index) {
            add(node.offset, state);
        }
        if node.callee.is_some_and(|callee| {
            !matches!(callee, Callee::GrowWork | Callee::Grows | Callee::Morestack)
        }) && !(function.op != Op::Lookup && flow.writes_map(index))
            && let Some(state) = flow.after(index)
        {
            add(node.offset + node.instruction.len() - 1, &kept(state));
        }
    }
    Ok(sites)
}

/// What is left of a state while a call lasts: what is on the stack.
fn kept(mut state: State) -> State {
    for (register, value) in state.registers.iter_mut().enumerate() {
        if register != RSP {
            *value = Value::Unknown;
        }
    }
    state
}

/// The instructions before which the operation may have done its work.
fn done(op: Op, cfg: &Cfg, flow: &Flow<'_>) -> Vec<bool> {
    let mut done = vec![false; cfg.nodes.len()];
    if op == Op::Lookup {
        return done;
    }
    let mut pending: Vec<usize> = (0..cfg.nodes.len())
        .filter(|&index| flow.writes_map(index))
        .flat_map(|index| cfg.nodes[index].successors.clone())
        .collect();
    while let Some(index) = pending.pop() {
        if !done[index] {
            done[index] = true;
            // Behind growing the operation is still to be done.
            if cfg.nodes[index].callee != Some(Callee::Grows) {
                pending.extend(&cfg.nodes[index].successors);
            }
        }
    }
    done
}

/// The site for a state; `None` if not all values are known there.
fn site(function: &MapFunction, flow: &Flow<'_>, state: &State) -> Option<Site> {
    let wanted: [&[Value]; 2] = match function.key_form {
        KeyForm::String => [&[Typ, Map, Key, KeyLen, Hash], &[Typ, Map, Key, KeyLen]],
        _ => [&[Typ, Map, Key, Hash], &[Typ, Map, Key]],
    };
    let places = wanted
        .iter()
        .find_map(|wanted| locate(&flow.facts, state, wanted).ok())?;
    let role = match function.grow_work {
        Some(_) => Role::SearchOrDefer,
        None => Role::Search,
    };
    Some(place::site(function, &places, Some(state), role))
}

/// Whether a function never moves the stack pointer, so that its return address is always on top of the stack.
fn is_frameless(function: &Function<'_>) -> bool {
    let mut decoder = Decoder::with_ip(64, function.code, function.address, DecoderOptions::NONE);
    let mut factory = InstructionInfoFactory::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return false;
        }
        if matches!(
            instruction.flow_control(),
            FlowControl::Return | FlowControl::Interrupt
        ) {
            continue;
        }
        let mut used = factory.info(&instruction).used_registers().iter();
        if used.any(|used| {
            used.register().full_register() == Register::RSP && used.access() != OpAccess::Read
        }) {
            return false;
        }
    }
    true
}
