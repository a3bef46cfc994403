//! The `map-probe` program.
fn main() {}
