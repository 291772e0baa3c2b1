//! Exceptions from the rules. The lists only get shorter.

/// Files that exceed `LINES_MAX`, with their own bounds.
pub const LONGER: &[(&str, usize)] = &[("src/node/tests.rs", 591), ("src/peers/tests/mod.rs", 459)];

/// Paths below which lines may be wider than `COLUMNS_MAX`.
pub const WIDE: &[&str] = &[];

/// Paths below which doc comments may be short.
pub const SHORT_DOCS: &[&str] = &["src/http/"];

/// Paths below which bounds may be defined.
pub const BOUNDS: &[&str] = &["src/http/", "src/node/"];

/// Type names that are defined more than once, and how often at most.
pub const TWICE: &[(&str, usize)] = &[
    ("Bank", 2),
    ("Bounds", 2),
    ("Disk", 2),
    ("Inner", 2),
    ("Inquiry", 2),
    ("Key", 2),
    ("Leaving", 2),
    ("Options", 2),
    ("Outcome", 2),
    ("Page", 2),
    ("Participant", 2),
    ("Peer", 2),
    ("Proof", 2),
    ("Running", 2),
    ("Session", 2),
];
