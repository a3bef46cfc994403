//! The headers of an ELF file: what it is for, its segments and its sections.

use std::ops::Range;

use object::LittleEndian as Le;
use object::elf;
use object::pod::{self, Pod};

use super::Source;
use crate::target::error::TargetError;

/// The largest table of section names that is read; Go programs have less than a KiB.
const MAX_SECTION_NAMES: u64 = 1 << 20;

/// More loaded segments than any linker makes; usual are three to five.
const MAX_SEGMENTS: usize = 64;

/// The longest section name that is kept; those of Go's linker are shorter, and others are not asked for.
const MAX_NAME: usize = 64;

/// A loaded segment's bytes in the file.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Linked addresses of the bytes that the file holds.
    pub(crate) addresses: Range<u64>,
    /// Where they start in the file.
    pub(crate) offset: u64,
    /// Whether the program may write to it.
    pub(crate) writable: bool,
    /// Whether it is code.
    pub(crate) executable: bool,
}

/// A section.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: Vec<u8>,
    pub(super) addresses: Option<Range<u64>>,
}

/// What the headers say.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) entry: u64,
    pub(super) position_independent: bool,
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
}

impl Headers {
    /// Reads them, and refuses whatever is no x86-64 program or not all there.
    pub(super) fn read(source: &Source) -> Result<Self, TargetError> {
        check_ident(source)?;
        let cut = "it ends within the ELF header";
        let header = table::<elf::FileHeader64<Le>>(source, 0, 1, cut)?;
        let header = header.first().ok_or_else(|| source.damaged(cut))?;
        check_header(source, header)?;
        Ok(Self {
            entry: header.e_entry.get(Le),
            position_independent: header.e_type.get(Le) == elf::ET_DYN,
            segments: segments(source, header)?,
            sections: sections(source, header)?,
        })
    }
}

fn not_elf(source: &Source, found: &'static str) -> TargetError {
    let path = source.path.clone();
    TargetError::NotElf { path, found }
}

fn foreign(source: &Source, found: String) -> TargetError {
    let path = source.path.clone();
    TargetError::Foreign { path, found }
}

/// A table of `count` entries: a 16-bit field of the header, so at most 4 MiB.
fn table<T: Pod>(
    source: &Source,
    offset: u64,
    count: u16,
    what: &'static str,
) -> Result<Vec<T>, TargetError> {
    let len = usize::from(count) * size_of::<T>();
    source.check(offset, len as u64, what)?;
    // Words, because the entries want to be aligned.
    let mut words = vec![0_u64; len.div_ceil(8)];
    let bytes = pod::bytes_of_slice_mut(&mut words);
    let bytes = bytes.get_mut(..len).unwrap_or_default();
    source.read_at(offset, bytes)?;
    match pod::slice_from_bytes::<T>(bytes, usize::from(count)) {
        Ok((entries, _)) => Ok(entries.to_vec()),
        Err(()) => Err(source.damaged(what)),
    }
}

/// What is laid out alike in every ELF file: class, byte order, ..., machine.
const IDENT_LEN: usize = 20;

fn check_ident(source: &Source) -> Result<(), TargetError> {
    let head = source.head(IDENT_LEN)?;
    match head.as_slice() {
        [] => return Err(not_elf(source, "empty")),
        [b'#', b'!', ..] => return Err(not_elf(source, "a script")),
        [b'M', b'Z', ..] => return Err(not_elf(source, "a Windows program")),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => return Err(not_elf(source, "a macOS program")),
        [0x7f, b'E', b'L', b'F', ..] => {}
        _ => return Err(not_elf(source, "some other kind of file")),
    }
    let [_, _, _, _, class, order, .., m0, m1] = head[..] else {
        return Err(source.damaged("it ends within the ELF header"));
    };
    if head.len() < IDENT_LEN {
        return Err(source.damaged("it ends within the ELF header"));
    }
    let bits = match class {
        elf::ELFCLASS32 => "32-bit",
        elf::ELFCLASS64 => "64-bit",
        _ => return Err(source.damaged("its ELF header makes no sense")),
    };
    let (order, machine) = match order {
        elf::ELFDATA2LSB => ("", u16::from_le_bytes([m0, m1])),
        elf::ELFDATA2MSB => ("big-endian ", u16::from_be_bytes([m0, m1])),
        _ => return Err(source.damaged("its ELF header makes no sense")),
    };
    if (class, order, machine) == (elf::ELFCLASS64, "", elf::EM_X86_64) {
        return Ok(());
    }
    let machine = machine_name(machine);
    Err(foreign(
        source,
        format!("a {bits} {order}ELF for {machine}"),
    ))
}

