//! Fuzz target: lines, requests, replies and tokens. What is checked stands in `checks/wire.rs`,
//! and is replayed by the tests.

#![no_main]

#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::wire::check(data));
