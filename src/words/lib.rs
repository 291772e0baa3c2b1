//! What the programs say to people, in Portuguese and English: the reasons of the protocol and the
//! details beside them, with formatted amounts; and the sentences of `servidor` and `cliente`. The
//! panel, the routes and both programs share these texts.

#![warn(unreachable_pub)]

pub mod details;
mod lang;
pub mod process;
pub mod reasons;
pub mod sentences;

pub use lang::Lang;
