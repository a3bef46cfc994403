//! The function table that every Go program carries for its own tracebacks, so
//! that stripped programs are read like any other.
//!
//! Go: `runtime/symtab.go` (`pcHeader`, `_func`), `cmd/link/internal/ld/pcln.go`;
//! this layout since 1.18, the newer magic since 1.20, no `textStart` since 1.26.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use super::elf::Image;
use super::memory::{self, u32_in, u64_in};

/// Those of 1.18 and 1.19, and of later versions.
// Go 1.18..1.25 debug/gosym/pclntab.go: const go118magic = 0xffff_fff0
// Go 1.20..1.25 debug/gosym/pclntab.go: const go120magic = 0xffff_fff1
// Go 1.26..1.27 internal/abi/symtab.go: const Go118PCLnTabMagic = 0xffff_fff0
// Go 1.26..1.27 internal/abi/symtab.go: const Go120PCLnTabMagic = 0xffff_fff1
const MAGICS: [u32; 2] = [0xffff_fff0, 0xffff_fff1];
// Go 1.18..1.27 runtime/symtab.go: size pcHeader = 72
const HEADER_LEN: usize = 72;
/// Where the header says where the parts lie, names first and functions last.
// Go 1.18..1.27 runtime/symtab.go: field pcHeader.funcnameOffset = 32
// Go 1.18..1.27 runtime/symtab.go: field pcHeader.cuOffset = 40
// Go 1.18..1.27 runtime/symtab.go: field pcHeader.filetabOffset = 48
// Go 1.18..1.27 runtime/symtab.go: field pcHeader.pctabOffset = 56
// Go 1.18..1.27 runtime/symtab.go: field pcHeader.pclnOffset = 64
const PARTS: [usize; 5] = [32, 40, 48, 56, 64];
/// The section's name: as usual, and in position-independent programs before Go 1.26.
// Go 1.18..1.27 cmd/link/internal/ld/elf.go: section .gopclntab
// Go 1.26..1.27 cmd/link/internal/ld/elf.go: section .gopclntab in PIE
// Go 1.18..1.25 cmd/link/internal/ld/elf.go: section .data.rel.ro.gopclntab in PIE
const SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// The table is aligned at least to this.
const ALIGN: u32 = 8;
/// Tables by their looks that are tried.
const MAX_CANDIDATES: u32 = 8;
/// More functions than any program has; terraform has 150,000.
const MAX_FUNCTIONS: u64 = 8 << 20;
/// The most that is read of the names, or of the functions' records, at once.
const MAX_LEN: usize = 128 << 20;
/// The longest name that is given out. Names of generic functions are long.
const MAX_NAME: usize = 16 << 10;
/// `_func.nameOff` lies behind `_func.entryOff`.
// Go 1.18..1.19 runtime/runtime2.go: field _func.nameoff = 4
// Go 1.20..1.27 runtime/runtime2.go: field _func.nameOff = 4
const NAME_OFFSET: usize = 4;

/// Where the parts of the table lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Linked address of the table.
    pub(crate) address: u64,
    /// Linked addresses of the names.
    pub(crate) names: Range<u64>,
    /// Linked addresses of the lists of files, one per unit of compilation (`cutab`).
    units: Range<u64>,
    /// Linked addresses of the files' names (`filetab`).
    files: Range<u64>,
    /// Linked addresses of the functions' tables of values by code address (`pctab`).
    tables: Range<u64>,
    /// Linked address of the list of functions; their records are offset from it too.
    functions: u64,
    /// How many functions there are.
    count: u64,
}

