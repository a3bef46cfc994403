//! Shell completions and the man page, from the same definitions as `--help`.

use std::io::{self, Write};

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{CommandLine, help};
use crate::error::Failure;
use crate::output;

/// What to generate.
#[derive(Debug, PartialEq, Eq)]
pub enum Generate {
    /// Completions of the command line for a shell.
    Completions(Shell),
    /// The man page.
    Man,
}

/// Prints it.
///
/// # Errors
/// When it cannot be written to standard output.
pub fn generate(what: &Generate) -> Result<(), Failure> {
    match what {
        Generate::Completions(_) => output::print("the completions", |out| write(what, out)),
        Generate::Man => output::print("the man page", |out| write(what, out)),
    }
}

fn write(what: &Generate, out: &mut dyn Write) -> io::Result<()> {
    match what {
        Generate::Completions(shell) => {
            let mut command = visible(&CommandLine::command());
            clap_complete::generate(*shell, &mut command, "map-probe", &mut &mut *out);
            Ok(())
        }
        Generate::Man => {
            let mut page = Vec::new();
            man(&mut page)?;
            out.write_all(&ascii(&String::from_utf8_lossy(&page)))
        }
    }
}

fn command() -> Command {
    let mut command = CommandLine::command();
    command.build();
    command
}

/// The command without its hidden options, which `clap_complete` would offer all the same.
fn visible(command: &Command) -> Command {
    let options = command
        .get_arguments()
        .filter(|option| !option.is_hide_set());
    Command::new(command.get_name().to_owned())
        .about(command.get_about().cloned().unwrap_or_default())
        .version(command.get_version().unwrap_or_default().to_owned())
        .disable_version_flag(command.get_version().is_none())
        .disable_help_subcommand(true)
        .args(options.cloned())
        .subcommands(command.get_subcommands().map(visible))
}

/// One page for all commands: after the options of the program those of each subcommand.
fn man(out: &mut dyn Write) -> io::Result<()> {
    let command = command();
    let page = Man::new(command.clone().override_usage(""));
    page.render_title(out)?;
    page.render_name_section(out)?;
    synopsis(&command, out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    for subcommand in command.get_subcommands() {
        let mut options = Vec::new();
        Man::new(subcommand.clone()).render_options_section(&mut options)?;
        let options = String::from_utf8_lossy(&options);
        let mut head = Roff::new();
        head.control(
            "SH",
            [format!("map-probe {}", subcommand.get_name()).as_str()],
        );
        let about = subcommand.get_long_about().or(subcommand.get_about());
        head.text([roman(about.map(ToString::to_string).unwrap_or_default())]);
        head.to_writer(out)?;
        let options = options.lines().filter(|line| !line.starts_with(".SH "));
        for line in options {
            writeln!(out, "{line}")?;
        }
        if let Some(more) = subcommand.get_after_help() {
            writeln!(out, ".PP")?;
            verbatim(&more.to_string(), out)?;
        }
    }
    // Paragraphs with a title each.
    for paragraph in help::MORE.split("\n\n") {
        let (title, text) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (title, rest) = title.split_once(':').unwrap_or((title, ""));
        let mut head = Roff::new();
        head.control("SH", [title.to_uppercase().as_str()]);
        if !rest.trim().is_empty() {
            head.text([roman(rest.trim())]);
        }
        head.to_writer(out)?;
        verbatim(text, out)?;
    }
    page.render_version_section(out)
}

/// Characters beyond ASCII as groff and mandoc write them, whatever the locale.
fn ascii(page: &str) -> Vec<u8> {
    let characters = page.chars().map(|character| {
        if character.is_ascii() {
            character.to_string()
        } else {
            format!("\\[u{:04X}]", u32::from(character))
        }
    });
    characters.collect::<String>().into_bytes()
}

fn synopsis(command: &Command, out: &mut dyn Write) -> io::Result<()> {
    let mut head = Roff::new();
    head.control("SH", ["SYNOPSIS"]);
    head.to_writer(out)?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").lines().map(str::trim);
    verbatim(&usage.collect::<Vec<_>>().join("\n"), out)
}

/// Lines that stay as they are.
fn verbatim(text: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.to_writer(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum as _;
    use std::process::{Command as Process, Stdio};

    fn generated(what: &Generate) -> String {
        let mut out = Vec::new();
        write(what, &mut out).expect("memory can be written to");
        String::from_utf8(out).expect("UTF-8")
    }

    /// The long names of all options that `--help` shows, and the subcommands' names.
    fn words() -> Vec<String> {
        let command = command();
        let mut words = Vec::new();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            let options = command
                .get_arguments()
                .filter(|option| !option.is_hide_set());
            words.extend(
                options
                    .filter_map(|option| option.get_long())
                    .map(str::to_owned),
            );
            words.extend(
                command
                    .get_subcommands()
                    .map(|sub| sub.get_name().to_owned()),
            );
        }
        assert!(words.iter().any(|word| word == "max-overhead"));
        assert!(words.iter().any(|word| word == "record"));
        words
    }

    #[test]
    fn completions_of_every_shell_know_every_option_and_no_hidden_one() {
        for shell in Shell::value_variants() {
            let script = generated(&Generate::Completions(*shell));
            for word in words() {
                assert!(script.contains(&word), "{shell}: {word}");
            }
            assert!(!script.contains("bench-empty"), "{shell}");
        }
    }

    #[test]
    fn the_man_page_has_every_option_and_no_hidden_one() {
        let page = generated(&Generate::Man).replace("\\-", "-");
        for word in words() {
            assert!(page.contains(&word), "{word}");
        }
        assert!(!page.contains("bench-empty"));
        for section in ["EXAMPLES", "EXIT STATUS", "QUALITY", "SYNOPSIS", "VERSION"] {
            assert!(page.contains(section), "{section}: {page}");
        }
    }

    /// What the program says that reads `text` on standard input; `None` if it is not installed.
    fn accepted(program: &str, arguments: &[&str], text: &str) -> Option<String> {
        let mut child = Process::new(program)
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(text.as_bytes()).expect("it reads");
        drop(input);
        let ended = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{program}: {said}");
        Some(said)
    }

    #[test]
    fn bash_and_man_accept_them_without_a_word() {
        let script = generated(&Generate::Completions(Shell::Bash));
        let said = accepted("bash", &["-n"], &script);
        assert_eq!(said.unwrap_or_default(), "");
        let page = generated(&Generate::Man);
        let said = accepted("groff", &["-man", "-Tutf8", "-ww", "-z"], &page);
        assert_eq!(said.unwrap_or_default(), "");
        let said = accepted("man", &["--warnings", "-l", "-"], &page);
        assert_eq!(said.unwrap_or_default(), "");
    }
}
