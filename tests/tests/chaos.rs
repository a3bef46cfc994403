//! A minute of `cargo xtask chaos`, with a seed that is always the same.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, ensure};
use map_probe_tests::chaos::{self, Options};
use map_probe_tests::{kernel, profiler};

#[test]
fn whatever_happens_no_target_is_harmed_and_nothing_is_left() -> Result<()> {
    if !kernel::wanted()? {
        return Ok(());
    }
    let options = Options {
        length: Duration::from_secs(60),
        seed: 13,
        only: Vec::new(),
        program: profiler::binary()?,
    };
    let table = chaos::run(&options, &AtomicBool::new(false), |_, _| {})?;
    let total = table.total();
    ensure!(
        total.is_clean(),
        "{}\n{}",
        table.text(),
        table.failures.join("\n")
    );
    ensure!(total.injected >= 10, "only {} events", total.injected);
    Ok(())
}
