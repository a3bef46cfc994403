//! The facts about each version of Go: one file per family of maps, one entry per version.
//!
//! A further version is a further entry; nothing else in the program knows versions.

mod assume;
mod classic;
mod swiss;

pub use assume::AssumedGo;

use super::error::TargetError;
use super::lines::FrameLayout;
use super::moduledata::ModuleLayout;
use super::{BuildInfo, GoMaps, GoVersion};

/// What is known of one minor version.
#[derive(Debug)]
pub(crate) struct GoFacts {
    /// 27 for Go 1.27: the facts hold for all its releases.
    minor: u32,
    /// Its maps.
    pub(crate) maps: GoMaps,
    /// Its module data.
    pub(crate) module: ModuleLayout,
    /// What its functions carry.
    pub(crate) frames: FrameLayout,
    /// Bits that the kind byte of a type may have beside the kind.
    pub(crate) kind_flags: u8,
    /// How far the offset of a struct's field is shifted left in its descriptor.
    pub(crate) field_offset_shift: u32,
    /// Whether the oracle was never built by it, for want of a toolchain (`docs/real-programs.md` has what was seen).
    pub(crate) untested: bool,
}

/// Every supported version as it is built by default, the oldest first.
const SUPPORTED: [&GoFacts; 10] = [
    &classic::GO_1_18,
    &classic::GO_1_19,
    &classic::GO_1_20,
    &classic::GO_1_21,
    &classic::GO_1_22,
    &classic::GO_1_23,
    &swiss::GO_1_24,
    &swiss::GO_1_25,
    &swiss::GO_1_26,
    &swiss::GO_1_27,
];

