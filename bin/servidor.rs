//! `servidor`: one bank of a consortium.

use clap::Parser;
use consorcio::server::args::Cli;
use consorcio::server::start::start;
use std::process::ExitCode;

fn main() -> ExitCode {
    start(Cli::parse())
}
