//! Code that is refused, whatever it is.

use proptest::prelude::*;

use super::*;

#[test]
fn a_hasher_called_without_the_maps_seed_does_not_count() {
    let code = assemble(|a| {
        prologue(a)?;
        a.mov(rdx, qword_ptr(rax + HASHER))?;
        a.mov(rsi, qword_ptr(rdx))?;
        a.xor(iced_x86::code_asm::ebx, iced_x86::code_asm::ebx)?;
        a.lea(rax, qword_ptr(rsp + 0x50))?;
        a.call(rsi)?;
        a.nop()?;
        epilogue(a)
    });
    assert_eq!(
        reason(&[LOOKUP], &code),
        "no call of the type's hasher was recognised"
    );
}

#[test]
fn a_function_that_loses_a_value_is_refused_by_its_name() {
    let code = assemble(|a| {
        a.push(rbp)?;
        a.sub(rsp, 0x30)?;
        a.mov(qword_ptr(rsp + 0x50), rcx)?;
        a.mov(qword_ptr(rsp + 0x48), rbx)?;
        a.mov(rdx, qword_ptr(rax + HASHER))?;
        a.mov(rcx, qword_ptr(rdx))?;
        a.mov(rbx, qword_ptr(rbx + SEED))?;
        a.lea(rax, qword_ptr(rsp + 0x50))?;
        a.call(rcx)?;
        a.nop()?;
        epilogue(a)
    });
    assert_eq!(
        reason(&[LOOKUP], &code),
        "after hashing, the type cannot be located"
    );
}

#[test]
fn a_stack_with_very_many_values_is_not_followed() {
    let code = hashing(|a| {
        for slot in 0..200 {
            a.mov(qword_ptr(rsp + (0x100 + 8 * slot)), rax)?;
        }
        Ok(())
    });
    assert_eq!(
        reason(&[LOOKUP], &code),
        "following its values takes too many steps"
    );
}

#[test]
fn a_stack_whose_address_was_handed_out_is_trusted_no_more() {
    let code = hashing(|a| {
        a.mov(rdx, rax)?;
        a.lea(rax, qword_ptr(rsp + 0x40))?;
        a.mov(qword_ptr(rdx), rax)?;
        a.nop()
    });
    let site = site(&code);
    assert!(site.instruction.starts_with("mov rdx"), "{site:?}");
    let early = hashing_after(|a| a.lea(rax, qword_ptr(rsp + 0x48)), ANYTHING);
    assert_eq!(
        reason(&[LOOKUP], &early),
        "no call of the type's hasher was recognised"
    );
}

#[test]
fn code_that_cannot_be_followed_is_refused_with_the_place() {
    for (code, expected) in [
        (&[0xff, 0xe0][..], "the jump at +0x0 has no fixed target"),
        (&[0x90, 0xeb, 0x40], "the jump at +0x1 leaves the function"),
        (&[0x90, 0x06], "no instruction can be decoded at +0x1"),
        (&[0x90], "no instruction can be decoded at +0x1"),
        (&[], "no instruction can be decoded at +0x0"),
        (&[0x0f, 0x05], "unexpected instruction at +0x0"),
        (
            &[0x74, 0x01, 0xb8, 0x90, 0x90, 0x90, 0xc3, 0xc3],
            "a jump leads into the middle of the instruction at +0x2",
        ),
        (&[0xc3], "no call of the type's hasher was recognised"),
    ] {
        assert_eq!(reason(&[LOOKUP], code), expected, "{code:x?}");
    }
}

/// A plan of any code is a refusal, or sites within it.
fn check_any(code: &[u8]) {
    let functions: &'static [MapFunction] = &[INSERT];
    let Coverage::Covered(sites) = planned(functions, code) else {
        return;
    };
    for site in sites {
        assert!(site.offset < code.len() as u64);
        assert_eq!(site.address, ADDRESS + site.offset);
        let last = Place::FIRST_STACK_WORD + site.site.stack_words;
        for place in [site.site.typ, site.site.map, site.site.key] {
            assert!(place < last, "{site:?}");
        }
    }
}

/// Found by fuzzing: its second operand is neither a register nor a constant, nor what else reads memory has.
#[test]
fn a_string_instruction_with_an_address_of_the_frame_is_followed() {
    let code = hashing(|a| {
        a.lea(rax, qword_ptr(rsp + 0x20))?;
        a.scasq()
    });
    check_any(&code);
}

proptest! {
    #[test]
    fn random_bytes_never_confuse_the_planner(code in prop::collection::vec(any::<u8>(), 0..600)) {
        check_any(&code);
    }

    #[test]
    fn damaged_functions_never_confuse_the_planner(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut code = insert(|a| a.mov(rax, qword_ptr(rsp + 0x18)));
        for (place, byte) in damage {
            let place = place.index(code.len());
            code[place] = byte;
        }
        check_any(&code);
    }
}
