//! Fuzz target: the JSON of transactions. What is checked stands in `checks/transaction.rs`, and is
//! replayed by the tests.

#![no_main]

#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::transaction::check(data));
