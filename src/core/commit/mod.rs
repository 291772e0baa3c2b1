//! The commit protocol's own parts: what tokens prove, founding ids, messages between banks,
//! registers that are told, and the coordinator that every driver runs. Pure.

pub mod coordinator;
pub mod founding;
pub mod message;
pub mod proof;
pub mod registers;
