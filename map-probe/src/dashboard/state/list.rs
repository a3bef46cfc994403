//! The rows of the tables: types, maps, call sites and stacks, filtered and sorted.

use std::cmp::Ordering;

use map_probe_common::op::Class;

use super::Kind;
use crate::report::counts::{Frame, Frames, MapRows, SiteRows, TypeRows, excess};
use crate::report::model::{Counts, Depths, MapSize, Rows};
use crate::report::summary::Summary;

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Types,
    Maps,
    Sites,
    Stacks,
}

/// What a row is about; names it from one report to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Type(Option<String>),
    Map(Option<u64>, Option<String>),
    Site(Option<Frames>, Option<String>),
    Stack(Option<Frames>, Option<String>),
}

impl Subject {
    /// The type of its maps; `None` if unknown.
    pub(crate) fn typ(&self) -> Option<&str> {
        let (Self::Type(typ) | Self::Map(_, typ) | Self::Site(_, typ) | Self::Stack(_, typ)) = self;
        typ.as_deref()
    }

    /// What it is called in a line.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Type(Some(name)) => name.clone(),
            Self::Type(None) => "type unknown".to_owned(),
            Self::Map(Some(address), _) => format!("{address:#x}"),
            Self::Map(None, _) => "other maps".to_owned(),
            Self::Site(frames, _) => frames
                .as_ref()
                .and_then(|frames| frames.first())
                .map_or_else(|| "call site unknown".to_owned(), site),
            Self::Stack(frames, _) => frames
                .as_ref()
                .filter(|frames| !frames.is_empty())
                .map_or_else(|| "stack unknown".to_owned(), |frames| stack(frames)),
        }
    }
}

/// `main.(*Cache).Get cache.go:42`.
fn site(frame: &Frame) -> String {
    format!("{} {}", short(&frame.function), place(frame))
}

/// A function without the directories of its package: `core.(*Store[...]).Get` of `example.org/internal/core.(*Store[...]).Get`.
fn short(function: &str) -> &str {
    // Type arguments and receivers may have paths of their own.
    let package = function.find(['(', '[']).unwrap_or(function.len());
    let start = function[..package].rfind('/').map_or(0, |slash| slash + 1);
    &function[start..]
}

/// `cache.go:42`.
pub(crate) fn place(frame: &Frame) -> String {
    let file = frame.file.rsplit('/').next().unwrap_or_default();
    match frame.line {
        0 => file.to_owned(),
        line => format!("{file}:{line}"),
    }
}

/// `cache.Get < main.serve < main.main`.
fn stack(frames: &[Frame]) -> String {
    let functions: Vec<_> = frames.iter().map(|frame| short(&frame.function)).collect();
    functions.join(" < ")
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) subject: Subject,
    /// Its place in the report's table.
    pub(crate) index: usize,
    pub(crate) label: String,
    pub(crate) summary: Summary,
    pub(crate) excess: u64,
    /// How full the map is; `None` if that is unknown, and for all but maps.
    pub(crate) size: Option<MapSize>,
}

/// What the rows of a table are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Excess,
    Count,
    Mean,
    P99,
    Max,
    Name,
}

impl Sort {
    pub(crate) const ALL: [Self; 6] = [
        Self::Excess,
        Self::Count,
        Self::Mean,
        Self::P99,
        Self::Max,
        Self::Name,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Excess => "excess",
            Self::Count => "count",
            Self::Mean => "mean",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::Name => "name",
        }
    }

    fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        match self {
            Self::Excess => other.excess.cmp(&one.excess),
            Self::Count => other.summary.count.cmp(&one.summary.count),
            Self::Mean => other.summary.mean.total_cmp(&one.summary.mean),
            Self::P99 => other.summary.p99.cmp(&one.summary.p99),
            Self::Max => other.summary.max.cmp(&one.summary.max),
            Self::Name => one.label.cmp(&other.label),
        }
    }
}

/// Which rows of a table, and in which order.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// Operations of one kind alone.
    pub(crate) kind: Option<Kind>,
    pub(crate) sort: Sort,
    pub(crate) reversed: bool,
    /// Only rows whose names have this in them, in whatever case.
    pub(crate) filter: String,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            kind: None,
            sort: Sort::Excess,
            reversed: false,
            filter: String::new(),
        }
    }
}

