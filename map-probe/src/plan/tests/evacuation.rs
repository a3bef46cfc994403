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
