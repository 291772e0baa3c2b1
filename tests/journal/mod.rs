//! The journal from outside: what is appended is found again, whatever happens to the disk.

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
