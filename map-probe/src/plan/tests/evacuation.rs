//! The second site of classic inserts and deletes.

use super::*;

#[test]
fn an_insert_that_evacuates_first_has_a_second_site_that_only_it_passes() {
    let code = insert(|a| a.mov(rax, qword_ptr(rsp + 0x18)));
    let sites = sites(&[INSERT], &code);
    let [search, evacuated] = sites.as_slice() else {
        panic!("expected two sites, got {sites:?}");
    };
    assert_eq!(search.role, Role::SearchOrDefer);
    assert!(search.instruction.starts_with("je"), "{search:?}");
    assert_eq!(evacuated.role, Role::AfterEvacuation);
    assert_eq!(evacuated.cost, Cost::SingleStepped);
    assert!(
        evacuated.instruction.starts_with("mov rax"),
        "{evacuated:?}"
    );
    assert_eq!(evacuated.site.stack_offset, 0x18);
    assert_eq!(evacuated.site.hash, Place::stack_word(0).0);
}

#[test]
fn a_hash_that_is_not_kept_over_the_evacuation_is_to_be_remembered() {
    let code = insert(CodeAssembler::nop);
    let evacuated = sites(&[INSERT], &code).remove(1);
    assert_eq!(evacuated.instruction, "nop");
    assert_eq!(evacuated.site.hash, Place::NONE.0);
    assert_ne!(evacuated.site.map, Place::NONE.0);
}

#[test]
fn an_insert_that_evacuates_at_very_many_places_is_refused() {
    let code = insert(|a| {
        for _ in 0..8 {
            a.call(GROW_WORK)?;
        }
        Ok(())
    });
    assert_eq!(
        reason(&[INSERT], &code),
        "it calls runtime.growWork_fast64 at more places than expected"
    );
}

#[test]
fn an_insert_without_the_call_that_evacuates_is_refused() {
    let code = hashing(CodeAssembler::nop);
    assert_eq!(
        reason(&[INSERT], &code),
        "it does not call runtime.growWork_fast64, which was probably inlined"
    );
}

#[test]
fn where_what_evacuates_is_inlined_its_first_call_is_the_one_that_counts() {
    let code = hashing(|a| {
        evacuate(a, EVACUATE, |a| {
            let mut done = a.create_label();
            a.mov(rax, qword_ptr(rsp + 0x18))?;
            a.mov(rbx, qword_ptr(rsp + 0x48))?;
            a.cmp(qword_ptr(rbx + 24), 0)?;
            a.je(done)?;
            a.mov(rax, qword_ptr(rsp + 0x40))?;
            a.call(EVACUATE)?;
            a.set_label(&mut done)?;
            a.mov(rbx, qword_ptr(rsp + 0x48))
        })?;
        a.nop()?;
        a.mov(rax, rbx)
    });
    let sites = sites(&[INSERT], &code);
    let [search, evacuated] = sites.as_slice() else {
        panic!("expected two sites, got {sites:?}");
    };
    assert_eq!(search.role, Role::SearchOrDefer);
    assert_eq!(evacuated.role, Role::AfterEvacuation);
    assert_eq!(evacuated.cost, Cost::Emulated);
    assert!(
        evacuated.instruction.starts_with("je") && evacuated.offset > search.offset,
        "the branch between the two calls: {evacuated:?}"
    );
}

#[test]
fn an_evacuation_that_comes_before_hashing_is_none_to_wait_for() {
    let code = hashing_after(|_| Ok(()), EVACUATE);
    let reason = reason(&[INSERT], &code);
    assert!(reason.starts_with("it does not call"), "{reason}");
}
