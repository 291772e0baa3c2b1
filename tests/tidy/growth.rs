//! The curves of `scripts/growth.sh`: their arguments, their pictures, and the section of the page.
//! `tests/client/growth.rs` measures some points.

use super::{read, root};
use clap::Parser;
use consorcio_speed::growth::{
    CURVES, CurveFigures, GrowthArguments, GrowthFigures, GrowthPoint, Probes, TimedProbe, section,
    svg, with_section,
};
use std::process::Command;

/// The curves and points of a command line, or the fault in it.
fn points(arguments: &[&str]) -> Result<Vec<(&'static str, Vec<u64>)>, String> {
    let all = [&["growth"], arguments].concat();
    let parsed = GrowthArguments::try_parse_from(all).map_err(|error| error.to_string())?;
    let curves = parsed.points().map_err(|error| error.to_string())?;
    Ok(curves.into_iter().map(|(curve, points)| (curve.name, points)).collect())
}

#[test]
fn curves_and_points_are_chosen_by_arguments() {
    let all = points(&[]).unwrap();
    assert_eq!(all.len(), CURVES.len());
    assert_eq!(all[0], ("accounts", vec![1_000, 10_000, 100_000, 1_000_000]));
    let all = points(&["--all"]).unwrap();
    assert_eq!(all[0].1.last(), Some(&10_000_000));
    let quick = points(&["--quick"]).unwrap();
    assert!(quick.iter().all(|(_, points)| points.len() <= 3), "{quick:?}");
    let two = points(&["--rows", "time,banks", "--minutes", "10"]).unwrap();
    assert_eq!(two, [("banks", vec![3, 4, 6, 8, 12, 16]), ("time", vec![600])]);
    let own = points(&["--rows", "clients", "--points", "64,1,64"]).unwrap();
    assert_eq!(own, [("clients", vec![1, 64])]);
    for (arguments, named) in [
        (&["--rows", "cold"][..], "no curve is named cold; there are accounts, banks"),
        (&["--points", "3"], "--points needs one curve"),
        (&["--rows", "banks", "--points", "17"], "banks: 17 is not from 2 to 16"),
        (&["--rows", "banks", "--points", "many"], "invalid value 'many'"),
        (&["--seconds", "0"], "invalid value '0'"),
        (&["--quick", "--all"], "cannot be used with"),
        (&["--redraw", "--quick"], "cannot be used with"),
        (&["--fast"], "unexpected argument '--fast'"),
    ] {
        let fault = points(arguments).unwrap_err();
        assert!(fault.contains(named), "{arguments:?}: {fault}");
    }
}

#[test]
fn a_short_run_writes_nothing_to_docs() {
    let out = |arguments: &[&str]| {
        GrowthArguments::parse_from([&["growth"], arguments].concat()).out().display().to_string()
    };
    assert_eq!(out(&[]), "docs");
    assert_eq!(out(&["--quick"]), "target/growth");
    assert_eq!(out(&["--quick", "--out", "docs"]), "docs");
}

#[test]
fn the_script_shows_its_help() {
    let run = Command::new(root().join("scripts/growth.sh")).arg("--help").output().unwrap();
    let shown = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && shown.starts_with("Measures how"), "{run:?}");
    for curve in CURVES {
        assert!(shown.contains(curve.name), "no {} in {shown}", curve.name);
    }
}

/// Made up: a value that is missing, a great range, and one that does not change.
fn fixed() -> Vec<GrowthPoint> {
    let figures =
        [(1, 2_500.0, 0.35, 0.6), (16, 11_000.0, 1.3, 3.4), (1_000, 12_400.0, 72.0, 310.0)];
    let point = |(x, per_s, p50, p99)| {
        let point = GrowthPoint::at(x).with("per_s", per_s).with("p50_ms", p50);
        let point = if x == 16 { point } else { point.with("p99_ms", p99) };
        point.with("cpu_us", 96.0).with("banks_us", 60.25)
    };
    figures.map(point).to_vec()
}

