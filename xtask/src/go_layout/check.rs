//! One fact against one toolchain.

use std::fmt;

use super::annotation::{Annotation, Fact, Value};
use super::toolchain::{Build, Package};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is about other versions, or the other family of maps.
    NotApplicable,
    /// It holds, by these.
    Holds(Evidence),
    /// It would need what this run does not do.
    NotTried,
    /// It does not hold, because of this.
    Fails(String),
}

/// What a fact was found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// The sources.
    Sources,
    /// A program: its DWARF, symbols or sections.
    Program,
    /// Both.
    Both,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotApplicable => "-",
            Self::Holds(Evidence::Both) => "ok",
            Self::Holds(Evidence::Sources) => "source",
            Self::Holds(Evidence::Program) => "program",
            Self::NotTried => "?",
            Self::Fails(_) => "FAIL",
        })
    }
}

/// Checks a fact.
pub(super) fn check(annotation: &Annotation, build: &Build) -> Verdict {
    if !annotation.is_about(build.minor, build.family) {
        return Verdict::NotApplicable;
    }
    let check = Check { annotation, build };
    match check.fact() {
        Ok(verdict) => verdict,
        Err(reason) => Verdict::Fails(reason),
    }
}

struct Check<'a> {
    annotation: &'a Annotation,
    build: &'a Build,
}

impl<'a> Check<'a> {
    fn fact(&self) -> Result<Verdict, String> {
        match &self.annotation.fact {
            Fact::Field {
                types,
                path,
                offset,
                bytes,
            } => self.field(types, &path.join("."), *offset, *bytes),
            Fact::Size { types, bytes } => {
                let (name, size) = self.sources(types, |package, name| {
                    let found = package.structs.get(name)?;
                    Some((found.size, found.file.as_str()))
                })?;
                let program = self.build.program.structs.get(&self.qualified(name));
                same(&size, bytes, "the sources say")?;
                program.map_or(Ok(()), |program| same(&program.size, bytes, "DWARF says"))?;
                Ok(by(program.is_some()))
            }
            Fact::Constant { names, value } => {
                let (_, found) = self.sources(names, |package, name| {
                    let found = package.constants.get(name)?;
                    Some((found.value.as_str(), found.file.as_str()))
                })?;
                match value {
                    Value::Number(number) => {
                        same(&found, &number.to_string().as_str(), "the sources say")?;
                    }
                    Value::Text(text) => same(&found, &text.as_str(), "the sources say")?,
                }
                Ok(by(false))
            }
            Fact::Function { name, parameters } => self.function(name, parameters),
            Fact::Code {
                function,
                text,
                has,
            } => {
                let sources = self.files()?;
                let body = sources.iter().find_map(|source| body(source, function));
                let body = body.ok_or_else(|| format!("there is no func {function}"))?;
                match (squeezed(body).contains(&squeezed(text)), has) {
                    (true, true) | (false, false) => Ok(by(false)),
                    (false, true) => Err(format!("{function} has no {text:?}")),
                    (true, false) => Err(format!("{function} has {text:?}")),
                }
            }
            Fact::Says(text) => {
                let says = |source: &String| squeezed(source).contains(&squeezed(text));
                if self.files()?.iter().any(says) {
                    Ok(by(false))
                } else {
                    Err(format!("the file does not say {text:?}"))
                }
            }
            Fact::Section { name, pie } => {
                let program = &self.build.program;
                let sections = if *pie {
                    program.pie_sections.as_ref()
                } else {
                    Some(&program.sections)
                };
                match sections {
                    None => Ok(Verdict::NotTried),
                    Some(sections) if sections.contains(name) => {
                        Ok(Verdict::Holds(Evidence::Program))
                    }
                    Some(_) => Err("the program has no such section".to_owned()),
                }
            }
        }
    }

    fn field(
        &self,
        types: &[String],
        path: &str,
        offset: Option<u64>,
        bytes: Option<u64>,
    ) -> Result<Verdict, String> {
        let (name, fields) = self.sources(types, |package, name| {
            let found = package.structs.get(name)?;
            Some((&found.fields, found.file.as_str()))
        })?;
        let agrees = |[at, size]: [u64; 2], who: &str| {
            offset.map_or(Ok(()), |offset| same(&at, &offset, who))?;
            bytes.map_or(Ok(()), |bytes| {
                same(&size, &bytes, &format!("as its size {who}"))
            })
        };
        let found = fields
            .get(path)
            .ok_or_else(|| format!("{name} has no field {path}"))?;
        agrees(*found, "the sources say")?;
        let program = self.build.program.structs.get(&self.qualified(name));
        let program = program.and_then(|program| program.fields.get(path));
        program.map_or(Ok(()), |found| agrees(*found, "DWARF says"))?;
        Ok(by(program.is_some()))
    }

