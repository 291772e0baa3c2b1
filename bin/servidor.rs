//! `servidor`: one bank of a consortium.

use std::process::ExitCode;

fn main() -> ExitCode {
    consorcio::server::main()
}
