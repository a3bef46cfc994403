//! Command lines that are understood, and those that are refused.

use super::*;

fn parsed(line: &str) -> Result<Request, Failure> {
    parse(line.split_whitespace().map(OsString::from))
}

fn probe(line: &str) -> Probe {
    match parsed(line) {
        Ok(Request::Probe(probe)) => *probe,
        other => panic!("{line}: {other:?}"),
    }
}

/// What the user sees of a refusal, of any command.
pub(super) fn refused(line: &str) -> String {
    let Err(failure) = parsed(line) else {
        panic!("{line}: not refused");
    };
    assert_eq!(failure.status(), Status::Usage, "{line}");
    let mut story = Vec::new();
    failure
        .explain(&mut story)
        .expect("memory can be written to");
    let story = String::from_utf8(story).expect("UTF-8");
    assert!(
        story.starts_with("error: ") && story.contains("\n\nhint: "),
        "{story}"
    );
    assert_eq!(story.matches("error: ").count(), 1, "{story}");
    story
}

#[test]
fn a_pid_is_all_it_takes() {
    let probe = probe("map-probe --pid 4711");
    assert_eq!(probe.target, Target::Pid(4711));
    assert_eq!(probe.duration, None);
    assert_eq!(probe.interval, Duration::from_secs(1));
    assert_eq!(probe.format, Format::Text);
    assert_eq!(probe.output, None);
    assert_eq!(probe.bound, Some(0.01));
    assert_eq!(probe.verbosity, 0);
}

#[test]
fn every_option_is_understood() {
    let probe = probe(
        "map-probe --pid 1 --duration 1m30s --interval 500ms --format ndjson --max-overhead off --output r.json -vv",
    );
    assert_eq!(probe.duration, Some(Duration::from_secs(90)));
    assert_eq!(probe.interval, Duration::from_millis(500));
    assert_eq!(probe.format, Format::Ndjson);
    assert_eq!(probe.output, Some(PathBuf::from("r.json")));
    assert_eq!(probe.bound, None);
    assert_eq!(probe.verbosity, 2);
}

#[test]
fn a_command_takes_all_that_follows_the_dashes() {
    let probe = probe("map-probe --format json -- ./server --pid 7 -v -- sites");
    assert_eq!(probe.format, Format::Json);
    let command = ["./server", "--pid", "7", "-v", "--", "sites"].map(OsString::from);
    assert_eq!(probe.target, Target::Command(command.to_vec()));
}

#[test]
fn the_sites_of_a_binary_are_text_or_json() {
    for (line, expected) in [
        ("map-probe sites ./server", SitesFormat::Text),
        ("map-probe sites ./server --format json", SitesFormat::Json),
    ] {
        let Ok(Request::Sites(sites)) = parsed(line) else {
            panic!("{line}: not understood");
        };
        assert_eq!(sites.binary, PathBuf::from("./server"));
        assert_eq!(sites.format, expected);
    }
    assert!(refused("map-probe sites").contains("<BINARY>"));
}

#[test]
fn no_target_is_refused_with_both_ways_to_name_one() {
    for line in ["map-probe", "map-probe --duration 1s", "map-probe --"] {
        let story = refused(line);
        assert!(
            story.contains("--pid PID") && story.contains("-- COMMAND"),
            "{story}"
        );
    }
}

#[test]
fn a_process_and_a_command_exclude_each_other() {
    assert!(refused("map-probe --pid 1 -- ./server").contains("cannot be used with"));
    assert!(refused("map-probe --pid 1 sites ./server").contains("map-probe sites BINARY"));
}

#[test]
fn a_command_without_the_dashes_is_told_of_them() {
    for line in ["map-probe ./server", "map-probe --duration 1s ./server"] {
        let story = refused(line);
        assert!(
            story.contains("hint: a command to start goes after --"),
            "{story}"
        );
    }
}

#[test]
fn values_that_make_no_sense_are_refused_with_what_would() {
    for (line, words) in [
        ("map-probe --pid 0", "0 is not in 1.."),
        ("map-probe --pid -1", "'-1'"),
        ("map-probe --pid self", "'self'"),
        ("map-probe --pid 1 --duration 0s", "no time at all"),
        (
            "map-probe --pid 1 --duration 10",
            "\n\nhint: write a number and its unit, like 500ms, 10s",
        ),
        ("map-probe --pid 1 --interval 1ns", "10ms"),
        ("map-probe --pid 1 --max-overhead 1", "0.5%"),
        ("map-probe --pid 1 --max-overhead 101%", "from 0.1% to 100%"),
        ("map-probe --pid 1 --format xml", "ndjson"),
        (
            "map-probe --pid 1 --formt json",
            "hint: a similar argument exists: '--format'",
        ),
    ] {
        let story = refused(line);
        assert!(story.contains(words), "{line}: {story}");
    }
}

#[test]
fn what_this_version_does_not_have_is_refused_with_what_it_has() {}