impl Header {
    /// Finds the table that `accept` takes: by its section, or in files without
    /// that section by what it looks like. Another program's table may lie in
    /// the file as data, so the first one need not be it.
    pub(crate) fn find<T>(image: &Image, accept: impl Fn(Self) -> Option<T>) -> Option<T> {
        let by_section = SECTIONS.iter().find_map(|name| {
            let section = image.section(name)?;
            let bytes = memory::array::<HEADER_LEN>(image, section.start)?;
            accept(Self::parse(section.start, &bytes)?)
        });
        let mut candidates = MAX_CANDIDATES;
        by_section.or_else(|| {
            image.segments().iter().find_map(|segment| {
                image.scan(&segment.addresses, ALIGN, HEADER_LEN, |address, bytes| {
                    let Some(header) = Self::parse(address, bytes).filter(|_| candidates > 0)
                    else {
                        return ControlFlow::Continue(());
                    };
                    candidates -= 1;
                    accept(header).map_or(ControlFlow::Continue(()), ControlFlow::Break)
                })
            })
        })
    }

    pub(super) fn parse(address: u64, bytes: &[u8]) -> Option<Self> {
        // Two zeroes, instructions of one byte (x86), pointers of eight.
        if !MAGICS.contains(&u32_in(bytes, 0)?) || bytes.get(4..8)? != [0, 0, 1, 8] {
            return None;
        }
        // Go 1.18..1.27 runtime/symtab.go: field pcHeader.nfunc = 8
        let count = u64_in(bytes, 8)?;
        // They lie in the file in this order too.
        let mut offsets = [0; PARTS.len()];
        for (offset, part) in offsets.iter_mut().zip(PARTS) {
            *offset = u64_in(bytes, part)?;
        }
        if !offsets.is_sorted()
            || offsets[0] < HEADER_LEN as u64
            || count == 0
            || count > MAX_FUNCTIONS
        {
            return None;
        }
        let part = |index: usize| {
            Some(address.checked_add(offsets[index])?..address.checked_add(offsets[index + 1])?)
        };
        Some(Self {
            address,
            names: part(0)?,
            units: part(1)?,
            files: part(2)?,
            tables: part(3)?,
            functions: address.checked_add(offsets[4])?,
            count,
        })
    }
}

/// The list of functions, by address.
#[derive(Debug)]
pub(crate) struct Functions {
    header: Header,
    /// Linked address that the entries are relative to.
    text: u64,
    /// Each function's entry, and where its record lies.
    entries: Vec<Entry>,
    /// One past the last function's code, relative to `text`.
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    entry: u32,
    record: u32,
}

impl Functions {
    /// Reads the list; `None` if it is cut off or not in order.
    pub(crate) fn read(image: &Image, header: Header, text: u64) -> Option<Self> {
        // Pairs of 32-bit words, and the end of the last function.
        // Go 1.18..1.27 runtime/symtab.go: size functab = 8
        let len = header.count * 8 + 4;
        let range = header.functions..header.functions.checked_add(len)?;
        let list = image.region(&range, MAX_LEN)?;
        let mut words = list.bytes.chunks_exact(8).map(|pair| {
            let entry = u32_in(pair, 0)?;
            let record = u32_in(pair, 4)?;
            Some(Entry { entry, record })
        });
        let entries: Vec<Entry> = words.by_ref().collect::<Option<_>>()?;
        let end = u32_in(&list.bytes, entries.len() * 8)?;
        let highest = entries.last()?.entry;
        let in_order = entries.is_sorted_by_key(|entry| entry.entry) && highest <= end;
        in_order.then_some(Self {
            header,
            text,
            entries,
            end,
        })
    }

