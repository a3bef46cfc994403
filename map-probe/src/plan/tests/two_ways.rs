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
