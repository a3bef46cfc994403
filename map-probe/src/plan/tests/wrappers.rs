//! Who calls a map function on behalf of others.

use map_probe_common::site::{MAX_WRAPPERS, NO_CALLER, STACK_WORDS, Site, Wrapper};
use proptest::prelude::*;

use super::*;
use crate::plan::{PlannedFunction, name_callers};

/// A map function that two others call for their own callers, one through the other.
const DELETE: MapFunction = MapFunction {
    symbol: "internal/runtime/maps.(*Map).Delete",
    op: Op::Delete,
    wrappers: &["runtime.mapdelete", "runtime.mapdelete_fast64"],
    ..LOOKUP
};
const OUTER: u64 = 0x50_0000;
const INNER: u64 = 0x50_1000;
/// The wrappers' frames, in bytes, wherever one looks.
const FRAME: u32 = 0x18;

/// The map function at [`ADDRESS`] with its site, once the code of its wrappers has been looked at.
fn named(inner: &[u8], outer: &[u8], stack_bytes: Option<u32>) -> Site {
    let code = hashing(CodeAssembler::nop);
    let coverage = planned(&[DELETE], &code);
    let mut planned = [PlannedFunction {
        function: DELETE,
        address: ADDRESS,
        coverage,
    }];
    let find = |name: &str| {
        let (address, code) = match name {
            "runtime.mapdelete" => (INNER, inner),
            "runtime.mapdelete_fast64" => (OUTER, outer),
            _ => return None,
        };
        (!code.is_empty()).then(|| Function {
            name: name.to_owned(),
            address,
            code,
        })
    };
    name_callers(&mut planned, &find, &|_| stack_bytes);
    match &planned[0].coverage {
        Coverage::Covered(sites) => sites[0].site,
        other => panic!("expected sites, got {other:?}"),
    }
}

fn calls(address: u64, callees: &[u64]) -> Vec<u8> {
    let mut a = CodeAssembler::new(64).expect("64 bits are supported");
    let mut write = || {
        a.push(rbp)?;
        for callee in callees {
            a.call(*callee)?;
        }
        a.pop(rbp)?;
        a.ret()
    };
    write().expect("these operands exist");
    a.assemble(address).expect("all calls are in reach")
}

fn known(site: &Site) -> Vec<Wrapper> {
    let wrappers = site.wrappers.iter().copied();
    wrappers
        .filter(|wrapper| wrapper.return_address != 0)
        .collect()
}

#[test]
fn the_calls_of_a_function_in_its_wrappers_and_of_those_in_each_other_are_known() {
    let inner = calls(INNER, &[ANYTHING, ADDRESS]);
    let outer = calls(OUTER, &[INNER, THROW]);
    let site = named(&inner, &outer, Some(FRAME));
    let distance = u64::from(FRAME) + 8;
    let expected = [
        // `push` has one byte, each call five.
        Wrapper {
            return_address: INNER + 1 + 10,
            distance,
        },
        Wrapper {
            return_address: OUTER + 1 + 5,
            distance,
        },
    ];
    assert_eq!(known(&site), expected);
}

#[test]
fn the_window_reaches_as_far_as_the_return_addresses_of_wrappers_if_it_can() {
    let none = named(&[], &[], Some(FRAME));
    assert_eq!(known(&none), []);
    assert_eq!(none.wide_words, none.stack_words, "nobody calls for others");
    assert_ne!(none.caller_offset, NO_CALLER);

    let inner = calls(INNER, &[ADDRESS]);
    let near = named(&inner, &[], Some(FRAME));
    let words =
        (u64::from(near.caller_offset) + u64::from(FRAME) + 8 - u64::from(near.stack_offset)) / 8
            + 1;
    assert_eq!(u64::from(near.wide_words), words);

    let far = named(&inner, &[], Some(8 * STACK_WORDS as u32));
    assert_eq!(far.wide_words, far.stack_words, "that is read by itself");
    assert_eq!(known(&far).len(), 1);
}

#[test]
fn a_wrapper_that_calls_itself_or_others_is_none() {
    let inner = calls(INNER, &[INNER, ANYTHING, ADDRESS + 1]);
    assert_eq!(known(&named(&inner, &[], Some(FRAME))), []);
}

#[test]
fn a_call_with_an_unknown_frame_is_left_out() {
    let inner = calls(INNER, &[ADDRESS]);
    assert_eq!(known(&named(&inner, &[], None)), []);
}

#[test]
fn more_calls_than_there_is_room_for_are_left_out() {
    let inner = calls(INNER, &[ADDRESS; 20]);
    let outer = calls(OUTER, &[ADDRESS; 20]);
    let site = named(&inner, &outer, Some(FRAME));
    assert_eq!(known(&site).len(), MAX_WRAPPERS);
    assert!(usize::from(site.wide_words) <= STACK_WORDS);
}

#[test]
fn a_frame_of_any_size_overflows_nothing() {
    let inner = calls(INNER, &[ADDRESS]);
    for bytes in [0, 1, 7, u32::MAX - 8, u32::MAX] {
        let site = named(&inner, &[], Some(bytes));
        let [wrapper] = known(&site)[..] else {
            panic!("one call, got {:?}", known(&site));
        };
        assert_eq!(wrapper.distance, u64::from(bytes) + 8);
        assert!(usize::from(site.wide_words) <= STACK_WORDS);
    }
}

proptest! {
    #[test]
    fn random_bytes_for_wrappers_give_calls_within_them(
        inner in prop::collection::vec(prop_oneof![Just(0xe8), any::<u8>()], 0..400),
        outer in prop::collection::vec(any::<u8>(), 0..400),
        frame in any::<Option<u32>>(),
    ) {
        let site = named(&inner, &outer, frame);
        prop_assert!(site.stack_words <= site.wide_words);
        prop_assert!(usize::from(site.wide_words) <= STACK_WORDS);
        for wrapper in known(&site) {
            let within = |start: u64, len: usize| {
                (start + 1..=start + len as u64).contains(&wrapper.return_address)
            };
            prop_assert!(within(INNER, inner.len()) || within(OUTER, outer.len()));
        }
    }

    #[test]
    fn damaged_wrappers_give_calls_that_are_there(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut inner = calls(INNER, &[ADDRESS, ANYTHING, ADDRESS]);
        for (place, byte) in damage {
            let place = place.index(inner.len());
            inner[place] = byte;
        }
        for wrapper in known(&named(&inner, &[], Some(FRAME))) {
            // A near call with the map function as its target ends there.
            let end = usize::try_from(wrapper.return_address - INNER).expect("within");
            let distance = i32::from_le_bytes(inner[end - 4..end].try_into().expect("four"));
            let target = wrapper.return_address.wrapping_add_signed(distance.into());
            prop_assert_eq!((inner[end - 5], target), (0xe8, ADDRESS));
        }
    }
}
