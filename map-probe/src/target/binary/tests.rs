use super::*;
use crate::target::MapLayout;
use crate::target::memory::Region;
use crate::target::testing::{self, FUNCTION_LEN, FUNCTIONS, TEXT, TYPES, Types, go_program};
use proptest::prelude::*;

fn program() -> Vec<u8> {
    let mut types = Types::new(TYPES);
    let string = types.string();
    types.structure("main.Key", 16, &[("S", string, 0)]);
    go_program("go1.23.9", &types)
}

fn open(bytes: &[u8]) -> Result<Binary, TargetError> {
    Binary::open(testing::file(bytes), "app")
}

/// The program with every occurrence of `from` replaced.
fn with(from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut program = program();
    let places: Vec<usize> = (0..program.len() - from.len())
        .filter(|at| program[*at..].starts_with(from))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        program[at..at + to.len()].copy_from_slice(to);
    }
    program
}

#[test]
fn a_program_without_sections_tells_its_version_functions_and_types() {
    let binary = open(&program()).expect("a Go program");
    assert_eq!(binary.version().text, "go1.23.9");
    assert_eq!(binary.maps().name, MapLayout::Classic);
    assert!(!binary.is_position_independent());

    let function = binary.function(FUNCTIONS[0]).expect("there");
    assert_eq!(
        (function.address, function.code.len() as u64),
        (TEXT, FUNCTION_LEN)
    );
    assert_eq!(function.code[..2], [0, 0xcc]);
    assert!(binary.function("runtime.mapaccess2").is_none());
    assert_eq!(binary.file_offset(TEXT), Some(0x1000));

    let steps = binary.equal_steps().expect("readable");
    assert_eq!(steps.len(), 1);
    let nothing = Region {
        start: 0,
        bytes: Vec::new(),
    };
    let name = binary.type_name(steps[0].0, 0, &nothing);
    assert_eq!(name.as_deref(), Some("main.Key"));
}

#[test]
fn every_address_of_a_function_has_its_name_and_no_other_has_one() {
    let binary = open(&program()).expect("a Go program");
    for (index, name) in FUNCTIONS.iter().enumerate() {
        let start = TEXT + index as u64 * FUNCTION_LEN;
        for address in [start, start + FUNCTION_LEN - 1] {
            assert_eq!(binary.name_at(address).as_deref(), Some(*name));
        }
    }
    for address in [0, TEXT - 1, TEXT + 3 * FUNCTION_LEN, u64::MAX] {
        assert_eq!(binary.name_at(address), None);
    }
}

#[test]
fn the_newer_version_finds_its_types_with_its_own_offsets() {
    let mut types = Types::new(TYPES);
    let key = types.add(25, 8, 0, "main.K", &[]);
    let binary = open(&go_program("go1.27.3", &types)).expect("a Go program");
    assert_eq!(binary.maps().name, MapLayout::Swiss);
    let nothing = Region {
        start: 0,
        bytes: Vec::new(),
    };
    assert_eq!(
        binary.type_name(key, 0, &nothing).as_deref(),
        Some("main.K")
    );
}

#[test]
fn what_is_missing_is_said() {
    let unknown = open(&with(b"go1.23.9", b"go1.17.9")).expect_err("refused");
    assert!(matches!(unknown, TargetError::Version { .. }), "{unknown}");

    let silent = open(&with(b" Go buildinf:", b" go_buildinf:")).expect_err("refused");
    assert!(
        matches!(silent, TargetError::NoBuildInfo { .. }),
        "{silent}"
    );

    let shared = open(&with(b"runtime.mallocgc", b"runtime.mallocgd")).expect_err("refused");
    assert!(
        matches!(shared, TargetError::RuntimeElsewhere { .. }),
        "{shared}"
    );

    let table = open(&with(&[0xf1, 0xff, 0xff, 0xff], &[0; 4])).expect_err("refused");
    assert!(matches!(table, TargetError::NoTable { .. }), "{table}");

    let mut packed = with(b" Go buildinf:", b" go_buildinf:");
    packed[0x100..0x104].copy_from_slice(b"UPX!");
    let packed = open(&packed).expect_err("refused");
    assert!(matches!(packed, TargetError::Packed { .. }), "{packed}");
    assert!(packed.hint().is_some_and(|hint| hint.contains("upx -d")));
}

#[test]
fn a_program_that_is_not_go_is_refused() {
    let exe = File::open("/proc/self/exe").expect("our own program");
    let refused = Binary::open(exe, "self").expect_err("not Go");
    assert!(matches!(refused, TargetError::NotGo { .. }), "{refused}");
    assert_eq!(refused.exit_status(), 3);
}

#[test]
fn another_programs_table_that_lies_in_the_file_as_data_is_passed_over() {
    let mut program = program();
    // Before the program's own table: a copy of its header alone, as an embedded program has.
    let header = program[0x4000..0x4048].to_vec();
    program[0x3000..0x3048].copy_from_slice(&header);
    let binary = open(&program).expect("a Go program");
    assert_eq!(binary.name_at(TEXT).as_deref(), Some(FUNCTIONS[0]));
}

#[test]
fn it_is_loaded_where_the_memory_has_its_header_and_nowhere_else() {
    let program = program();
    let binary = open(&program).expect("a Go program");
    let process = Region {
        start: 0x7000_0040_0000,
        bytes: program,
    };
    assert!(binary.is_loaded_at(0x7000_0000_0000, &process));
    assert!(!binary.is_loaded_at(0x7000_0000_1000, &process));
    assert!(!binary.is_loaded_at(0, &process));
}

#[test]
fn a_table_that_names_a_function_over_and_over_is_refused() {
    let mut program = program();
    // Behind the module data: one name, over and over.
    let names = b"runtime.mallocgc\0".repeat(200);
    let at = 0x7200;
    program[at..at + names.len()].copy_from_slice(&names);
    let (start, end) = (at as u64 - 0x4000, (at + names.len()) as u64 - 0x4000);
    for (field, value) in [(32, start), (40, end), (48, end), (56, end), (64, end)] {
        program[0x4000 + field..0x4008 + field].copy_from_slice(&value.to_le_bytes());
    }
    let module = 0x7000 + 8;
    program[module..module + 8].copy_from_slice(&(0x40_0000 + at as u64).to_le_bytes());
    let refused = open(&program).expect_err("refused");
    assert!(matches!(refused, TargetError::Damaged { .. }), "{refused}");
}

proptest! {
    #[test]
    fn a_damaged_program_is_read_or_refused_and_stays_within_its_file(
        changes in proptest::collection::vec((0_usize..0x8000, any::<u8>()), 1..10),
        tables in proptest::collection::vec((0x4000_usize..0x40c0, any::<u8>()), 0..4),
    ) {
        let mut program = program();
        for (offset, byte) in changes.into_iter().chain(tables) {
            program[offset] = byte;
        }
        if let Ok(binary) = open(&program) {
            for function in binary.maps().functions {
                if let Some(found) = binary.function(function.symbol) {
                    let offset = binary.file_offset(found.address).expect("in the file") as usize;
                    prop_assert_eq!(found.code, &program[offset..offset + found.code.len()]);
                }
            }
            let _ = binary.name_at(TEXT);
            let _ = binary.equal_steps();
        }
    }
}
