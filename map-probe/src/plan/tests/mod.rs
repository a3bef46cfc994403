//! The planner as a whole, on small functions assembled the way Go's compiler writes them.

mod evacuation;
mod inlined;
mod refusals;
mod returns;
mod sampling;
mod search;
mod tables;
mod two_ways;
mod wrappers;

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, byte_ptr, cl, dword_ptr, eax, ecx, esi, qword_ptr, r8, r9, rax, rbp, rbx, rcx,
    rdi, rdx, rsi, rsp,
};
use map_probe_common::layout::{Field, Layout};
use map_probe_common::op::Op;
use map_probe_common::site::{KeyForm, Place, Role};

use super::{Arguments, Cost, Coverage, Kernel, MapFunction, PlannedSite, plan};
use crate::target::{Function, GoMaps, MapLayout};

const ADDRESS: u64 = 0x40_1000;
/// What lies at these addresses, as [`resolve`] says.
const ANYTHING: u64 = 0x40_8000;
const THROW: u64 = 0x40_8100;
const GROW_WORK: u64 = 0x40_8200;
const MEM_HASH: u64 = 0x40_8300;
const MORESTACK: u64 = 0x40_8400;
const EVACUATE: u64 = 0x40_8500;
const TYPE_HASH: u64 = 0x40_8600;

/// Offsets of the made-up maps that the assembled functions work on.
const HASHER: i32 = 72;
const SEED: i32 = 16;
const WRITING: i32 = 34;
const STORAGE: i32 = 24;

type Assembled = Result<(), IcedError>;

fn resolve(address: u64) -> Option<String> {
    let name = match address {
        ANYTHING => "runtime.newobject",
        THROW => "runtime.throw",
        GROW_WORK => "runtime.growWork_fast64",
        MEM_HASH => "internal/runtime/maps.memHash64AES",
        MORESTACK => "runtime.morestack_noctxt",
        EVACUATE => "runtime.evacuate_fast64",
        TYPE_HASH => "runtime.typehash",
        _ => return None,
    };
    Some(name.to_owned())
}

const LOOKUP: MapFunction = MapFunction {
    symbol: "runtime.mapaccess2_fast64",
    op: Op::Lookup,
    key_form: KeyForm::Value64,
    arguments: Arguments {
        typ: 0,
        map: 1,
        key: 2,
    },
    search: 0,
    grow_work: None,
    wrappers: &[],
};

const INSERT: MapFunction = MapFunction {
    symbol: "runtime.mapassign_fast64",
    op: Op::Insert,
    grow_work: Some("runtime.growWork_fast64"),
    ..LOOKUP
};

fn maps(function: &'static [MapFunction]) -> GoMaps {
    let none = Field::constant(0);
    GoMaps {
        name: MapLayout::Swiss,
        layout: Layout {
            kind: 2,
            indirect_key: 0,
            indirect_elem: 0,
            entries: Field::at(0, 8),
            writing: Field::at(WRITING as u16, 1),
            shift: none,
            storage: Field::at(STORAGE as u16, 8),
            second: none,
            groups: Field::constant(0),
            writing_mask: 0,
            same_size_mask: 0,
            key_type: none,
            type_flags: none,
            unit_size: none,
            keys_offset: none,
            key_stride: none,
            elems_offset: none,
            elems_base: 0,
            elems_times: 0,
            elem_stride: none,
            stack: none,
            tflag: none,
            kind_byte: none,
            kind_mask: 0,
            regular_memory: 0,
            direct_interface: none,
            direct_interface_mask: 0,
            interface_methods: none,
            itab_type: none,
        },
        hasher_offset: HASHER as u32,
        seed_offset: SEED as u32,
        seed_width: 8,
        functions: function,
        also_sampled: &[],
    }
}

fn planned(function: &'static [MapFunction], code: &[u8]) -> Coverage {
    let find = |name: &str| {
        Some(Function {
            name: name.to_owned(),
            address: ADDRESS,
            code,
        })
    };
    plan(&maps(function), &find, &resolve, Kernel::ANY)
        .remove(0)
        .coverage
}

fn assemble(write: impl Fn(&mut CodeAssembler) -> Assembled) -> Vec<u8> {
    let mut a = CodeAssembler::new(64).expect("64 bits are supported");
    write(&mut a).expect("these operands exist");
    a.assemble(ADDRESS).expect("all jumps are in reach")
}

