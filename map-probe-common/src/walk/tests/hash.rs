//! The hash equals that of the processor's AES instructions, used as Go's assembler does.

use std::is_x86_feature_detected;
use std::vec::Vec;

use core::arch::x86_64::{
    __m128i, _mm_aesenc_si128, _mm_cvtsi128_si64, _mm_loadu_si128, _mm_set_epi64x, _mm_xor_si128,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::target::{Host, SWISS, Target};
use crate::equal::{EqualProgram, kind};
use crate::layout::Field;
use crate::quality::Cause;
use crate::site::KeyForm;
use crate::walk::hash::{Hashing, MAX_HASHED, hash};
use crate::walk::{MapType, World as _};

const SEED: Field = Field::at(8, 8);

fn load(bytes: &[u8]) -> __m128i {
    let bytes: [u8; 16] = bytes.try_into().expect("16 bytes");
    // SAFETY: 16 bytes are read, and SSE2 is part of amd64.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "aes")]
fn words(schedule: &[u8], seed: u64, key: u64) -> u64 {
    let mut x = _mm_set_epi64x(key.cast_signed(), seed.cast_signed());
    for round in 0..3 {
        x = _mm_aesenc_si128(x, load(&schedule[round * 16..][..16]));
    }
    _mm_cvtsi128_si64(x).cast_unsigned()
}

#[target_feature(enable = "aes")]
fn bytes(schedule: &[u8], seed: u64, data: &[u8]) -> u64 {
    let len = data.len() as u64;
    let start = _mm_set_epi64x(
        (len * 0x0001_0001_0001_0001).cast_signed(),
        seed.cast_signed(),
    );
    let scrambled = |lane: usize| {
        let x = _mm_xor_si128(start, load(&schedule[lane * 16..][..16]));
        _mm_aesenc_si128(x, x)
    };
    let finish = |x: __m128i| {
        let x = _mm_aesenc_si128(x, x);
        let x = _mm_aesenc_si128(x, x);
        _mm_aesenc_si128(x, x)
    };
    if data.is_empty() {
        let x = scrambled(0);
        return _mm_cvtsi128_si64(_mm_aesenc_si128(x, x)).cast_unsigned();
    }
    let blocks: Vec<Vec<u8>> = match data.len() {
        1..16 => {
            let mut padded = data.to_vec();
            padded.resize(16, 0);
            std::vec![padded]
        }
        16 => std::vec![data.to_vec()],
        n => {
            let half = if n <= 32 {
                16
            } else if n <= 64 {
                32
            } else {
                64
            };
            let ends = data[..half].chunks(16).chain(data[n - half..].chunks(16));
            ends.map(<[u8]>::to_vec).collect()
        }
    };
    let lanes = blocks.iter().enumerate();
    let all = lanes.map(|(lane, block)| finish(_mm_xor_si128(load(block), scrambled(lane))));
    let sum = all.reduce(|a, b| _mm_xor_si128(a, b)).expect("a lane");
    _mm_cvtsi128_si64(sum).cast_unsigned()
}

struct Place {
    target: Target,
    hashing: Hashing,
    map: u64,
    schedule: Vec<u8>,
}

fn place(schedule: Vec<u8>, seed: u64) -> Place {
    let target = Target::new(&SWISS);
    let (key_schedule, map) = {
        let mut memory = target.memory.borrow_mut();
        (memory.place(&schedule), memory.place_words(&[1, seed]))
    };
    Place {
        target,
        hashing: Hashing {
            key_schedule,
            seed: SEED,
        },
        map,
        schedule,
    }
}

impl Place {
    fn hash(&self, typ: MapType, key: (KeyForm, u64, u64)) -> Result<Option<u64>, Cause> {
        hash(Host::of(&self.target), &self.hashing, &typ, self.map, key)
    }
}

fn memory_of(bytes: u32) -> MapType {
    MapType {
        key_bytes: bytes,
        ..MapType::default()
    }
}

proptest! {
    #[test]
    fn short_keys_hash_as_one_word(
        schedule in vec(any::<u8>(), 128), seed in any::<u64>(), key in any::<u64>(),
    ) {
        prop_assume!(is_x86_feature_detected!("aes"));
        let place = place(schedule, seed);
        // SAFETY: the processor has AES.
        let expected = unsafe { (words(&place.schedule, seed, key), words(&place.schedule, seed, key & 0xffff_ffff)) };
        let none = MapType::default();
        prop_assert_eq!(place.hash(none, (KeyForm::Value64, key, 0)), Ok(Some(expected.0)));
        prop_assert_eq!(place.hash(none, (KeyForm::Value32, key, 0)), Ok(Some(expected.1)));
        let pointer = place.target.memory.borrow_mut().place_words(&[key]);
        prop_assert_eq!(place.hash(memory_of(8), (KeyForm::Pointer, pointer, 0)), Ok(Some(expected.0)));
        prop_assert_eq!(place.hash(memory_of(4), (KeyForm::Pointer, pointer, 0)), Ok(Some(expected.1)));
        prop_assert_eq!(place.hash(memory_of(0), (KeyForm::Pointer, pointer, 0)), Ok(Some(seed)));
    }

    #[test]
    fn strings_and_memory_hash_in_lanes(
        schedule in vec(any::<u8>(), 128), seed in any::<u64>(),
        data in vec(any::<u8>(), 0..=MAX_HASHED as usize), offset in 0..64_usize,
    ) {
        prop_assume!(is_x86_feature_detected!("aes"));
        let place = place(schedule, seed);
        // SAFETY: the processor has AES.
        let expected = unsafe { bytes(&place.schedule, seed, &data) };
        // Around the end of a page, between bytes that must not matter.
        let start = {
            let mut memory = place.target.memory.borrow_mut();
            let before = 8192 - (memory.place(&[0]) as usize + 16 + 64) % 4096 - 32 + offset;
            memory.place(&[std::vec![0xaa; before], data.clone(), std::vec![0xbb; 32]].concat()) + before as u64
        };
        let len = data.len() as u64;
        prop_assert_eq!(place.hash(memory_of(0), (KeyForm::String, start, len)), Ok(Some(expected)));
        if !matches!(len, 0 | 4 | 8) {
            prop_assert_eq!(place.hash(memory_of(len as u32), (KeyForm::Pointer, start, 0)), Ok(Some(expected)));
        }
        let string = MapType { key_program: Host::of(&place.target).equal_program(kind::STRING).expect("strings"), ..MapType::default() };
        let header = place.target.memory.borrow_mut().place_words(&[start, len]);
        prop_assert_eq!(place.hash(string, (KeyForm::Pointer, header, 0)), Ok(Some(expected)));
    }
}

#[test]
fn long_and_composite_keys_are_not_hashed_here_and_unreadable_ones_are_faults() {
    let place = place(std::vec![7; 128], 1);
    let composite = MapType {
        key_program: EqualProgram { start: 20, end: 22 },
        ..MapType::default()
    };
    assert_eq!(
        place.hash(composite, (KeyForm::Pointer, place.map, 0)),
        Ok(None)
    );
    assert_eq!(
        place.hash(memory_of(0), (KeyForm::String, place.map, MAX_HASHED + 1)),
        Ok(None)
    );
    assert_eq!(
        place.hash(memory_of(0), (KeyForm::String, 8, 20)),
        Err(Cause::Fault)
    );
}
