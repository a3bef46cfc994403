//! Where a site finds its values: registers, and one window of the stack.

use map_probe_common::site::{MAX_WRAPPERS, NO_CALLER, Place, Role, STACK_WORDS, Site, Wrapper};

use super::MapFunction;
use super::effects::{RBP, RSP};
use super::facts::Facts;
use super::value::{State, Value};

/// Where the values of a site are; [`Place::NONE`] for those not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// Bytes from the stack pointer to the window.
    pub(super) stack_offset: u32,
    /// Words in the window.
    pub(super) stack_words: u8,
    pub(super) typ: Place,
    pub(super) map: Place,
    pub(super) key: Place,
    pub(super) key_len: Place,
    pub(super) hash: Place,
    /// Swiss, lookups in a table: saves finding it by the hash. Only in a register.
    pub(super) table: Place,
}

impl Places {
    /// The same, with the window extended to the function's return address, `caller` bytes above the stack pointer, if it
    /// can be: that saves a read. More than that again, if it can be, are the words to read if they are there.
    pub(super) fn with_caller(mut self, caller: u32) -> Self {
        let (start, end) = match self.stack_words {
            0 => (caller, caller),
            words => (self.stack_offset, self.stack_offset + u32::from(words) * 8),
        };
        let first = start.min(caller);
        let words = (end.max(caller + 8) - first) / 8;
        if (start - first) % 8 != 0 || words as usize > STACK_WORDS {
            return self;
        }
        let moved = ((start - first) / 8) as u8;
        for place in [
            &mut self.typ,
            &mut self.map,
            &mut self.key,
            &mut self.key_len,
            &mut self.hash,
        ] {
            if (Place::FIRST_STACK_WORD..Place::NONE.0).contains(&place.0) {
                place.0 += moved;
            }
        }
        self.stack_offset = first;
        self.stack_words = words as u8;
        self
    }
}

/// Why the values of a site cannot be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    /// One is nowhere.
    Missing(Value),
    /// No window of the stack holds those that are in no register.
    Scattered,
}

/// Finds the wanted values: in registers where possible, as a read of the stack costs time.
pub(super) fn locate(facts: &Facts, state: &State, wanted: &[Value]) -> Result<Places, NotFound> {
    let mut on_stack: Vec<(Value, Vec<u32>)> = Vec::new();
    for &value in wanted {
        if register_of(state, value).is_some() {
            continue;
        }
        let words = words_of(facts, state, value);
        if words.is_empty() {
            return Err(NotFound::Missing(value));
        }
        on_stack.push((value, words));
    }
    let (start, words, chosen) = window(&on_stack).ok_or(NotFound::Scattered)?;
    let place = |value| match register_of(state, value) {
        _ if !wanted.contains(&value) => Place::NONE,
        Some(register) => register,
        None => chosen
            .iter()
            .find(|(v, _)| *v == value)
            .map_or(Place::NONE, |&(_, offset)| {
                Place::stack_word(((offset - start) / 8) as u8)
            }),
    };
    Ok(Places {
        stack_offset: start,
        stack_words: words,
        typ: place(Value::Typ),
        map: place(Value::Map),
        key: place(Value::Key),
        key_len: place(Value::KeyLen),
        hash: place(Value::Hash),
        table: Place::NONE,
    })
}

/// The register that holds a value, if one does.
pub(super) fn register_of(state: &State, value: Value) -> Option<Place> {
    let found = state.registers.iter().position(|&held| held == value)?;
    (found != RSP).then(|| Place::register(found as u8))
}

/// The words of the stack that hold a value, as bytes above the stack pointer, in ascending order.
fn words_of(facts: &Facts, state: &State, value: Value) -> Vec<u32> {
    let Some(pointer) = state.stack_pointer() else {
        return Vec::new();
    };
    state
        .slots
        .iter()
        .filter(|(_, slot)| slot.value == value && slot.size >= facts.width(value))
        .filter_map(|(&offset, _)| u32::try_from(offset.checked_sub(pointer)?).ok())
        .filter(|offset| offset % 8 == 0)
        .collect()
}

