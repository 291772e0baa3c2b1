//! The journal from outside: appended records are read back under any disk fault.

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
mod verify;
