//! What `fuzz/` does with arbitrary bytes: each function hands them to one of this module's parsers, as the
//! program does, and demands what the rest of the program relies on.
#![expect(clippy::missing_panics_doc, reason = "here a panic is a finding")]

use std::fs::File;

use map_probe_common::counts::Shape;
use map_probe_common::equal::MAX_STEPS;

use super::binary::Binary;
use super::buildinfo::BuildInfo;
use super::elf::Image;
use super::libraries::Mapping;
use super::lines::Lines;
use super::memory::{Memory, Region};
use super::moduledata::ModuleData;
use super::pclntab::{Functions, Header};
use super::process::{Stat, auxv_entry};
use super::testing::{self, TEXT, TYPES, Types, go_program};
use super::types::Namer;
use super::{GoMaps, directory, equal, go, lines};

/// The facts about maps of every Go version.
pub fn maps() -> impl Iterator<Item = &'static GoMaps> {
    go::every().map(|facts| &facts.maps)
}

/// A file of these bytes.
#[must_use]
pub fn file(bytes: &[u8]) -> File {
    testing::file(bytes)
}

/// An ELF file.
pub fn elf(bytes: &[u8]) {
    let Ok(image) = Image::open(file(bytes), "app".to_owned()) else {
        return;
    };
    for segment in image.segments() {
        assert!(segment.addresses.start < segment.addresses.end);
        let last = segment.addresses.end - 1;
        let offset = image.file_offset(last);
        assert!(offset.is_some_and(|offset| offset < bytes.len() as u64));
        let region = image.region(&segment.addresses, bytes.len());
        assert!(region.is_some_and(|region| region.bytes.len() <= bytes.len()));
    }
    for name in [".gopclntab", ".go.buildinfo", ".note.go.buildid"] {
        if let Some(section) = image.section(name) {
            image.region(&section, 1 << 20);
        }
    }
    image.is_packed();
    image.file_offset(image.entry());
}

/// The build info's blob.
pub fn build_info(bytes: &[u8]) {
    if let Some(info) = BuildInfo::parse(bytes) {
        assert!(info.raw_version.len() <= bytes.len());
        let _ = go::facts(&info, "app", None);
    }
}

/// The function table, at the start of a program's only segment.
pub fn function_table(bytes: &[u8]) {
    let program = testing::segment(TEXT, bytes);
    let image = Image::open(file(&program), "app".to_owned()).expect("a valid ELF file");
    let Some(header) = Header::parse(TEXT, bytes) else {
        return;
    };
    let Some(functions) = Functions::read(&image, header, TEXT) else {
        return;
    };
    let wanted = testing::FUNCTIONS.into_iter();
    if let Some(found) = functions.find(&image, wanted) {
        for place in found.values() {
            assert!(place.start <= place.end);
        }
    }
    for layout in [lines::FRAMES_TO_1_19, lines::FRAMES] {
        let lines = Lines {
            image: &image,
            functions: &functions,
            layout,
            gofunc: TEXT + 64,
        };
        for address in (TEXT..).step_by(16).take(16) {
            functions.name_at(&image, address);
            lines.stack_bytes(address);
            if let Some(frames) = lines.frames(address) {
                assert!((1..=64).contains(&frames.len()));
            }
        }
    }
}

/// Types at their address (the first eight bytes), as those of a program, and as a process has them that made them
/// itself.
pub fn types(bytes: &[u8]) {
    let Some((start, bytes)) = bytes.split_first_chunk() else {
        return;
    };
    let region = Region {
        start: u64::from_le_bytes(*start),
        bytes: bytes.to_vec(),
    };
    for maps in maps() {
        let shape = Shape {
            tables: u64::from(bytes.last().copied().unwrap_or(0)),
            ..Shape::default()
        };
        directory::capacity(&maps.layout, region.start, &shape, &region);
    }
    // As in Go 1.18, in 1.19 to 1.25, and later.
    for (kind_flags, shift) in [(0x60, 1), (0x60, 0), (0, 0)] {
        check_equality(&equal::programs(&region, kind_flags, shift));
    }
    let image = Image::open(
        file(&go_program("go1.23.9", &Types::new(TYPES))),
        String::new(),
    );
    let namer = Namer {
        image: &image.expect("a valid program"),
        types: &(TYPES..TYPES + 64),
        bias: 0,
        process: &region,
    };
    for offset in (0..bytes.len() as u64).step_by(8).take(256) {
        namer.name(region.start.wrapping_add(offset));
    }
}