fn machine_name(machine: u16) -> String {
    let name = match machine {
        elf::EM_386 => "x86 (386)",
        elf::EM_X86_64 => "x86-64",
        elf::EM_ARM => "arm",
        elf::EM_AARCH64 => "aarch64",
        elf::EM_RISCV => "riscv",
        elf::EM_PPC64 => "ppc64",
        elf::EM_S390 => "s390x",
        elf::EM_MIPS => "mips",
        elf::EM_LOONGARCH => "loongarch",
        other => return format!("machine {other}"),
    };
    name.into()
}

fn check_header(source: &Source, header: &elf::FileHeader64<Le>) -> Result<(), TargetError> {
    match header.e_type.get(Le) {
        elf::ET_EXEC | elf::ET_DYN => {}
        elf::ET_REL => return Err(foreign(source, "an object file".into())),
        elf::ET_CORE => return Err(foreign(source, "a core dump".into())),
        _ => return Err(foreign(source, "an ELF file of an unknown kind".into())),
    }
    let segment = usize::from(header.e_phentsize.get(Le));
    let section = usize::from(header.e_shentsize.get(Le));
    let has_sections = header.e_shnum.get(Le) != 0;
    if segment != size_of::<elf::ProgramHeader64<Le>>()
        || (has_sections && section != size_of::<elf::SectionHeader64<Le>>())
    {
        return Err(source.damaged("its ELF header makes no sense"));
    }
    Ok(())
}

fn segments(source: &Source, header: &elf::FileHeader64<Le>) -> Result<Vec<Segment>, TargetError> {
    let table = table::<elf::ProgramHeader64<Le>>(
        source,
        header.e_phoff.get(Le),
        header.e_phnum.get(Le),
        "its program headers lie beyond its end",
    )?;
    let mut segments = Vec::new();
    for entry in table {
        let (offset, len) = (entry.p_offset.get(Le), entry.p_filesz.get(Le));
        if entry.p_type.get(Le) != elf::PT_LOAD || len == 0 {
            continue;
        }
        source.check(offset, len, "a segment lies beyond its end")?;
        let start = entry.p_vaddr.get(Le);
        let Some(end) = start.checked_add(len) else {
            return Err(source.damaged("a segment's address makes no sense"));
        };
        segments.push(Segment {
            addresses: start..end,
            offset,
            writable: entry.p_flags.get(Le) & elf::PF_W != 0,
            executable: entry.p_flags.get(Le) & elf::PF_X != 0,
        });
    }
    if segments.is_empty() {
        return Err(source.damaged("it has no segment to load"));
    }
    if segments.len() > MAX_SEGMENTS {
        return Err(source.damaged("it has more segments than make sense"));
    }
    // The order that the ELF specification demands.
    let follow = |pair: &[Segment]| pair[0].addresses.end <= pair[1].addresses.start;
    if !segments.windows(2).all(follow) {
        return Err(source.damaged("its segments overlap"));
    }
    Ok(segments)
}

/// Sections are only a shorter way to things: a file without any is fine.
fn sections(source: &Source, header: &elf::FileHeader64<Le>) -> Result<Vec<Section>, TargetError> {
    let table = table::<elf::SectionHeader64<Le>>(
        source,
        header.e_shoff.get(Le),
        header.e_shnum.get(Le),
        "its section headers lie beyond its end",
    )?;
    for entry in &table {
        if entry.sh_type.get(Le) != elf::SHT_NOBITS {
            let (offset, len) = (entry.sh_offset.get(Le), entry.sh_size.get(Le));
            source.check(offset, len, "a section lies beyond its end")?;
        }
    }
    let names = match table.get(usize::from(header.e_shstrndx.get(Le))) {
        Some(entry)
            if entry.sh_type.get(Le) != elf::SHT_NOBITS
                && entry.sh_size.get(Le) <= MAX_SECTION_NAMES =>
        {
            let mut text = vec![0; entry.sh_size.get(Le) as usize];
            source.read_at(entry.sh_offset.get(Le), &mut text)?;
            text
        }
        _ => return Ok(Vec::new()),
    };
    let mut sections = Vec::new();
    for entry in &table {
        let loaded = entry.sh_flags.get(Le) & u64::from(elf::SHF_ALLOC) != 0
            && entry.sh_type.get(Le) != elf::SHT_NOBITS;
        let start = entry.sh_addr.get(Le);
        let end = start.checked_add(entry.sh_size.get(Le));
        let name = names
            .get(entry.sh_name.get(Le) as usize..)
            .unwrap_or_default();
        let mut name = name.iter().take(MAX_NAME).copied();
        let name: Vec<u8> = name.by_ref().take_while(|byte| *byte != 0).collect();
        if name.len() < MAX_NAME {
            sections.push(Section {
                name,
                addresses: end.filter(|_| loaded).map(|end| start..end),
            });
        }
    }
    Ok(sections)
}
