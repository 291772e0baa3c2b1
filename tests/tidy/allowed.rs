//! Exceptions from the rules. The lists only get shorter.

/// Files that exceed `LINES_MAX`, with their own bounds.
pub const LONGER: &[(&str, usize)] = &[];

/// Paths below which lines may be wider than `COLUMNS_MAX`.
pub const WIDE: &[&str] = &[];

/// Paths below which doc comments may be short.
pub const SHORT_DOCS: &[&str] = &[];

/// Paths below which bounds may be defined.
pub const BOUNDS: &[&str] = &[];

/// Type names that are defined more than once, and how often at most.
pub const TWICE: &[(&str, usize)] = &[];
