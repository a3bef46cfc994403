//! `cargo xtask`: the one door to all of the project's tasks.
fn main() {}
