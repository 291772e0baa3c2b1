//! The commit protocol's own parts: tokens of votes, readings of clocks, and the coordinator that every driver runs. Pure.

pub mod coordinator;
pub mod reading;
pub mod token;
