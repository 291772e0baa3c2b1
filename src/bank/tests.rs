//! Stories of a bank.