/// The depths of the operations on tables that are chosen.
pub(crate) fn chosen(rows: &Rows, kind: Option<Kind>) -> impl Iterator<Item = &Depths> {
    rows.of(Class::Table)
        .filter(move |((op, outcome, _), _)| kind.is_none_or(|kind| kind == (*op, *outcome)))
        .map(|(_, depths)| depths)
}

/// The rows of a table, those without operations left out.
pub(crate) fn entries(list: List, counts: &Counts, choice: &Choice) -> Vec<Entry> {
    let needle = choice.filter.to_lowercase();
    let kept = |subject: &Subject| needle.is_empty() || searched(subject).contains(&needle);
    let mut entries: Vec<Entry> = match list {
        List::Types => {
            let subject = |of: &TypeRows| Subject::Type(of.name.clone());
            let rows = counts.by_type.iter().enumerate();
            rows.filter_map(|(index, of)| {
                entry((index, subject(of)), &of.rows, None, choice, &kept)
            })
            .collect()
        }
        List::Maps => {
            let subject = |of: &MapRows| Subject::Map(of.address, of.typ.clone());
            let rows = counts.by_map.iter().enumerate();
            rows.filter_map(|(index, of)| {
                entry((index, subject(of)), &of.rows, of.size, choice, &kept)
            })
            .collect()
        }
        List::Sites => {
            let subject = |of: &SiteRows| Subject::Site(of.frames.clone(), of.typ.clone());
            let rows = counts.by_site.iter().enumerate();
            rows.filter_map(|(index, of)| {
                entry((index, subject(of)), &of.rows, None, choice, &kept)
            })
            .collect()
        }
        List::Stacks => {
            let subject = |of: &SiteRows| Subject::Stack(of.frames.clone(), of.typ.clone());
            let rows = counts.by_stack.iter().enumerate();
            rows.filter_map(|(index, of)| {
                entry((index, subject(of)), &of.rows, None, choice, &kept)
            })
            .collect()
        }
    };
    // Stable: rows that are equal stay in the report's order.
    entries.sort_by(|one, other| {
        let order = choice.sort.compare(one, other);
        if choice.reversed {
            order.reverse()
        } else {
            order
        }
    });
    entries
}

fn entry(
    (index, subject): (usize, Subject),
    rows: &Rows,
    size: Option<MapSize>,
    choice: &Choice,
    kept: &dyn Fn(&Subject) -> bool,
) -> Option<Entry> {
    if !kept(&subject) {
        return None;
    }
    let summary = Summary::of(chosen(rows, choice.kind))?;
    let probes = chosen(rows, choice.kind).map(excess);
    Some(Entry {
        index,
        label: subject.label(),
        summary,
        excess: probes.fold(0, u64::saturating_add),
        size,
        subject,
    })
}

/// The words of a row that a filter is looked for in.
fn searched(subject: &Subject) -> String {
    let mut words = vec![subject.label()];
    if let Some(typ) = subject.typ() {
        words.push(typ.to_owned());
    }
    if let Subject::Site(Some(frames), _) | Subject::Stack(Some(frames), _) = subject {
        words.extend(
            frames
                .iter()
                .map(|frame| format!("{} {}:{}", frame.function, frame.file, frame.line)),
        );
    }
    words.join("\n").to_lowercase()
}

/// Whether a row of a table belongs to what is looked at: a type's maps and call sites, a site's stacks, and so on.
pub(crate) fn related(to: &Subject, row: &Subject) -> bool {
    if to.typ() != row.typ() {
        return false;
    }
    match (to, row) {
        (Subject::Site(Some(site), _), Subject::Stack(Some(stack), _))
        | (Subject::Stack(Some(stack), _), Subject::Site(Some(site), _)) => {
            site.first() == stack.first()
        }
        (Subject::Site(..), Subject::Stack(..)) | (Subject::Stack(..), Subject::Site(..)) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_without_the_directories_of_their_packages() {
        assert_eq!(short("main.(*Cache).Get"), "main.(*Cache).Get");
        let long = "example.org/shop/internal/core.(*Store[...]).Get";
        assert_eq!(short(long), "core.(*Store[...]).Get");
        assert_eq!(short("a.org/b.F[c.org/d.T]"), "b.F[c.org/d.T]");
    }
}
