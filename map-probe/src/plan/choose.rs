//! Which instructions to probe.
//!
//! The site of a function is an instruction that
//! - every path from hashing to a return passes exactly once: it lies on all of them and in no cycle;
//! - only hashed operations pass: the hash is known there, whichever path led to it;
//! - sees the map as the search will see it: since hashing nothing was called, and nothing stored but to our own
//!   stack and to the header's field that says it is being written to;
//! - finds type, map, key and hash in registers or one window of the stack;
//!
//! and among those the cheapest to trap on, one that has the table to be searched in a register (Swiss, where only maps
//! with tables hash) before others, with the fewest words of the stack to read, first in the function.
//! Go preempts between any two instructions of these functions as it always does: none of them has a region that
//! is restarted from its beginning (only `runtime/internal/atomic` and the write barrier have).
//!
//! Paths that end in a panic or throw do not count: such an operation may be counted or not.

use iced_x86::{Formatter, IntelFormatter};
use map_probe_common::site::{KeyForm, Place, Role};

use super::callee::Callee;
use super::cfg::{Cfg, Node};
use super::cost::{self, Kernel};
use super::facts::Facts;
use super::flow::Flow;
use super::place::{self, NotFound, Places, locate, register_of};
use super::reason::Reason;
use super::value::State;
use super::value::Value::{self, Hash, Key, KeyLen, Map, Table, Typ};
use super::{Cost, MapFunction, PlannedSite};
use crate::target::{Function, GoMaps};

/// Plans one function: its site, and for classic inserts and deletes those after the calls that evacuate.
pub(super) fn sites(
    function: &MapFunction,
    code: &Function<'_>,
    maps: &GoMaps,
    resolve: &dyn Fn(u64) -> Option<String>,
    kernel: Kernel,
) -> Result<Vec<PlannedSite>, Reason> {
    let cfg = Cfg::new(code.code, code.address, resolve, function.grow_work)?;
    let flow = Flow::new(&cfg, Facts::new(function, maps))?;
    let mut tables = (0..cfg.nodes.len()).filter(|&index| flow.reads_table(index));
    let has_one_table = match (tables.next(), tables.next()) {
        (Some(only), None) => !cfg.nodes[only].in_cycle,
        _ => false,
    };
    let chooser = Chooser {
        function,
        code,
        kernel,
        cfg: &cfg,
        flow: &flow,
        has_one_table,
    };
    let (search, index) = chooser.search_site()?;
    let mut sites = vec![search];
    sites.extend(chooser.evacuation_sites(index)?);
    Ok(sites)
}

/// The most calls that evacuate in one function; Go's map functions have one. All functions' sites fit the kernel's table.
const MAX_GROW_WORK: usize = 8;

struct Chooser<'a> {
    function: &'a MapFunction,
    code: &'a Function<'a>,
    kernel: Kernel,
    cfg: &'a Cfg,
    flow: &'a Flow<'a>,
    /// Swiss: whether one instruction reads the table from the directory, once in an operation: then it is the one that
    /// is searched.
    has_one_table: bool,
}

/// An instruction that fulfils all conditions.
struct Candidate {
    index: usize,
    cost: Cost,
    places: Places,
}

impl Candidate {
    /// Least is best. To find the table by the hash takes two reads of the target's memory; a trap on a call costs a little
    /// more than on other emulated instructions.
    fn rank(&self, node: &Node) -> (Cost, bool, bool, u8, usize) {
        let (to_be_found, is_call) = (self.places.table == Place::NONE, node.callee.is_some());
        let words = self.places.stack_words;
        (self.cost, to_be_found, is_call, words, self.index)
    }
}

