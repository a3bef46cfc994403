//! What `map-probe sites` prints: every map function, and where it would be probed.

use std::io::{self, Write};

use map_probe_common::op::Op;
use map_probe_common::site::{Place, Role, Site};
use serde::Serialize;

use super::{Cost, Coverage, PlannedFunction, PlannedSite};
use crate::report::words::{self, UNTESTED};

/// The registers in the instruction set's order, as [`Place`] numbers them.
const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// What was planned for a binary.
#[derive(Clone, Debug, Serialize)]
pub struct Sites {
    /// The binary's path.
    pub exe: String,
    /// `go1.27.3`.
    pub go: String,
    /// The version whose map layout it was said to have, if its own is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed_go: Option<String>,
    /// Whether this version of Go was never tried.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub untested: bool,
    /// `classic`, `swiss`, `swiss-split`.
    pub layout: String,
    /// One per map function that its Go version can have.
    pub functions: Vec<FunctionSites>,
}

/// What was planned for one function.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionSites {
    /// Its symbol.
    pub function: String,
    /// `lookup`, `insert` or `delete`.
    pub op: &'static str,
    /// `covered`, `absent` or `not covered`.
    pub status: &'static str,
    /// Why it is not covered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The virtual address in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Where it is probed.
    pub sites: Vec<SiteText>,
}

/// One site in words.
#[derive(Clone, Debug, Serialize)]
pub struct SiteText {
    /// The virtual address in the file.
    pub address: String,
    /// Bytes from the function's start.
    pub offset: u64,
    /// The instruction.
    pub instruction: String,
    /// `emulated` or `single-stepped`.
    pub cost: &'static str,
    /// When it is walked.
    pub role: &'static str,
    /// Where the map's type is.
    #[serde(rename = "type")]
    pub typ: String,
    /// Where the map is.
    pub map: String,
    /// Where the key, or the pointer to it, is.
    pub key: String,
    /// Where a string key's length is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_len: Option<String>,
    /// Where the hash is; nowhere if it has to be remembered from the function's first site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Where the table that is searched is, if it need not be found by the hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

impl Sites {
    /// Puts a plan into words.
    #[must_use]
    pub fn new(exe: &str, go: &str, layout: &str, planned: &[PlannedFunction]) -> Self {
        Self {
            exe: exe.to_owned(),
            go: go.to_owned(),
            assumed_go: None,
            untested: false,
            layout: layout.to_owned(),
            functions: planned.iter().map(FunctionSites::new).collect(),
        }
    }

    /// Writes the table.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        let covered = self.functions.iter().filter(|f| f.status == COVERED);
        let present = self.functions.iter().filter(|f| f.status != ABSENT);
        writeln!(
            out,
            "{}: {}, {} maps; {} of {} map functions covered",
            self.exe,
            self.go,
            self.layout,
            covered.count(),
            present.count()
        )?;
        if let Some(assumed) = &self.assumed_go {
            writeln!(out, "assumed: {}", words::assumed(&self.go, assumed))?;
        }
        if self.untested {
            writeln!(out, "untested: {UNTESTED}")?;
        }
        writeln!(out)?;
        let mut rows = vec![Row::heading()];
        for function in &self.functions {
            rows.extend(function.rows());
        }
        write_aligned(out, &rows)
    }

    /// Writes one JSON document.
    ///
    /// # Errors
    ///
    /// Writing failed.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, self)?;
        writeln!(out)
    }
}

const COVERED: &str = "covered";
const ABSENT: &str = "absent";

impl FunctionSites {
    fn new(planned: &PlannedFunction) -> Self {
        let (status, reason, sites) = match &planned.coverage {
            Coverage::Covered(sites) => (COVERED, None, sites.as_slice()),
            Coverage::Absent => (ABSENT, None, [].as_slice()),
            Coverage::NotCovered(reason) => ("not covered", Some(reason.clone()), [].as_slice()),
        };
        Self {
            function: planned.function.symbol.to_owned(),
            op: match planned.function.op {
                Op::Lookup => "lookup",
                Op::Insert => "insert",
                Op::Delete => "delete",
            },
            status,
            reason,
            address: (status != ABSENT).then(|| hex(planned.address)),
            sites: sites.iter().map(SiteText::new).collect(),
        }
    }

    fn rows(&self) -> Vec<Row> {
        let name = || self.function.clone();
        if self.status == ABSENT {
            return vec![Row::Remark(name(), "not in this binary".to_owned())];
        }
        if let Some(reason) = &self.reason {
            return vec![Row::Remark(name(), format!("not covered: {reason}"))];
        }
        let rows = self.sites.iter().enumerate().map(|(index, site)| {
            let name = if index == 0 { name() } else { String::new() };
            let key = match &site.key_len {
                Some(len) => format!("{}, {len}", site.key),
                None => site.key.clone(),
            };
            let hash = match (&site.hash, &site.table) {
                (Some(hash), Some(table)) => format!("{hash}, table {table}"),
                (Some(hash), None) => hash.clone(),
                (None, _) => "remembered".to_owned(),
            };
            Row::Site([
                name,
                format!("{} +{:#x}", site.address, site.offset),
                site.cost.to_owned(),
                site.typ.clone(),
                site.map.clone(),
                key,
                hash,
                site.role.to_owned(),
                site.instruction.clone(),
            ])
        });
        rows.collect()
    }
}

