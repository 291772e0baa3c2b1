//! The node: one writer owns the bank.
