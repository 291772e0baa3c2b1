//! The commit protocol's own parts: tokens, what they prove, readings of clocks, founding ids, registers that are told,
//! and the coordinator that every driver runs. Pure.

pub mod coordinator;
pub mod founding;
pub mod proof;
pub mod reading;
pub mod registers;
pub mod token;
