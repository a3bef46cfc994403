//! The tricks with bits, against loops over bytes.

use proptest::prelude::*;

use crate::layout::Field;
use crate::walk::{broadcast, first_byte, part, zero_bytes};

/// Words with many bytes that are 0, 1, 0x80 or 0xff, where borrows and carries would show.
fn word() -> impl Strategy<Value = u64> {
    let byte = prop_oneof![
        Just(0_u8),
        Just(1),
        Just(0x7f),
        Just(0x80),
        Just(0xff),
        any::<u8>()
    ];
    prop::array::uniform8(byte).prop_map(u64::from_le_bytes)
}

proptest! {
    #[test]
    fn zero_bytes_marks_exactly_the_bytes_that_are_zero(word in word()) {
        let marks = word.to_le_bytes().map(|byte| if byte == 0 { 0x80 } else { 0 });
        prop_assert_eq!(zero_bytes(word), u64::from_le_bytes(marks));
    }

    #[test]
    fn first_byte_is_the_index_of_the_lowest_mark(word in word()) {
        let marks = word & broadcast(0x80);
        let first = marks.to_le_bytes().iter().position(|&byte| byte != 0);
        prop_assert_eq!(first_byte(marks), first.unwrap_or(0) as u64);
    }

    #[test]
    fn broadcast_repeats_a_byte_eight_times(byte: u8) {
        prop_assert_eq!(broadcast(byte).to_le_bytes(), [byte; 8]);
    }

    #[test]
    fn a_field_is_the_bytes_of_its_word_that_it_names(
        word: u64,
        width in prop::sample::select(&[1_u16, 2, 4, 8][..]),
        place in 0_u16..8,
        words in 0_u16..16,
    ) {
        let at = place / width * width;
        let mut bytes = [0; 8];
        let (from, to) = (usize::from(at), usize::from(at + width));
        bytes[..to - from].copy_from_slice(&word.to_le_bytes()[from..to]);
        let field = Field::at(words * 8 + at, width);
        prop_assert_eq!(part(word, field), u64::from_le_bytes(bytes));
    }
}
