//! The rows of the tables: types, maps, call sites and stacks, filtered and sorted.

use std::cmp::Reverse;

use map_probe_common::op::Class;

use super::Kind;
use crate::report::counts::{Frame, Frames, MapRows, Name, SiteRows, TypeRows, excess};
use crate::report::model::{Counts, MapSize, Report, Rows};
use crate::report::ranked::{self, Ranking};
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
    Type(Name),
    Map(Option<u64>, Name),
    Site(Option<Frames>, Name),
    Stack(Option<Frames>, Name),
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
            Self::Type(Some(name)) => name.to_string(),
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

/// A row of a report.
#[derive(Clone, Copy)]
enum Row<'a> {
    Type(&'a TypeRows),
    Map(&'a MapRows),
    Site(&'a SiteRows),
    Stack(&'a SiteRows),
}

impl<'a> Row<'a> {
    fn of(list: List, counts: &'a Counts, index: usize) -> Option<Self> {
        Some(match list {
            List::Types => Self::Type(counts.by_type.get(index)?),
            List::Maps => Self::Map(counts.by_map.get(index)?),
            List::Sites => Self::Site(counts.by_site.get(index)?),
            List::Stacks => Self::Stack(counts.by_stack.get(index)?),
        })
    }

    const fn rows(self) -> &'a Rows {
        match self {
            Self::Type(of) => &of.rows,
            Self::Map(of) => &of.rows,
            Self::Site(of) | Self::Stack(of) => &of.rows,
        }
    }

    fn subject(self) -> Subject {
        match self {
            Self::Type(of) => Subject::Type(of.name.clone()),
            Self::Map(of) => Subject::Map(of.address, of.typ.clone()),
            Self::Site(of) => Subject::Site(of.frames.clone(), of.typ.clone()),
            Self::Stack(of) => Subject::Stack(of.frames.clone(), of.typ.clone()),
        }
    }
}

/// A table of the page: the rows of a report that it has, in its order.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) list: List,
    /// Places in the report's list.
    rows: Vec<u32>,
    /// All rows that belong here, `--top` or not.
    pub(crate) all: usize,
}

/// A row that is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) subject: Subject,
    pub(crate) label: String,
    pub(crate) summary: Summary,
    pub(crate) excess: u64,
    /// How full the map is; `None` if that is unknown, and for all but maps.
    pub(crate) size: Option<MapSize>,
}

impl Table {
    /// The rows of a table, those without operations left out; `related` to something, if so.
    pub(crate) fn new(
        list: List,
        report: &Report,
        choice: &Choice,
        related: Option<&Subject>,
    ) -> Self {
        let needle = choice.filter.to_lowercase();
        let rows =
            (0..).map_while(|index| Some((index, Row::of(list, &report.counts, index as usize)?)));
        let rows = rows.filter(|(_, row)| {
            (related.is_none_or(|to| self::related(to, &row.subject())))
                && (needle.is_empty() || searched(&row.subject()).contains(&needle))
        });
        let rows = rows.map(|(index, row)| (index, row, row.rows()));
        let rows = rows.filter(|(.., rows)| chosen(rows, choice.kind).next().is_some());
        let mut order: Vec<u32> = match choice.sort {
            Sort::Name => {
                let named = rows.map(|(index, row, _)| (row.subject().label(), index));
                sorted(named.collect(), choice.reversed)
            }
            Sort::Number(sort) => {
                let rank = |rows: &Rows| Reverse(sort.rank(chosen(rows, choice.kind)));
                let ranked = rows.map(|(index, _, rows)| (rank(rows), index));
                sorted(ranked.collect(), choice.reversed)
            }
        };
        let all = order.len();
        order.truncate(report.ranking.top.unwrap_or(all));
        Self {
            list,
            rows: order,
            all,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Places in the report's list, in the table's order.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().map(|index| *index as usize)
    }

    /// What a row is about.
    pub(crate) fn subject(&self, at: usize, counts: &Counts) -> Option<Subject> {
        let index = self.places().nth(at)?;
        Row::of(self.list, counts, index).map(Row::subject)
    }

    /// The row that is about something.
    pub(crate) fn position(&self, of: &Subject, counts: &Counts) -> Option<usize> {
        self.places().position(|index| {
            Row::of(self.list, counts, index).is_some_and(|row| row.subject() == *of)
        })
    }

    /// The rows from a place on, as they are drawn.
    pub(crate) fn entries(
        &self,
        from: usize,
        counts: &Counts,
        kind: Option<Kind>,
    ) -> impl Iterator<Item = Entry> {
        self.places().skip(from).filter_map(move |index| {
            let row = Row::of(self.list, counts, index)?;
            let subject = row.subject();
            Some(Entry {
                label: subject.label(),
                summary: Summary::of(chosen(row.rows(), kind))?,
                excess: excess(chosen(row.rows(), kind)),
                size: match row {
                    Row::Map(of) => of.size,
                    Row::Type(_) | Row::Site(_) | Row::Stack(_) => None,
                },
                subject,
            })
        })
    }
}

/// Places in the order of their keys, equal ones as they are in the report.
fn sorted<K: Ord>(mut rows: Vec<(K, u32)>, reversed: bool) -> Vec<u32> {
    rows.sort_unstable_by(|(one, first), (other, second)| {
        let order = one.cmp(other);
        let order = if reversed { order.reverse() } else { order };
        order.then(first.cmp(second))
    });
    rows.into_iter().map(|(_, index)| index).collect()
}

/// What the rows of a table are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A number, the highest first.
    Number(ranked::Sort),
    Name,
}

impl Sort {
    pub(crate) const ALL: [Self; 6] = [
        Self::Number(ranked::Sort::Excess),
        Self::Number(ranked::Sort::Count),
        Self::Number(ranked::Sort::Mean),
        Self::Number(ranked::Sort::P99),
        Self::Number(ranked::Sort::Max),
        Self::Name,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Number(ranked::Sort::Excess) => "excess",
            Self::Number(ranked::Sort::Count) => "count",
            Self::Number(ranked::Sort::Mean) => "mean",
            Self::Number(ranked::Sort::P99) => "p99",
            Self::Number(ranked::Sort::Max) => "max",
            Self::Name => "name",
        }
    }
}

/// Which rows of a table, and in which order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    /// Operations of one kind alone.
    pub(crate) kind: Option<Kind>,
    pub(crate) sort: Sort,
    pub(crate) reversed: bool,
    /// Only rows whose names have this in them, in whatever case.
    pub(crate) filter: String,
}

impl Choice {
    /// Everything, in the order that was asked for.
    pub(super) fn new(ranking: Ranking) -> Self {
        Self {
            kind: None,
            sort: Sort::Number(ranking.sort.unwrap_or(ranked::Sort::Excess)),
            reversed: false,
            filter: String::new(),
        }
    }
}

/// The depths of the operations on tables that are chosen, and how many each has.
pub(crate) fn chosen(rows: &Rows, kind: Option<Kind>) -> impl Iterator<Item = (u32, u64)> {
    rows.of(Class::Table)
        .filter(move |((op, outcome, _), _)| kind.is_none_or(|kind| kind == (*op, *outcome)))
        .flat_map(|(_, depths)| depths)
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
