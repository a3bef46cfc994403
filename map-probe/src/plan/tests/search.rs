//! Which instruction is chosen, and where the values are found there.

use super::*;

#[test]
fn the_branch_after_hashing_is_probed_with_values_in_registers_and_the_callers_frame() {
    let site = site(&hashing(|a| {
        let mut join = a.create_label();
        a.mov(r8, qword_ptr(rsp + 0x48))?;
        a.cmp(qword_ptr(r8), 1)?;
        a.jne(join)?;
        a.xor(eax, eax)?;
        a.set_label(&mut join)?;
        a.mov(rdx, rax)
    }));
    assert!(site.instruction.starts_with("jne"), "{site:?}");
    assert_eq!((site.cost, site.role), (Cost::Emulated, Role::Search));
    let values = site.site;
    assert_eq!(values.hash, Place::register(0).0);
    assert_eq!(values.map, Place::register(8).0);
    // The return address, at 0x38, and behind it the caller's room for the arguments.
    assert_eq!((values.stack_offset, values.stack_words), (0x38, 4));
    assert_eq!(values.caller_offset, 0x38);
    assert_eq!(values.typ, Place::stack_word(1).0);
    assert_eq!(values.key, Place::stack_word(3).0);
    assert_eq!(values.key_len, Place::NONE.0);
}

#[test]
fn the_flag_that_the_map_is_written_to_may_be_set_before_the_site() {
    let site = site(&hashing(|a| {
        a.mov(r8, qword_ptr(rsp + 0x48))?;
        a.movzx(ecx, byte_ptr(r8 + WRITING))?;
        a.xor(ecx, 1)?;
        a.mov(byte_ptr(r8 + WRITING), cl)?;
        a.nop()
    }));
    assert_eq!(site.instruction, "nop");
}

#[test]
fn an_emulated_instruction_after_another_store_is_not_taken() {
    let site = site(&hashing(|a| {
        a.mov(r8, qword_ptr(rsp + 0x48))?;
        a.inc(qword_ptr(r8))?;
        a.nop()
    }));
    assert_eq!(site.cost, Cost::SingleStepped);
    assert!(site.instruction.starts_with("mov r8"), "{site:?}");
}

#[test]
fn an_emulated_instruction_after_a_call_is_not_taken() {
    let site = site(&hashing(|a| {
        a.mov(qword_ptr(rsp + 0x18), rax)?;
        a.call(ANYTHING)?;
        a.mov(rax, qword_ptr(rsp + 0x18))?;
        a.nop()
    }));
    assert!(site.instruction.starts_with("call"), "{site:?}");
}

#[test]
fn an_emulated_instruction_in_a_loop_is_not_taken() {
    let site = site(&hashing(|a| {
        let mut again = a.create_label();
        a.mov(r9, rax)?;
        a.set_label(&mut again)?;
        a.nop()?;
        a.dec(r9)?;
        a.jne(again)
    }));
    assert!(site.instruction.starts_with("mov r9"), "{site:?}");
}

#[test]
fn an_emulated_instruction_that_some_hashed_operations_miss_is_not_taken() {
    let site = site(&hashing(|a| {
        let mut other = a.create_label();
        let mut join = a.create_label();
        a.test(rax, rax)?;
        a.je(other)?;
        a.nop()?;
        a.jmp(join)?;
        a.set_label(&mut other)?;
        a.nop()?;
        a.set_label(&mut join)?;
        a.mov(rdx, rax)
    }));
    assert!(site.instruction.starts_with("je"), "{site:?}");
}

#[test]
fn operations_that_throw_need_not_pass_the_site() {
    let site = site(&hashing(|a| {
        let mut fine = a.create_label();
        a.mov(r8, qword_ptr(rsp + 0x48))?;
        a.cmp(byte_ptr(r8 + WRITING), 0)?;
        a.cmove(rdi, rsi)?;
        a.je(fine)?;
        a.call(THROW)?;
        a.set_label(&mut fine)?;
        a.mov(rdx, rax)
    }));
    assert!(site.instruction.starts_with("je"), "{site:?}");
}

#[test]
fn a_4_byte_key_may_be_moved_and_kept_in_its_low_half() {
    const FAST32: MapFunction = MapFunction {
        key_form: KeyForm::Value32,
        ..LOOKUP
    };
    let site = sites(
        &[FAST32],
        &assemble(|a| {
            a.sub(rsp, 0x30)?;
            a.mov(dword_ptr(rsp + 0x48), ecx)?;
            a.mov(qword_ptr(rsp + 0x40), rbx)?;
            a.mov(qword_ptr(rsp + 0x38), rax)?;
            a.mov(rbx, qword_ptr(rbx + SEED))?;
            a.mov(eax, ecx)?;
            a.call(MEM_HASH)?;
            a.mov(esi, dword_ptr(rsp + 0x48))?;
            a.nop()?;
            a.add(rsp, 0x30)?;
            a.ret()
        }),
    )
    .remove(0);
    assert_eq!(site.instruction, "nop");
    assert_eq!(site.site.key, Place::register(6).0);
}
