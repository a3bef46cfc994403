//! Where type, map, key and hash live at every instruction: a forward data-flow
//! analysis from Go's register ABI, keeping what is true on all paths.
//!
//! What it relies on:
//! - Arguments arrive in registers, and a call preserves none but RSP and RBP (`abi-internal.md`).
//! - Unless it was given an address, a callee writes to no part of our frame but the room for its own arguments at
//!   the bottom, which the compiler uses for nothing else. A slot that the function also loads from is no such room:
//!   no function that a map function calls returns anything on the stack.
//! - The hasher is given the address of the key, which it only reads (`noescape` at every call in `map*.go`). Once any
//!   other address of the frame gets into unknown hands, calls and stores forget the whole stack.
//! - A stack that grows moves as a whole, so that slots keep their place relative to the stack pointer.

use std::collections::BTreeSet;

use super::callee::Callee;
use super::cfg::Cfg;
use super::effects::{Registers, bit};
use super::facts::{Facts, Target};
use super::reason::Reason;
use super::step::Step;
use super::value::{State, Value};

/// Steps after which the analysis gives up; real functions take about three per instruction.
const MAX_STEPS: usize = 1 << 16;

/// Values on the stack at one time, beyond which it gives up too; real functions have a dozen.
const MAX_SLOTS: usize = 128;

/// What is known before every instruction.
pub(super) struct Flow<'a> {
    pub(super) facts: Facts,
    cfg: &'a Cfg,
    /// The slots that the function loads from.
    read_back: BTreeSet<i32>,
    before: Vec<Option<State>>,
}

impl<'a> Flow<'a> {
    /// Follows the values through a function.
    pub(super) fn new(cfg: &'a Cfg, facts: Facts) -> Result<Self, Reason> {
        let live = live_before(cfg);
        let mut flow = Self {
            facts,
            cfg,
            read_back: BTreeSet::new(),
            before: Vec::new(),
        };
        // Where the stack pointer is does not depend on which slots survive calls, so the first time settles that.
        flow.settle(&live)?;
        flow.read_back = flow.loads();
        flow.settle(&live)?;
        flow.check_one_hash_per_meeting()?;
        Ok(flow)
    }

    fn settle(&mut self, live: &[Registers]) -> Result<(), Reason> {
        self.before = vec![None; self.cfg.nodes.len()];
        let mut pending = BTreeSet::new();
        if let Some(first) = self.before.first_mut() {
            *first = Some(self.facts.entry()?);
            pending.insert(0);
        }
        let mut steps = MAX_STEPS;
        while let Some(index) = pending.pop_first() {
            steps = steps.checked_sub(1).ok_or(Reason::Unsettled)?;
            let Some(after) = self.after(index) else {
                continue;
            };
            if after.slots.len() > MAX_SLOTS {
                return Err(Reason::Unsettled);
            }
            for &successor in &self.cfg.nodes[index].successors {
                let changed = match &mut self.before[successor] {
                    Some(state) => state.meet(&after, live[successor]),
                    unvisited => {
                        *unvisited = Some(after.clone());
                        true
                    }
                };
                if changed {
                    pending.insert(successor);
                }
            }
        }
        Ok(())
    }

    /// The stack slots that the function loads from.
    fn loads(&self) -> BTreeSet<i32> {
        let mut loads = BTreeSet::new();
        for (node, before) in self.cfg.nodes.iter().zip(&self.before) {
            let Some(state) = before else { continue };
            for access in node.effects.memory.iter().filter(|access| access.read) {
                if let Target::Stack(offset) = Facts::target(access, state) {
                    loads.insert(offset);
                }
            }
        }
        loads
    }

    /// What is known before an instruction.
    pub(super) fn before(&self, index: usize) -> Option<&State> {
        self.before[index].as_ref()
    }