    fn function(&self, name: &str, parameters: &[String]) -> Result<Verdict, String> {
        let names = [name.to_owned()];
        let (_, found) = self.sources(&names, |package, name| {
            let found = package.functions.get(name)?;
            Some((&found.parameters, found.file.as_str()))
        })?;
        let found: Vec<&str> = found.iter().map(|parameter| plain(parameter)).collect();
        same(
            &found.join(", "),
            &parameters.join(", "),
            "its parameters are",
        )?;
        let symbol = self.qualified(name);
        if !self.build.program.symbols.contains(&symbol) {
            return Err(format!("the program has no symbol {symbol}"));
        }
        Ok(by(true))
    }

    fn qualified(&self, name: &str) -> String {
        format!("{}.{name}", self.annotation.package)
    }

    /// The first of the names that the package has, with what `find` finds; declared in one of the fact's files.
    fn sources<'n, T>(
        &self,
        names: &'n [String],
        find: impl Fn(&'a Package, &str) -> Option<(T, &'a str)>,
    ) -> Result<(&'n str, T), String> {
        let Annotation { package, files, .. } = self.annotation;
        let sources = self
            .build
            .packages
            .get(package)
            .ok_or_else(|| format!("there is no package {package}"))?;
        let found = names
            .iter()
            .find_map(|name| Some((name, find(sources, name)?)));
        let (name, (found, file)) =
            found.ok_or_else(|| format!("{package} has no {}", names.join(" or ")))?;
        if !files.iter().any(|listed| listed == file) {
            return Err(format!("{name} is in {file}"));
        }
        Ok((name, found))
    }

    /// The texts of those files that this version has.
    fn files(&self) -> Result<Vec<String>, String> {
        let folder = self.build.sources.join(&self.annotation.package);
        let files = self.annotation.files.iter().map(|file| folder.join(file));
        let there = files.filter(|file| file.is_file());
        let texts: Result<Vec<String>, _> = there.map(std::fs::read_to_string).collect();
        let texts = texts.map_err(|error| error.to_string())?;
        if texts.is_empty() {
            return Err("there is no such file".to_owned());
        }
        Ok(texts)
    }
}

fn by(program: bool) -> Verdict {
    Verdict::Holds(if program {
        Evidence::Both
    } else {
        Evidence::Sources
    })
}

fn same<T: PartialEq + fmt::Display>(found: &T, expected: &T, who: &str) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{who} {found}, not {expected}"))
    }
}

/// A parameter's type in the words that all versions share.
fn plain(parameter: &str) -> &str {
    match parameter {
        "*maptype" | "*MapType" | "*SwissMapType" | "*OldMapType" => "typ",
        "*hmap" | "*Map" => "map",
        "Pointer" => "pointer",
        other => other,
    }
}

/// The source of a function, up to the brace that ends it. `(*Map).Delete` is a method.
fn body<'s>(source: &'s str, function: &str) -> Option<&'s str> {
    let (receiver, name) = match function.rsplit_once('.') {
        Some((receiver, name)) => (Some(receiver.trim_matches(['(', ')'])), name),
        None => (None, function),
    };
    let mut start = 0;
    for line in source.split_inclusive('\n') {
        let is_it = line
            .strip_prefix("func ")
            .is_some_and(|rest| match receiver {
                None => rest
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('(')),
                Some(receiver) => rest
                    .strip_prefix('(')
                    .and_then(|rest| rest.split_once(") "))
                    .is_some_and(|(of, rest)| {
                        of.rsplit(' ')
                            .next()
                            .is_some_and(|of| receiver.split('|').any(|name| name == of))
                            && rest
                                .strip_prefix(name)
                                .is_some_and(|rest| rest.starts_with('('))
                    }),
            });
        if is_it {
            let rest = &source[start..];
            return Some(&rest[..rest.find("\n}").unwrap_or(rest.len())]);
        }
        start += line.len();
    }
    None
}

