//! Writes BTF, the kernel's type information: as much of it as describes our functions.
//!
//! aya's own encoder keeps structs to itself. The format: Linux `Documentation/bpf/btf.rst`.

/// Kinds of types.
const INT: u32 = 1;
const PTR: u32 = 2;
const STRUCT: u32 = 4;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER_BYTES: u32 = 24;

/// Whether the verifier checks a function by itself, or anew at every call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Linkage {
    Static = 0,
    Global = 1,
}

/// Types, numbered from 1 in the order in which they are added.
#[derive(Debug)]
pub(super) struct Types {
    count: u32,
    encoded: Vec<u8>,
    /// Each ends with a zero byte; the first is empty.
    strings: Vec<u8>,
}

impl Default for Types {
    fn default() -> Self {
        Self {
            count: 0,
            encoded: Vec::new(),
            strings: vec![0],
        }
    }
}

impl Types {
    /// An unsigned integer of `bytes` bytes.
    pub(super) fn int(&mut self, name: &str, bytes: u32) -> u32 {
        let name = self.string(name);
        self.add(name, INT, 0, bytes, &[bytes * 8])
    }

    /// A pointer to a type.
    pub(super) fn pointer(&mut self, to: u32) -> u32 {
        self.add(0, PTR, 0, to, &[])
    }

    /// A struct whose fields are nobody's business.
    pub(super) fn structure(&mut self, name: &str, bytes: u32) -> u32 {
        let name = self.string(name);
        self.add(name, STRUCT, 0, bytes, &[])
    }

    /// What a function takes, by name and type, and returns; type 0 is nothing.
    pub(super) fn function_type(&mut self, parameters: &[(&str, u32)], returns: u32) -> u32 {
        let words: Vec<_> = parameters
            .iter()
            .flat_map(|(name, typ)| [self.string(name), *typ])
            .collect();
        self.add(0, FUNC_PROTO, parameters.len() as u32, returns, &words)
    }

    /// A function.
    pub(super) fn function(&mut self, name: &str, typ: u32, linkage: Linkage) -> u32 {
        let name = self.string(name);
        self.add(name, FUNC, linkage as u32, typ, &[])
    }

    /// All of it, as the kernel reads it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(MAGIC.to_le_bytes());
        bytes.extend([VERSION, 0]);
        let (types, strings) = (self.encoded.len() as u32, self.strings.len() as u32);
        for word in [HEADER_BYTES, 0, types, types, strings] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&self.encoded);
        bytes.extend(&self.strings);
        bytes
    }

    fn string(&mut self, text: &str) -> u32 {
        let offset = self.strings.len() as u32;
        self.strings.extend(text.bytes());
        self.strings.push(0);
        offset
    }

    fn add(&mut self, name: u32, kind: u32, length: u32, size_or_type: u32, more: &[u32]) -> u32 {
        for word in [name, kind << 24 | length, size_or_type].iter().chain(more) {
            self.encoded.extend(word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aya_obj::btf::{Btf, BtfKind};
    use object::Endianness;

    #[test]
    fn another_reader_finds_every_type_under_its_number() {
        let mut types = Types::default();
        let number = types.int("u32", 4);
        let state = types.structure("state", 48);
        let pointer = types.pointer(state);
        let typ = types.function_type(&[("state", pointer)], number);
        let function = types.function("step", typ, Linkage::Global);
        let read = Btf::parse(&types.to_bytes(), Endianness::Little).expect("BTF");
        for (name, kind, expected) in [
            ("u32", BtfKind::Int, number),
            ("state", BtfKind::Struct, state),
            ("step", BtfKind::Func, function),
        ] {
            assert_eq!(
                read.id_by_type_name_kind(name, kind).ok(),
                Some(expected),
                "{name}"
            );
        }
    }
}
