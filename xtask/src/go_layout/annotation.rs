//! The facts about Go as they are written down in the code: comments of one form, each above (or behind) the line that
//! relies on it.
//!
//! ```text
//! // Go 1.24..1.27 swiss internal/runtime/maps/map.go: field Map.dirPtr = 16 (8 bytes)
//! storage: Field::at(16, 8),
//! ```
//!
//! First the versions, and the family of maps if the fact holds for one alone; then the file, or files separated by `|`
//! where versions differ (the folder is the first one's); then the fact:
//!
//! | form | what it says |
//! |---|---|
//! | `field T.f.g = 16 (8 bytes)` | offset and size of a field; `.data`, `.len`, `.cap` of a slice are fields too |
//! | `width T.f = 8` | the size of a field alone |
//! | `size T = 48` | bytes of a struct |
//! | `const C = 0x80`, `const C = "text"` | a constant |
//! | `func F(typ, map, uint64)` | a function that programs have, and its parameters |
//! | `F has "text"`, `F lacks "text"` | what the function's source says; blanks do not count |
//! | `says "text"` | what the file says |
//! | `section NAME`, `section NAME in PIE` | a section of programs |
//!
//! Names that differ between versions are separated by `|` as well. The numbers and names have to be in the line of code
//! too: so what is checked is what the code relies on.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use super::toolchain::Family;

/// How every annotation starts.
const MARK: &str = "// Go 1.";

/// A fact and where it is relied on.
#[derive(Clone, Debug)]
pub(super) struct Annotation {
    /// The file of ours, from the workspace's root.
    pub(super) file: PathBuf,
    /// Its line there.
    pub(super) line: usize,
    /// The minor versions it holds for: ranges, both ends included.
    pub(super) minors: Vec<(u32, u32)>,
    /// The family of maps it is about, if it is about one.
    pub(super) family: Option<Family>,
    /// Go's package: the files' folder below `src`.
    pub(super) package: String,
    /// The names of Go's files, of which each version has one.
    pub(super) files: Vec<String>,
    /// What it says.
    pub(super) fact: Fact,
    /// The same as it is written.
    pub(super) text: String,
}

/// What an annotation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fact {
    Field {
        types: Vec<String>,
        path: Vec<String>,
        offset: Option<u64>,
        bytes: Option<u64>,
    },
    Size {
        types: Vec<String>,
        bytes: u64,
    },
    Constant {
        names: Vec<String>,
        value: Value,
    },
    Function {
        name: String,
        parameters: Vec<String>,
    },
    Code {
        function: String,
        text: String,
        has: bool,
    },
    Says(String),
    Section {
        name: String,
        pie: bool,
    },
}

/// A constant's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    Text(String),
}

impl fmt::Display for Annotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.text)
    }
}

/// All annotations of a file of ours, each in agreement with its line of code.
pub(super) fn find(file: &Path, source: &str) -> Result<Vec<Annotation>> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(at) = line.find(MARK) else { continue };
        // `/// Go 1.` is documentation.
        if line[..at].ends_with('/') {
            continue;
        }
        let place = || format!("{}:{}: {}", file.display(), index + 1, line.trim());
        let annotation = parse(file, index + 1, line[at..].trim_end()).with_context(place)?;
        let code = if line[..at].trim().is_empty() {
            code_below(&lines[index + 1..])
        } else {
            line[..at].to_owned()
        };
        annotation.agrees_with(&code).with_context(place)?;
        found.push(annotation);
    }
    Ok(found)
}

/// The line of code that comments stand above; all of a list or call that starts there.
fn code_below(lines: &[&str]) -> String {
    let mut code = String::new();
    for line in lines.iter().map(|line| line.trim()) {
        if code.is_empty() && (line.is_empty() || line.starts_with("//") || line.starts_with("#["))
        {
            continue;
        }
        code.push_str(line);
        code.push(' ');
        let is_open = |open, close| code.matches(open).count() > code.matches(close).count();
        if !is_open('[', ']') && !is_open('(', ')') && !line.ends_with('=') {
            break;
        }
    }
    code
}

