//! Swiss: sites that have the table to be searched in a register.

use super::*;

/// After hashing: the map again, and its directory, in RBX and RSI; the key in RCX, the type in RDI, the hash in R8 too.
fn with_directory(after: impl Fn(&mut CodeAssembler) -> Assembled) -> Vec<u8> {
    hashing(|a| {
        a.mov(rbx, qword_ptr(rsp + 0x48))?;
        a.mov(rcx, qword_ptr(rsp + 0x50))?;
        a.mov(rdi, qword_ptr(rsp + 0x40))?;
        a.nop()?;
        a.mov(rsi, qword_ptr(rbx + STORAGE))?;
        a.mov(rdx, rax)?;
        a.mov(r8, rax)?;
        after(a)
    })
}

fn table(site: &PlannedSite) -> Place {
    Place(site.site.table)
}

#[test]
fn a_site_behind_the_read_of_the_table_is_better_than_one_before_it() {
    let site = site(&with_directory(|a| {
        a.shr(rdx, 60)?;
        a.mov(rdx, qword_ptr(rsi + rdx * 8))?;
        a.mov(r9, qword_ptr(rdx + 24))?;
        a.nop()?;
        a.and(r8, r9)
    }));
    assert_eq!(table(&site), Place::register(2));
    assert_eq!(site.site.hash, Place::register(0).0);
}

#[test]
fn what_is_read_without_an_index_or_beside_an_entry_is_no_table() {
    let plain = site(&with_directory(|a| {
        a.mov(rdx, qword_ptr(rsi))?;
        a.nop()
    }));
    let of_a_group = site(&with_directory(|a| {
        a.mov(rdx, qword_ptr(rsi + rdx * 8 + 8))?;
        a.nop()
    }));
    let of_bytes = site(&with_directory(|a| {
        a.mov(rdx, qword_ptr(rsi + rdx))?;
        a.nop()
    }));
    for site in [plain, of_a_group, of_bytes] {
        assert_eq!(table(&site), Place::NONE, "{}", site.instruction);
    }
}

#[test]
fn of_two_tables_neither_is_known_to_be_the_one_that_is_searched() {
    let site = site(&with_directory(|a| {
        a.mov(r9, qword_ptr(rsi + rdx * 8))?;
        a.shr(rdx, 60)?;
        a.mov(rdx, qword_ptr(rsi + rdx * 8))?;
        a.nop()
    }));
    assert_eq!(table(&site), Place::NONE);
}

#[test]
fn a_table_on_some_paths_is_not_known() {
    let site = site(&with_directory(|a| {
        let mut join = a.create_label();
        a.test(rdx, rdx)?;
        a.je(join)?;
        a.mov(rdx, qword_ptr(rsi + rdx * 8))?;
        a.set_label(&mut join)?;
        a.nop()
    }));
    assert_eq!(table(&site), Place::NONE);
}
