use super::*;
use crate::target::testing::Types;
use map_probe_common::equal::EqualKind as Kind;
use proptest::prelude::*;

const START: u64 = 0x50_0000;
/// `Uncommon`, which says nothing about equality.
const OTHER_FLAG: u8 = 1;

fn step(kind: Kind, offset: u32, len: u32) -> EqualStep {
    EqualStep {
        kind: kind as u32,
        offset,
        len,
    }
}

fn steps_of(types: &Types, address: u64) -> Option<Vec<EqualStep>> {
    let programs = programs(&types.region(), 0x60, 0);
    programs
        .into_iter()
        .find(|(at, _)| *at == address)
        .map(|(_, steps)| steps)
}

#[test]
fn a_struct_compares_field_by_field_without_blank_fields_and_padding() {
    let mut types = Types::new(START);
    let (int32, int64, string) = (types.int32(), types.int64(), types.string());
    let key = types.structure(
        "main.Key",
        48,
        &[
            ("A", int64, 0),
            ("B", int32, 8),
            ("_", int32, 12),
            ("C", int64, 16),
            ("D", string, 24),
            ("E", int32, 40),
        ],
    );
    let expected = vec![
        step(Kind::Memory, 0, 12),
        step(Kind::Memory, 16, 8),
        step(Kind::String, 24, 0),
        step(Kind::Memory, 40, 4),
    ];
    assert_eq!(steps_of(&types, key), Some(expected));
}

#[test]
fn field_offsets_of_go_1_18_have_a_flag_in_their_lowest_bit() {
    let mut types = Types::new(START);
    let (int64, string) = (types.int64(), types.string());
    let fields = [("A", int64, 0), ("Embedded", string, 8 << 1 | 1)];
    let key = types.structure("main.Key", 24, &fields);
    let programs = programs(&types.region(), 0x60, 1);
    let expected = vec![step(Kind::Memory, 0, 8), step(Kind::String, 8, 0)];
    assert_eq!(programs, [(key, expected)]);
    assert_eq!(steps_of(&types, key), None, "not by the rules of Go 1.19");
}

#[test]
fn nested_structs_and_arrays_are_flattened() {
    let mut types = Types::new(START);
    let (int64, string) = (types.int64(), types.string());
    let inner = types.structure("main.In", 24, &[("N", int64, 0), ("S", string, 8)]);
    let array = types.array(inner, 2, 48);
    let outer = types.structure("main.Out", 56, &[("X", array, 0), ("Y", int64, 48)]);
    let expected = vec![
        step(Kind::Memory, 0, 8),
        step(Kind::String, 8, 0),
        step(Kind::Memory, 24, 8),
        step(Kind::String, 32, 0),
        step(Kind::Memory, 48, 8),
    ];
    assert_eq!(steps_of(&types, array), Some(expected[..4].to_vec()));
    assert_eq!(steps_of(&types, outer), Some(expected));
}

#[test]
fn floats_complex_numbers_and_interfaces_have_steps_of_their_own() {
    let mut types = Types::new(START);
    let f32 = types.add(kind::FLOAT32, 4, 0, "float32", &[]);
    let f64 = types.add(kind::FLOAT64, 8, 0, "float64", &[]);
    let c64 = types.add(kind::COMPLEX64, 8, 0, "complex64", &[]);
    let c128 = types.add(kind::COMPLEX128, 16, 0, "complex128", &[]);
    let any = types.add(kind::INTERFACE, 16, 0, "interface {}", &[0, 0, 0, 0]);
    let error = types.add(kind::INTERFACE, 16, 0, "error", &[0, 0, 1, 1]);
    let all = types.structure(
        "main.All",
        72,
        &[
            ("a", f32, 0),
            ("b", f64, 8),
            ("c", c64, 16),
            ("d", c128, 24),
            ("e", any, 40),
            ("f", error, 56),
        ],
    );
    let expected = vec![
        step(Kind::Float32, 0, 0),
        step(Kind::Float64, 8, 0),
        step(Kind::Float32, 16, 0),
        step(Kind::Float32, 20, 0),
        step(Kind::Float64, 24, 0),
        step(Kind::Float64, 32, 0),
        step(Kind::EmptyInterface, 40, 0),
        step(Kind::Interface, 56, 0),
    ];
    assert_eq!(steps_of(&types, all), Some(expected));
}

#[test]
fn elements_without_gaps_are_one_piece_of_memory() {
    let mut types = Types::new(START);
    let int64 = types.int64();
    let empty = types.structure("main.E", 0, &[]);
    let element = types.structure("main.El", 8, &[("_", empty, 0), ("N", int64, 0)]);
    let array = types.array(element, 100, 800);
    assert_eq!(
        steps_of(&types, array),
        Some(vec![step(Kind::Memory, 0, 800)])
    );
}

