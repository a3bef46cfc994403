//! The version of Go that a program says it was built by, in all the forms that there are.
//!
//! Releases and candidates are named in the file `VERSION` of Go's sources, development versions by `cmd/dist`, vendors
//! add their own words, and the linker adds the experiments.

use super::GoVersion;

/// A version, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    /// All of it but the experiments.
    pub(crate) text: &'a str,
    /// Experiments that differ from the version's own choice: `noswissmap`, `mapsplitgroup`.
    pub(crate) experiments: Vec<&'a str>,
    /// What it is a version of.
    pub(crate) stage: Stage,
}

/// How far a version is from a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is one, perhaps a vendor's: major and minor number.
    Release(u32, u32),
    /// It leads up to one: `go1.27rc1`.
    Candidate(u32, u32),
    /// It is of any day between two releases, and so may be like either.
    Development,
    /// No form that is known.
    Unknown,
}

impl<'a> Said<'a> {
    /// Understands all of a version's text.
    pub(crate) fn parse(raw: &'a str) -> Self {
        let (text, experiments) = split_experiments(raw);
        let names = experiments.split([',', ' ']);
        Self {
            text,
            experiments: names.filter(|name| !name.is_empty()).collect(),
            stage: stage(text),
        }
    }
}

impl GoVersion {
    /// The version of a release; `None` for what was never released: its maps may be like no release's.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match stage(text) {
            Stage::Release(major, minor) => Some(Self {
                major,
                minor,
                text: text.to_owned(),
            }),
            Stage::Candidate(..) | Stage::Development | Stage::Unknown => None,
        }
    }
}

/// Behind a blank, and since Go 1.26 behind a dash unless the version has one already.
// Go 1.21..1.25 cmd/link/internal/ld/main.go: says "buildVersion += " X:" + goexperiment"
// Go 1.26..1.27 cmd/link/internal/ld/main.go: says "buildVersion += sep + "X:" + goexperiment"
fn split_experiments(raw: &str) -> (&str, &str) {
    let mut places = raw.match_indices("X:");
    let place = places.find_map(|(place, _)| raw[..place].strip_suffix([' ', '-']));
    match place {
        Some(text) => (text, &raw[text.len() + " X:".len()..]),
        None => (raw, ""),
    }
}

fn stage(text: &str) -> Stage {
    // Go 1.21..1.24 cmd/dist/build.go: says "version := fmt.Sprintf("devel go1.%s-", m[1])"
    if text == "devel" || text.starts_with("devel ") {
        return Stage::Development;
    }
    let Some(rest) = text.strip_prefix("go") else {
        return Stage::Unknown;
    };
    let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit());
    let (numbers, suffix) = rest.split_at(end.unwrap_or(rest.len()));
    let Some((major, minor)) = major_and_minor(numbers) else {
        return Stage::Unknown;
    };
    if suffix.is_empty() {
        return Stage::Release(major, minor);
    }
    if suffix.starts_with([' ', '\t', '-', '+', '(', '_']) {
        let mut words = suffix.split(|c: char| !c.is_ascii_alphanumeric());
        // Go 1.26..1.27 cmd/dist/build.go: says "version := fmt.Sprintf("go1.%s-devel_", m[1])"
        return if words.any(is_development) {
            Stage::Development
        } else {
            Stage::Release(major, minor)
        };
    }
    let (kind, number) =
        suffix.split_at(suffix.len() - suffix.trim_start_matches(char::is_alphabetic).len());
    let is_numbered = number.starts_with(|c: char| c.is_ascii_digit());
    match kind {
        // Go 1.23..1.27 internal/gover/gover.go: says "Kind  string // "", "alpha", "beta", "rc""
        "alpha" | "beta" | "rc" if is_numbered => Stage::Candidate(major, minor),
        _ => Stage::Unknown,
    }
}