/// The picture of fixed figures is the one in the fixture. A change of the drawing changes it:
/// `UPDATE_GOLDENFILES=1 cargo test --test house growth` writes it, to be looked at.
#[test]
fn equal_figures_make_equal_pictures() {
    let curve = CURVES.iter().find(|curve| curve.name == "clients").unwrap();
    let picture = svg(curve, &fixed());
    let fixture = "tests/fixtures/growth-clients.svg";
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(root().join(fixture), &picture).unwrap();
    }
    assert!(picture == read(fixture), "{fixture} is another picture");
    for words in ["prefers-color-scheme:dark", ">clients, one transfer under way each<", ">1,000<"]
    {
        assert!(picture.contains(words), "no {words:?}");
    }
    assert_eq!(picture.matches("class=\"b\"><title>").count(), 2 + 3, "p99 is missing once");
}

#[test]
fn the_section_replaces_what_is_between_its_marks() {
    let figures = |build: &str| {
        let mut figures = GrowthFigures::default();
        let measured = CurveFigures {
            machine: "2 × a processor".into(),
            build: build.into(),
            is_quick: true,
            points: fixed(),
        };
        figures.curves.insert("clients".into(), measured);
        section(&figures)
    };
    let before = "# Benchmarks\n\n## Idle\n";
    let first = with_section(before, &figures("0123abc")).unwrap();
    assert!(first.starts_with(before) && first.contains("revision 0123abc"), "{first}");
    assert!(first.contains("| 1,000 | 12,400 | 72.00 | 310.00 | 96.0 | 60.2 |"), "{first}");
    assert!(first.contains("| 16 | 11,000 | 1.30 |  | 96.0 |"), "{first}");
    let second = with_section(&(first.clone() + "\n## Limits\n"), &figures("4567def")).unwrap();
    assert_eq!(second, first.replace("0123abc", "4567def") + "\n## Limits\n");
    for half in ["<!-- growth: begin -->", "<!-- growth: end -->"] {
        assert!(with_section(half, "x").is_err(), "{half}");
    }
}

/// A transfer every 10 ms; those in `slow` take 80 ms, all others 1 ms.
fn probes(count: u64, slow: &[u64]) -> Probes {
    let probe = |at| TimedProbe {
        due_ms: 1_000 + 10 * at,
        took_us: if slow.contains(&at) { 80_000 } else { 1_000 },
        is_committed: true,
    };
    Probes((0..count).map(probe).collect())
}

#[test]
fn a_recovery_ends_with_the_last_slow_transfer_before_a_calm_time() {
    // The overload ends with the transfer 10, at 1,100 ms.
    let recovery = |probes: &Probes| probes.recovery_ms(1_100, 1_000);
    assert_eq!(recovery(&probes(50, &[5, 9])), 0, "slow ones before the end");
    assert_eq!(recovery(&probes(50, &[10])), 80);
    assert_eq!(recovery(&probes(50, &[11, 18])), 160, "7 in a row are too few");
    assert_eq!(recovery(&probes(50, &[11, 40])), 90, "a slow one later is none of the overload");
    assert_eq!(recovery(&probes(13, &[12])), 100, "it never was calm");
    assert_eq!(recovery(&probes(10, &[])), 0);
    let mut refused = probes(50, &[]);
    refused.0[14].is_committed = false;
    assert_eq!(recovery(&refused), 41, "a refused one is no recovery");
    assert_eq!((refused.refused(0, 2_000), refused.refused(1_150, 2_000)), (1, 0));
    assert_eq!(probes(9, &[4, 5]).median_us(1_030, 1_060), 80_000);
}

/// Pictures and page are those of the figures beside them.
#[test]
fn the_page_shows_the_figures_of_its_file() {
    let figures = GrowthFigures::read(&root().join("docs/growth.json")).unwrap();
    let page = read("docs/BENCHMARKS.md");
    let expected = with_section(&page, &section(&figures)).unwrap();
    assert!(expected == page, "scripts/growth.sh --redraw writes it anew");
    for (curve, measured) in figures.drawn() {
        let path = format!("docs/images/{}", curve.image());
        assert!(svg(curve, &measured.points) == read(&path), "{path}: --redraw draws it anew");
    }
}
