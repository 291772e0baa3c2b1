//! The figures of all curves, and their file.

use super::curves::{CURVES, GrowthCurve};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// All curves that were measured, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GrowthFigures {
    /// They may have been measured on different days and machines.
    pub curves: BTreeMap<String, CurveFigures>,
}

/// The figures of one curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurveFigures {
    /// The machine on which it was measured.
    pub machine: String,
    /// The revision that was measured.
    pub build: String,
    /// Whether it has few points, each measured for a short time.
    pub is_quick: bool,
    /// Its points, in the order of `x`.
    pub points: Vec<GrowthPoint>,
}

/// The figures at one point of a curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GrowthPoint {
    /// Where it is on the axis, in the axis's unit.
    pub x: u64,
    /// Its figures, by the keys of the curve's measures; what was not measured is left out.
    pub values: BTreeMap<String, f64>,
}

impl GrowthPoint {
    /// A point without figures.
    pub fn at(x: u64) -> GrowthPoint {
        GrowthPoint { x, values: BTreeMap::new() }
    }

    /// The same point with one more figure, rounded to three decimals.
    #[must_use]
    pub fn with(mut self, key: &str, value: f64) -> GrowthPoint {
        self.values.insert(key.to_owned(), (value * 1e3).round() / 1e3);
        self
    }

    /// The median of each figure of several measurements of one point.
    pub fn median(all: &[GrowthPoint]) -> GrowthPoint {
        let mut point = GrowthPoint::at(all.first().map_or(0, |point| point.x));
        for key in all.iter().flat_map(|point| point.values.keys()) {
            let mut values: Vec<f64> =
                all.iter().filter_map(|point| point.values.get(key).copied()).collect();
            values.sort_by(f64::total_cmp);
            point.values.insert(key.clone(), values[(values.len() - 1) / 2]);
        }
        point
    }
}

impl GrowthFigures {
    /// Reads the file; no curves if there is none.
    ///
    /// # Errors
    /// If it can't be read or is damaged.
    pub fn read(path: &Path) -> Result<GrowthFigures> {
        if !path.exists() {
            return Ok(GrowthFigures::default());
        }
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// The text of the file.
    pub fn json(&self) -> String {
        let document = serde_json::json!(self);
        format!("{document:#}\n")
    }

    /// The measured curves with their description, in the order of the table.
    pub fn drawn(&self) -> impl Iterator<Item = (&'static GrowthCurve, &CurveFigures)> {
        CURVES.iter().filter_map(|curve| {
            let measured = self.curves.get(curve.name)?;
            (!measured.points.is_empty()).then_some((curve, measured))
        })
    }
}
