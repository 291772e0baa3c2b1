//! Proofs that no centavo is missing: from what all banks tell of one cut, and from their journals.
//!
//! Who is asked, how, and how it is shown are elsewhere: what comes in here is banks' answers or
//! folders, and what goes out is plain values. Architecture invariant: an audit changes nothing, at
//! no bank and in no folder, and where something is missing it says so and gives no verdict.

#![warn(unreachable_pub)]

mod ballots;
pub mod cut;
mod folder;
pub mod journals;
mod violation;

pub use cut::{BankCut, Judged, judge};
pub use journals::{BankBook, Proof, prove};
pub use violation::Violation;
