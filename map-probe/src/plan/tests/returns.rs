//! Where functions return, and which addresses they take.

use super::*;
use crate::plan::returns::{Returns, returns};

fn of(code: &[u8]) -> Result<Returns, String> {
    let function = Function {
        name: LOOKUP.symbol.to_owned(),
        address: ADDRESS,
        code,
    };
    returns(&LOOKUP, &function, &resolve)
}

#[test]
fn every_return_that_can_be_reached_is_found_and_every_address_that_is_taken() {
    let code = assemble(|a| {
        let (mut second, mut data) = (a.create_label(), a.create_label());
        a.test(rbx, rbx)?;
        a.je(second)?;
        a.ret()?;
        // Cannot be reached.
        a.ret()?;
        a.set_label(&mut second)?;
        a.lea(rax, qword_ptr(data))?;
        a.ret()?;
        a.set_label(&mut data)?;
        a.nop()
    });
    let found = of(&code).expect("returns");
    assert_eq!(found.addresses, [5, 14].map(|offset| ADDRESS + offset));
    assert_eq!(found.taken, [ADDRESS + 15]);
}

#[test]
fn a_function_that_returns_in_another_way_is_refused() {
    let popping = assemble(|a| a.ret_1(8));
    assert!(of(&popping).expect_err("refused").contains("+0x0"));
    let endless = assemble(|a| {
        let mut start = a.create_label();
        a.set_label(&mut start)?;
        a.nop()?;
        a.jmp(start)
    });
    assert_eq!(of(&endless).expect_err("refused"), "it has no return");
}
