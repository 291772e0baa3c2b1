//! The ledger: clients, accounts, escrow holds, registers, totals, and the past that cuts need. Pure.
