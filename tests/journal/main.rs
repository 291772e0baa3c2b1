//! The journal from outside: what is appended is found again, whatever happens to the disk.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod bank;
mod basics;
mod crash;
mod damage;
mod files;
mod first_format;
mod history;
mod lookups;
mod snapshots;
mod support;
