//! The measurements of `scripts/growth.sh`: see `growth/mod.rs`.

use clap::Parser;
use consorcio_speed::growth::{self, GrowthArguments};
use std::process::ExitCode;

fn main() -> ExitCode {
    match growth::run(&GrowthArguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("growth: {error:#}");
            ExitCode::FAILURE
        }
    }
}
