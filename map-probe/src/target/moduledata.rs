//! `runtime.firstmoduledata`: where the program's code and types lie.

use std::ops::{ControlFlow, Range};

use super::elf::Image;
use super::memory::{self, u64_in};
use super::pclntab::Header;

/// The section that holds nothing else, since Go 1.26.
// Go 1.26..1.27 cmd/link/internal/ld/data.go: section .go.module
const SECTION: &str = ".go.module";
/// Enough of it for every field that is read.
const LEN: usize = 512;
/// Places that look like its beginning and are tried.
const MAX_CANDIDATES: u32 = 64;

/// Offsets of the fields in Go's `runtime.moduledata`, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModuleLayout {
    /// `text`, with `etext` behind it.
    pub(crate) text: usize,
    /// `types`.
    pub(crate) types: usize,
    /// `etypes`.
    pub(crate) etypes: usize,
    /// `gofunc`.
    pub(crate) gofunc: usize,
}

/// What it says, as linked addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModuleData {
    /// The code.
    pub(crate) text: Range<u64>,
    /// The types and their names.
    pub(crate) types: Range<u64>,
    /// What the offsets of functions' data (`_func`'s `funcdata`) are relative to.
    pub(crate) gofunc: u64,
}

impl ModuleData {
    /// Finds it by its section, or by how it begins: with the address of the
    /// function table and then that of its names.
    pub(crate) fn find(image: &Image, table: &Header, layout: &ModuleLayout) -> Option<Self> {
        let at = |address| {
            let bytes = memory::array::<LEN>(image, address)?;
            let data = Self::parse(&bytes, table, layout)?;
            data.is_plausible(image).then_some(data)
        };
        let by_section = image.section(SECTION).and_then(|section| at(section.start));
        let mut candidates = MAX_CANDIDATES;
        by_section.or_else(|| {
            let writable = image.segments().iter().filter(|segment| segment.writable);
            writable.into_iter().find_map(|segment| {
                image.scan(&segment.addresses, 8, 16, |address, bytes| {
                    if begins(bytes, table).is_none() || candidates == 0 {
                        return ControlFlow::Continue(());
                    }
                    candidates -= 1;
                    at(address).map_or(ControlFlow::Continue(()), ControlFlow::Break)
                })
            })
        })
    }

    fn parse(bytes: &[u8], table: &Header, layout: &ModuleLayout) -> Option<Self> {
        begins(bytes, table)?;
        Some(Self {
            // Go 1.18..1.27 runtime/symtab.go: says "text, etext uintptr"
            text: u64_in(bytes, layout.text)?..u64_in(bytes, layout.text + 8)?,
            types: u64_in(bytes, layout.types)?..u64_in(bytes, layout.etypes)?,
            gofunc: u64_in(bytes, layout.gofunc)?,
        })
    }

    /// Code in a segment of code, types in one without.
    fn is_plausible(&self, image: &Image) -> bool {
        let within = |range: &Range<u64>, executable: bool| {
            image.segment_of(range.start).is_some_and(|segment| {
                (segment.executable || !executable)
                    && range.start < range.end
                    && range.end <= segment.addresses.end
            })
        };
        within(&self.text, true) && within(&self.types, false)
    }
}

/// `pcHeader` and `funcnametab` (its data pointer): the first two words in every version.
fn begins(bytes: &[u8], table: &Header) -> Option<()> {
    // Go 1.18..1.27 runtime/symtab.go: field moduledata.pcHeader = 0
    let table_matches = u64_in(bytes, 0)? == table.address;
    // Go 1.18..1.27 runtime/symtab.go: field moduledata.funcnametab.data = 8
    let names_match = u64_in(bytes, 8)? == table.names.start;
    (table_matches && names_match).then_some(())
}
