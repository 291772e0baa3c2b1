//! Fuzz target: sessions, peers and time, against one pure bank. What is checked stands in
//! `checks/session.rs`, and is replayed by the tests.

#![no_main]

#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::session::check(data));
