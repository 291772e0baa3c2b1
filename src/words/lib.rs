//! What banks say to people, in Portuguese and English: the reasons of the protocol and the details
//! beside them, with formatted amounts. The panel, the routes and `cliente` share these texts.

#![warn(unreachable_pub)]

pub mod details;
mod lang;
pub mod reasons;

pub use lang::Lang;