/// What an experiment means for maps.
enum Effect {
    /// Nothing.
    None,
    /// Other facts hold.
    Facts(&'static GoFacts),
    /// It cannot be probed, for this reason.
    Refused(&'static str),
}

/// Experiments that leave maps, types, the function table and the calling convention as they are.
/// (Go: `internal/goexperiment/flags.go`, 1.21 to 1.27.)
const HARMLESS: [&str; 29] = [
    "aliastypeparams",
    "allocheaders",
    "arenas",
    "boringcrypto",
    "cacheprog",
    "cgocheck2",
    "coverageredesign",
    "dwarf5",
    "exectracer2",
    "fieldtrack",
    "goroutineleakprofile",
    "greenteagc",
    "heapminimum512kib",
    "jsonv2",
    "loopvar",
    "newinliner",
    "pagetrace",
    "preemptibleloops",
    "randomizedheapbase64",
    "range",
    "rangefunc",
    "runtimefreegc",
    "runtimesecret",
    "sizespecializedmalloc",
    "spinbitmutex",
    "staticlockranking",
    "synchashtriemap",
    "synctest",
    "unified",
];

fn effect(minor: u32, experiment: &str) -> Effect {
    match (minor, experiment) {
        (24, "noswissmap") => Effect::Facts(&classic::GO_1_24),
        (25, "noswissmap") => Effect::Facts(&classic::GO_1_25),
        (27, "mapsplitgroup") => Effect::Facts(&swiss::GO_1_27_SPLIT),
        // Hashes short keys in place, with vector instructions: the planner proves no site in the functions for such
        // keys, so that they are named as not covered. Maps are laid out as ever.
        (27, "simd") => Effect::None,
        (_, name) if HARMLESS.contains(&name.strip_prefix("no").unwrap_or(name)) => Effect::None,
        _ => Effect::Refused("of which it is not known whether it changes maps"),
    }
}

/// What holds for a binary.
#[derive(Debug)]
pub(crate) struct Found {
    /// The version that it says, with the numbers of the one whose facts hold.
    pub(crate) version: GoVersion,
    /// The facts.
    pub(crate) facts: &'static GoFacts,
    /// The version whose facts they are, if the user said that they hold.
    pub(crate) assumed: Option<AssumedGo>,
}

/// The version and the facts that hold for a binary, or why there are none.
pub(crate) fn facts(
    info: &BuildInfo,
    path: &str,
    assumed: Option<AssumedGo>,
) -> Result<Found, TargetError> {
    let version = GoVersion::parse(&info.version);
    let known = version.and_then(|version| {
        let facts = assume::facts_of(version.major, version.minor)?;
        Some((version, facts))
    });
    // A version that is known stays what it is.
    let (version, mut facts, assumed) = match (known, assumed) {
        (Some((version, facts)), None) => (version, facts, None),
        (Some((version, facts)), Some(assumed)) => {
            assumed.facts(info, path)?;
            (version, facts, None)
        }
        (None, Some(assumed)) => {
            let facts = assumed.facts(info, path)?;
            let version = GoVersion {
                major: 1,
                minor: facts.minor,
                text: info.version.clone(),
            };
            (version, facts, Some(assumed))
        }
        (None, None) => {
            return Err(TargetError::Version {
                path: path.to_owned(),
                found: info.raw_version.clone(),
                supported: supported(),
            });
        }
    };
    for experiment in &info.experiments {
        match effect(version.minor, experiment) {
            Effect::None => {}
            Effect::Facts(others) => facts = others,
            Effect::Refused(why) => {
                return Err(TargetError::Experiment {
                    path: path.to_owned(),
                    version: version.text,
                    experiment: experiment.clone(),
                    why,
                });
            }
        }
    }
    Ok(Found {
        version,
        facts,
        assumed,
    })
}

/// `Go 1.18 to 1.27`.
fn supported() -> String {
    let minors = SUPPORTED.map(|facts| facts.minor);
    let runs: Vec<String> = minors
        .chunk_by(|one, next| one + 1 == *next)
        .map(|run| match run {
            [first, .., last] => format!("Go 1.{first} to 1.{last}"),
            _ => format!("Go 1.{}", run[0]),
        })
        .collect();
    runs.join(" and ")
}

/// The facts of every version and experiment.
#[cfg(any(test, fuzzing))]
pub(crate) fn every() -> impl Iterator<Item = &'static GoFacts> {
    let by_experiment = [&classic::GO_1_24, &classic::GO_1_25, &swiss::GO_1_27_SPLIT];
    SUPPORTED.into_iter().chain(by_experiment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::MapLayout;
    use map_probe_common::op::Op;
    use std::collections::HashSet;

    fn layout(version: &str, experiments: &[&str]) -> Result<MapLayout, TargetError> {
        let info = BuildInfo {
            raw_version: version.to_owned(),
            version: version.to_owned(),
            experiments: experiments.iter().map(ToString::to_string).collect(),
            settings: Vec::new(),
        };
        facts(&info, "app", None).map(|found| found.facts.maps.name)
    }

    #[test]
    fn each_supported_version_has_its_layout() {
        for version in [
            "go1.18",
            "go1.19.8",
            "go1.20.14",
            "go1.21.13",
            "go1.22.0",
            "go1.23.9",
        ] {
            assert_eq!(layout(version, &[]).expect("known"), MapLayout::Classic);
        }
        for version in ["go1.24.11", "go1.25.5", "go1.26.6", "go1.27.3"] {
            assert_eq!(layout(version, &[]).expect("known"), MapLayout::Swiss);
        }
        for version in ["go1.24.11", "go1.25.5"] {
            assert_eq!(
                layout(version, &["noswissmap"]).expect("known"),
                MapLayout::Classic
            );
        }
        assert_eq!(
            layout("go1.27", &["nojsonv2"]).expect("known"),
            MapLayout::Swiss
        );
        assert_eq!(
            layout("go1.27.3", &["mapsplitgroup"]).expect("known"),
            MapLayout::SwissSplit
        );
    }

    #[test]
    fn versions_of_which_there_was_no_toolchain_are_untested() {
        let untested = every().filter(|facts| facts.untested);
        let minors: Vec<_> = untested.map(|facts| facts.minor).collect();
        assert_eq!(minors, [18, 20]);
    }

    #[test]
    fn an_unknown_version_is_refused_with_what_is_known_instead() {
        for version in ["go1.17.13", "go1.28.0"] {
            let refused = layout(version, &[]).expect_err("not supported");
            let text = refused.to_string();
            assert!(
                text.contains(version) && text.contains("Go 1.18 to 1.27"),
                "{text}"
            );
            assert_eq!(refused.exit_status(), 3);
        }
        assert!(layout("go2.23", &[]).is_err());
        assert!(layout("go1.27rc1", &[]).is_err());
        assert!(layout("devel go1.27-123", &[]).is_err());
        assert!(layout("go1.27-devel_0123456789 Mon Jan 5 2026", &[]).is_err());
    }

    #[test]
    fn an_experiment_that_may_change_maps_is_refused_by_name() {
        for experiment in ["runtimetomorrow", "tomorrow", "nomapsplitgroups"] {
            let refused = layout("go1.27.3", &[experiment]).expect_err("not supported");
            assert!(refused.to_string().contains(experiment), "{refused}");
        }
        assert!(layout("go1.23.9", &["mapsplitgroup"]).is_err());
        assert!(layout("go1.23.9", &["swissmap"]).is_err());
        assert!(layout("go1.26.6", &["noswissmap"]).is_err());
        assert!(layout("go1.19.8", &["noregabiargs"]).is_err());
    }

    #[test]
    fn every_version_counts_each_kind_of_operation_and_names_no_function_twice() {
        for facts in every() {
            let functions = facts.maps.functions;
            for op in [Op::Lookup, Op::Insert, Op::Delete] {
                assert!(functions.iter().any(|function| function.op == op), "{op:?}");
            }
            let symbols: HashSet<_> = functions.iter().map(|function| function.symbol).collect();
            assert_eq!(symbols.len(), functions.len());
        }
    }

    #[test]
    fn header_fields_lie_within_the_words_that_are_read() {
        for facts in every() {
            let layout = facts.maps.layout;
            for field in [
                layout.entries,
                layout.writing,
                layout.shift,
                layout.storage,
                layout.second,
            ] {
                let end = usize::from(field.offset + field.width);
                assert!(end <= map_probe_common::layout::HEADER_WORDS * 8);
            }
        }
    }
}
