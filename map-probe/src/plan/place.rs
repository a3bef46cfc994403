//! Where a site finds its values: registers, and one window of the stack.

use map_probe_common::site::{Place, STACK_WORDS};

use super::effects::RSP;
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
    })
}

fn register_of(state: &State, value: Value) -> Option<Place> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_window_that_has_every_value_is_taken() {
        let on_stack = [
            (Value::Typ, vec![0, 80]),
            (Value::Hash, vec![24, 200]),
            (Value::Map, vec![88]),
        ];
        assert_eq!(window(&on_stack[..1]), Some((0, 1, vec![(Value::Typ, 0)])));
        assert_eq!(
            window(&on_stack),
            None,
            "24 to 88 and 80 to 200 are too far"
        );
        assert_eq!(
            window(&[on_stack[0].clone(), on_stack[2].clone()]),
            Some((80, 2, vec![(Value::Typ, 80), (Value::Map, 88)]))
        );
    }
}
