//! The configuration of the programs: the consortium's list and key.

pub mod access;
mod consortium;
mod key;
mod succession;

pub use consortium::{BadConsortium, Consortium};
pub use key::{KeyError, make_key_file, read_key_file, read_or_make_key_file};
pub use succession::{BadSuccession, LEFT, follows, is_loopback};
