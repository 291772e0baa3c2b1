//! The commit protocol: what tokens prove, founding ids, messages between banks, pages of
//! registers, and the coordinator that every driver runs. Pure.

pub mod coordinator;
pub mod founding;
pub mod message;
pub mod proof;
pub mod registers;