#[test]
fn help_teaches_and_fits_the_screen() {
    let Ok(Request::Explain(help)) = parsed("map-probe --help") else {
        panic!("no help");
    };
    assert_eq!(help.exit_code(), 0);
    let help = help.render().to_string();
    for words in [
        "map-probe --pid <PID> [OPTIONS]",
        "Examples:",
        "Exit status:",
        "small_counted",
        "CAP_BPF",
        "lost ",
        "faults ",
        "torn ",
        "truncated ",
        "µs",
    ] {
        assert!(help.contains(words), "{words} is missing from\n{help}");
    }
    let after = help::MORE.lines();
    let wide: Vec<_> = after.filter(|line| line.chars().count() > 100).collect();
    assert_eq!(wide, [""; 0]);
}

#[test]
fn the_definition_of_the_command_line_is_sound() {
    use clap::CommandFactory;
    CommandLine::command().debug_assert();
}

#[test]
fn a_recording_is_a_run_that_writes_a_profile() {
    let recording = probe("map-probe record --pid 4711 --duration 30s -o maps.pb.gz");
    assert_eq!(recording.target, Target::Pid(4711));
    assert_eq!(recording.format, Format::Pprof);
    assert_eq!(recording.duration, Some(Duration::from_secs(30)));
    assert_eq!(recording.output, Some(PathBuf::from("maps.pb.gz")));
    assert_eq!(recording.json, None);
    let recording = probe("map-probe record --json r.json -- ./server -o x");
    assert_eq!(recording.output, Some(PathBuf::from("maps.pb.gz")));
    assert_eq!(recording.json, Some(PathBuf::from("r.json")));
    let command = ["./server", "-o", "x"].map(OsString::from);
    assert_eq!(recording.target, Target::Command(command.to_vec()));
    assert!(refused("map-probe record").contains("--pid PID"));
    assert!(refused("map-probe record --pid 1 --format json").contains("--format"));
}

#[test]
fn completions_and_the_man_page_are_subcommands() {
    let Ok(Request::Generate(what)) = parsed("map-probe completions zsh") else {
        panic!("not understood");
    };
    assert_eq!(what, Generate::Completions(clap_complete::Shell::Zsh));
    let Ok(Request::Generate(what)) = parsed("map-probe man") else {
        panic!("not understood");
    };
    assert_eq!(what, Generate::Man);
    assert!(refused("map-probe completions cobol").contains("bash"));
}

#[test]
fn the_version_to_assume_is_one_that_is_known() {
    let version = |probe: Probe| probe.assumptions.assume_go.map(|go| go.to_string());
    assert_eq!(version(probe("map-probe --pid 1")), None);
    let assumed = probe("map-probe --pid 1 --assume-go go1.27.3");
    assert_eq!(version(assumed).as_deref(), Some("go1.27"));
    let Ok(Request::Sites(sites)) = parsed("map-probe sites ./server --assume-go 1.23") else {
        panic!("not understood");
    };
    assert!(sites.assumptions.assume_go.is_some());
    for unknown in ["1.17", "1.99", "devel"] {
        let story = refused(&format!("map-probe --pid 1 --assume-go {unknown}"));
        assert!(
            story.contains("hint: write one of Go 1.18 to 1.27"),
            "{story}"
        );
    }
}

#[test]
fn sampling_takes_a_frequency_or_a_share() {
    assert_eq!(probe("map-probe --pid 1").sampling, None);
    let wanted = |line| probe(line).sampling.expect("sampling");
    let automatic = sampling::Wanted {
        frequency: None,
        share: None,
    };
    assert_eq!(
        wanted("map-probe --pid 1 --mode sample --max-overhead off"),
        automatic
    );
    assert_eq!(
        wanted("map-probe --pid 1 --mode sample --frequency 99 --max-overhead 0.1%"),
        sampling::Wanted {
            frequency: Some(99),
            share: Some(0.001)
        }
    );
}

#[test]
fn a_frequency_is_for_sampling_and_not_zero() {
    let story = refused("map-probe --pid 1 --frequency 99");
    assert!(story.contains("hint: add --mode sample"), "{story}");
    refused("map-probe --pid 1 --mode sample --frequency 0");
}

#[test]
fn what_samples_of_time_cannot_answer_is_refused_with_the_reason() {
    for (more, reason) in [
        ("--format hlog", "counts operations"),
        ("--stacks", "interrupt cannot wait"),
        ("--op insert", "--mode sample traps nothing"),
        ("--map 0xc000123400", "--mode sample traps nothing"),
    ] {
        let story = refused(&format!("map-probe --pid 1 --mode sample {more}"));
        assert!(
            story.contains(reason) && story.contains("hint: "),
            "{story}"
        );
    }
    let filtered = probe("map-probe --pid 1 --mode sample --type map[string]* --format csv");
    assert_eq!(filtered.format, Format::Csv);
    assert_eq!(filtered.wanted.filters().len(), 1);
}
