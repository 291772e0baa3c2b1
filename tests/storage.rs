//! The journal on failing disks, and the corpus of its fuzzer.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![allow(clippy::too_many_lines, reason = "a test is one sequence of steps")]

#[path = "journal/fuzz_corpus.rs"]
mod fuzz_corpus;
mod journal;
