//! What the Go linker wrote about the build: Go version, experiments, settings.
//!
//! Section `.go.buildinfo`, in the inline format of Go 1.18 and later
//! (Go: `debug/buildinfo/buildinfo.go`, `cmd/link/internal/ld/data.go`, 1.18–1.27).

use std::ops::{ControlFlow, Range};

use super::elf::Image;
use super::memory::{self, Memory, Region};
use super::version::Said;

// Go 1.18..1.27 debug/buildinfo/buildinfo.go: says "buildInfoMagic = []byte("\xff Go buildinf:")"
const MAGIC: &[u8; 14] = b"\xff Go buildinf:";
/// The blob starts at multiples of this many bytes.
// Go 1.24..1.27 debug/buildinfo/buildinfo.go: const buildInfoAlign = 16
// Go 1.18..1.23 debug/buildinfo/buildinfo.go: says "buildInfoAlign = 16"
const ALIGN: u32 = 16;
/// The version's length lies this far into the blob, the version behind it.
// Go 1.24..1.27 debug/buildinfo/buildinfo.go: const buildInfoHeaderSize = 32
// Go 1.18..1.23 debug/buildinfo/buildinfo.go: says "decodeString(data[32:])"
const VERSION_OFFSET: usize = 32;
/// Bit of the byte at 15: the strings follow inline.
// Go 1.18..1.27 cmd/link/internal/ld/data.go: says "|= 2 // signals new pointer-free format"
const INLINE: u8 = 2;
/// The most that is read of it. Terraform, with 300 modules, has 30 KiB.
const MAX_LEN: usize = 4 << 20;
/// The longest version that is one: with commit, date and experiments they have up to a hundred characters.
const MAX_VERSION: usize = 512;
/// How far into a file without sections the blob is looked for; it starts the writable segment.
const MAX_SCAN: u64 = 64 << 20;

/// What the binary says about its build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version as the binary has it, experiments included.
    pub raw_version: String,
    /// The version's text, experiments excluded: `go1.27.3`.
    pub version: String,
    /// Experiments that differ from the version's own choice: `noswissmap`, `mapsplitgroup`.
    pub experiments: Vec<String>,
    /// Build settings by key: `-race`, `-ldflags`, `GOAMD64`.
    pub settings: Vec<(String, String)>,
}

impl BuildInfo {
    /// Reads it out of a program's file; `None` if it has none that can be understood.
    pub(crate) fn find(image: &Image) -> Option<Self> {
        let blob = locate(image)?;
        Self::parse(&blob.bytes).or_else(|| Self::parse_older(&blob.bytes, image))
    }

    /// The value of a build setting.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        let (_, value) = self.settings.iter().find(|(name, _)| name == key)?;
        Some(value)
    }

    /// The format before Go 1.18, so that its programs are refused as what they are: the blob has the address of the
    /// variable with the version (Go: `debug/buildinfo/buildinfo.go`, 1.18–1.27).
    fn parse_older(blob: &[u8], memory: &impl Memory) -> Option<Self> {
        // Pointers of 8 bytes, little-endian.
        if !blob.starts_with(MAGIC) || blob.get(14..16)? != [8, 0] {
            return None;
        }
        let variable = memory::u64_in(blob, 16)?;
        let text = memory::word(memory, variable)?;
        let len = memory::word(memory, variable.checked_add(8)?)?;
        let version = memory::bytes(memory, text, len, MAX_VERSION)?;
        Self::of(str::from_utf8(&version).ok()?, &[])
    }

    pub(super) fn parse(blob: &[u8]) -> Option<Self> {
        if !blob.starts_with(MAGIC) || blob.get(15)? & INLINE == 0 {
            return None;
        }
        let rest = blob.get(VERSION_OFFSET..)?;
        let (version, rest) = string(rest)?;
        let modinfo = string(rest).map_or(&[][..], |(modinfo, _)| modinfo);
        Self::of(str::from_utf8(version).ok()?, modinfo)
    }

    fn of(raw_version: &str, modinfo: &[u8]) -> Option<Self> {
        if raw_version.len() > MAX_VERSION || raw_version.contains(char::is_control) {
            return None;
        }
        let said = Said::parse(raw_version);
        Some(Self {
            version: said.text.to_owned(),
            experiments: said.experiments.into_iter().map(str::to_owned).collect(),
            settings: settings(modinfo),
            raw_version: raw_version.to_owned(),
        })
    }
}

/// A string and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, width) = memory::uvarint(bytes)?;
    bytes.get(width..)?.split_at_checked(len)
}

/// The lines `build\tkey=value`; values with odd characters are quoted, and kept so.
fn settings(modinfo: &[u8]) -> Vec<(String, String)> {
    // Sixteen bytes of sentinel on either side (Go: `runtime/debug/mod.go`, `modload/build.go`).
    let text = modinfo
        .get(16..modinfo.len().saturating_sub(16))
        .unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| {
            let line = str::from_utf8(line.strip_prefix(b"build\t")?).ok()?;
            let (key, value) = line.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        })
        .collect()
}