/// The first two of numbers with points between them.
fn major_and_minor(numbers: &str) -> Option<(u32, u32)> {
    let mut numbers = numbers.split('.').map(|number| number.parse().ok());
    let (major, minor) = (numbers.next()??, numbers.next()??);
    numbers
        .all(|number| number.is_some())
        .then_some((major, minor))
}

/// Whether a word of what follows the numbers says that this is no release: vendors build from any day, too.
fn is_development(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(
        letters,
        "devel" | "dev" | "tip" | "nightly" | "snapshot" | "pre" | "alpha" | "beta" | "rc"
    )
}

#[cfg(test)]
mod tests {
    use super::Stage::{Candidate, Development, Release, Unknown};
    use super::*;
    use proptest::prelude::*;

    /// Raw text, what is left without experiments, those, and the stage.
    const TABLE: [(&str, &str, &[&str], Stage); 44] = [
        // Releases: the file VERSION of the toolchains, 1.18 to 1.27.
        ("go1.18", "go1.18", &[], Release(1, 18)),
        ("go1.20", "go1.20", &[], Release(1, 20)),
        ("go1.21.0", "go1.21.0", &[], Release(1, 21)),
        ("go1.27.3", "go1.27.3", &[], Release(1, 27)),
        ("go1.27", "go1.27", &[], Release(1, 27)),
        ("go2.0.1", "go2.0.1", &[], Release(2, 0)),
        // What leads up to them.
        ("go1.27rc1", "go1.27rc1", &[], Candidate(1, 27)),
        ("go1.18beta2", "go1.18beta2", &[], Candidate(1, 18)),
        ("go1.28alpha1", "go1.28alpha1", &[], Candidate(1, 28)),
        ("go1.27rc1-X:simd", "go1.27rc1", &["simd"], Candidate(1, 27)),
        // Development: cmd/dist/build.go before Go 1.17, up to 1.24 and from 1.26 on.
        ("devel", "devel", &[], Development),
        (
            "devel +1a2b3c4 Tue Jan 2 15:04:05 2018 +0000",
            "devel +1a2b3c4 Tue Jan 2 15:04:05 2018 +0000",
            &[],
            Development,
        ),
        (
            "devel go1.28-1a2b3c4d5e Tue Jan 2 15:04:05 2026 +0000",
            "devel go1.28-1a2b3c4d5e Tue Jan 2 15:04:05 2026 +0000",
            &[],
            Development,
        ),
        (
            "devel go1.24-1a2b3c4d5e Tue Jan 2 15:04:05 2024 -0500 X:noswissmap",
            "devel go1.24-1a2b3c4d5e Tue Jan 2 15:04:05 2024 -0500",
            &["noswissmap"],
            Development,
        ),
        (
            "go1.27-devel_0123456789 Mon Jan 5 15:04:05 2026 +0000",
            "go1.27-devel_0123456789 Mon Jan 5 15:04:05 2026 +0000",
            &[],
            Development,
        ),
        (
            "go1.28-devel_0123456789",
            "go1.28-devel_0123456789",
            &[],
            Development,
        ),
        (
            "go1.28-devel_0123456789 Mon Jan 5 15:04:05 2026 +0000 X:simd,arenas",
            "go1.28-devel_0123456789 Mon Jan 5 15:04:05 2026 +0000",
            &["simd", "arenas"],
            Development,
        ),
        ("go1.28-devel", "go1.28-devel", &[], Development),
        // Experiments: cmd/link/internal/ld/main.go up to Go 1.25, and from 1.26 on.
        (
            "go1.24.11 X:noswissmap",
            "go1.24.11",
            &["noswissmap"],
            Release(1, 24),
        ),
        (
            "go1.25.5 X:noswissmap,arenas",
            "go1.25.5",
            &["noswissmap", "arenas"],
            Release(1, 25),
        ),
        (
            "go1.25.5 X:noswissmap arenas",
            "go1.25.5",
            &["noswissmap", "arenas"],
            Release(1, 25),
        ),
        (
            "go1.27.3-X:mapsplitgroup",
            "go1.27.3",
            &["mapsplitgroup"],
            Release(1, 27),
        ),
        (
            "go1.27.3-X:mapsplitgroup,simd",
            "go1.27.3",
            &["mapsplitgroup", "simd"],
            Release(1, 27),
        ),
        (
            "go1.27.3-bigcorp X:simd",
            "go1.27.3-bigcorp",
            &["simd"],
            Release(1, 27),
        ),
        ("go1.27.3-X:", "go1.27.3", &[], Release(1, 27)),
        // Vendors.
        ("go1.22.3-fips", "go1.22.3-fips", &[], Release(1, 22)),
        ("go1.20.0-bigcorp", "go1.20.0-bigcorp", &[], Release(1, 20)),
        ("go1.22.5-1", "go1.22.5-1", &[], Release(1, 22)),
        (
            "go1.24.4 (Red Hat 1.24.4-1.el9)",
            "go1.24.4 (Red Hat 1.24.4-1.el9)",
            &[],
            Release(1, 24),
        ),
        (
            "go1.22.9 (Red Hat 1.22.9-1.el9_5) X:boringcrypto",
            "go1.22.9 (Red Hat 1.22.9-1.el9_5)",
            &["boringcrypto"],
            Release(1, 22),
        ),
        ("go1.23.4+auto", "go1.23.4+auto", &[], Release(1, 23)),
        ("go1.23.4 +auto", "go1.23.4 +auto", &[], Release(1, 23)),
        (
            "go1.23.4 Mon Jan 5 2026",
            "go1.23.4 Mon Jan 5 2026",
            &[],
            Release(1, 23),
        ),
        (
            "go1.19.8 EXTRAX:y",
            "go1.19.8 EXTRAX:y",
            &[],
            Release(1, 19),
        ),
        (
            "go1.22-20240109-RC01 cl/597041403 +dcbe772469 X:loopvar",
            "go1.22-20240109-RC01 cl/597041403 +dcbe772469",
            &["loopvar"],
            Development,
        ),
        ("go1.26.1-nightly", "go1.26.1-nightly", &[], Development),
        // No form of a version.
        ("", "", &[], Unknown),
        ("go", "go", &[], Unknown),
        ("go1", "go1", &[], Unknown),
        ("go1.", "go1.", &[], Unknown),
        ("go1.27.", "go1.27.", &[], Unknown),
        ("go1.27foo", "go1.27foo", &[], Unknown),
        ("go1.18.1b7", "go1.18.1b7", &[], Unknown),
        ("custom", "custom", &[], Unknown),
    ];

