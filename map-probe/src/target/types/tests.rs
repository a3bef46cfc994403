use super::*;
use crate::target::memory::Region;
use crate::target::testing::{self, TYPES, Types, go_program};
use proptest::prelude::*;
use std::cell::Cell;

/// A load bias as of a position-independent program.
const BIAS: u64 = 0x5555_0000_0000;
/// Where the process has types that it made itself.
const HEAP: u64 = 0xc000_0000_0000;

fn image(types: &Types) -> Image {
    let program = go_program("go1.23.9", types);
    Image::open(testing::file(&program), "app".into()).expect("a program")
}

fn name(image: &Image, types: &Types, process: &Region, address: u64) -> Option<String> {
    let types = types.start..types.start + types.bytes.len() as u64;
    let namer = Namer {
        image,
        types: &types,
        bias: BIAS,
        process,
    };
    namer.name(address)
}

/// A literal type made at run time: its name is registered elsewhere, below zero.
fn made(types: &mut Types, kind: u8, words: &[u64]) -> u64 {
    let address = types.add(kind, 8, 0, "", words);
    let at = (address - types.start) as usize + 40;
    types.bytes[at..at + 4].copy_from_slice(&(-7_i32).to_le_bytes());
    address
}

#[test]
fn static_types_are_named_from_the_file_whatever_the_process_has_there() {
    let mut types = Types::new(TYPES);
    let plain = types.add(kind::MAP, 8, 0, "map[string]int", &[]);
    let starred = types.add(
        kind::STRUCT,
        8,
        tflag::EXTRA_STAR | tflag::NAMED,
        "*main.Key",
        &[],
    );
    let image = image(&types);
    let process = Region {
        start: 0,
        bytes: Vec::new(),
    };
    let named = |address| name(&image, &types, &process, address + BIAS);
    assert_eq!(named(plain).as_deref(), Some("map[string]int"));
    assert_eq!(named(starred).as_deref(), Some("main.Key"));
}

#[test]
fn types_made_at_run_time_are_named_by_what_they_are_made_of() {
    let mut types = Types::new(TYPES);
    let string = types.string() + BIAS;
    let image = image(&types);
    let mut heap = Types::new(HEAP);
    let pointer = made(&mut heap, kind::POINTER, &[string]);
    let slice = made(&mut heap, kind::SLICE, &[pointer]);
    let array = made(&mut heap, kind::ARRAY, &[string, 0, 3]);
    let map = made(&mut heap, kind::MAP, &[array, slice]);
    let process = heap.region();
    let named = |address| name(&image, &types, &process, address);
    assert_eq!(named(map).as_deref(), Some("map[[3]string][]*string"));
}

#[test]
fn a_type_that_cannot_be_named_for_certain_has_no_name() {
    let types = Types::new(TYPES);
    let image = image(&types);
    let mut heap = Types::new(HEAP);
    let defined = heap.add(kind::MAP, 8, tflag::NAMED, "main.M", &[0, 0]);
    let function = made(&mut heap, 19, &[]);
    let of_function = made(&mut heap, kind::SLICE, &[function]);
    let next = heap.start + heap.bytes.len() as u64 + 8;
    let endless = made(&mut heap, kind::POINTER, &[next]);
    let process = heap.region();
    for address in [
        defined,
        function,
        of_function,
        endless,
        0,
        HEAP + 1,
        u64::MAX,
        TYPES + BIAS,
    ] {
        assert_eq!(
            name(&image, &types, &process, address),
            None,
            "{address:#x}"
        );
    }
}

#[test]
fn a_type_of_very_many_parts_has_no_name() {
    let types = Types::new(TYPES);
    let image = image(&types);
    let mut heap = Types::new(HEAP);
    let mut part = made(&mut heap, kind::SLICE, &[TYPES + BIAS]);
    // Each is a map of the one before to itself: twice as many parts.
    for _ in 0..15 {
        part = made(&mut heap, kind::MAP, &[part, part]);
    }
    let process = Counting {
        region: heap.region(),
        reads: Cell::new(0),
    };
    let namer = Namer {
        image: &image,
        types: &(TYPES..TYPES + 8),
        bias: BIAS,
        process: &process,
    };
    assert_eq!(namer.name(part), None);
    assert!(process.reads.get() <= 3 * MAX_PARTS, "{:?}", process.reads);
}

/// A process that counts how often it is read.
struct Counting {
    region: Region,
    reads: Cell<u32>,
}

impl Memory for Counting {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        self.reads.set(self.reads.get() + 1);
        self.region.read(address, buf)
    }
}

#[test]
fn a_type_that_contains_itself_ends_without_a_name() {
    let types = Types::new(TYPES);
    let image = image(&types);
    let mut heap = Types::new(HEAP);
    // Its name is empty and takes eight bytes before it.
    let itself = heap.start + heap.bytes.len() as u64 + 8;
    assert_eq!(made(&mut heap, kind::MAP, &[itself, itself]), itself);
    assert_eq!(name(&image, &types, &heap.region(), itself), None);
}

proptest! {
    #[test]
    fn any_memory_is_named_within_bounds_or_not_at_all(
        bytes in proptest::collection::vec(any::<u8>(), TYPE_LEN..400),
        kind in 0_u8..32,
    ) {
        let mut region = Region { start: HEAP, bytes };
        region.bytes[20] = 0;
        region.bytes[21] = 8;
        region.bytes[23] = kind;
        // The parts are this very type.
        for at in [48, 56] {
            if let Some(part) = region.bytes.get_mut(at..at + 8) {
                part.copy_from_slice(&HEAP.to_le_bytes());
            }
        }
        let types = HEAP..HEAP + region.bytes.len() as u64;
        if let Some(name) = static_name(&region, &types, HEAP) {
            prop_assert!(name.len() <= region.bytes.len());
        }
        let image = image(&Types::new(TYPES));
        prop_assert_eq!(name_of(&image, &region), None);
    }
}

fn name_of(image: &Image, process: &Region) -> Option<String> {
    name(image, &Types::new(TYPES), process, HEAP)
}
