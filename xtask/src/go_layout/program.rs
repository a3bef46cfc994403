//! What a program built by a toolchain says: its DWARF, its symbols, its sections.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use gimli::{AttributeValue, Dwarf, EndianSlice, LittleEndian};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// How deep fields of fields are listed, as in `xtask/go/facts`.
const DEPTH: u32 = 3;

/// What is known of a program.
#[derive(Debug, Default)]
pub(super) struct Program {
    /// Sizes and fields of structs by the names that DWARF has for them: `runtime.hmap`.
    pub(super) structs: HashMap<String, Struct>,
    pub(super) symbols: HashSet<String>,
    pub(super) sections: HashSet<String>,
    /// The sections of the same program as a PIE; `None` if it was not built.
    pub(super) pie_sections: Option<HashSet<String>>,
}

/// A struct in DWARF.
#[derive(Debug, Default)]
pub(super) struct Struct {
    pub(super) size: u64,
    /// Offset and size in bytes, by path.
    pub(super) fields: HashMap<String, [u64; 2]>,
}

impl Program {
    pub(super) fn read(file: &[u8]) -> Result<Self> {
        let elf = object::File::parse(file)?;
        let load = |id: gimli::SectionId| -> Result<Reader<'_>> {
            let data = elf
                .section_by_name(id.name())
                .map_or(Ok(&[][..]), |section| section.data())?;
            Ok(EndianSlice::new(data, LittleEndian))
        };
        let dwarf = Dwarf::load(load)?;
        let symbols = elf.symbols().filter_map(|symbol| symbol.name().ok());
        Ok(Self {
            structs: structs(&dwarf)?,
            symbols: symbols.map(str::to_owned).collect(),
            sections: sections(&elf),
            pie_sections: None,
        })
    }

    pub(super) fn look_at_pie(&mut self, file: &[u8]) -> Result<()> {
        self.pie_sections = Some(sections(&object::File::parse(file)?));
        Ok(())
    }
}

fn sections(elf: &object::File<'_>) -> HashSet<String> {
    let names = elf
        .sections()
        .filter_map(|section| section.name().ok().map(str::to_owned));
    names.collect()
}

/// A type in DWARF, by its offset in the section.
#[derive(Default)]
struct Type {
    name: String,
    is_struct: bool,
    bytes: Option<u64>,
    /// What it is another name for.
    of: Option<usize>,
    /// Name, offset and type of each field.
    members: Vec<(String, u64, usize)>,
}

/// The structs of the packages that facts are about.
fn structs(dwarf: &Dwarf<Reader<'_>>) -> Result<HashMap<String, Struct>> {
    const OF: [&str; 3] = ["runtime.", "internal/abi.", "internal/runtime/maps."];
    let types = types(dwarf)?;
    let mut structs = HashMap::new();
    for typ in types.values() {
        if typ.is_struct && OF.iter().any(|package| typ.name.starts_with(package)) {
            let mut fields = HashMap::new();
            flatten(&types, typ, "", 0, DEPTH, &mut fields);
            let size = typ.bytes.unwrap_or(0);
            structs.insert(typ.name.clone(), Struct { size, fields });
        }
    }
    Ok(structs)
}

fn types(dwarf: &Dwarf<Reader<'_>>) -> Result<HashMap<usize, Type>> {
    let mut types: HashMap<usize, Type> = HashMap::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let unit = dwarf.unit(header)?;
        let start = header.debug_info_offset().map_or(0, |offset| offset.0);
        let mut entries = unit.entries();
        let mut structure = None;
        while let Some(entry) = entries.next_dfs()? {
            let number = |name| entry.attr_value(name).and_then(|value| value.udata_value());
            let name = match entry.attr_value(gimli::DW_AT_name) {
                Some(value) => dwarf
                    .attr_string(&unit, value)?
                    .to_string_lossy()
                    .into_owned(),
                None => String::new(),
            };
            let of = match entry.attr_value(gimli::DW_AT_type) {
                Some(AttributeValue::UnitRef(offset)) => Some(start + offset.0),
                Some(AttributeValue::DebugInfoRef(offset)) => Some(offset.0),
                _ => None,
            };
            let offset = start + entry.offset().0;
            match entry.tag() {
                gimli::DW_TAG_member => {
                    let at = number(gimli::DW_AT_data_member_location);
                    let parent = structure.and_then(|parent| types.get_mut(&parent));
                    if let (Some(parent), Some(of)) = (parent, of) {
                        let at = at.context("a field whose offset is no number")?;
                        parent.members.push((name, at, of));
                    }
                    continue;
                }
                gimli::DW_TAG_structure_type => structure = Some(offset),
                gimli::DW_TAG_typedef
                | gimli::DW_TAG_base_type
                | gimli::DW_TAG_array_type
                | gimli::DW_TAG_pointer_type
                | gimli::DW_TAG_subroutine_type => {}
                _ => continue,
            }
            let is_pointer = matches!(
                entry.tag(),
                gimli::DW_TAG_pointer_type | gimli::DW_TAG_subroutine_type
            );
            let typ = Type {
                name,
                is_struct: entry.tag() == gimli::DW_TAG_structure_type,
                bytes: number(gimli::DW_AT_byte_size).or(is_pointer.then_some(8)),
                // What a pointer points to, or an array is made of, is not its own size.
                of: of.filter(|_| entry.tag() == gimli::DW_TAG_typedef),
                members: Vec::new(),
            };
            types.insert(offset, typ);
        }
    }
    Ok(types)
}

fn flatten(
    types: &HashMap<usize, Type>,
    typ: &Type,
    prefix: &str,
    start: u64,
    depth: u32,
    fields: &mut HashMap<String, [u64; 2]>,
) {
    if depth == 0 {
        return;
    }
    for (name, at, of) in &typ.members {
        let mut of = types.get(of);
        while let Some(next) = of.and_then(|typ| typ.of) {
            of = types.get(&next);
        }
        let Some(of) = of else { continue };
        // A slice's fields are array, len and cap in DWARF.
        let name = if typ.name.starts_with("[]") && name == "array" {
            "data"
        } else {
            name
        };
        let path = format!("{prefix}{name}");
        if let Some(bytes) = of.bytes {
            fields.insert(path.clone(), [start + at, bytes]);
        }
        flatten(
            types,
            of,
            &format!("{path}."),
            start + at,
            depth - 1,
            fields,
        );
    }
}