fn locate(image: &Image) -> Option<Region> {
    // Go 1.18..1.27 cmd/link/internal/ld/data.go: section .go.buildinfo
    if let Some(section) = image.section(".go.buildinfo") {
        // In files with a foreign linker's headers the section may hold more than the blob.
        let start = find_magic(image, &section)?;
        return image.region(&(start..section.end), MAX_LEN);
    }
    image
        .segments()
        .iter()
        .filter(|segment| segment.writable)
        .find_map(|segment| {
            let mut range = segment.addresses.clone();
            range.end = range.end.min(range.start.saturating_add(MAX_SCAN));
            let start = find_magic(image, &range)?;
            let end = segment
                .addresses
                .end
                .min(start.saturating_add(MAX_LEN as u64));
            image.region(&(start..end), MAX_LEN)
        })
}

fn find_magic(image: &Image, range: &Range<u64>) -> Option<u64> {
    image.scan(range, ALIGN, MAGIC.len(), |address, bytes| {
        if bytes == MAGIC {
            ControlFlow::Break(address)
        } else {
            ControlFlow::Continue(())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blob(version: &str, modinfo: &str) -> Vec<u8> {
        let mut blob = MAGIC.to_vec();
        blob.extend([8, INLINE]);
        blob.resize(VERSION_OFFSET, 0);
        for text in [version, modinfo] {
            let len = text.len();
            assert!(len < 1 << 14);
            blob.extend([(len & 0x7f) as u8 | 0x80, (len >> 7) as u8]);
            blob.extend(text.bytes());
        }
        blob
    }

    #[test]
    fn version_experiments_and_settings_are_read() {
        let modinfo =
            "0123456789abcdefpath\tx\nbuild\t-race=true\nbuild\tGOAMD64=v1\n0123456789abcdef";
        let info =
            BuildInfo::parse(&blob("go1.27.3-X:mapsplitgroup,simd", modinfo)).expect("valid");
        assert_eq!(info.version, "go1.27.3");
        assert_eq!(info.experiments, ["mapsplitgroup", "simd"]);
        assert_eq!(info.setting("-race"), Some("true"));
        assert_eq!(info.setting("GOAMD64"), Some("v1"));
        assert_eq!(info.setting("-msan"), None);
    }

    #[test]
    fn experiments_are_found_in_the_older_spelling_too() {
        let info = BuildInfo::parse(&blob("go1.24.11 X:noswissmap", "")).expect("valid");
        assert_eq!(
            (info.version.as_str(), info.experiments),
            ("go1.24.11", vec!["noswissmap".into()])
        );
    }

    #[test]
    fn the_format_before_go_1_18_is_not_taken_for_the_inline_one() {
        let mut old = blob("go1.17", "");
        old[15] = 0;
        assert_eq!(BuildInfo::parse(&old), None);
    }

    /// A few bytes at address 0x1000.
    struct Bytes(Vec<u8>);

    impl Memory for Bytes {
        fn read(&self, address: u64, buf: &mut [u8]) -> bool {
            let start = address.checked_sub(0x1000).map(|start| start as usize);
            let found = start.and_then(|start| self.0.get(start..)?.get(..buf.len()));
            found.map(|found| buf.copy_from_slice(found)).is_some()
        }
    }

    #[test]
    fn the_version_of_a_program_built_before_go_1_18_is_read_by_its_address() {
        let mut old = MAGIC.to_vec();
        old.extend([8, 0]);
        old.extend(0x1000_u64.to_le_bytes());
        let variable = |text: u64, len: u64| {
            let words = [text.to_le_bytes(), len.to_le_bytes()];
            Bytes([&words.concat()[..], b"go1.16.3"].concat())
        };
        let version = |memory: Bytes| BuildInfo::parse_older(&old, &memory).map(|i| i.version);
        assert_eq!(version(variable(0x1010, 8)).as_deref(), Some("go1.16.3"));
        for (text, len) in [(0x1010, 9), (0, 8), (0x1010, u64::MAX), (u64::MAX, 8)] {
            assert_eq!(version(variable(text, len)), None);
        }
        assert_eq!(BuildInfo::parse_older(&old, &Bytes(Vec::new())), None);
    }

    #[test]
    fn a_version_that_would_steer_the_terminal_is_none() {
        assert_eq!(BuildInfo::parse(&blob("go1.23\x1b[2J", "")), None);
        assert_eq!(BuildInfo::parse(&blob(&"1".repeat(1000), "")), None);
    }

    proptest! {
        #[test]
        fn any_bytes_behind_the_magic_end_in_an_answer(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend([8, INLINE]);
            bytes.extend(&tail);
            if let Some(info) = BuildInfo::parse(&bytes) {
                prop_assert!(info.raw_version.len() <= tail.len());
            }
        }

        #[test]
        fn a_blob_cut_anywhere_is_read_or_refused(cut in 0_usize..200) {
            let whole = blob("go1.23.9", "0123456789abcdefbuild\t-race=true\n0123456789abcdef");
            let cut = cut.min(whole.len());
            if let Some(info) = BuildInfo::parse(&whole[..cut]) {
                prop_assert_eq!(info.version, "go1.23.9");
            }
        }
    }
}
