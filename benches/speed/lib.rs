//! Banks of their own, measured while `cliente bench` loads them: what `scripts/speed.sh` and
//! `scripts/growth.sh` share, and the curves of the latter.

#![expect(clippy::float_arithmetic, reason = "figures of a report, no money")]

pub mod banks;
pub mod growth;
pub mod machine;
pub mod meter;
