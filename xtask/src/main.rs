//! `cargo xtask`: the one door to all of the project's tasks. One file (or folder) per command.

mod bench;
mod build_ebpf;
mod chaos;
mod debian;
mod demo;
mod fuzz;
mod go_layout;
mod kernels;
mod matrix;
mod privilege;
mod process;
mod real_programs;
mod test;
mod tools;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// map-probe's own tasks. Each prints what it does and what it needs.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build the kernel side into `map-probe/ebpf/map-probe.bpf.o` (needs an eBPF-capable Rust toolchain).
    BuildEbpf(build_ebpf::Args),
    /// Show map-probe on a real Go program: TypeScript 7's compiler at work (needs root, Python's pip and npm).
    Demo(demo::Args),
    /// Check every fact about Go that the code relies on against the Go toolchains at hand.
    GoLayout(go_layout::Args),
    /// Write `docs/matrix.md`, the table of what the last `cargo xtask test --full` tried, which does so itself.
    Matrix,
    /// Run all checks and tests (needs Python's pip; and root and BPF unless `--no-kernel`).
    Test(test::Args),
    /// Give arbitrary bytes to everything that reads a target's files or memory (needs cargo-fuzz, a C++ compiler and Python's pip).
    Fuzz(fuzz::Args),
    /// Run map-probe on other kernels, in virtual machines (needs qemu, busybox, apt and Python's pip).
    Kernels(kernels::Args),
    /// Kill, stop and starve map-probe and its targets at random moments, and see what is left (needs root, BPF and a C compiler).
    Chaos(chaos::Args),
    /// Measure what map-probe costs (needs root, BPF and Python's pip).
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::BuildEbpf(args) => build_ebpf::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::GoLayout(args) => go_layout::run(&args),
        Task::Matrix => matrix::run(),
        Task::Test(args) => test::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Kernels(args) => kernels::run(&args),
        Task::Chaos(args) => chaos::run(&args),
        Task::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
