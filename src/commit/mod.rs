//! The commit protocol's own parts: tokens of votes, and the coordinator that every driver runs. Pure.

pub mod coordinator;
pub mod token;
