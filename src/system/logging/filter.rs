//! Selects the events that are written, by `-v` and `RUST_LOG`.

use super::{LIFECYCLE_TARGET, LogArgs, LogFormat, STEP_TARGET};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// The prefix of all targets of this project.
const OWN_TARGETS: &str = "consorcio";

/// The filter, and a complaint about `rust_log` if that is invalid and so ignored.
///
/// `-v` is on the command line, so it takes precedence over RUST_LOG for the same target. A
/// RUST_LOG that names only targets keeps the default level of all others, so a typo silences no
/// warning.
pub(super) fn filter(options: &LogArgs, rust_log: Option<&str>) -> (Targets, Option<String>) {
    let (given, complaint) = match rust_log.map(str::parse::<Targets>) {
        None => (None, None),
        Some(Ok(given)) => (Some(given), None),
        Some(Err(_)) => (None, rust_log.map(complaint)),
    };
    let is_given = given.is_some();
    let mut filter = given.unwrap_or_default();
    if filter.default_level().is_none() {
        filter = filter.with_default(LevelFilter::INFO);
    }
    let shows_lifecycle = options.verbose > 1 || options.log_format == LogFormat::Json;
    if !shows_lifecycle && !is_given {
        filter = filter.with_target(LIFECYCLE_TARGET, LevelFilter::OFF);
    }
    filter = match options.verbose {
        0 => filter,
        1 => filter.with_target(STEP_TARGET, LevelFilter::DEBUG),
        2 => filter.with_target(OWN_TARGETS, LevelFilter::DEBUG),
        _ => filter.with_default(LevelFilter::TRACE).with_target(OWN_TARGETS, LevelFilter::TRACE),
    };
    (filter, complaint)
}

fn complaint(rust_log: &str) -> String {
    let quoted: String = rust_log.escape_debug().collect();
    format!(
        "RUST_LOG=\"{quoted}\" is left out, it is no list of levels: give one like info, or \
         consorcio_peers=debug,consorcio::step=off"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    fn of(verbose: u8, format: LogFormat, rust_log: Option<&str>) -> Targets {
        filter(&LogArgs { verbose, log_format: format }, rust_log).0
    }

    const PEERS: &str = "consorcio_peers::link";

    #[test]
    fn by_default_warnings_are_written_and_steps_are_not() {
        let filter = of(0, LogFormat::Text, None);
        assert!(filter.would_enable(PEERS, &Level::INFO));
        assert!(!filter.would_enable(PEERS, &Level::DEBUG));
        assert!(!filter.would_enable(STEP_TARGET, &Level::DEBUG));
        assert!(!filter.would_enable(LIFECYCLE_TARGET, &Level::INFO));
        assert!(of(0, LogFormat::Json, None).would_enable(LIFECYCLE_TARGET, &Level::INFO));
    }

    #[test]
    fn each_v_shows_more() {
        let [one, two, three] = [1, 2, 3].map(|verbose| of(verbose, LogFormat::Text, None));
        assert!(one.would_enable(STEP_TARGET, &Level::DEBUG));
        assert!(!one.would_enable(PEERS, &Level::DEBUG));
        assert!(two.would_enable(STEP_TARGET, &Level::DEBUG));
        assert!(two.would_enable(PEERS, &Level::DEBUG));
        assert!(two.would_enable(LIFECYCLE_TARGET, &Level::INFO));
        assert!(!two.would_enable("mio::poll", &Level::DEBUG));
        assert!(three.would_enable("mio::poll", &Level::TRACE));
    }

    #[test]
    fn rust_log_filters_and_a_typo_in_it_silences_no_warning() {
        let quiet = of(0, LogFormat::Text, Some("error"));
        assert!(!quiet.would_enable(PEERS, &Level::WARN));
        assert!(quiet.would_enable(PEERS, &Level::ERROR));
        let links = of(0, LogFormat::Text, Some("consorcio_peers=debug"));
        assert!(links.would_enable(PEERS, &Level::DEBUG));
        assert!(links.would_enable("consorcio_server", &Level::WARN));
        assert!(of(0, LogFormat::Text, Some("verbose")).would_enable(PEERS, &Level::WARN));
        let both = of(1, LogFormat::Text, Some("error"));
        assert!(both.would_enable(STEP_TARGET, &Level::DEBUG), "-v takes precedence");
        assert!(!both.would_enable(PEERS, &Level::WARN));
    }

    #[test]
    fn a_bad_rust_log_is_reported_and_ignored() {
        let options = LogArgs::default();
        let (with, complaint) = filter(&options, Some("a=b=c"));
        let (without, none) = filter(&options, None);
        assert_eq!((with, none), (without, None));
        assert!(complaint.is_some_and(|text| text.contains("\"a=b=c\"")));
    }
}
