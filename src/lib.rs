//! A consortium of banks whose money moves between them atomically, by two-phase commit over plain
//! TCP lines.
//!
//! The parts are crates of their own, below this folder; each is found here under its short name.

pub use consorcio_audit as audit;
pub use consorcio_cli as cli;
pub use consorcio_client as client;
pub use consorcio_core::{bank, clock, commit, ids, ledger, limits, money, wire};
#[cfg(feature = "http")]
pub use consorcio_http as http;
pub use consorcio_journal as journal;
pub use consorcio_node as node;
#[cfg(feature = "http")]
pub use consorcio_panel as panel;
pub use consorcio_peers as peers;
pub use consorcio_server as server;
pub use consorcio_steps::{steplog, trace};
pub use consorcio_system::{config, crash, id_generator, switches, systime, threads};