impl SiteText {
    fn new(planned: &PlannedSite) -> Self {
        let site = &planned.site;
        let place = |place| place_text(site, place);
        let optional = |place| (place != Place::NONE.0).then(|| place_text(site, place));
        Self {
            address: hex(planned.address),
            offset: planned.offset,
            instruction: planned.instruction.clone(),
            cost: match planned.cost {
                Cost::Emulated => "emulated",
                Cost::SingleStepped => "single-stepped",
            },
            role: match planned.role {
                Role::Search => "all",
                Role::SearchOrDefer => "all but evacuating",
                Role::AfterEvacuation => "evacuating",
            },
            typ: place(site.typ),
            map: place(site.map),
            key: place(site.key),
            key_len: optional(site.key_len),
            hash: optional(site.hash),
            table: optional(site.table),
        }
    }
}

fn hex(address: u64) -> String {
    format!("{address:#x}")
}

/// A register's name, or the word of the stack: `rdi`, `[rsp+0x30]`.
fn place_text(site: &Site, place: u8) -> String {
    if let Some(register) = REGISTERS.get(usize::from(place)) {
        return (*register).to_owned();
    }
    let word = u64::from(place - Place::FIRST_STACK_WORD);
    format!("[rsp+{:#x}]", u64::from(site.stack_offset) + word * 8)
}

const COLUMNS: usize = 9;

/// A line of the table.
enum Row {
    /// A function that has no sites, and why.
    Remark(String, String),
    /// One cell per column.
    Site([String; COLUMNS]),
}

impl Row {
    fn heading() -> Self {
        Self::Site(
            [
                "FUNCTION",
                "SITE",
                "COST",
                "TYPE",
                "MAP",
                "KEY",
                "HASH",
                "OPERATIONS",
                "INSTRUCTION",
            ]
            .map(str::to_owned),
        )
    }
}

fn write_aligned(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let mut widths = [0; COLUMNS];
    for row in rows {
        match row {
            Row::Remark(name, _) => widths[0] = widths[0].max(name.chars().count()),
            Row::Site(cells) => {
                for (width, cell) in widths.iter_mut().zip(cells) {
                    *width = (*width).max(cell.chars().count());
                }
            }
        }
    }
    for row in rows {
        let line = match row {
            Row::Remark(name, remark) => format!("{name:0$}  {remark}", widths[0]),
            Row::Site(cells) => {
                let padded: Vec<String> = cells
                    .iter()
                    .zip(widths)
                    .map(|(cell, width)| format!("{cell:width$}"))
                    .collect();
                padded.join("  ")
            }
        };
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Arguments, MapFunction};
    use map_probe_common::site::KeyForm;

    fn planned(symbol: &'static str, coverage: Coverage) -> PlannedFunction {
        PlannedFunction {
            function: MapFunction {
                symbol,
                op: Op::Delete,
                key_form: KeyForm::String,
                arguments: Arguments {
                    typ: 0,
                    map: 1,
                    key: 2,
                },
                search: 0,
                grow_work: None,
                wrappers: &[],
            },
            address: 0x40_1000,
            coverage,
        }
    }

    fn plans() -> Sites {
        let site = PlannedSite {
            address: 0x40_109c,
            offset: 0x9c,
            instruction: "je 0x4010c1".to_owned(),
            cost: Cost::Emulated,
            role: Role::AfterEvacuation,
            site: Site {
                stack_offset: 0x60,
                stack_words: 4,
                op: Op::Delete as u8,
                key_form: KeyForm::String as u8,
                role: Role::AfterEvacuation as u8,
                search: 0,
                typ: Place::stack_word(0).0,
                map: Place::register(3).0,
                key: Place::stack_word(2).0,
                key_len: Place::stack_word(3).0,
                hash: Place::NONE.0,
                wide_words: 4,
                has_frame_pointer: 1,
                caller_offset: 0x70,
                table: Place::NONE.0,
                reserved: [0; 3],
                wrappers: Default::default(),
            },
        };
        let planned = [
            planned("runtime.a", Coverage::Covered(vec![site])),
            planned("runtime.bcd", Coverage::Absent),
            planned("runtime.ef", Coverage::NotCovered("no way".to_owned())),
        ];
        Sites::new("/srv/app", "go1.23.9", "classic", &planned)
    }

    #[test]
    fn the_table_says_of_every_function_where_or_why_not() {
        let mut text = Vec::new();
        plans().write_text(&mut text).expect("a Vec takes all");
        let expected = "\
/srv/app: go1.23.9, classic maps; 1 of 2 map functions covered

FUNCTION     SITE            COST      TYPE        MAP  KEY                     HASH        OPERATIONS  INSTRUCTION
runtime.a    0x40109c +0x9c  emulated  [rsp+0x60]  rbx  [rsp+0x70], [rsp+0x78]  remembered  evacuating  je 0x4010c1
runtime.bcd  not in this binary
runtime.ef   not covered: no way
";
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }

    #[test]
    fn a_version_that_was_never_tried_is_marked() {
        let mut untested = plans();
        untested.untested = true;
        let mut text = Vec::new();
        untested.write_text(&mut text).expect("a Vec takes all");
        let text = String::from_utf8_lossy(&text);
        assert!(
            text.contains(&format!("covered\nuntested: {UNTESTED}")),
            "{text}"
        );
        let mut json = Vec::new();
        untested.write_json(&mut json).expect("a Vec takes all");
        let value: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
        assert_eq!(value["untested"], true);
    }

    #[test]
    fn the_json_says_the_same() {
        let mut json = Vec::new();
        plans().write_json(&mut json).expect("a Vec takes all");
        let value: serde_json::Value = serde_json::from_slice(&json).expect("it is JSON");
        assert_eq!(value["layout"], "classic");
        assert_eq!(value["functions"][0]["sites"][0]["map"], "rbx");
        assert_eq!(value["functions"][0]["sites"][0]["key_len"], "[rsp+0x78]");
        assert_eq!(value["functions"][1]["status"], "absent");
        assert_eq!(value["functions"][2]["reason"], "no way");
    }
}