/// The smallest window with a word for each value: where it starts, how many words it has, and which word is which value's.
#[expect(
    clippy::type_complexity,
    reason = "a tuple of three, used once, reads better than a type of its own"
)]
fn window(on_stack: &[(Value, Vec<u32>)]) -> Option<(u32, u8, Vec<(Value, u32)>)> {
    if on_stack.is_empty() {
        return Some((0, 0, Vec::new()));
    }
    let starts = on_stack.iter().flat_map(|(_, words)| words.iter().copied());
    starts
        .filter_map(|start| {
            let chosen: Vec<(Value, u32)> = on_stack
                .iter()
                .map(|(value, words)| Some((*value, *words.iter().find(|&&word| word >= start)?)))
                .collect::<Option<_>>()?;
            let last = chosen.iter().map(|&(_, word)| word).max()?;
            let words = usize::try_from((last - start) / 8).ok()?.checked_add(1)?;
            (words <= STACK_WORDS).then_some((start, words as u8, chosen))
        })
        .min_by_key(|&(start, words, _)| (words, start))
}

/// The site for an operation of `function` whose values are at `places`, where `state` is known.
pub(super) fn site(
    function: &MapFunction,
    places: &Places,
    state: Option<&State>,
    role: Role,
) -> Site {
    // The return address lies where the stack pointer was on entry.
    let pointer = state.and_then(State::stack_pointer);
    let caller = pointer.and_then(|pointer| u32::try_from(pointer.checked_neg()?).ok());
    let places = match caller {
        Some(caller) => places.with_caller(caller),
        None => *places,
    };
    let place = |Place(number)| number;
    Site {
        stack_offset: places.stack_offset,
        stack_words: places.stack_words,
        op: function.op as u8,
        key_form: function.key_form as u8,
        role: role as u8,
        search: function.search,
        typ: place(places.typ),
        map: place(places.map),
        key: place(places.key),
        key_len: place(places.key_len),
        hash: place(places.hash),
        wide_words: places.stack_words,
        // Where the caller's is saved, just below the return address.
        has_frame_pointer: state
            .is_some_and(|state| state.registers[RBP] == Value::Frame(-8))
            .into(),
        caller_offset: caller.unwrap_or(NO_CALLER),
        table: place(places.table),
        reserved: [0; 3],
        wrappers: [Wrapper::default(); MAX_WRAPPERS],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_window_that_has_every_value_is_taken() {
        let on_stack = [
            (Value::Typ, vec![0, 160]),
            (Value::Hash, vec![24, 400]),
            (Value::Map, vec![168]),
        ];
        assert_eq!(window(&on_stack[..1]), Some((0, 1, vec![(Value::Typ, 0)])));
        assert_eq!(
            window(&on_stack),
            None,
            "24 to 168 and 160 to 400 are too far"
        );
        assert_eq!(
            window(&[on_stack[0].clone(), on_stack[2].clone()]),
            Some((160, 2, vec![(Value::Typ, 160), (Value::Map, 168)]))
        );
    }

    #[test]
    fn the_window_reaches_to_the_return_address_if_it_can() {
        let places = Places {
            stack_offset: 0x40,
            stack_words: 2,
            typ: Place::stack_word(1),
            map: Place::register(1),
            key: Place::stack_word(0),
            key_len: Place::NONE,
            hash: Place::register(0),
            table: Place::NONE,
        };
        let below = places.with_caller(0x38);
        assert_eq!((below.stack_offset, below.stack_words), (0x38, 3));
        assert_eq!(below.typ, Place::stack_word(2));
        assert_eq!(below.key, Place::stack_word(1));
        assert_eq!((below.map, below.key_len), (places.map, Place::NONE));
        let above = places.with_caller(0x60);
        assert_eq!((above.stack_offset, above.stack_words), (0x40, 5));
        assert_eq!(above.typ, places.typ);
        assert_eq!(places.with_caller(0x400), places, "too far");
        let registers = Places {
            stack_words: 0,
            stack_offset: 0,
            typ: Place::register(2),
            key: Place::register(3),
            ..places
        };
        let only = registers.with_caller(0x38);
        assert_eq!((only.stack_offset, only.stack_words), (0x38, 1));
    }
}