impl Chooser<'_> {
    /// The site, and the number of its instruction.
    fn search_site(&self) -> Result<(PlannedSite, usize), Reason> {
        let nodes = 0..self.cfg.nodes.len();
        let calls: Vec<usize> = nodes
            .clone()
            .filter(|&index| self.flow.is_hash_call(index))
            .collect();
        if calls.is_empty() {
            return Err(Reason::NoHash);
        }
        // Where hashing begins: reading the seed, on the paths too on which the hash is computed in place.
        let mut origins = calls;
        origins.extend(nodes.clone().filter(|&index| self.flow.reads_seed(index)));

        let mut best: Option<Candidate> = None;
        let mut reason = Reason::TooLate;
        for index in nodes {
            let node = &self.cfg.nodes[index];
            let Some(state) = self.flow.before(index) else {
                continue;
            };
            if state.changed || node.in_cycle || !state.holds(Hash) {
                continue;
            }
            match self.candidate(index, state, &origins) {
                Ok(candidate) => {
                    let rank = |c: &Candidate| c.rank(&self.cfg.nodes[c.index]);
                    if best.as_ref().is_none_or(|b| rank(&candidate) < rank(b)) {
                        best = Some(candidate);
                    }
                }
                Err(why) => reason = why,
            }
        }
        let role = match self.function.grow_work {
            Some(_) => Role::SearchOrDefer,
            None => Role::Search,
        };
        best.map(|best| (self.site(&best, role), best.index))
            .ok_or(reason)
    }

    fn candidate(
        &self,
        index: usize,
        state: &State,
        origins: &[usize],
    ) -> Result<Candidate, Reason> {
        let mut places = self.locate(state, self.wanted(true))?;
        if self.has_one_table {
            places.table = register_of(state, Table).unwrap_or(Place::NONE);
        }
        let cost = self.cost(index)?;
        let missed = self
            .cfg
            .reachable(origins.iter().copied(), |node| node == index)
            .into_iter()
            .zip(&self.cfg.nodes)
            .any(|(reached, node)| reached && node.is_return());
        if missed {
            return Err(Reason::NotOnAllPaths);
        }
        Ok(Candidate {
            index,
            cost,
            places,
        })
    }

    /// After each call that evacuates what the operation from the site at `search` needs, the best instruction of those that follow it without a branch, another way in,
    /// another call or a change of the map: operations pass them exactly when the call returns to them.
    ///
    /// `mapdelete_fast32` and `_fast64` have no more use for the hash by then, and do not keep it: there it has to
    /// be remembered from the first site. (Type, map and key could not be: they move with the stack.)
    ///
    /// Such a call comes first: where `growWork` is inlined, a second one evacuates another bucket, and changes
    /// nothing in the chain that is to be searched.
    fn evacuation_sites(&self, search: usize) -> Result<Vec<PlannedSite>, Reason> {
        let Some(name) = self.function.grow_work else {
            return Ok(Vec::new());
        };
        let calls: Vec<usize> = (0..self.cfg.nodes.len())
            .filter(|&index| self.cfg.nodes[index].callee == Some(Callee::GrowWork))
            .collect();
        if calls.len() > MAX_GROW_WORK {
            return Err(Reason::TooManyCalls { name });
        }
        let comes_first = |call: &&usize| {
            let other = |node: usize| node != **call && calls.contains(&node);
            self.cfg.reachable([search], other)[**call]
        };
        let first: Vec<usize> = calls.iter().filter(comes_first).copied().collect();
        if first.is_empty() {
            return Err(Reason::NoGrowWork { name });
        }
        first
            .into_iter()
            .map(|call| {
                self.after_call(call)
                    .map(|best| self.site(&best, Role::AfterEvacuation))
                    .ok_or(Reason::LostByGrowWork {
                        name,
                        offset: self.cfg.nodes[call].offset,
                    })
            })
            .collect()
    }

    fn after_call(&self, call: usize) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        let mut previous = call;
        while let &[index] = self.cfg.nodes[previous].successors.as_slice() {
            let node = &self.cfg.nodes[index];
            if node.predecessors != [previous] {
                break;
            }
            let state = self.flow.before(index)?;
            let with_hash = self.locate(state, self.wanted(true));
            let places = with_hash.or_else(|_| self.locate(state, self.wanted(false)));
            if let (Ok(places), Ok(cost)) = (places, self.cost(index)) {
                let candidate = Candidate {
                    index,
                    cost,
                    places,
                };
                let rank = |c: &Candidate| (c.places.hash == Place::NONE, c.cost);
                if best.as_ref().is_none_or(|b| rank(&candidate) < rank(b)) {
                    best = Some(candidate);
                }
            }
            if node.callee.is_some() || self.flow.changes_map(index) {
                break;
            }
            previous = index;
        }
        best
    }

    fn wanted(&self, hash: bool) -> &'static [Value] {
        match (self.function.key_form == KeyForm::String, hash) {
            (true, true) => &[Typ, Map, Key, KeyLen, Hash],
            (true, false) => &[Typ, Map, Key, KeyLen],
            (false, true) => &[Typ, Map, Key, Hash],
            (false, false) => &[Typ, Map, Key],
        }
    }

    fn locate(&self, state: &State, wanted: &[Value]) -> Result<Places, Reason> {
        locate(&self.flow.facts, state, wanted).map_err(|not_found| match not_found {
            NotFound::Scattered => Reason::Scattered,
            NotFound::Missing(value) => Reason::Missing {
                value: match value {
                    Typ => "type",
                    Map => "map",
                    Key => "key",
                    KeyLen => "key's length",
                    _ => "hash",
                },
            },
        })
    }

    fn cost(&self, index: usize) -> Result<Cost, Reason> {
        let node = &self.cfg.nodes[index];
        self.code
            .code
            .get(node.offset..node.offset + node.instruction.len())
            .and_then(|bytes| cost::of(bytes, self.kernel))
            .ok_or(Reason::NotProbeable)
    }

    fn site(&self, best: &Candidate, role: Role) -> PlannedSite {
        let node = &self.cfg.nodes[best.index];
        PlannedSite {
            address: self.code.address.wrapping_add(node.offset as u64),
            offset: node.offset as u64,
            instruction: printed(node),
            cost: best.cost,
            role,
            site: place::site(
                self.function,
                &best.places,
                self.flow.before(best.index),
                role,
            ),
        }
    }
}

fn printed(node: &Node) -> String {
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_show_branch_size(false);
    options.set_space_after_operand_separator(true);
    let mut text = String::new();
    formatter.format(&node.instruction, &mut text);
    text
}
