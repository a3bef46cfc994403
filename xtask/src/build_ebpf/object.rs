//! The finished object: what the linker made, without DWARF, with a section that says what it was made from.

use super::digest::hex;
use anyhow::{Context, Result, anyhow};
use object::build::elf::{Builder, SectionData};
use object::read::elf::{ElfFile64, FileHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, elf};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The section that holds the note. It is not loaded; `readelf -p .map_probe` shows it.
const SECTION: &str = ".map_probe";

/// What an object says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// Digest of the sources it was built from, as [`super::digest::of_sources`] computes it.
    pub(crate) sources: String,
    /// The compiler, as `rustc --version` says it.
    pub(crate) rustc: String,
    /// The linker, as `bpf-linker --version` says it.
    pub(crate) linker: String,
}

/// Takes debug information off a linked object (BTF stays) and adds the note, sealed with the object's own digest.
pub(crate) fn finish(linked: &[u8], note: &Note) -> Result<Vec<u8>> {
    let mut builder = Builder::read(linked).context("the linker's output is not an ELF object")?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug_") || name.starts_with(b".rel.debug_");
    }
    builder.delete_orphans();
    // LLVM keeps symbol names and section names in one table; the writer wants one of each.
    if !builder
        .sections
        .iter()
        .any(|section| matches!(section.data, SectionData::SectionString))
    {
        let names = builder.sections.add();
        names.name = b".shstrtab"[..].into();
        names.sh_type = elf::SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
    let mut text = String::new();
    writeln!(text, "sources {}", note.sources)?;
    writeln!(text, "rustc {}", note.rustc)?;
    writeln!(text, "linker {}", note.linker)?;
    writeln!(text, "object {}", "0".repeat(64))?;
    let section = builder.sections.add();
    section.name = SECTION.as_bytes().into();
    section.sh_type = elf::SHT_PROGBITS;
    section.sh_addralign = 1;
    section.data = SectionData::Data(text.into_bytes().into());
    builder.set_section_sizes();

    let mut object = Vec::new();
    builder
        .write(&mut object)
        .context("cannot write the object")?;
    let seal = seal_range(&object)?;
    let digest = hex(&Sha256::digest(&object));
    object[seal].copy_from_slice(digest.as_bytes());
    Ok(object)
}

/// The object's note, after checking that the object is the one that was sealed.
pub(crate) fn read(object: &[u8]) -> Result<Note> {
    let seal = seal_range(object)?;
    let mut blank = object.to_vec();
    blank[seal.clone()].fill(b'0');
    let digest = hex(&Sha256::digest(&blank));
    if object[seal] != *digest.as_bytes() {
        return Err(anyhow!(
            "the object was changed after it was built: its own digest does not match"
        ));
    }
    let text = String::from_utf8_lossy(note_section(object)?.1).into_owned();
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        line.map(str::to_owned)
            .ok_or_else(|| anyhow!("the object's note has no `{key}`"))
    };
    Ok(Note {
        sources: value("sources")?,
        rustc: value("rustc")?,
        linker: value("linker")?,
    })
}

/// Where in the file the 64 hex digits of the object's own digest are.
fn seal_range(object: &[u8]) -> Result<std::ops::Range<usize>> {
    let (start, text) = note_section(object)?;
    let key = b"\nobject ";
    let at = text.windows(key.len()).position(|window| window == key);
    let from = at.ok_or_else(|| anyhow!("the object's note has no `object`"))? + key.len();
    let range = start + from..start + from + 64;
    if range.end > start + text.len() {
        return Err(anyhow!("the object's note is cut short"));
    }
    Ok(range)
}

/// The note section's place in the file and its content.
fn note_section(object: &[u8]) -> Result<(usize, &[u8])> {
    let file = ElfFile64::<Endianness>::parse(object).context("not an ELF object")?;
    if file.elf_header().e_machine(file.endian()) != elf::EM_BPF {
        return Err(anyhow!("not an eBPF object"));
    }
    let section = file.section_by_name(SECTION).ok_or_else(|| {
        anyhow!("the object has no {SECTION} section: it was not built by `cargo xtask build-ebpf`")
    })?;
    let (start, _) = section
        .file_range()
        .ok_or_else(|| anyhow!("{SECTION} has no content"))?;
    Ok((usize::try_from(start)?, section.data()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linked object as LLVM lays it out: code, BTF, DWARF with relocations, one table for all names.
    fn linked() -> Vec<u8> {
        let mut builder = Builder::new(Endianness::Little, true);
        builder.header.e_type = elf::ET_REL;
        builder.header.e_machine = elf::EM_BPF;
        for (name, content) in [
            ("uprobe", "code"),
            (".BTF", "types"),
            (".debug_info", "dwarf"),
        ] {
            let section = builder.sections.add();
            section.name = name.as_bytes().into();
            section.sh_type = elf::SHT_PROGBITS;
            section.sh_addralign = 1;
            section.data = SectionData::Data(content.as_bytes().into());
        }
        let names = builder.sections.add();
        names.name = b".shstrtab"[..].into();
        names.sh_type = elf::SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
        builder.set_section_sizes();
        let mut bytes = Vec::new();
        builder.write(&mut bytes).expect("written");
        bytes
    }

    fn note() -> Note {
        Note {
            sources: "ab".repeat(32),
            rustc: "rustc 1.96.0".into(),
            linker: "bpf-linker 0.13.0".into(),
        }
    }

    #[test]
    fn a_finished_object_says_what_it_was_made_from() {
        let object = finish(&linked(), &note()).expect("finished");
        assert_eq!(read(&object).expect("read"), note());
    }

    #[test]
    fn dwarf_goes_and_btf_and_code_stay() {
        let object = finish(&linked(), &note()).expect("finished");
        let file = ElfFile64::<Endianness>::parse(&*object).expect("an ELF object");
        let content = |name: &str| {
            Some(
                file.section_by_name(name)?
                    .data()
                    .expect("content")
                    .to_vec(),
            )
        };
        assert_eq!(content(".debug_info"), None);
        assert_eq!(content(".BTF"), Some(b"types".to_vec()));
        assert_eq!(content("uprobe"), Some(b"code".to_vec()));
    }

    #[test]
    fn a_change_of_any_byte_is_noticed() {
        let object = finish(&linked(), &note()).expect("finished");
        for at in 0..object.len() {
            let mut changed = object.clone();
            changed[at] ^= 1;
            assert!(read(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_object_built_in_another_way_is_told_apart() {
        let error = read(&linked()).expect_err("it has no note");
        assert!(error.to_string().contains(".map_probe"), "{error}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(read(b"").is_err());
        assert!(read(b"\x7fELF").is_err());
        assert!(finish(b"not an object", &note()).is_err());
    }
}
