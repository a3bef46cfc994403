//! Which operations a report is about, and what is counted of them.

use map_probe_common::op::Op;
use map_probe_common::options::{
    CHOSEN_TYPES, MAPS, MAPS_BY_CALLER, Options, SEES_CHANGES, SITES, STACKS,
};
use wildmatch::WildMatch;

use crate::report::counts::Frame;
use crate::report::words;

/// What the user wants to know. By default everything, but no stacks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Count by stack too.
    pub stacks: bool,
    /// Only maps of types with one of these names; all if there are none.
    pub types: Vec<WildMatch>,
    /// Only operations at call sites in one of these functions, or in what is inlined there; all if there are none.
    pub functions: Vec<WildMatch>,
    /// Only these operations; all if there are none.
    pub ops: Vec<Op>,
    /// Only the map at this address in the target.
    pub map: Option<u64>,
    /// Neither maps nor call sites: for `cargo xtask bench`, which says what they cost.
    pub types_alone: bool,
}

impl Wanted {
    /// What the kernel side is told of it; `sees_changes` is whether every operation that changes a map could be trapped.
    #[must_use]
    pub fn options(&self, sees_changes: bool) -> Options {
        let when = |asked: bool, flag| if asked { flag } else { 0 };
        Options {
            map: self.map.unwrap_or(0),
            count: when(!self.types_alone, SITES | MAPS)
                | when(self.stacks, STACKS)
                | when(!self.functions.is_empty(), MAPS_BY_CALLER)
                | when(!self.types.is_empty(), CHOSEN_TYPES)
                | when(
                    sees_changes && self.op(Op::Insert) && self.op(Op::Delete),
                    SEES_CHANGES,
                ),
            ..Options::default()
        }
    }

    /// Whether operations of this kind are wanted: functions for others are not probed at all.
    #[must_use]
    pub fn op(&self, op: Op) -> bool {
        self.ops.is_empty() || self.ops.contains(&op)
    }

    /// Whether maps of a type are wanted; one of unknown name is only if all are.
    #[must_use]
    pub fn typ(&self, name: Option<&str>) -> bool {
        self.types.is_empty() || name.is_some_and(|name| matches(&self.types, name))
    }

    /// Whether a call site is wanted; an unknown one is only if all are.
    #[must_use]
    pub fn site(&self, frames: Option<&[Frame]>) -> bool {
        let mut frames = frames.unwrap_or_default().iter();
        self.functions.is_empty() || frames.any(|frame| matches(&self.functions, &frame.function))
    }

    /// What was asked for, by the names of the options; empty if everything is wanted.
    #[must_use]
    pub fn filters(&self) -> Vec<(&'static str, String)> {
        let globs = |globs: &[WildMatch]| {
            let globs: Vec<_> = globs.iter().map(ToString::to_string).collect();
            globs.join(", ")
        };
        let ops: Vec<_> = self.ops.iter().map(|op| words::op(*op)).collect();
        let map = self.map.map_or(String::new(), |map| format!("{map:#x}"));
        [
            ("type", globs(&self.types)),
            ("function", globs(&self.functions)),
            ("op", ops.join(", ")),
            ("map", map),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
    }
}

fn matches(globs: &[WildMatch], name: &str) -> bool {
    globs.iter().any(|glob| glob.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str) -> Frame {
        Frame {
            function: function.to_owned(),
            file: "?".to_owned(),
            line: 0,
        }
    }

    #[test]
    fn everything_is_wanted_by_default() {
        let wanted = Wanted::default();
        assert!(wanted.op(Op::Delete) && wanted.typ(None) && wanted.site(None));
        assert!(wanted.filters().is_empty());
        assert_eq!(wanted.options(false).count, SITES | MAPS);
    }

    #[test]
    fn changes_are_seen_unless_inserts_or_deletes_are_left_out() {
        let counts = |ops: &[Op]| {
            let wanted = Wanted {
                ops: ops.to_vec(),
                ..Wanted::default()
            };
            wanted.options(true).count & SEES_CHANGES != 0
        };
        assert!(counts(&[]) && counts(&[Op::Insert, Op::Delete]));
        assert!(!counts(&[Op::Lookup]) && !counts(&[Op::Insert]));
    }

    #[test]
    fn a_glob_matches_whole_names_with_their_brackets() {
        let wanted = Wanted {
            types: vec![WildMatch::new("map[string]*Order")],
            functions: vec![WildMatch::new("main.*")],
            ..Wanted::default()
        };
        assert!(wanted.typ(Some("map[string]*main.Order")));
        assert!(!wanted.typ(Some("map[string]main.Orders")) && !wanted.typ(None));
        let [get, serve] = [frame("cache.Get"), frame("main.serve")];
        assert!(wanted.site(Some(&[get.clone(), serve])), "inlined into it");
        assert!(!wanted.site(Some(&[get])) && !wanted.site(None));
        assert_eq!(
            wanted.filters(),
            [
                ("type", "map[string]*Order".to_owned()),
                ("function", "main.*".to_owned())
            ]
        );
    }
}
