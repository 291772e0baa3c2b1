//! What load generators share: `bench` and `contention` put it to work.

pub mod setup;