fn check_equality(programs: &[equal::EqualSteps]) {
    for (_, steps) in programs {
        assert!(steps.len() <= MAX_STEPS);
        for step in steps {
            assert!((1..=6).contains(&step.kind));
            assert!(step.offset.checked_add(step.len).is_some());
        }
    }
}

/// What `/proc/PID` has: lines of `maps`, `stat` and `auxv`.
pub fn proc_files(bytes: &[u8]) {
    auxv_entry(bytes);
    Stat::parse(bytes);
    for line in String::from_utf8_lossy(bytes).lines() {
        if let Some(mapping) = Mapping::parse(line) {
            assert!(line.ends_with(mapping.path) && mapping.path.starts_with('/'));
        }
    }
}

/// A small Go program of the version that the first byte chooses, patched: an offset of two bytes, a length of
/// one, and as many bytes, over and over.
pub fn program(bytes: &[u8]) {
    let Some((version, mut patches)) = bytes.split_first() else {
        return;
    };
    let mut types = Types::new(TYPES);
    let (string, number) = (types.string(), types.int64());
    let key = types.structure("main.Key", 24, &[("S", string, 0), ("N", number, 16)]);
    types.array(key, 3, 72);
    let version = format!("go1.{}", 18 + version % 10);
    let mut program = go_program(&version, &types);
    while let [low, high, len, rest @ ..] = patches {
        let at = usize::from(u16::from_le_bytes([*low, *high]));
        let (patch, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        for (to, from) in program.iter_mut().skip(at).zip(patch) {
            *to = *from;
        }
        patches = rest;
    }
    let _ = whole(file(&program));
}

/// All that is done with a program before the kernel side is loaded. Whether it is one.
#[must_use]
pub fn whole(program: File) -> bool {
    let Ok(binary) = Binary::open(program, "app") else {
        return false;
    };
    for function in binary.maps().functions {
        if let Some(code) = binary.function(function.symbol) {
            assert!(code.code.len() <= 1 << 20);
            let _ = binary.name_at(code.address);
            let _ = binary.file_offset(code.address);
            let _ = binary.stack_bytes(code.address);
            let _ = binary.frames(code.address.wrapping_add(8));
        }
    }
    let _ = crate::session::plan_binary(&binary);
    let Ok(steps) = binary.equal_steps() else {
        return true;
    };
    check_equality(&steps);
    for (typ, _) in steps.iter().take(64) {
        let _ = binary.type_name(*typ, 0, &Nowhere);
    }
    true
}

/// Where the parts of a real program lie in its file that [`whole`] reads: offset and length.
#[must_use]
pub fn parts(program: File) -> Vec<(u64, u64)> {
    let image = Image::open(program, "app".to_owned()).expect("an ELF file");
    let info = BuildInfo::find(&image).expect("a Go program");
    let facts = go::facts(&info, "app", None);
    let facts = facts.expect("a supported version").facts;
    let find = |table| {
        let module = ModuleData::find(&image, &table, &facts.module)?;
        Some((table, module))
    };
    let (table, module) = Header::find(&image, find).expect("a function table");
    let blob = image.section(".go.buildinfo").expect("a section");
    let linked = [
        (table.address, 72),
        (table.names.start, table.names.end - table.names.start),
        (table.names.end, 1 << 16),
        (module.types.start, module.types.end - module.types.start),
        (module.text.start, module.text.end - module.text.start),
        (blob.start, 256),
    ];
    let mut parts = vec![(0, 64), (64, 4096 - 64)];
    for segment in image.segments().iter().filter(|segment| segment.writable) {
        parts.push((
            segment.offset,
            segment.addresses.end - segment.addresses.start,
        ));
    }
    for (address, len) in linked {
        parts.push((image.file_offset(address).expect("in the file"), len));
    }
    parts
}

/// A process without memory.
struct Nowhere;

impl Memory for Nowhere {
    fn read(&self, _address: u64, _buf: &mut [u8]) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fuzzed_takes_what_is_valid() {
        program(&[5]);
        program(&[9, 0, 0x40, 4, 0xff, 0xff, 0xff, 0xff]);
        let mut types = Types::new(TYPES);
        types.string();
        assert!(whole(file(&go_program("go1.27", &types))));
        elf(&go_program("go1.23", &types));
        let region = [&TYPES.to_le_bytes()[..], &types.bytes].concat();
        super::types(&region);
        let (table, _) = testing::pclntab(TEXT);
        function_table(&table);
        build_info(&testing::build_info("go1.23.9"));
        proc_files(b"1 (x) R 1 1 1 0 -1 0\n00400000-00401000 r-xp 00000000 fe:00 1 /x\n");
        assert_eq!(maps().count(), 13);
    }
}
