//! What the programs are started with.

mod consortium;

pub use consortium::{BadConsortium, Consortium};