    #[test]
    fn every_form_of_a_version_is_what_it_is() {
        for (raw, text, experiments, stage) in TABLE {
            let said = Said::parse(raw);
            let expected = Said {
                text,
                experiments: experiments.to_vec(),
                stage,
            };
            assert_eq!(said, expected, "{raw}");
        }
    }

    #[test]
    fn only_releases_are_versions_whose_facts_are_known() {
        for (_, text, _, stage) in TABLE {
            let version = GoVersion::parse(text);
            let numbers = version.map(|version| Release(version.major, version.minor));
            assert_eq!(
                numbers,
                matches!(stage, Release(..)).then_some(stage),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_ends_in_an_answer_and_its_experiments_are_found(
            text in "(go|devel )?[0-9.]{0,8}[ -~]{0,20}",
            names in proptest::collection::vec("[a-z0-9]{1,9}", 1..4),
        ) {
            let said = Said::parse(&text);
            prop_assert!(text.starts_with(said.text));
            prop_assume!(!text.contains("X:"));
            for separator in [" ", "-"] {
                let raw = format!("{text}{separator}X:{}", names.join(","));
                let with = Said::parse(&raw);
                prop_assert_eq!((with.text, with.stage), (said.text, said.stage));
                prop_assert_eq!(&with.experiments, &names);
            }
        }

        #[test]
        fn any_characters_end_in_an_answer(text in ".*") {
            let _ = Said::parse(&text);
        }
    }
}
