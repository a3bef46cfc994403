//! The table of where values are at every instruction.

use iced_x86::{Decoder, Instruction, Mnemonic};
use map_probe_common::Site;

use super::*;
use crate::plan::sampling::{SampleTable, table};

const HASH_GROW: u64 = 0x40_8500;
const EQUAL: u64 = 0x40_8600;

fn resolve_more(address: u64) -> Option<String> {
    match address {
        HASH_GROW => Some("runtime.hashGrow".to_owned()),
        EQUAL => Some("runtime.memequal".to_owned()),
        _ => resolve(address),
    }
}

fn sampled(function: &'static [MapFunction], code: &[u8]) -> SampleTable {
    let find = |name: &str| {
        (name == function[0].symbol).then(|| Function {
            name: name.to_owned(),
            address: ADDRESS,
            code,
        })
    };
    table(&maps(function), &find, &resolve_more, &|_| None)
}

/// Each instruction with the site for a sample at it, and for one in what it calls.
fn instructions(
    table: &SampleTable,
    code: &[u8],
) -> Vec<(Instruction, Option<Site>, Option<Site>)> {
    let site = |offset: usize| {
        let number = usize::from(table.code[offset]);
        number.checked_sub(1).map(|index| table.sites[index])
    };
    let mut decoder = Decoder::with_ip(64, code, ADDRESS, 0);
    let mut all = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        let start = (instruction.ip() - ADDRESS) as usize;
        let last = start + instruction.len() - 1;
        let below = (last > start).then(|| site(last)).flatten();
        all.push((instruction, site(start), below));
    }
    all
}

fn first(
    all: &[(Instruction, Option<Site>, Option<Site>)],
    mnemonic: Mnemonic,
) -> (Option<Site>, Option<Site>) {
    let found = all.iter().find(|(i, ..)| i.mnemonic() == mnemonic);
    let (_, at, below) = found.expect("an instruction of that kind");
    (*at, *below)
}

#[test]
fn a_site_that_tracing_takes_is_in_the_table_with_the_same_places() {
    let code = hashing(|a| {
        a.mov(r8, qword_ptr(rsp + 0x48))?;
        a.nop()?;
        a.mov(rdx, rax)
    });
    let traced = site(&code);
    let table = sampled(&[LOOKUP], &code);
    let number = usize::from(table.code[traced.offset as usize]);
    assert_eq!(table.sites[number - 1], traced.site);
}

#[test]
fn before_it_hashes_and_after_it_has_dropped_the_hash_a_lookup_is_known_without() {
    let code = hashing(|a| {
        a.xor(eax, eax)?;
        a.cmc()
    });
    let all = instructions(&sampled(&[LOOKUP], &code), &code);
    for mnemonic in [Mnemonic::Push, Mnemonic::Cmc] {
        let (site, _) = first(&all, mnemonic);
        let site = site.expect("type, map and key are known");
        assert_eq!(site.hash, Place::NONE.0, "{mnemonic:?}");
        assert_ne!(site.map, Place::NONE.0);
    }
}

#[test]
fn a_search_in_a_loop_has_sites_although_none_of_them_could_be_trapped() {
    let code = hashing(|a| {
        let mut again = a.create_label();
        a.mov(r9, rax)?;
        a.set_label(&mut again)?;
        a.dec(r9)?;
        a.jne(again)
    });
    let all = instructions(&sampled(&[LOOKUP], &code), &code);
    assert!(first(&all, Mnemonic::Dec).0.is_some());
}

#[test]
fn what_is_called_has_its_site_at_the_end_of_the_call_and_all_of_it_on_the_stack() {
    let code = hashing(CodeAssembler::nop);
    let all = instructions(&sampled(&[LOOKUP], &code), &code);
    let (at, below) = first(&all, Mnemonic::Call);
    assert!(at.is_some());
    let below = below.expect("the key is still known while it is hashed");
    for place in [below.typ, below.map, below.key] {
        assert!(place >= Place::FIRST_STACK_WORD && place != Place::NONE.0);
    }
    assert_eq!(below.hash, Place::NONE.0, "it is being computed");
}

#[test]
fn an_insert_that_has_stored_has_no_sites_any_more() {
    let code = insert_then(|a| {
        a.mov(qword_ptr(rdx + 8), rcx)?;
        a.cmc()?;
        a.call(EQUAL)?;
        a.stc()
    });
    let all = instructions(&sampled(&[INSERT], &code), &code);
    assert!(first(&all, Mnemonic::Clc).0.is_some(), "before the store");
    assert_eq!(first(&all, Mnemonic::Cmc).0, None);
    assert_eq!(first(&all, Mnemonic::Stc).0, None);
}

#[test]
fn comparing_changes_nothing_and_an_unknown_call_may() {
    let code = insert_then(|a| {
        a.call(EQUAL)?;
        a.cmc()?;
        a.call(ANYTHING)?;
        a.stc()
    });
    let all = instructions(&sampled(&[INSERT], &code), &code);
    assert!(first(&all, Mnemonic::Cmc).0.is_some());
    // `runtime.newobject` is known to leave maps alone.
    assert!(first(&all, Mnemonic::Stc).0.is_some());
    let code = insert_then(|a| {
        a.call(UNKNOWN)?;
        a.cmc()
    });
    let all = instructions(&sampled(&[INSERT], &code), &code);
    assert_eq!(first(&all, Mnemonic::Cmc).0, None);
}

const UNKNOWN: u64 = 0x40_9000;

#[test]
fn after_growing_an_insert_begins_anew() {
    let code = insert_then(|a| {
        let (mut again, mut done) = (a.create_label(), a.create_label());
        a.set_label(&mut again)?;
        a.cmc()?;
        a.jb(done)?;
        a.mov(rax, qword_ptr(rsp + 0x40))?;
        a.call(HASH_GROW)?;
        a.jmp(again)?;
        a.set_label(&mut done)?;
        a.mov(qword_ptr(rdx), rcx)?;
        a.stc()
    });
    let all = instructions(&sampled(&[INSERT], &code), &code);
    assert!(first(&all, Mnemonic::Cmc).0.is_some());
    assert_eq!(first(&all, Mnemonic::Stc).0, None);
}

#[test]
fn while_the_map_evacuates_or_grows_nothing_is_known() {
    let code = insert_then(|a| a.call(HASH_GROW));
    let all = instructions(&sampled(&[INSERT], &code), &code);
    for (instruction, _, below) in &all {
        if [GROW_WORK, HASH_GROW].contains(&instruction.near_branch_target()) {
            assert_eq!(*below, None, "{instruction}");
        }
    }
}

/// A classic insert that has evacuated, then `clc`, then `rest`.
fn insert_then(rest: impl Fn(&mut CodeAssembler) -> Assembled) -> Vec<u8> {
    hashing(|a| {
        evacuate(a, GROW_WORK, |_| Ok(()))?;
        a.clc()?;
        rest(a)
    })
}