#[test]
fn a_type_of_blank_fields_compares_nothing() {
    let mut types = Types::new(START);
    let int64 = types.int64();
    let blank = types.structure("main.Blank", 8, &[("_", int64, 0)]);
    let array = types.array(blank, 1 << 20, 8 << 20);
    assert_eq!(steps_of(&types, blank), Some(vec![]));
    assert_eq!(steps_of(&types, array), Some(vec![]));
}

#[test]
fn a_type_with_too_many_steps_is_left_out_and_one_with_just_enough_is_not() {
    let mut types = Types::new(START);
    let string = types.string();
    let enough = types.array(string, MAX_STEPS as u64, 16 * MAX_STEPS as u64);
    let too_many = types.array(string, MAX_STEPS as u64 + 1, 16 * (MAX_STEPS as u64 + 1));
    assert_eq!(
        steps_of(&types, enough).map(|steps| steps.len()),
        Some(MAX_STEPS)
    );
    assert_eq!(steps_of(&types, too_many), None);
}

#[test]
fn types_compared_as_memory_or_not_at_all_need_no_steps() {
    let mut types = Types::new(START);
    let int64 = types.int64();
    let fields = [START, 0, 0, 0];
    let plain = types.add(kind::STRUCT, 8, tflag::REGULAR_MEMORY, "main.P", &fields);
    let string = types.string();
    let uncomparable = types.structure("main.U", 16, &[("S", string, 0)]);
    let equal = (uncomparable - START) as usize + 24;
    types.bytes[equal] = 0;
    let outer = types.structure("main.O", 24, &[("U", uncomparable, 0), ("N", int64, 16)]);
    for address in [plain, uncomparable, outer] {
        assert_eq!(steps_of(&types, address), None, "{address:#x}");
    }
}

#[test]
fn a_struct_whose_fields_do_not_fit_into_it_is_no_struct() {
    let mut types = Types::new(START);
    let (int64, string) = (types.int64(), types.string());
    let beyond = types.structure("main.A", 16, &[("S", string, 8)]);
    let overlapping = types.structure("main.B", 24, &[("S", string, 0), ("N", int64, 8)]);
    for address in [beyond, overlapping] {
        assert_eq!(steps_of(&types, address), None);
    }
}

#[test]
fn a_struct_that_contains_itself_ends_without_steps() {
    let mut types = Types::new(START);
    let itself = types.structure("main.Self", 16, &[("a", START + 8, 0)]);
    let string = types.string();
    let good = types.structure("main.Good", 16, &[("S", string, 0)]);
    // The first field's type, right behind its name, becomes the struct itself.
    let at = types
        .bytes
        .windows(8)
        .position(|word| word == (START + 8).to_le_bytes())
        .expect("the field");
    types.bytes[at..at + 8].copy_from_slice(&itself.to_le_bytes());
    assert_eq!(steps_of(&types, itself), None);
    assert!(
        steps_of(&types, good).is_some(),
        "and does not hide the others"
    );
}

#[test]
fn no_more_types_are_flattened_than_the_kernel_side_has_room_for() {
    let mut types = Types::new(START);
    let string = types.string();
    let last = 1 + MAX_TOTAL_STEPS / MAX_STEPS;
    for _ in 0..last + 8 {
        types.array(string, MAX_STEPS as u64, 16 * MAX_STEPS as u64);
    }
    let programs = programs(&types.region(), 0x60, 0);
    assert_eq!(programs.len(), last - 1);
    let steps: usize = programs.iter().map(|(_, steps)| steps.len()).sum();
    assert_eq!(steps, MAX_TOTAL_STEPS);
}

proptest! {
    #[test]
    fn damaged_types_end_in_bounded_steps(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut types = Types::new(START);
        let (int64, string) = (types.int64(), types.string());
        let inner = types.structure("main.In", 24, &[("N", int64, 0), ("S", string, 8)]);
        let array = types.array(inner, 2, 48);
        types.structure("main.Out", 56, &[("X", array, 0), ("_", int64, 48)]);
        types.add(kind::STRUCT, 8, OTHER_FLAG, "x", &[0, START, u64::MAX, u64::MAX]);
        for (index, byte) in changes {
            let at = index.index(types.bytes.len());
            types.bytes[at] = byte;
        }
        for (address, steps) in programs(&types.region(), 0, 0) {
            prop_assert!(address % 8 == 0);
            prop_assert!(steps.len() <= MAX_STEPS);
            prop_assert!(steps.iter().all(|step| u64::from(step.offset) + u64::from(step.len) <= MAX_SIZE));
        }
    }

    #[test]
    fn any_bytes_end_in_bounded_steps(bytes in proptest::collection::vec(any::<u8>(), 0..2000), start in any::<u64>()) {
        let region = Region { start, bytes };
        for (_, steps) in programs(&region, 0x60, 0) {
            prop_assert!(steps.len() <= MAX_STEPS);
        }
    }
}
