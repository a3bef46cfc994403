//! A function's instructions and the ways through them, decoded from its entry.

use std::collections::BTreeMap;

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic,
};

use super::callee::Callee;
use super::effects::Effects;
use super::reason::Reason;

/// The longest function that is looked at, in bytes; Go's longest map function has about 2,000.
const MAX_CODE: usize = 64 << 10;

/// The most instructions that are looked at; Go's longest map function has about 600.
const MAX_NODES: usize = 2048;

/// One instruction and where it leads.
#[derive(Debug)]
pub(super) struct Node {
    /// Bytes from the function's start.
    pub(super) offset: usize,
    /// The instruction.
    pub(super) instruction: Instruction,
    /// The registers and memory that it uses.
    pub(super) effects: Effects,
    /// Whom it calls, if it is a call.
    pub(super) callee: Option<Callee>,
    /// Nodes that may follow it: none after a return or a panic.
    pub(super) successors: Vec<usize>,
    /// Nodes that it may follow.
    pub(super) predecessors: Vec<usize>,
    /// Whether it can be reached again from itself.
    pub(super) in_cycle: bool,
}

impl Node {
    /// Whether the function returns here.
    pub(super) fn is_return(&self) -> bool {
        self.instruction.flow_control() == FlowControl::Return
    }
}

/// A function as a graph of instructions, in the order of their addresses.
#[derive(Debug)]
pub(super) struct Cfg {
    /// The instructions that can be reached from the entry.
    pub(super) nodes: Vec<Node>,
}

/// What one instruction does to the flow of control: offsets, before nodes have their numbers.
struct Flow {
    callee: Option<Callee>,
    successors: Vec<usize>,
}

impl Cfg {
    /// Decodes what can be reached from the entry at `address`.
    pub(super) fn new(
        code: &[u8],
        address: u64,
        resolve: &dyn Fn(u64) -> Option<String>,
        grow_work: Option<&str>,
    ) -> Result<Self, Reason> {
        if code.len() > MAX_CODE {
            return Err(Reason::TooLong { limit: MAX_CODE });
        }
        let mut found: BTreeMap<usize, (Instruction, Flow)> = BTreeMap::new();
        let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
        let mut pending = vec![0];
        while let Some(offset) = pending.pop() {
            if found.contains_key(&offset) {
                continue;
            }
            if found.len() == MAX_NODES {
                return Err(Reason::TooManyInstructions { limit: MAX_NODES });
            }
            if offset >= code.len() || decoder.set_position(offset).is_err() {
                return Err(Reason::Undecodable { offset });
            }
            decoder.set_ip(address.wrapping_add(offset as u64));
            let instruction = decoder.decode();
            if instruction.is_invalid() {
                return Err(Reason::Undecodable { offset });
            }
            let flow = follow(&instruction, offset, address, code.len(), |target| {
                Callee::of(resolve(target).as_deref(), grow_work)
            })?;
            pending.extend(&flow.successors);
            found.insert(offset, (instruction, flow));
        }
        Self::link(found)
    }

    fn link(found: BTreeMap<usize, (Instruction, Flow)>) -> Result<Self, Reason> {
        let numbers: BTreeMap<usize, usize> =
            found.keys().enumerate().map(|(n, &o)| (o, n)).collect();
        let mut factory = InstructionInfoFactory::new();
        let mut end = 0;
        let mut last = 0;
        let mut nodes = Vec::with_capacity(found.len());
        for (offset, (instruction, flow)) in found {
            if offset < end {
                return Err(Reason::Overlapping { offset: last });
            }
            last = offset;
            end = offset + instruction.len();
            nodes.push(Node {
                offset,
                effects: Effects::of(&instruction, flow.callee, &mut factory),
                instruction,
                callee: flow.callee,
                successors: flow.successors.iter().map(|o| numbers[o]).collect(),
                predecessors: Vec::new(),
                in_cycle: false,
            });
        }
        for index in 0..nodes.len() {
            for successor in nodes[index].successors.clone() {
                nodes[successor].predecessors.push(index);
            }
        }
        let mut cfg = Self { nodes };
        for index in cfg.cyclic() {
            cfg.nodes[index].in_cycle = true;
        }
        Ok(cfg)
    }

    /// All nodes that can be reached from `starts` (themselves included) without entering one that is `avoided`.
    pub(super) fn reachable(
        &self,
        starts: impl IntoIterator<Item = usize>,
        avoided: impl Fn(usize) -> bool,
    ) -> Vec<bool> {
        let mut seen = vec![false; self.nodes.len()];
        let mut pending: Vec<usize> = starts.into_iter().collect();
        while let Some(index) = pending.pop() {
            if !avoided(index) && !seen[index] {
                seen[index] = true;
                pending.extend(&self.nodes[index].successors);
            }
        }
        seen
    }

    /// The nodes that can be reached again from themselves.
    fn cyclic(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|&index| {
                let after = self.nodes[index].successors.iter().copied();
                self.reachable(after, |_| false)[index]
            })
            .collect()
    }
}

/// Where control goes after one instruction, and whom it calls.
fn follow(
    instruction: &Instruction,
    offset: usize,
    address: u64,
    length: usize,
    callee_at: impl Fn(u64) -> Callee,
) -> Result<Flow, Reason> {
    let next = offset + instruction.len();
    let target = || {
        usize::try_from(instruction.near_branch_target().wrapping_sub(address))
            .ok()
            .filter(|&target| target < length)
            .ok_or(Reason::JumpOutside { offset })
    };
    let mut flow = Flow {
        callee: None,
        successors: Vec::new(),
    };
    match instruction.flow_control() {
        FlowControl::Next => flow.successors.push(next),
        FlowControl::UnconditionalBranch => flow.successors.push(target()?),
        FlowControl::ConditionalBranch => flow.successors.extend([next, target()?]),
        FlowControl::Return => {}
        FlowControl::Exception if instruction.mnemonic() == Mnemonic::Ud2 => {}
        FlowControl::Interrupt if instruction.mnemonic() == Mnemonic::Int3 => {}
        FlowControl::Call | FlowControl::IndirectCall
            if instruction.mnemonic() == Mnemonic::Call =>
        {
            let callee = if instruction.is_call_near() {
                callee_at(instruction.near_branch_target())
            } else {
                Callee::Other
            };
            flow.callee = Some(callee);
            if callee != Callee::NeverReturns {
                flow.successors.push(next);
            }
        }
        FlowControl::IndirectBranch => return Err(Reason::IndirectJump { offset }),
        _ => return Err(Reason::Unexpected { offset }),
    }
    Ok(flow)
}
