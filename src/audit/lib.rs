//! Proofs that no centavo is missing: from the answers of all banks to one cut, and from their
//! journals.
//!
//! Input are the banks' answers or folders, output are plain values; fetching and printing them is
//! done elsewhere. Architecture invariant: an audit changes nothing, at no bank and in no folder;
//! and if data is missing it says so and gives no verdict.

#![warn(unreachable_pub)]

mod ballots;
pub mod cut;
mod folder;
pub mod journals;
mod violation;

pub use cut::{BankCut, Judged, judge};
pub use journals::{BankBook, JournalAudit, prove};
pub use violation::Violation;