fn parse(file: &Path, line: usize, comment: &str) -> Result<Annotation> {
    const FORM: &str = "an annotation is: Go VERSIONS [classic|swiss] FILE: FACT";
    let comment = comment.strip_prefix("// Go ").context(FORM)?;
    let (head, text) = comment.split_once(": ").context(FORM)?;
    let words: Vec<&str> = head.split(' ').collect();
    let (versions, [.., last]) = words.split_at(words.len() - 1) else {
        bail!(FORM)
    };
    let (versions, family) = match versions {
        [versions @ .., "classic"] => (versions, Some(Family::Classic)),
        [versions @ .., "swiss"] => (versions, Some(Family::Swiss)),
        versions => (versions, None),
    };
    let minors = versions.join(" ");
    let minors: Vec<_> = minors.split(", ").map(range).collect::<Result<_>>()?;
    let (package, files) = last
        .rsplit_once('/')
        .filter(|(package, _)| !package.contains('|'))
        .or_else(|| {
            let (first, _) = last.split_once('|')?;
            let (package, _) = first.rsplit_once('/')?;
            Some((package, &last[package.len() + 1..]))
        })
        .context("the file is given by its path below Go's src")?;
    Ok(Annotation {
        file: file.to_owned(),
        line,
        minors,
        family,
        package: package.to_owned(),
        files: names(files),
        fact: fact(text)?,
        text: text.to_owned(),
    })
}

/// `1.24..1.27` or `1.24`.
fn range(text: &str) -> Result<(u32, u32)> {
    let minor = |text: &str| -> Result<u32> {
        let minor = text
            .strip_prefix("1.")
            .context("versions are 1.24 or 1.24..1.27")?;
        Ok(minor.parse()?)
    };
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (minor(first)?, minor(last)?);
    ensure!(first <= last, "no version is from 1.{first} to 1.{last}");
    Ok((first, last))
}

fn fact(text: &str) -> Result<Fact> {
    if let Some(rest) = text.strip_prefix("field ") {
        let (name, value) = rest
            .split_once(" = ")
            .context("field T.f = OFFSET (N bytes)")?;
        let (types, path) = name.split_once('.').context("a field is T.f")?;
        let (offset, bytes) = match value.split_once(" (") {
            Some((offset, bytes)) => {
                let (bytes, _) = bytes.split_once(" byte").context("(N bytes)")?;
                (number(offset)?, Some(number(bytes)?))
            }
            None => (number(value)?, None),
        };
        return Ok(Fact::Field {
            types: names(types),
            path: path.split('.').map(str::to_owned).collect(),
            offset: Some(offset),
            bytes,
        });
    }
    if let Some(rest) = text.strip_prefix("width ") {
        let (name, bytes) = rest.split_once(" = ").context("width T.f = BYTES")?;
        let (types, path) = name.split_once('.').context("a field is T.f")?;
        return Ok(Fact::Field {
            types: names(types),
            path: path.split('.').map(str::to_owned).collect(),
            offset: None,
            bytes: Some(number(bytes)?),
        });
    }
    if let Some(rest) = text.strip_prefix("size ") {
        let (types, bytes) = rest.split_once(" = ").context("size T = BYTES")?;
        return Ok(Fact::Size {
            types: names(types),
            bytes: number(bytes)?,
        });
    }
    if let Some(rest) = text.strip_prefix("const ") {
        let (constants, value) = rest.split_once(" = ").context("const C = VALUE")?;
        let value = match quoted(value) {
            Some(text) => Value::Text(text),
            None => Value::Number(number(value)?),
        };
        return Ok(Fact::Constant {
            names: names(constants),
            value,
        });
    }
    if let Some(rest) = text.strip_prefix("func ") {
        // A method's name has parentheses too: `(*Map).Delete(map, typ, pointer)`.
        let (name, parameters) = rest
            .strip_suffix(')')
            .and_then(|rest| rest.rsplit_once('('))
            .context("func F(PARAMETERS)")?;
        return Ok(Fact::Function {
            name: name.to_owned(),
            parameters: parameters.split(", ").map(str::to_owned).collect(),
        });
    }
    if let Some(rest) = text.strip_prefix("section ") {
        let pie = rest.strip_suffix(" in PIE");
        return Ok(Fact::Section {
            name: pie.unwrap_or(rest).to_owned(),
            pie: pie.is_some(),
        });
    }
    if let Some(rest) = text.strip_prefix("says ") {
        return Ok(Fact::Says(quoted(rest).context("says \"TEXT\"")?));
    }
    for (word, has) in [(" has ", true), (" lacks ", false)] {
        if let Some((function, rest)) = text.split_once(word) {
            return Ok(Fact::Code {
                function: function.to_owned(),
                text: quoted(rest).context("F has \"TEXT\"")?,
                has,
            });
        }
    }
    bail!("this is no fact: {text}")
}

