//! Functions, files and lines of code addresses, with the functions inlined there, as Go's own traces show them:
//! from the function table alone, so from stripped programs too.
//!
//! Go: `runtime/symtab.go` (`_func` is in `runtime2.go`; `pcvalue`, `step`, `readvarint`, `funcfile`, `funcname`,
//! `funcNameForPrint`, `pcdatastart`, `funcdata`), `runtime/symtabinl.go` (up to 1.20: `symtab.go`), 1.18 to 1.27.

use super::elf::Image;
use super::memory::{self, Memory, u32_in};
use super::pclntab::{Functions, Record};

/// `_func.npcdata`, and what it is followed by.
// Go 1.18..1.27 runtime/runtime2.go: field _func.pcfile = 20
const PCFILE: usize = 20;
// Go 1.18..1.27 runtime/runtime2.go: field _func.pcln = 24
const PCLN: usize = 24;
// Go 1.18..1.27 runtime/runtime2.go: field _func.pcsp = 16
const PCSP: usize = 16;
// Go 1.18..1.27 runtime/runtime2.go: field _func.npcdata = 28
const NPCDATA: usize = 28;
// Go 1.18..1.27 runtime/runtime2.go: field _func.cuOffset = 32
const CU_OFFSET: usize = 32;
/// `PCDATA_InlTreeIndex`.
// Go 1.18..1.20 runtime/symtab.go: const _PCDATA_InlTreeIndex = 2
// Go 1.21..1.27 internal/abi/symtab.go: const PCDATA_InlTreeIndex = 2
const INLINE_INDEX: u32 = 2;
/// `FUNCDATA_InlTree`.
// Go 1.18..1.20 runtime/symtab.go: const _FUNCDATA_InlTree = 3
// Go 1.21..1.27 internal/abi/symtab.go: const FUNCDATA_InlTree = 3
const INLINE_TREE: u32 = 3;
/// Functions inlined into one another at one address, at most: the compiler's own bound on what it inlines is far below.
const MAX_INLINED: usize = 64;
/// Entries of the tables of one function that are looked at: more than the longest function has instructions.
const MAX_STEPS: usize = 4 << 20;
/// The longest file name that is given out.
const MAX_FILE: usize = 4 << 10;
/// Bytes of a table that are read at once.
const CHUNK: usize = 512;

/// How a version of Go lays out what functions carry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameLayout {
    /// Offset of `_func.nfuncdata`; the tables' offsets follow it.
    pub(crate) funcdata_count: usize,
    /// Bytes of an `inlinedCall`.
    pub(crate) call_size: u64,
    /// Offset of its `nameOff` (`func_`).
    pub(crate) call_name: usize,
    /// Offset of its `parentPc`.
    pub(crate) call_parent: usize,
}

/// Go 1.18 and 1.19.
pub(crate) const FRAMES_TO_1_19: FrameLayout = FrameLayout {
    // Go 1.18..1.19 runtime/runtime2.go: field _func.nfuncdata = 39
    funcdata_count: 39,
    // Go 1.18..1.19 runtime/symtab.go: size inlinedCall = 20
    call_size: 20,
    // Go 1.18..1.19 runtime/symtab.go: field inlinedCall.func_ = 12
    call_name: 12,
    // Go 1.18..1.19 runtime/symtab.go: field inlinedCall.parentPc = 16
    call_parent: 16,
};

/// Go 1.20 and later.
pub(crate) const FRAMES: FrameLayout = FrameLayout {
    // Go 1.20..1.27 runtime/runtime2.go: field _func.nfuncdata = 43
    funcdata_count: 43,
    // Go 1.20..1.27 runtime/symtab.go|symtabinl.go: size inlinedCall = 16
    call_size: 16,
    // Go 1.20..1.27 runtime/symtab.go|symtabinl.go: field inlinedCall.nameOff = 4
    call_name: 4,
    // Go 1.20..1.27 runtime/symtab.go|symtabinl.go: field inlinedCall.parentPc = 8
    call_parent: 8,
};

/// One function at a code address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFrame {
    /// Its name as traces print it: the types of generic functions are `[...]`.
    pub function: String,
    /// The source file; `?` if the program does not say.
    pub file: String,
    /// The line, from 1; 0 if the program does not say.
    pub line: u32,
}

/// The tables of one program.
pub(crate) struct Lines<'a> {
    pub(crate) image: &'a Image,
    pub(crate) functions: &'a Functions,
    pub(crate) layout: FrameLayout,
    /// Linked address of `go:func.*`, which the inline trees are offset from.
    pub(crate) gofunc: u64,
}

