//! Memory by address: a running process, the segments of a file, or one region held in hand.

use std::ops::Range;

/// Something that holds bytes at addresses: one way to read for files, processes and tests.
pub trait Memory {
    /// Fills `buf` with what lies at `address`; false if any of it cannot be read.
    fn read(&self, address: u64, buf: &mut [u8]) -> bool;
}

/// The `N` bytes at `address`.
pub(crate) fn array<const N: usize>(
    memory: &(impl Memory + ?Sized),
    address: u64,
) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    memory.read(address, &mut bytes).then_some(bytes)
}

/// The little-endian word at `address`.
pub(crate) fn word(memory: &(impl Memory + ?Sized), address: u64) -> Option<u64> {
    array(memory, address).map(u64::from_le_bytes)
}

/// The bytes from `address` on, if there are at most `limit` of them.
pub(crate) fn bytes(
    memory: &(impl Memory + ?Sized),
    address: u64,
    len: u64,
    limit: usize,
) -> Option<Vec<u8>> {
    let len = usize::try_from(len).ok().filter(|len| *len <= limit)?;
    let mut bytes = vec![0; len];
    memory.read(address, &mut bytes).then_some(bytes)
}

/// A little-endian `u32` out of bytes in hand.
pub(crate) fn u32_in(bytes: &[u8], offset: usize) -> Option<u32> {
    let field = bytes.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

/// A little-endian `u64` out of bytes in hand.
pub(crate) fn u64_in(bytes: &[u8], offset: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(8)?)?;
    Some(u64::from_le_bytes(field.try_into().ok()?))
}

/// A length as Go writes it (`encoding/binary` uvarint), and how many bytes it took; at most four.
pub(crate) fn uvarint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Bytes in hand that lie at an address.
#[derive(Debug)]
pub(crate) struct Region {
    /// Where the first byte lies.
    pub(crate) start: u64,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Region {
    /// Its addresses; `None` if they run past the last one.
    pub(crate) fn range(&self) -> Option<Range<u64>> {
        let end = self.start.checked_add(self.bytes.len() as u64)?;
        Some(self.start..end)
    }

    /// What lies from `address` on, to the region's end.
    pub(crate) fn from(&self, address: u64) -> Option<&[u8]> {
        let offset = usize::try_from(address.checked_sub(self.start)?).ok()?;
        self.bytes.get(offset..)
    }
}

impl Memory for Region {
    fn read(&self, address: u64, buf: &mut [u8]) -> bool {
        match self.from(address).and_then(|bytes| bytes.get(..buf.len())) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_read_within_its_bounds_only() {
        let region = Region {
            start: 0x1000,
            bytes: (0..16).collect(),
        };
        assert_eq!(word(&region, 0x1008), Some(0x0f0e_0d0c_0b0a_0908));
        assert_eq!(word(&region, 0x1009), None);
        assert_eq!(word(&region, 0xfff), None);
        assert_eq!(word(&region, u64::MAX), None);
    }

    #[test]
    fn more_bytes_than_the_limit_are_refused_before_they_are_allocated() {
        let region = Region {
            start: 0,
            bytes: vec![0; 8],
        };
        assert_eq!(bytes(&region, 0, 8, 7), None);
        assert_eq!(bytes(&region, 0, u64::MAX, 1 << 20), None);
        assert_eq!(bytes(&region, 0, 8, 8), Some(vec![0; 8]));
    }

    #[test]
    fn a_uvarint_ends_at_the_first_byte_without_the_high_bit() {
        assert_eq!(uvarint(&[5, 0xff]), Some((5, 1)));
        assert_eq!(uvarint(&[0x80, 1]), Some((128, 2)));
        assert_eq!(uvarint(&[0x80; 8]), None, "too long");
        assert_eq!(uvarint(&[0x80]), None, "cut short");
    }
}
