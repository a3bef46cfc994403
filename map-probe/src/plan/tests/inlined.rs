//! Callers in the runtime that a map function was inlined into.

use super::*;
use crate::plan::PlannedFunction;

/// A map function that wrappers call, package reflect's function by way of one of them.
const DELETE: MapFunction = MapFunction {
    symbol: "internal/runtime/maps.(*Map).Delete",
    op: Op::Delete,
    key_form: KeyForm::Pointer,
    arguments: Arguments {
        map: 0,
        typ: 1,
        key: 2,
    },
    wrappers: &["runtime.mapdelete", "runtime.mapdelete_fast64"],
    ..LOOKUP
};
const GENERIC: u64 = 0x50_0000;
const FAST64: u64 = 0x50_1000;
const REFLECT: u64 = 0x50_2000;

/// What is planned beside the map function itself, where its callers have this code.
fn beside(generic: &[u8], fast64: &[u8], reflect: &[u8]) -> Vec<PlannedFunction> {
    let code = hashing(CodeAssembler::nop);
    let find = |name: &str| {
        let (address, code) = match name {
            "internal/runtime/maps.(*Map).Delete" => (ADDRESS, &code[..]),
            "runtime.mapdelete" => (GENERIC, generic),
            "runtime.mapdelete_fast64" => (FAST64, fast64),
            "reflect.mapdelete" => (REFLECT, reflect),
            _ => return None,
        };
        (!code.is_empty()).then(|| Function {
            name: name.to_owned(),
            address,
            code,
        })
    };
    let mut planned = plan(&maps(&[DELETE]), &find, &resolve, Kernel::ANY);
    planned.remove(0);
    planned
}

fn calls(address: u64, callee: u64) -> Vec<u8> {
    let mut a = CodeAssembler::new(64).expect("64 bits are supported");
    a.call(callee).and_then(|()| a.ret()).expect("these exist");
    a.assemble(address).expect("within reach")
}

#[test]
fn callers_that_call_the_map_function_or_each_other_are_left_to_it() {
    let planned = beside(
        &calls(GENERIC, ADDRESS),
        &calls(FAST64, GENERIC),
        &calls(REFLECT, GENERIC),
    );
    assert!(planned.is_empty(), "{planned:?}");
    assert!(
        beside(&[], &[], &[]).is_empty(),
        "callers that are not there"
    );
}

#[test]
fn a_wrapper_that_has_the_map_function_inlined_is_one_itself_with_its_own_arguments() {
    let inlined = hashing(CodeAssembler::nop);
    let planned = beside(&calls(GENERIC, ADDRESS), &inlined, &calls(REFLECT, GENERIC));
    let [wrapper] = planned.as_slice() else {
        panic!("expected one function, got {planned:?}");
    };
    assert_eq!(wrapper.function.symbol, "runtime.mapdelete_fast64");
    assert_eq!(wrapper.function.key_form, KeyForm::Value64);
    assert_eq!(wrapper.function.op, Op::Delete);
    assert_eq!(wrapper.address, FAST64);
    let Coverage::Covered(sites) = &wrapper.coverage else {
        panic!("expected sites, got {wrapper:?}");
    };
    assert_eq!(sites[0].address, FAST64 + sites[0].offset);
}

#[test]
fn package_reflects_function_that_has_it_inlined_is_named_and_not_probed() {
    let planned = beside(
        &calls(GENERIC, ADDRESS),
        &calls(FAST64, ADDRESS),
        &hashing(CodeAssembler::nop),
    );
    let [reflect] = planned.as_slice() else {
        panic!("expected one function, got {planned:?}");
    };
    assert_eq!(reflect.function.symbol, "reflect.mapdelete");
    let Coverage::NotCovered(reason) = &reflect.coverage else {
        panic!("expected a refusal, got {reflect:?}");
    };
    assert_eq!(reason, "it has internal/runtime/maps.(*Map).Delete inlined");
}