fn names(text: &str) -> Vec<String> {
    text.split('|').map(str::to_owned).collect()
}

fn quoted(text: &str) -> Option<String> {
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(text.to_owned())
}

fn number(text: &str) -> Result<u64> {
    let plain = text.replace('_', "");
    let number = match plain.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => plain.parse(),
    };
    number.with_context(|| format!("{text:?} is no number"))
}

impl Annotation {
    /// Whether its numbers and names are in the code.
    fn agrees_with(&self, code: &str) -> Result<()> {
        let symbol = |name: &str| format!("\"{}.{name}\"", self.package);
        let (numbers, strings) = match &self.fact {
            Fact::Field { offset, bytes, .. } => {
                (offset.iter().chain(bytes).copied().collect(), Vec::new())
            }
            Fact::Size { bytes, .. } => (vec![*bytes], Vec::new()),
            Fact::Constant { value, .. } => match value {
                Value::Number(value) => (vec![*value], Vec::new()),
                Value::Text(text) => (Vec::new(), vec![format!("\"{text}\"")]),
            },
            Fact::Function { name, .. } => (Vec::new(), vec![symbol(name)]),
            Fact::Section { name, .. } => (Vec::new(), vec![format!("\"{name}\"")]),
            Fact::Code { .. } | Fact::Says(_) => (Vec::new(), Vec::new()),
        };
        let mut there = literals(code);
        for wanted in numbers {
            let at = there.iter().position(|number| *number == wanted);
            let Some(at) = at else {
                bail!("{wanted} is not in the code it stands at: {}", code.trim());
            };
            there.remove(at);
        }
        for wanted in strings {
            ensure!(
                code.contains(&wanted),
                "{wanted} is not in the code it stands at: {}",
                code.trim()
            );
        }
        ensure!(
            !code.trim().is_empty(),
            "there is no code that it stands at"
        );
        Ok(())
    }

    /// Whether it holds for a minor version with maps of this family.
    pub(super) fn is_about(&self, minor: u32, family: Family) -> bool {
        let ranges = &mut self.minors.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&minor))
            && self.family.is_none_or(|own| own == family)
    }
}

