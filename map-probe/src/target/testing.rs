//! Hand-made targets for the tests of this module: types in memory, and a whole
//! Go program of three functions as the bytes of its file.

use std::fs::File;
use std::io::Write;

use nix::sys::memfd::{MFdFlags, memfd_create};

#[cfg(test)]
use super::memory::Region;
use super::types::{TYPE_LEN, kind, tflag};

/// A file of these bytes that is gone when it is closed.
pub(super) fn file(bytes: &[u8]) -> File {
    let memory = memfd_create(c"program", MFdFlags::MFD_CLOEXEC).expect("memory for a file");
    let mut file = File::from(memory);
    file.write_all(bytes).expect("written");
    file
}

/// Types as a linker lays them out, one behind the other.
pub(super) struct Types {
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
}

impl Types {
    pub(super) fn new(start: u64) -> Self {
        // Offset 0 is no type, as in Go.
        Self {
            start,
            bytes: vec![0; 8],
        }
    }

    #[cfg(test)]
    pub(super) fn region(&self) -> Region {
        Region {
            start: self.start,
            bytes: self.bytes.clone(),
        }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn words(&mut self, words: &[u64]) {
        for word in words {
            self.bytes.extend(word.to_le_bytes());
        }
    }

    /// An `abi.Name`, and its address.
    fn name(&mut self, text: &str) -> u64 {
        let address = self.end();
        let len = u8::try_from(text.len()).expect("short");
        assert!(len < 0x80);
        self.bytes.extend([0, len]);
        self.bytes.extend(text.bytes());
        let padded = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(padded, 0);
        address
    }

    /// A descriptor with `words` behind `abi.Type`, and its address.
    pub(super) fn add(&mut self, kind: u8, size: u64, tflag: u8, name: &str, words: &[u64]) -> u64 {
        let name = self.name(name) - self.start;
        let address = self.end();
        let mut header = [0; TYPE_LEN];
        header[..8].copy_from_slice(&size.to_le_bytes());
        header[20] = tflag;
        header[21] = if size.is_multiple_of(8) { 8 } else { 4 };
        header[22] = header[21];
        header[23] = kind;
        // Any function: only nil has a meaning here.
        header[24] = 1;
        header[40..44].copy_from_slice(&u32::try_from(name).expect("small").to_le_bytes());
        self.bytes.extend(header);
        self.words(words);
        address
    }

    pub(super) fn int64(&mut self) -> u64 {
        self.add(6, 8, tflag::REGULAR_MEMORY | tflag::NAMED, "int64", &[])
    }

    #[cfg(test)]
    pub(super) fn int32(&mut self) -> u64 {
        self.add(5, 4, tflag::REGULAR_MEMORY | tflag::NAMED, "int32", &[])
    }

    pub(super) fn string(&mut self) -> u64 {
        self.add(kind::STRING, 16, tflag::NAMED, "string", &[])
    }

    pub(super) fn array(&mut self, element: u64, len: u64, size: u64) -> u64 {
        self.add(kind::ARRAY, size, 0, "[n]x", &[element, 0, len])
    }

    /// A struct type with fields of name, type and offset.
    pub(super) fn structure(&mut self, name: &str, size: u64, fields: &[(&str, u64, u64)]) -> u64 {
        let fields: Vec<u64> = fields
            .iter()
            .flat_map(|(name, typ, offset)| [self.name(name), *typ, *offset])
            .collect();
        let list = self.end();
        self.words(&fields);
        let count = fields.len() as u64 / 3;
        self.add(
            kind::STRUCT,
            size,
            tflag::NAMED,
            name,
            &[0, list, count, count],
        )
    }
}

/// Linked addresses of the program that [`go_program`] makes.
pub(super) const TEXT: u64 = 0x40_1000;
pub(super) const TYPES: u64 = 0x40_2000;
const TABLE: u64 = 0x40_4000;
const DATA: u64 = 0x40_6000;
const BASE: u64 = 0x40_0000;
/// Bytes of each of its functions.
pub(super) const FUNCTION_LEN: u64 = 32;
/// Its functions, in the order of their addresses.
pub(super) const FUNCTIONS: [&str; 3] = ["runtime.mapaccess1", "runtime.mallocgc", "main.main"];

/// A program that says it was built by `version`, with these types.
pub(super) fn go_program(version: &str, types: &Types) -> Vec<u8> {
    assert_eq!(types.start, TYPES);
    let mut file = Vec::new();
    // Headers, code and constants; data.
    let segments = [(5, 0, BASE, 0x6000), (6, DATA - BASE, DATA, 0x2000)];
    elf_header(&mut file, &segments);
    let put = |file: &mut Vec<u8>, address: u64, bytes: &[u8]| {
        let offset = (address - BASE) as usize;
        assert!(file.len() <= offset, "parts overlap");
        file.resize(offset, 0);
        file.extend(bytes);
    };
    let mut text = vec![0xcc; FUNCTIONS.len() * FUNCTION_LEN as usize];
    for (index, code) in text.chunks_mut(FUNCTION_LEN as usize).enumerate() {
        code[0] = index as u8;
    }
    put(&mut file, TEXT, &text);
    put(&mut file, TYPES, &types.bytes);
    let (table, names) = pclntab(TABLE);
    put(&mut file, TABLE, &table);
    put(&mut file, DATA, &build_info(version));
    let mut module = [0_u8; 512];
    let text_end = TEXT + text.len() as u64;
    let types_end = TYPES + types.bytes.len() as u64;
    // Both versions' offsets of etypes: 304 in 1.23, 312 in 1.27.
    let fields = [
        (0, TABLE),
        (8, names),
        (176, TEXT),
        (184, text_end),
        (296, TYPES),
        (304, types_end),
        (312, types_end),
    ];
    for (offset, value) in fields {
        module[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
    }
    put(&mut file, DATA + 0x1000, &module);
    file.resize(0x8000, 0);
    file
}

/// An ELF header and its segments: flags, offset, address and length of each.
fn elf_header(file: &mut Vec<u8>, segments: &[(u32, u64, u64, u64)]) {
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [TEXT, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend([
        0,
        0,
        0,
        0,
        64,
        0,
        56,
        0,
        segments.len() as u8,
        0,
        64,
        0,
        0,
        0,
        0,
        0,
    ]);
    for (flags, offset, address, len) in segments {
        file.extend(1_u32.to_le_bytes());
        file.extend(flags.to_le_bytes());
        for word in [*offset, *address, *address, *len, *len, 0x1000] {
            file.extend(word.to_le_bytes());
        }
    }
}

/// A program of one writable segment of code: these bytes at this address.
pub(super) fn segment(address: u64, bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let bytes = if bytes.is_empty() { &[0] } else { bytes };
    elf_header(&mut file, &[(7, 128, address, bytes.len() as u64)]);
    file.resize(128, 0);
    file.extend(bytes);
    file
}

/// A function table that lies at `address`, and the linked address of its names.
pub(super) fn pclntab(address: u64) -> (Vec<u8>, u64) {
    let names: Vec<u8> = FUNCTIONS
        .iter()
        .flat_map(|name| [name.as_bytes(), b"\0"].concat())
        .collect();
    let names_offset = 72_u64;
    let list_offset = (names_offset + names.len() as u64).next_multiple_of(8);
    let mut table = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
    let rest = [names_offset + names.len() as u64; 3];
    for word in [
        3,
        0,
        0,
        names_offset,
        rest[0],
        rest[1],
        rest[2],
        list_offset,
    ] {
        table.extend(word.to_le_bytes());
    }
    table.extend(&names);
    table.resize(list_offset as usize, 0);
    let records = 8 * FUNCTIONS.len() as u32 + 4;
    for index in 0..3_u32 {
        table.extend((index * FUNCTION_LEN as u32).to_le_bytes());
        table.extend((records + 8 * index).to_le_bytes());
    }
    table.extend((3 * FUNCTION_LEN as u32).to_le_bytes());
    let mut name = 0_u32;
    for (index, text) in FUNCTIONS.iter().enumerate() {
        table.extend((index as u32 * FUNCTION_LEN as u32).to_le_bytes());
        table.extend(name.to_le_bytes());
        name += text.len() as u32 + 1;
    }
    (table, address + names_offset)
}

/// A build info's blob.
pub(super) fn build_info(version: &str) -> Vec<u8> {
    let mut blob = b"\xff Go buildinf:\x08\x02".to_vec();
    blob.resize(32, 0);
    blob.push(u8::try_from(version.len()).expect("short"));
    blob.extend(version.bytes());
    blob.push(0);
    blob
}
