//! The table of the work that is measured.

/// A kind of work.
#[derive(Debug)]
pub struct SpeedRow {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in the report.
    pub what: &'static str,
    /// The number of banks.
    pub banks: u16,
    /// The arguments of `cliente bench`.
    pub bench: &'static [&'static str],
    /// Is it part of the short run?
    pub is_quick: bool,
    /// Does it take minutes, so that it is measured only if it is named?
    pub is_long: bool,
    /// Are the banks stopped and started again afterwards?
    pub is_restarted: bool,
}

impl SpeedRow {
    /// Journal records a transaction. Each participant of a transfer records its vote and the
    /// outcome; a bank that executes a transaction of its own records both at once.
    pub fn records(&self) -> f64 {
        match (self.banks, self.bench.contains(&"--via-bank")) {
            (1, true) => 1.0,
            (1, false) => 2.0,
            _ => 4.0,
        }
    }
}

const fn row(
    name: &'static str,
    what: &'static str,
    banks: u16,
    bench: &'static [&'static str],
) -> SpeedRow {
    SpeedRow { name, what, banks, bench, is_quick: false, is_long: false, is_restarted: false }
}

const fn quick(row: SpeedRow) -> SpeedRow {
    SpeedRow { is_quick: true, ..row }
}

const fn long(row: SpeedRow) -> SpeedRow {
    SpeedRow { is_long: true, is_restarted: true, ..row }
}

/// All rows, in the order of the report. With more banks the depth grows, so that as many
/// transactions are under way at each bank.
pub const ROWS: &[SpeedRow] = &[
    quick(row("pipelined", "across banks, 64 × 16", 3, &["--clients", "64", "--depth", "16"])),
    quick(row("clients", "across banks, 64 × 1", 3, &["--clients", "64"])),
    row("shared", "across banks, 1 × 64", 3, &["--clients", "1", "--depth", "64"]),
    quick(row("alone", "across banks, one client", 3, &["--clients", "1"])),
    quick(row(
        "execute",
        "one bank, EXECUTE, 64 × 64",
        1,
        &["--clients", "64", "--depth", "64", "--kind", "single", "--via-bank"],
    )),
    row(
        "prepare",
        "one bank, PREPARE and COMMIT, 64 × 64",
        1,
        &["--clients", "64", "--depth", "64", "--kind", "single"],
    ),
    row("hot", "one hot account, 64 × 1", 3, &["--clients", "64", "--hot"]),
    row(
        "hot-pipelined",
        "one hot account, 64 × 16",
        3,
        &["--clients", "64", "--depth", "16", "--hot"],
    ),
    row("banks-8", "8 banks, 64 × 43", 8, &["--clients", "64", "--depth", "43"]),
    row("banks-16", "16 banks, 64 × 85", 16, &["--clients", "64", "--depth", "85"]),
    long(row(
        "accounts-1m",
        "10⁶ accounts, 64 × 16",
        3,
        &["--clients", "64", "--depth", "16", "--accounts", "333333"],
    )),
];
