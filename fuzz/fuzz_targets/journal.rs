//! Fuzz target: the journal reader, on a disk that was altered. What is checked stands in
//! `checks/journal.rs`, and is replayed by the tests.

#![no_main]

#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::journal::check(data));
