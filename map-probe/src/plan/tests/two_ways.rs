//! Hashes that are computed by a call or in place.

use super::*;

/// Go 1.27's `_fast64` functions: a call where the processor has AES, otherwise computed in place.
fn two_ways_of_hashing(after: impl Fn(&mut CodeAssembler) -> Assembled) -> Vec<u8> {
    assemble(|a| {
        let (mut aes, mut join) = (a.create_label(), a.create_label());
        prologue(a)?;
        a.mov(qword_ptr(rsp + 0x40), rax)?;
        a.mov(qword_ptr(rsp + 0x48), rbx)?;
        a.cmp(byte_ptr(rdi), 0)?;
        a.jne(aes)?;
        a.mov(rsi, qword_ptr(rbx + SEED))?;
        a.xor(rsi, rcx)?;
        a.mov(rdi, rax)?;
        a.mov(rax, rcx)?;
        a.mul(rsi)?;
        a.xor(rdx, rax)?;
        a.jmp(join)?;
        a.set_label(&mut aes)?;
        a.mov(rbx, qword_ptr(rbx + SEED))?;
        a.mov(rax, rcx)?;
        a.call(MEM_HASH)?;
        a.mov(rbx, qword_ptr(rsp + 0x48))?;
        a.mov(rcx, qword_ptr(rsp + 0x50))?;
        a.mov(rdi, qword_ptr(rsp + 0x40))?;
        a.mov(rdx, rax)?;
        a.set_label(&mut join)?;
        after(a)?;
        epilogue(a)
    })
}

#[test]
fn where_two_ways_of_hashing_meet_the_value_that_is_still_used_is_the_hash() {
    let site = site(&two_ways_of_hashing(|a| {
        a.mov(eax, 1)?;
        a.nop()?;
        a.and(rdx, 0x7f)
    }));
    assert_eq!(site.instruction, "nop");
    assert_eq!(site.site.hash, Place::register(2).0);
    assert_eq!(site.site.typ, Place::register(7).0);
    assert_eq!(
        site.site.stack_words, 1,
        "all values but the return address are in registers"
    );
}

#[test]
fn where_two_values_may_be_the_hash_the_function_is_refused() {
    let code = two_ways_of_hashing(|a| {
        a.nop()?;
        a.add(rdx, rax)
    });
    let reason = reason(&[LOOKUP], &code);
    assert!(reason.starts_with("two values may be the hash"), "{reason}");
}

const HASH_OF_INTERFACES: u64 = 0x40_8700;

const GENERIC: MapFunction = MapFunction {
    symbol: "runtime.mapaccess2",
    key_form: KeyForm::Pointer,
    ..LOOKUP
};

/// Go 1.22's and 1.23's generic functions, built by a profile in which most keys are interfaces: their hasher in place,
/// which gives back the seed for a nil interface, or else the type's. `scale` turns what `typehash` returns into the hash.
fn hasher_of_interfaces_in_place(scale: impl Fn(&mut CodeAssembler) -> Assembled) -> Vec<u8> {
    assemble(|a| {
        let (mut call, mut join) = (a.create_label(), a.create_label());
        prologue(a)?;
        a.mov(qword_ptr(rsp + 0x40), rax)?;
        a.mov(qword_ptr(rsp + 0x48), rbx)?;
        a.mov(rdx, qword_ptr(rax + HASHER))?;
        a.lea(rsi, qword_ptr(HASH_OF_INTERFACES))?;
        a.mov(rdi, qword_ptr(rbx + SEED))?;
        a.cmp(qword_ptr(rdx), rsi)?;
        a.jne(call)?;
        a.mov(rsi, qword_ptr(rcx))?;
        a.test(rsi, rsi)?;
        a.je(join)?;
        a.mov(rax, qword_ptr(rsi + 8))?;
        a.lea(rbx, qword_ptr(rcx + 8))?;
        a.mov(rsi, 0x0075_6ea1_6a56_a621_u64)?;
        a.xor(rdi, rsi)?;
        a.mov(rcx, rdi)?;
        a.call(TYPE_HASH)?;
        scale(a)?;
        a.mov(rcx, qword_ptr(rsp + 0x50))?;
        a.mov(rbx, qword_ptr(rsp + 0x48))?;
        a.jmp(join)?;
        a.set_label(&mut call)?;
        a.mov(rsi, qword_ptr(rdx))?;
        a.mov(rax, rcx)?;
        a.mov(rbx, rdi)?;
        a.call(rsi)?;
        a.mov(rcx, qword_ptr(rsp + 0x50))?;
        a.mov(rbx, qword_ptr(rsp + 0x48))?;
        a.mov(rdi, rax)?;
        a.set_label(&mut join)?;
        a.nop()?;
        a.and(rdi, 0x7f)?;
        epilogue(a)
    })
}

#[test]
fn the_hasher_of_interfaces_may_be_in_place_too() {
    let code = hasher_of_interfaces_in_place(|a| {
        a.mov(rdi, 0x0052_ef6b_bb8f_63bf_u64)?;
        a.imul_2(rdi, rax)
    });
    let site = sites(&[GENERIC], &code).remove(0);
    assert_eq!(site.instruction, "nop");
    assert_eq!(site.site.hash, Place::register(7).0);
    assert_eq!(site.site.key, Place::register(1).0);
}

#[test]
fn a_value_that_no_seed_went_into_is_not_the_hash() {
    let code = hasher_of_interfaces_in_place(|a| a.mov(rdi, 0x0052_ef6b_bb8f_63bf_u64));
    let reason = reason(&[GENERIC], &code);
    assert!(
        reason.starts_with("no instruction after hashing"),
        "{reason}"
    );
}
