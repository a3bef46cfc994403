//! `--assume-go`: the facts of a known version for a program whose own version has none.

use super::{GoFacts, SUPPORTED, supported};
use crate::target::error::TargetError;
use crate::target::version::{Said, Stage};
use crate::target::{BuildInfo, GoVersion};

/// A supported minor version of Go that the user says a program's maps are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssumedGo {
    minor: u32,
}

impl AssumedGo {
    /// Understands `1.27`, `1.27.3` and `go1.27.3`: all releases of a minor version are alike.
    ///
    /// # Errors
    ///
    /// It is no version, or none that is known here; and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = supported();
        let version = GoVersion::parse(&format!("go{}", text.strip_prefix("go").unwrap_or(text)))
            .ok_or_else(|| {
            format!("not a released version of Go; write one of {known}, like 1.27")
        })?;
        facts_of(version.major, version.minor)
            .map(|facts| Self { minor: facts.minor })
            .ok_or_else(|| format!("nothing is known of its maps; write one of {known}"))
    }

    /// The facts of this version for a program that says it was built by another, or why not.
    pub(super) fn facts(
        self,
        info: &BuildInfo,
        path: &str,
    ) -> Result<&'static GoFacts, TargetError> {
        let refused = |why| {
            Err(TargetError::Assumed {
                path: path.to_owned(),
                found: info.version.clone(),
                assumed: self.to_string(),
                why,
            })
        };
        let numbers = match Said::parse(&info.version).stage {
            Stage::Release(major, minor) | Stage::Candidate(major, minor) => Some((major, minor)),
            Stage::Development | Stage::Unknown => None,
        };
        match numbers {
            Some((1, minor)) if minor == self.minor => {}
            Some((1, minor)) if SUPPORTED.iter().any(|facts| facts.minor == minor) => {
                return refused("whose maps are known and are not assumed to be others");
            }
            Some((1, minor)) if minor < SUPPORTED[0].minor => {
                return refused("which is older than any whose maps are known");
            }
            _ => {}
        }
        facts_of(1, self.minor).ok_or_else(|| TargetError::Version {
            path: path.to_owned(),
            found: info.version.clone(),
            supported: supported(),
        })
    }
}

impl std::fmt::Display for AssumedGo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "go1.{}", self.minor)
    }
}

pub(super) fn facts_of(major: u32, minor: u32) -> Option<&'static GoFacts> {
    let mut known = SUPPORTED.into_iter().filter(|_| major == 1);
    known.find(|facts| facts.minor == minor)
}

#[cfg(test)]
mod tests {
    use super::super::facts;
    use super::*;

    fn assumed(found: &str, assumed: &str) -> Result<(String, u32), TargetError> {
        let info = BuildInfo {
            raw_version: found.to_owned(),
            version: found.to_owned(),
            experiments: Vec::new(),
            settings: Vec::new(),
        };
        let assumed = AssumedGo::parse(assumed).expect("a known version");
        facts(&info, "app", Some(assumed)).map(|found| (found.version.text, found.facts.minor))
    }

    #[test]
    fn versions_are_written_with_and_without_the_word_go() {
        for text in ["1.27", "1.27.3", "go1.27", "go1.27.3"] {
            let version = AssumedGo::parse(text).expect("a known version");
            assert_eq!(version.to_string(), "go1.27", "{text}");
        }
        for text in ["", "27", "go", "1.17", "1.28", "2.27", "1.27rc1", "devel"] {
            let refused = AssumedGo::parse(text).expect_err("not known");
            assert!(
                refused.contains("; write one of Go 1.18 to 1.27"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_program_of_no_release_or_a_newer_one_gets_the_facts_it_is_said_to_need() {
        for found in [
            "devel go1.28-1a2b3c Thu Jan 1",
            "devel +1a2b3c",
            "go1.27-devel_0123456789 Mon Jan 5 15:04:05 2026",
            "go1.26-devel_0123456789",
            "go1.28rc1",
            "go1.28.1",
            "go2.0",
            "custom",
        ] {
            let (version, minor) = assumed(found, "1.27").expect("assumed");
            assert_eq!((version.as_str(), minor), (found, 27));
        }
        assert_eq!(assumed("go1.27rc2", "1.27").expect("assumed").1, 27);
        assert_eq!(assumed("go1.18beta1", "1.18").expect("assumed").1, 18);
    }

    #[test]
    fn a_version_that_is_known_is_not_taken_for_another() {
        for found in [
            "go1.26.6",
            "go1.24",
            "go1.23.9 (Red Hat 1.23.9-1.el9)",
            "go1.26rc1",
            "go1.17.13",
            "go1.4beta1",
        ] {
            let refused = assumed(found, "1.27").expect_err("refused").to_string();
            assert!(
                refused.contains(found) && refused.contains("go1.27"),
                "{refused}"
            );
        }
        let refused = assumed("go1.26.6", "1.27").expect_err("refused");
        assert_eq!(refused.exit_status(), 2);
        assert!(
            refused
                .hint()
                .is_some_and(|hint| hint.contains("without --assume-go"))
        );
    }

    #[test]
    fn the_version_that_a_program_has_may_be_assumed_and_changes_nothing() {
        let info = |version: &str| BuildInfo {
            raw_version: version.to_owned(),
            version: version.to_owned(),
            experiments: Vec::new(),
            settings: Vec::new(),
        };
        let same = AssumedGo::parse("1.23").expect("known");
        let found = facts(&info("go1.23.9"), "app", Some(same)).expect("known");
        assert_eq!(found.assumed, None);
        let found = facts(&info("devel"), "app", Some(same)).expect("assumed");
        assert_eq!(found.assumed, Some(same));
    }

    #[test]
    fn experiments_of_a_program_count_for_the_version_that_is_assumed() {
        let info = BuildInfo {
            raw_version: "devel go1.28-1a2b3c X:tomorrow".to_owned(),
            version: "devel go1.28-1a2b3c".to_owned(),
            experiments: vec!["tomorrow".to_owned()],
            settings: Vec::new(),
        };
        let refused = facts(&info, "app", AssumedGo::parse("1.27").ok()).expect_err("refused");
        assert!(
            refused.to_string().contains("GOEXPERIMENT=tomorrow"),
            "{refused}"
        );
    }
}
