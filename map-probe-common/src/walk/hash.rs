//! The hash of a key, computed as Go's runtime does on amd64 with AES instructions.
//!
//! A lookup forgets its hash as soon as it knows its first bucket or group; a sample that meets it later has the key,
//! the map's seed and this. Go: `runtime/asm_amd64.s` (`memhash32`, `memhash64`, `aeshashbody`; 1.19 to 1.26) and
//! `internal/runtime/maps/memhash_amd64.s`, `memhash_nosimd_amd64.s` (1.27), all alike; which of them a type has:
//! `cmd/compile/internal/reflectdata/alg.go`.

use super::types::MapType;
use super::{World, read_field};
use crate::equal::kind;
use crate::layout::Field;
use crate::quality::Cause;
use crate::site::KeyForm;

/// The longest memory that is hashed here, in bytes: beyond it Go goes round in a loop.
pub const MAX_HASHED: u64 = 128;

/// One register of 16 bytes.
type Block = [u64; 2];

/// What hashing needs beside the key.
#[derive(Clone, Copy, Debug)]
pub struct Hashing {
    /// Address of `aeskeysched`: random bytes made as the program starts.
    pub key_schedule: u64,
    /// The seed's place in the map's header.
    pub seed: Field,
}

/// The hash of a key of a map, `key` and `key_len` as `form` says; `None` for keys that are hashed in parts (floats,
/// interfaces, structs that hold such or strings) or are longer than [`MAX_HASHED`].
///
/// # Errors
///
/// [`Cause::Fault`] if memory cannot be read.
pub fn hash<W: World>(
    world: W,
    hashing: &Hashing,
    typ: &MapType,
    map: u64,
    (form, key, key_len): (KeyForm, u64, u64),
) -> Result<Option<u64>, Cause> {
    let seed = read_field(world, map, hashing.seed).ok_or(Cause::Fault)?;
    let schedule = hashing.key_schedule;
    let (address, len) = match form {
        KeyForm::Value32 => return word(world, schedule, seed, u64::from(key as u32)).map(Some),
        KeyForm::Value64 => return word(world, schedule, seed, key).map(Some),
        KeyForm::String => (key, key_len),
        KeyForm::Pointer if typ.compares_memory() => match typ.key_bytes {
            0 => return Ok(Some(seed)),
            4 => {
                let key = world.read::<u32>(key).ok_or(Cause::Fault)?;
                return word(world, schedule, seed, u64::from(key)).map(Some);
            }
            8 => {
                let key = world.read::<u64>(key).ok_or(Cause::Fault)?;
                return word(world, schedule, seed, key).map(Some);
            }
            bytes => (key, u64::from(bytes)),
        },
        KeyForm::Pointer if world.equal_program(kind::STRING) == Some(typ.key_program) => {
            let [bytes, len] = world.read::<[u64; 2]>(key).ok_or(Cause::Fault)?;
            (bytes, len)
        }
        KeyForm::Pointer => return Ok(None),
    };
    if len > MAX_HASHED {
        return Ok(None);
    }
    memory(world, schedule, seed, address, len).map(Some)
}

/// `memhash32`, `memhash64`: the key beside the seed, scrambled three times with the schedule.
#[expect(
    clippy::inline_always,
    reason = "as a function of its own it would return what is not written when it fails"
)]
#[inline(always)]
fn word<W: World>(world: W, schedule: u64, seed: u64, key: u64) -> Result<u64, Cause> {
    let mut block = [seed, key];
    if scramble_thrice(world, schedule, &mut block) {
        Ok(block[0])
    } else {
        Err(Cause::Fault)
    }
}

/// False if the schedule cannot be read.
// A function of its own, for the verifier's sake. What it returns besides is there before it is called: compilers read it
// whatever came of it, and the verifier minds up to Linux 6.2.
#[inline(never)]
fn scramble_thrice<W: World>(world: W, schedule: u64, block: &mut Block) -> bool {
    for index in 0..3 {
        let Some(key) = world.read::<Block>(schedule.wrapping_add(index * 16)) else {
            return false;
        };
        scramble(block, &key);
    }
    true
}

