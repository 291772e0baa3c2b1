//! Points of the curves of `scripts/growth.sh`, measured at the programs under test for a second
//! each. Their figures mean nothing; that they are there does.

use crate::support::cliente_path;
use clap::Parser;
use consorcio_speed::growth::{GrowthArguments, GrowthFigures, GrowthPoint, run};
use std::path::Path;

/// Measures these points of a curve, and returns them as its file has them.
fn measured(folder: &Path, curve: &str, points: &str) -> Vec<GrowthPoint> {
    let programs = Path::new(cliente_path()).parent().unwrap();
    let mut arguments = vec!["growth", "--rows", curve, "--points", points];
    arguments.extend(["--seconds", "1", "--warmup", "0", "--build", "0123abc"]);
    let mut arguments = GrowthArguments::parse_from(arguments);
    arguments.programs = programs.to_owned();
    arguments.out = Some(folder.to_owned());
    run(&arguments).unwrap_or_else(|error| panic!("{curve}: {error:#}"));
    let figures = GrowthFigures::read(&folder.join("growth.json")).unwrap();
    let page = std::fs::read_to_string(folder.join("BENCHMARKS.md")).unwrap();
    let image = format!("images/growth-{curve}.svg");
    assert!(page.contains(&image) && page.contains("revision 0123abc"), "{page}");
    assert!(std::fs::read_to_string(folder.join(image)).unwrap().contains("</svg>"));
    figures.curves[curve].points.clone()
}

#[track_caller]
fn assert_above_zero(points: &[GrowthPoint], xs: &[u64], keys: &[&str]) {
    assert_eq!(points.iter().map(|point| point.x).collect::<Vec<_>>(), xs);
    for key in keys {
        assert!(points.iter().all(|point| point.values[*key] > 0.0), "{key}: {points:?}");
    }
}

#[test]
fn two_points_of_a_curve_are_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let points = measured(folder.path(), "clients", "2,1");
    assert_above_zero(&points, &[1, 2], &["per_s", "p50_ms", "p99_ms", "cpu_us", "banks_us"]);
}

#[test]
fn a_journal_is_loaded_until_it_has_its_segments() {
    let folder = tempfile::tempdir().unwrap();
    let points = measured(folder.path(), "segments", "12");
    let keys = ["per_s", "new_id_ns", "indexes", "restart_ms", "cpu_us"];
    assert_above_zero(&points, &[12], &keys);
}

/// A curve that is measured again replaces its own figures alone.
#[test]
fn a_sync_that_takes_longer_delays_each_transfer() {
    let folder = tempfile::tempdir().unwrap();
    let points = measured(folder.path(), "slow-disk", "30");
    assert_above_zero(&points, &[30], &["per_s", "clients_per_s", "alone_per_s"]);
    let p50_ms = points[0].values["alone_p50_ms"];
    assert!(p50_ms >= 30.0, "{p50_ms} ms");
    measured(folder.path(), "time", "2");
    let figures = GrowthFigures::read(&folder.path().join("growth.json")).unwrap();
    assert_eq!(figures.curves["slow-disk"].points, points);
    assert_above_zero(&figures.curves["time"].points, &[1, 2], &["per_s", "cores"]);
}