impl Lines<'_> {
    /// The functions at a linked address, the innermost inlined one first; `None` if it is in no function, or the tables
    /// make no sense.
    pub(crate) fn frames(&self, address: u64) -> Option<Vec<CodeFrame>> {
        let record = self.functions.record_at(address)?;
        let header = self.header(&record)?;
        let mut frames = Vec::new();
        let mut at = address;
        while frames.len() < MAX_INLINED {
            let inlined = self.inlined(&record, &header, at)?;
            let name = match inlined {
                Some(call) => self.functions.name(self.image, call.name)?,
                None => self.functions.name_of(self.image, &record)?,
            };
            let (file, line) = self.place(&record, &header, at)?;
            frames.push(CodeFrame {
                function: printed(&name),
                file,
                line,
            });
            let Some(call) = inlined else {
                return Some(frames);
            };
            at = record.entry.checked_add(u64::from(call.parent))?;
        }
        None
    }

    /// Bytes from the stack pointer at a linked address to the function's return address (`funcspdelta`).
    pub(crate) fn stack_bytes(&self, address: u64) -> Option<u32> {
        let record = self.functions.record_at(address)?;
        let header = self.header(&record)?;
        let table = u32_in(&header, PCSP)?;
        u32::try_from(self.value(&record, table, address)?).ok()
    }

    fn header(&self, record: &Record) -> Option<[u8; 44]> {
        memory::array(self.image, record.address)
    }

    /// The inlined call that an instruction belongs to; the inner `None` if to none.
    #[expect(
        clippy::option_option,
        reason = "no inlined call is an answer, no sense in the tables is none"
    )]
    fn inlined(&self, record: &Record, header: &[u8], at: u64) -> Option<Option<InlinedCall>> {
        let tables = u32_in(header, NPCDATA)?;
        let trees = u32::from(*header.get(self.layout.funcdata_count)?);
        if tables <= INLINE_INDEX || trees <= INLINE_TREE {
            return Some(None);
        }
        let lists = record
            .address
            .checked_add(self.layout.funcdata_count as u64 + 1)?;
        let word = |index: u32| {
            let address = lists.checked_add(u64::from(index) * 4)?;
            memory::array(self.image, address).map(u32::from_le_bytes)
        };
        let table = word(INLINE_INDEX)?;
        let tree = word(tables.checked_add(INLINE_TREE)?)?;
        if table == 0 || tree == u32::MAX {
            return Some(None);
        }
        let Ok(index) = u64::try_from(self.value(record, table, at)?) else {
            return Some(None);
        };
        let call = self
            .gofunc
            .checked_add(u64::from(tree))?
            .checked_add(index.checked_mul(self.layout.call_size)?)?;
        let bytes: [u8; 20] = {
            // The last entry of 16 bytes may be the last of the segment.
            let mut bytes = [0; 20];
            let size = usize::try_from(self.layout.call_size).ok()?;
            self.image
                .read(call, bytes.get_mut(..size)?)
                .then_some(bytes)?
        };
        Some(Some(InlinedCall {
            name: u32_in(&bytes, self.layout.call_name)?,
            parent: u32_in(&bytes, self.layout.call_parent)?,
        }))
    }

    fn place(&self, record: &Record, header: &[u8], at: u64) -> Option<(String, u32)> {
        let file = self.value(record, u32_in(header, PCFILE)?, at)?;
        let line = self.value(record, u32_in(header, PCLN)?, at)?;
        let unit = u32_in(header, CU_OFFSET)?;
        let file = u32::try_from(file)
            .ok()
            .and_then(|file| self.functions.file(self.image, unit, file, MAX_FILE))
            .unwrap_or_else(|| "?".to_owned());
        Some((file, u32::try_from(line).unwrap_or(0)))
    }

    /// A table's value at an address: -1 where it has none.
    fn value(&self, record: &Record, table: u32, at: u64) -> Option<i32> {
        if table == 0 {
            return Some(-1);
        }
        let table = self.functions.table(table)?;
        let mut bytes = Bytes {
            image: self.image,
            next: table.start,
            end: table.end,
            chunk: Vec::new(),
            used: 0,
        };
        value_at(&mut || bytes.next(), record.entry, at)
    }
}

#[derive(Clone, Copy, Debug)]
struct InlinedCall {
    name: u32,
    parent: u32,
}

/// Follows a table: pairs of a value's difference, as a zigzag number, and how many bytes of code it holds for.
fn value_at(next: &mut dyn FnMut() -> Option<u8>, entry: u64, at: u64) -> Option<i32> {
    let mut value = -1_i32;
    let mut address = entry;
    for step in 0..MAX_STEPS {
        let difference = number(next)?;
        if difference == 0 && step > 0 {
            return None;
        }
        let change = (difference >> 1) ^ (difference & 1).wrapping_neg();
        value = value.wrapping_add(change.cast_signed());
        // An instruction is a multiple of one byte long, on this processor.
        address = address.checked_add(u64::from(number(next)?))?;
        if at < address {
            return Some(value);
        }
    }
    None
}

/// `readvarint`: seven bits a byte, the low ones first.
fn number(next: &mut dyn FnMut() -> Option<u8>) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let byte = next()?;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Bytes of a file one by one, read in pieces.
struct Bytes<'a> {
    image: &'a Image,
    next: u64,
    end: u64,
    chunk: Vec<u8>,
    used: usize,
}

impl Bytes<'_> {
    fn next(&mut self) -> Option<u8> {
        if self.used == self.chunk.len() {
            let left = self.end.checked_sub(self.next)?;
            let len = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            self.chunk.resize(len, 0);
            self.used = 0;
            if len == 0 || !self.image.search(self.next, &mut self.chunk) {
                self.chunk.clear();
                return None;
            }
            self.next += len as u64;
        }
        let byte = *self.chunk.get(self.used)?;
        self.used += 1;
        Some(byte)
    }
}

/// `funcNameForPrint`: traces do not show the types of generic functions.
fn printed(name: &str) -> String {
    match (name.find('['), name.rfind(']')) {
        (Some(start), Some(end)) if start < end => {
            format!("{}[...]{}", &name[..start], &name[end + 1..])
        }
        _ => name.to_owned(),
    }
}