    /// The code of each function that `wanted` names, as linked addresses. One pass
    /// over all names and one over all records, without a copy of any name.
    pub(crate) fn find<'a>(
        &self,
        image: &Image,
        wanted: impl Iterator<Item = &'a str>,
    ) -> Option<HashMap<&'a str, Range<u64>>> {
        let wanted: HashMap<&[u8], &str> = wanted.map(|name| (name.as_bytes(), name)).collect();
        let names = image.region(&self.header.names, MAX_LEN)?;
        let mut at_offset = HashMap::new();
        let mut offset = 0_u32;
        for name in names.bytes.split(|byte| *byte == 0) {
            if let Some(name) = wanted.get(name) {
                at_offset.insert(offset, *name);
                // The linker writes each name once.
                if at_offset.len() > 2 * wanted.len() {
                    return None;
                }
            }
            offset = offset.checked_add(u32::try_from(name.len()).ok()? + 1)?;
        }

        let records_end = self.entries.iter().map(|entry| entry.record).max()?;
        let records = self.header.functions
            ..self
                .header
                .functions
                .checked_add(u64::from(records_end) + 8)?;
        let records = image.region(&records, MAX_LEN)?;
        let mut found = HashMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let name = u32_in(&records.bytes, entry.record as usize + NAME_OFFSET)?;
            if let Some(name) = at_offset.get(&name) {
                // A name that occurs twice is a local copy: the first one is the function's own.
                found.entry(*name).or_insert(self.code(index)?);
            }
        }
        Some(found)
    }

    /// The name of the function whose code covers a linked address.
    pub(crate) fn name_at(&self, image: &Image, address: u64) -> Option<String> {
        self.name_of(image, &self.record_at(address)?)
    }

    /// The function whose code covers a linked address.
    pub(crate) fn record_at(&self, address: u64) -> Option<Record> {
        let offset = u32::try_from(address.checked_sub(self.text)?).ok()?;
        let after = self.entries.partition_point(|entry| entry.entry <= offset);
        let index = after.checked_sub(1)?;
        let code = self.code(index)?;
        if !code.contains(&address) {
            return None;
        }
        let record = u64::from(self.entries.get(index)?.record);
        Some(Record {
            entry: code.start,
            address: self.header.functions.checked_add(record)?,
        })
    }

    /// The name of the function with this record.
    pub(crate) fn name_of(&self, image: &Image, record: &Record) -> Option<String> {
        let bytes = memory::array::<8>(image, record.address)?;
        self.name(image, u32_in(&bytes, NAME_OFFSET)?)
    }

    /// The name that a `nameOff` says.
    pub(crate) fn name(&self, image: &Image, offset: u32) -> Option<String> {
        text(image, &self.header.names, offset, MAX_NAME)
    }

    /// The name of a file: the one with this number of a unit of compilation (`funcfile`).
    pub(crate) fn file(&self, image: &Image, unit: u32, file: u32, limit: usize) -> Option<String> {
        let index = u64::from(unit).checked_add(u64::from(file))?;
        let at = self.header.units.start.checked_add(index * 4)?;
        if at.checked_add(4)? > self.header.units.end {
            return None;
        }
        let offset = memory::array(image, at).map(u32::from_le_bytes)?;
        text(image, &self.header.files, offset, limit)
    }

    /// Linked addresses of a table of values by code address, from its start to the end of all of them.
    pub(crate) fn table(&self, offset: u32) -> Option<Range<u64>> {
        let start = self.header.tables.start.checked_add(offset.into())?;
        (start < self.header.tables.end).then_some(start..self.header.tables.end)
    }

    /// Linked addresses of a function's code, up to the next function.
    fn code(&self, index: usize) -> Option<Range<u64>> {
        let start = self.entries.get(index)?.entry;
        let end = self
            .entries
            .get(index + 1)
            .map_or(self.end, |next| next.entry);
        let at = |offset: u32| self.text.checked_add(offset.into());
        Some(at(start)?..at(end)?)
    }
}

/// A function's record (`_func`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    /// Linked address of its code.
    pub(crate) entry: u64,
    /// Linked address of the record.
    pub(crate) address: u64,
}

/// The text at an offset of a range, up to the zero byte that ends it.
fn text(image: &Image, range: &Range<u64>, offset: u32, limit: usize) -> Option<String> {
    let start = range.start.checked_add(offset.into())?;
    let len = range.end.checked_sub(start)?.min(limit as u64);
    let bytes = memory::bytes(image, start, len, limit)?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    String::from_utf8(bytes.get(..end)?.to_vec()).ok()
}