    /// What is known after an instruction.
    pub(super) fn after(&self, index: usize) -> Option<State> {
        let mut state = self.before[index].clone()?;
        self.step(index).apply(&mut state);
        // A loop between hashing and a site would be a search or worse.
        state.changed |= self.cfg.nodes[index].in_cycle;
        Some(state)
    }

    fn step(&self, index: usize) -> Step<'_> {
        Step {
            facts: &self.facts,
            node: &self.cfg.nodes[index],
            read_back: &self.read_back,
        }
    }

    /// Where computed and called hashes meet, only one register may hold the result: with two we cannot tell which.
    fn check_one_hash_per_meeting(&self) -> Result<(), Reason> {
        for (node, before) in self.cfg.nodes.iter().zip(&self.before) {
            let Some(before) = before else { continue };
            if node.predecessors.len() < 2 {
                continue;
            }
            let mut became: Registers = 0;
            for &predecessor in &node.predecessors {
                let Some(after) = self.after(predecessor) else {
                    continue;
                };
                for (register, &value) in before.registers.iter().enumerate() {
                    if value == Value::Hash && after.registers[register] != Value::Hash {
                        became |= bit(register);
                    }
                }
            }
            if became.count_ones() > 1 {
                return Err(Reason::Ambiguous {
                    offset: node.offset,
                });
            }
        }
        Ok(())
    }

    /// Whether the hash is computed by a call here.
    pub(super) fn is_hash_call(&self, index: usize) -> bool {
        let node = &self.cfg.nodes[index];
        self.before(index)
            .is_some_and(|state| self.facts.calls_hash(node, state))
    }

    /// Whether this instruction may change the map.
    pub(super) fn changes_map(&self, index: usize) -> bool {
        let Some(mut state) = self.before(index).cloned() else {
            return true;
        };
        state.changed = false;
        self.step(index).apply(&mut state);
        state.changed
    }

    /// Whether an insert or delete does its work here, or may: stores to memory that is not its own, and is neither the
    /// header's flag nor its pointer to the buckets; calls what is not known to leave the map as its user sees it.
    ///
    /// What is called through a closure is the type's hasher or equality: map functions have no others.
    pub(super) fn writes_map(&self, index: usize) -> bool {
        let node = &self.cfg.nodes[index];
        let Some(state) = self.before(index) else {
            return true;
        };
        if let Some(callee) = node.callee {
            return callee == Callee::Other && !node.instruction.is_call_near_indirect();
        }
        let mut written = node.effects.memory.iter().filter(|access| access.written);
        written.any(|access| {
            matches!(Facts::target(access, state), Target::Memory(to, _) if to != Value::Notes)
                && !self.facts.is_writing(access, state)
                && !self.facts.is_storage(access, state)
        })
    }

    /// Whether a table of the map's directory is read here.
    pub(super) fn reads_table(&self, index: usize) -> bool {
        self.before(index).is_some_and(|state| {
            let mut accesses = self.cfg.nodes[index].effects.memory.iter();
            accesses.any(|access| access.read && Facts::is_table(access, state))
        })
    }

    /// Whether the map's seed is read here, which only hashing does.
    pub(super) fn reads_seed(&self, index: usize) -> bool {
        self.before(index).is_some_and(|state| {
            let mut accesses = self.cfg.nodes[index].effects.memory.iter();
            accesses.any(|access| access.read && self.facts.is_seed(access, state))
        })
    }
}

/// Which registers each instruction or a later one still reads.
fn live_before(cfg: &Cfg) -> Vec<Registers> {
    let mut live = vec![0; cfg.nodes.len()];
    let mut pending: Vec<usize> = (0..cfg.nodes.len()).collect();
    while let Some(index) = pending.pop() {
        let node = &cfg.nodes[index];
        let after = node.successors.iter().fold(0, |set, &s| set | live[s]);
        let before = node.effects.reads | (after & !node.effects.replaces);
        if before != live[index] {
            live[index] = before;
            pending.extend(&node.predecessors);
        }
    }
    live
}