/// `aeshashbody`: 1, 2, 4 or 8 lanes of 16 bytes, the first half from the start and the second up to the end.
fn memory<W: World>(
    world: W,
    schedule: u64,
    seed: u64,
    address: u64,
    len: u64,
) -> Result<u64, Cause> {
    let lanes: u64 = match len {
        0..=16 => 1,
        17..=32 => 2,
        33..=64 => 4,
        _ => 8,
    };
    let mut hash = 0;
    for lane in 0..8 {
        if lane >= lanes {
            break;
        }
        let [low, high] = world
            .read::<Block>(schedule.wrapping_add(lane * 16))
            .ok_or(Cause::Fault)?;
        let repeated = (len & 0xffff).wrapping_mul(0x0001_0001_0001_0001);
        let mut block = [seed ^ low, repeated ^ high];
        scramble_by_itself(&mut block);
        if len == 0 {
            scramble_by_itself(&mut block);
            return Ok(block[0]);
        }
        let data = if len < 16 {
            short(world, address, len)
        } else {
            let from_start = lane * 16;
            let to_end = len.wrapping_sub((lanes - lane) * 16);
            let offset = if lane < lanes / 2 { from_start } else { to_end };
            world.read::<Block>(address.wrapping_add(offset))
        };
        let [low, high] = data.ok_or(Cause::Fault)?;
        block = [block[0] ^ low, block[1] ^ high];
        scramble_by_itself(&mut block);
        scramble_by_itself(&mut block);
        scramble_by_itself(&mut block);
        hash ^= block[0];
    }
    Ok(hash)
}

/// 1 to 15 bytes, by one read that stays in their page, as Go does it.
fn short<W: World>(world: W, address: u64, len: u64) -> Option<Block> {
    let bits = len.wrapping_mul(8) & 127;
    if address.wrapping_add(16) & 0xff0 == 0 {
        let [low, high] = world.read::<Block>(address.wrapping_add(len).wrapping_sub(16))?;
        let down = 128 - bits;
        if down >= 64 {
            return Some([high >> (down & 63), 0]);
        }
        return Some([
            low >> (down & 63) | high << (64u64.wrapping_sub(down) & 63),
            high >> (down & 63),
        ]);
    }
    let [low, high] = world.read::<Block>(address)?;
    let mask = (1u64 << (bits & 63)).wrapping_sub(1);
    if bits < 64 {
        Some([low & mask, 0])
    } else {
        Some([low, high & mask])
    }
}

fn scramble_by_itself(block: &mut Block) {
    let key = *block;
    scramble(block, &key);
}

/// One AES round (`AESENC`): `SubBytes`, `ShiftRows`, `MixColumns`, then the key.
// A function of its own: the verifier looks at it at every call, and so it had better be small.
#[inline(never)]
fn scramble(block: &mut Block, key: &Block) {
    let [low, high] = *block;
    let columns = [low, low >> 32, high, high >> 32];
    let mut mixed = [0u64; 4];
    for (column, into) in mixed.iter_mut().enumerate() {
        for row in 0..4u32 {
            let byte = columns[(column + row as usize) & 3] >> (row * 8) & 0xff;
            *into ^= u64::from(MIXED[byte as usize].rotate_left(row * 8));
        }
    }
    block[0] = (mixed[0] | mixed[1] << 32) ^ key[0];
    block[1] = (mixed[2] | mixed[3] << 32) ^ key[1];
}

/// What one byte of a column's first row becomes: the S-box, times 2, 1, 1 and 3, from the lowest byte up.
static MIXED: [u32; 256] = mixed();

/// Twice a number of AES's field.
const fn double(byte: u8) -> u8 {
    (byte << 1) ^ if byte & 0x80 == 0 { 0 } else { 0x1b }
}

const fn mixed() -> [u32; 256] {
    let mut table = [0; 256];
    // `power` runs through all numbers of the field but 0, `inverse` through their inverses: 3 generates them, by 0xf6.
    let (mut power, mut inverse) = (1u8, 1u8);
    let mut step = 0;
    while step < 256 {
        let (from, of) = if step < 255 { (power, inverse) } else { (0, 0) };
        let substituted = of
            ^ of.rotate_left(1)
            ^ of.rotate_left(2)
            ^ of.rotate_left(3)
            ^ of.rotate_left(4)
            ^ 0x63;
        let doubled = double(substituted);
        table[from as usize] =
            u32::from_le_bytes([doubled, substituted, substituted, doubled ^ substituted]);
        power ^= double(power);
        inverse = times_0xf6(inverse);
        step += 1;
    }
    table
}

const fn times_0xf6(byte: u8) -> u8 {
    let (mut product, mut factor, mut bits) = (0, byte, 0xf6u8);
    while bits != 0 {
        if bits & 1 != 0 {
            product ^= factor;
        }
        factor = double(factor);
        bits >>= 1;
    }
    product
}