/// Without blanks: gofmt's may differ from ours.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go_layout::annotation;
    use crate::go_layout::program::{self, Program};
    use crate::go_layout::toolchain::{Constant, Family, Function, Struct};
    use std::path::Path;

    /// A toolchain with a struct, a constant, a function and a file.
    fn build(sources: &Path) -> Build {
        let fields = [("B".to_owned(), [9, 1])];
        let mut package = Package::default();
        let hmap = Struct {
            file: "map.go".into(),
            size: 48,
            fields: fields.clone().into(),
        };
        package.structs.insert("hmap".into(), hmap);
        let four = Constant {
            value: "4".into(),
            file: "map.go".into(),
        };
        package.constants.insert("hashWriting".into(), four);
        let function = Function {
            file: "map.go".into(),
            parameters: vec!["*maptype".into(), "*hmap".into(), "Pointer".into()],
        };
        package.functions.insert("mapassign".into(), function);
        let mut program = Program::default();
        let hmap = program::Struct {
            size: 48,
            fields: fields.into(),
        };
        program.structs.insert("runtime.hmap".into(), hmap);
        program.symbols.insert("runtime.mapassign".into());
        program.sections.insert(".gopclntab".into());
        std::fs::create_dir_all(sources.join("runtime")).expect("made");
        let text = "package runtime\n\nfunc mapassign_fast64(t *maptype) {\n}\n\nfunc mapassign(t *maptype) {\n\tfor {\n\t\tbreak  bucketloop\n\t}\n}\n\nfunc (m *Map) Delete() {\n\tdelete it\n}\n";
        std::fs::write(sources.join("runtime/map.go"), text).expect("written");
        Build {
            name: "1.23.9".into(),
            minor: 23,
            family: Family::Classic,
            sources: sources.to_owned(),
            packages: [("runtime".to_owned(), package)].into(),
            program,
        }
    }

    /// The verdict on a fact, with code that agrees with it.
    fn verdict(head: &str, fact: &str, change: impl FnOnce(&mut Build)) -> Verdict {
        let folder = tempfile::tempdir().expect("a folder");
        let mut build = build(folder.path());
        change(&mut build);
        let code = "(9, 1, 8, 2, 48, 40, 4, 5, \"runtime.mapassign\", \"runtime.other\", \".gopclntab\", \".none\")";
        let source = format!("// Go {head} runtime/map.go: {fact}\n{code}\n");
        let found = annotation::find(Path::new("a.rs"), &source).expect("in order");
        check(&found[0], &build)
    }

    fn of(fact: &str) -> Verdict {
        verdict("1.18..1.23", fact, |_| {})
    }

    #[test]
    fn what_is_so_holds_by_the_sources_and_the_program() {
        assert_eq!(
            of("field hmap.B = 9 (1 byte)"),
            Verdict::Holds(Evidence::Both)
        );
        assert_eq!(of("field gone|hmap.B = 9"), Verdict::Holds(Evidence::Both));
        assert_eq!(of("size hmap = 48"), Verdict::Holds(Evidence::Both));
        assert_eq!(
            of("const hashWriting = 4"),
            Verdict::Holds(Evidence::Sources)
        );
        assert_eq!(
            of("func mapassign(typ, map, pointer)"),
            Verdict::Holds(Evidence::Both)
        );
        assert_eq!(
            of("mapassign has \"break bucketloop\""),
            Verdict::Holds(Evidence::Sources)
        );
        assert_eq!(
            of("mapassign_fast64 lacks \"bucketloop\""),
            Verdict::Holds(Evidence::Sources)
        );
        assert_eq!(
            of("(*Map).Delete has \"delete\""),
            Verdict::Holds(Evidence::Sources)
        );
        assert_eq!(
            of("says \"package runtime\""),
            Verdict::Holds(Evidence::Sources)
        );
        assert_eq!(of("section .gopclntab"), Verdict::Holds(Evidence::Program));
        assert_eq!(of("section .gopclntab in PIE"), Verdict::NotTried);
    }

    #[test]
    fn what_is_not_so_fails() {
        for wrong in [
            "field hmap.B = 8 (1 byte)",
            "field hmap.B = 9 (2 bytes)",
            "field hmap.C = 9",
            "field gone.B = 9",
            "size hmap = 40",
            "const hashWriting = 5",
            "const hashReading = 4",
            "func mapassign(map, typ, pointer)",
            "func other(typ)",
            "mapassign lacks \"bucketloop\"",
            "mapassign_fast64 has \"bucketloop\"",
            "gone lacks \"bucketloop\"",
            "(*Map).Insert has \"delete\"",
            "says \"package main\"",
            "section .none",
        ] {
            assert!(
                matches!(of(wrong), Verdict::Fails(_)),
                "{wrong}: {:?}",
                of(wrong)
            );
        }
    }

    #[test]
    fn sources_and_program_both_have_to_agree() {
        let moved = |build: &mut Build| {
            let hmap = build
                .program
                .structs
                .get_mut("runtime.hmap")
                .expect("there");
            hmap.fields.insert("B".into(), [8, 1]);
        };
        let verdict_ = verdict("1.23", "field hmap.B = 9 (1 byte)", moved);
        assert!(
            matches!(&verdict_, Verdict::Fails(why) if why.contains("DWARF")),
            "{verdict_:?}"
        );
        let gone = |build: &mut Build| build.program.symbols.clear();
        let verdict_ = verdict("1.23", "func mapassign(typ, map, pointer)", gone);
        assert!(
            matches!(&verdict_, Verdict::Fails(why) if why.contains("symbol")),
            "{verdict_:?}"
        );
        let elsewhere = |build: &mut Build| {
            let package = build.packages.get_mut("runtime").expect("there");
            package.structs.get_mut("hmap").expect("there").file = "map2.go".into();
        };
        let verdict_ = verdict("1.23", "size hmap = 48", elsewhere);
        assert!(
            matches!(&verdict_, Verdict::Fails(why) if why.contains("map2.go")),
            "{verdict_:?}"
        );
    }

    #[test]
    fn facts_of_other_versions_and_families_are_not_looked_at() {
        for head in ["1.24..1.27", "1.18..1.22", "1.18..1.27 swiss"] {
            let verdict = verdict(head, "field hmap.B = 8", |_| {});
            assert_eq!(verdict, Verdict::NotApplicable, "{head}");
        }
    }
}
