#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| map_probe::target::fuzzing::function_table(bytes));
