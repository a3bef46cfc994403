//! The GNU build id: a note that identifies one build of a program. Go's own linker makes one since Go 1.24, others
//! where they are asked to.

use super::elf::Image;

/// The longest note that is read: a build id has 20 bytes.
const MAX_NOTE: usize = 4096;
/// `NT_GNU_BUILD_ID` (elf.h).
const GNU_BUILD_ID: u32 = 3;

/// The build id in hexadecimal.
pub(super) fn gnu(image: &Image) -> Option<String> {
    let section = image.section(".note.gnu.build-id")?;
    parse(&image.region(&section, MAX_NOTE)?.bytes)
}

/// A note is the lengths of its name and contents, its type, the name (padded to four bytes), and the contents.
fn parse(note: &[u8]) -> Option<String> {
    let (header, rest) = note.split_first_chunk::<12>()?;
    let word = |at: usize| {
        let bytes = header.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let (name, contents, kind) = (word(0)?, word(4)?, word(8)?);
    if name != 4 || kind != GNU_BUILD_ID || contents == 0 {
        return None;
    }
    let id = rest
        .strip_prefix(b"GNU\0")?
        .get(..usize::try_from(contents).ok()?)?;
    let digits = id.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &[u8] = b"\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0\x0a\xff\x01\0";

    #[test]
    fn a_build_id_is_its_bytes_in_hexadecimal() {
        assert_eq!(parse(NOTE), Some("0aff01".to_owned()));
    }

    #[test]
    fn cut_off_and_other_notes_have_none() {
        for end in 0..NOTE.len() - 1 {
            assert_eq!(parse(&NOTE[..end]), None, "{end}");
        }
        for at in [0, 8, 12] {
            let mut note = NOTE.to_vec();
            note[at] ^= 1;
            assert_eq!(parse(&note), None, "{at}");
        }
        let endless = b"\x04\0\0\0\xff\xff\xff\xff\x03\0\0\0GNU\0\x0a\xff\x01\0";
        assert_eq!(parse(endless), None);
    }
}