/// A prologue and a call of the type's hasher, then `body`, an epilogue, and the stack growth that Go puts last.
///
/// In `body`, type, map and key are in the caller's frame at `[rsp+0x40]`, `0x48` and `0x50`, the hash is in RAX.
fn hashing(body: impl Fn(&mut CodeAssembler) -> Assembled) -> Vec<u8> {
    assemble(|a| {
        let (mut entry, mut grow, mut done) =
            (a.create_label(), a.create_label(), a.create_label());
        a.set_label(&mut entry)?;
        a.cmp(rsp, qword_ptr(iced_x86::code_asm::r14 + 16))?;
        a.jbe(grow)?;
        prologue(a)?;
        a.test(rbx, rbx)?;
        a.je(done)?;
        a.mov(qword_ptr(rsp + 0x40), rax)?;
        a.mov(qword_ptr(rsp + 0x48), rbx)?;
        a.mov(rdx, qword_ptr(rax + HASHER))?;
        a.mov(rcx, qword_ptr(rdx))?;
        a.mov(rbx, qword_ptr(rbx + SEED))?;
        a.lea(rax, qword_ptr(rsp + 0x50))?;
        a.call(rcx)?;
        body(a)?;
        a.set_label(&mut done)?;
        epilogue(a)?;
        a.set_label(&mut grow)?;
        a.mov(qword_ptr(rsp + 8), rax)?;
        a.mov(qword_ptr(rsp + 16), rbx)?;
        a.mov(qword_ptr(rsp + 24), rcx)?;
        a.call(MORESTACK)?;
        a.mov(rax, qword_ptr(rsp + 8))?;
        a.mov(rbx, qword_ptr(rsp + 16))?;
        a.mov(rcx, qword_ptr(rsp + 24))?;
        a.jmp(entry)
    })
}

fn prologue(a: &mut CodeAssembler) -> Assembled {
    a.push(rbp)?;
    a.mov(rbp, rsp)?;
    a.sub(rsp, 0x30)?;
    a.mov(qword_ptr(rsp + 0x50), rcx)
}

fn epilogue(a: &mut CodeAssembler) -> Assembled {
    a.add(rsp, 0x30)?;
    a.pop(rbp)?;
    a.ret()
}

fn sites(function: &'static [MapFunction], code: &[u8]) -> Vec<PlannedSite> {
    match planned(function, code) {
        Coverage::Covered(sites) => sites,
        other => panic!("expected sites, got {other:?}"),
    }
}

fn site(code: &[u8]) -> PlannedSite {
    sites(&[LOOKUP], code).remove(0)
}

fn reason(function: &'static [MapFunction], code: &[u8]) -> String {
    match planned(function, code) {
        Coverage::NotCovered(reason) => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// A classic insert: hashes, evacuates if the map is growing, searches.
fn insert(after_call: impl Fn(&mut CodeAssembler) -> Assembled) -> Vec<u8> {
    hashing(|a| {
        evacuate(a, GROW_WORK, |a| {
            after_call(a)?;
            a.mov(rbx, qword_ptr(rsp + 0x48))
        })?;
        a.nop()?;
        a.mov(rax, rbx)
    })
}

/// What a classic insert does when it has the hash: it keeps it, and has `function` evacuate if the map is growing.
fn evacuate(
    a: &mut CodeAssembler,
    function: u64,
    after_call: impl Fn(&mut CodeAssembler) -> Assembled,
) -> Assembled {
    let mut join = a.create_label();
    a.mov(qword_ptr(rsp + 0x18), rax)?;
    a.mov(rbx, qword_ptr(rsp + 0x48))?;
    a.cmp(qword_ptr(rbx + 24), 0)?;
    a.je(join)?;
    a.mov(rax, qword_ptr(rsp + 0x40))?;
    a.call(function)?;
    after_call(a)?;
    a.set_label(&mut join)
}

/// A function that calls another one before it hashes; `before` is what comes before that call.
fn hashing_after(before: impl Fn(&mut CodeAssembler) -> Assembled, function: u64) -> Vec<u8> {
    assemble(|a| {
        prologue(a)?;
        a.mov(qword_ptr(rsp + 0x40), rax)?;
        a.mov(qword_ptr(rsp + 0x48), rbx)?;
        before(a)?;
        a.call(function)?;
        a.mov(rax, qword_ptr(rsp + 0x40))?;
        a.mov(rbx, qword_ptr(rsp + 0x48))?;
        a.mov(rdx, qword_ptr(rax + HASHER))?;
        a.mov(rcx, qword_ptr(rdx))?;
        a.mov(rbx, qword_ptr(rbx + SEED))?;
        a.lea(rax, qword_ptr(rsp + 0x50))?;
        a.call(rcx)?;
        a.nop()?;
        epilogue(a)
    })
}
