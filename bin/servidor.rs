//! `servidor`: one bank of a consortium.

use consorcio::server::start;
use consorcio::switches::parse;
use std::process::ExitCode;

fn main() -> ExitCode {
    start(parse(std::env::args_os()).unwrap_or_else(|error| error.exit()))
}
