//! `cliente`: sets registers and moves money at several banks, all or nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    consorcio::cli::main()
}
