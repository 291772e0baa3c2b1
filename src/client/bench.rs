//! `cliente bench`
use super::Context;
use super::args::BenchArguments;
use super::failure::Failure;
use super::output::Shown;
/// bench
pub async fn run(_: &Context, _: BenchArguments) -> Shown {
    Failure::Own("not yet".into()).into()
}
