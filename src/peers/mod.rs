//! Links between banks.
