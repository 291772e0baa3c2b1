//! The journal on disks that fail in every way, and bytes that a fuzzer found.

#![allow(clippy::unwrap_used, reason = "a test that can not go on has failed")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

#[path = "journal/fuzz_corpus.rs"]
mod fuzz_corpus;
mod journal;