/// The whole numbers in a line of Rust. Digits within names (`u32`, `fast64`) are none.
fn literals(code: &str) -> Vec<u64> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = code.split(|c| !is_part(c));
    words
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|word| number(word).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "\
        // Go 1.18..1.23, 1.24 classic runtime/map.go|map_noswiss.go: field hmap.B = 9 (1 byte)\n\
        // Any other comment.\n\
        shift: Field::at(9, 1),\n";

    fn problem(source: &str) -> String {
        let error = find(Path::new("a.rs"), source).expect_err("not in order");
        format!("{error:#}")
    }

    #[test]
    fn an_annotation_says_for_which_versions_and_where_and_what() {
        let [fact] = &find(Path::new("a.rs"), CODE).expect("in order")[..] else {
            panic!("one annotation");
        };
        assert_eq!((fact.line, fact.package.as_str()), (1, "runtime"));
        assert_eq!(fact.files, ["map.go", "map_noswiss.go"]);
        assert_eq!(fact.minors, [(18, 23), (24, 24)]);
        assert!(fact.is_about(24, Family::Classic) && !fact.is_about(24, Family::Swiss));
        assert!(!fact.is_about(25, Family::Classic));
        let expected = Fact::Field {
            types: vec!["hmap".into()],
            path: vec!["B".into()],
            offset: Some(9),
            bytes: Some(1),
        };
        assert_eq!(fact.fact, expected);
    }

    #[test]
    fn the_number_has_to_be_the_one_in_the_code() {
        let wrong = problem(&CODE.replace("at(9, 1)", "at(8, 1)"));
        assert!(wrong.contains("9 is not in the code"), "{wrong}");
        let wrong = problem(&CODE.replace("= 9", "= 10"));
        assert!(wrong.contains("10 is not in the code"), "{wrong}");
        let wrong = problem(&CODE.replace("(1 byte)", "(9 bytes)"));
        assert!(wrong.contains("9 is not in the code"), "{wrong}");
        let wrong = problem("// Go 1.21 runtime/map.go: const four = 4\n");
        assert!(wrong.contains("is not in the code"), "{wrong}");
        let wrong = problem(
            "// Go 1.21 runtime/map.go: func mapassign(typ, map, pointer)\n\"runtime.mapassign_fast32\",\n",
        );
        assert!(wrong.contains("\"runtime.mapassign\" is not in"), "{wrong}");
    }

    #[test]
    fn what_looks_like_an_annotation_and_is_none_is_an_error() {
        for line in [
            "// Go 1.24 is when this began.",
            "// Go 1.24..1.23 runtime/map.go: const a = 1",
            "// Go 1.x runtime/map.go: const a = 1",
            "// Go 1.24 map.go: const a = 1",
            "// Go 1.24 runtime/map.go: a is 1",
            "// Go 1.24 runtime/map.go: field hmap.B = one",
        ] {
            let _ = problem(&format!("{line}\nlet a = 1;\n"));
        }
        assert!(
            find(Path::new("a.rs"), "/// Go 1.24 is when this began.\n")
                .expect("fine")
                .is_empty()
        );
    }

    #[test]
    fn numbers_are_read_as_rust_writes_them() {
        assert_eq!(
            literals("[u32; 2] = [0xffff_fff0, 1_000, 8u8.x, -3]"),
            [2, 0xffff_fff0, 1000, 3]
        );
        assert!(literals("fast64(Value32, x1)").is_empty());
    }

    #[test]
    fn code_may_be_before_the_comment_and_lists_go_on_over_lines() {
        let list = "// Go 1.21 runtime/map.go: const a = 1\n// Go 1.21 runtime/map.go: const b = 2\nX: [u8; 5] = [\n1,\n2,\n];\n";
        assert_eq!(find(Path::new("a.rs"), list).expect("in order").len(), 2);
        let behind = "const A: u8 = 4; // Go 1.21 runtime/map.go: const a = 4\nconst B: u8 = 5;\n";
        assert_eq!(find(Path::new("a.rs"), behind).expect("in order").len(), 1);
    }

    #[test]
    fn each_form_of_fact_is_understood() {
        for (text, expected) in [
            (
                "size Type = 48",
                Fact::Size {
                    types: vec!["Type".into()],
                    bytes: 48,
                },
            ),
            (
                "const A|B = 0x80",
                Fact::Constant {
                    names: vec!["A".into(), "B".into()],
                    value: Value::Number(128),
                },
            ),
            (
                "func (*Map).Delete(map, typ)",
                Fact::Function {
                    name: "(*Map).Delete".into(),
                    parameters: vec!["map".into(), "typ".into()],
                },
            ),
            (
                "f lacks \"x y\"",
                Fact::Code {
                    function: "f".into(),
                    text: "x y".into(),
                    has: false,
                },
            ),
            ("says \"x\"", Fact::Says("x".into())),
            (
                "section .go.module in PIE",
                Fact::Section {
                    name: ".go.module".into(),
                    pie: true,
                },
            ),
        ] {
            assert_eq!(fact(text).expect(text), expected);
        }
    }
}
