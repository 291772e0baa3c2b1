//! The table of the curves: their points, what is measured, how it is drawn, and what to say of it.

use super::{GrowthPoint, GrowthRun, closed, open, segments, slow_disk};
use anyhow::Result;

/// A curve of the page.
#[derive(Debug)]
pub struct GrowthCurve {
    /// Its name on the command line and in the figures.
    pub name: &'static str,
    /// The heading of its section.
    pub title: &'static str,
    /// What grows, with its unit.
    pub axis: &'static str,
    /// How that is spread over the axis.
    pub scale: AxisScale,
    /// The points of a full run.
    pub points: &'static [u64],
    /// The points of a short run.
    pub quick: &'static [u64],
    /// Points that take minutes, and are measured only if asked for.
    pub long: &'static [u64],
    /// The least and the greatest point.
    pub range: (u64, u64),
    /// The figures of each point: the columns of the table.
    pub measures: &'static [GrowthMeasure],
    /// The panels of the picture.
    pub panels: &'static [GrowthPanel],
    /// What was measured and how, for the page.
    pub about: &'static str,
    /// The function that measures points of it.
    pub measure: fn(&GrowthRun, &[u64]) -> Result<Vec<GrowthPoint>>,
}

impl GrowthCurve {
    /// The name of its picture.
    pub fn image(&self) -> String {
        format!("growth-{}.svg", self.name)
    }
}

/// How values are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisScale {
    /// Equal distances are equal differences; the axis begins at 0.
    Linear,
    /// Equal distances are equal ratios.
    Logarithmic,
    /// Each point is one step further.
    Steps,
}

/// A figure of each point.
#[derive(Debug)]
pub struct GrowthMeasure {
    /// Its key in the figures.
    pub key: &'static str,
    /// The heading of its column, with its unit.
    pub heading: &'static str,
    /// Its name in a picture that shows several.
    pub name: &'static str,
    /// Decimals in the table.
    pub decimals: usize,
}

/// One diagram of a picture: some of the measures over the axis.
#[derive(Debug)]
pub struct GrowthPanel {
    /// What its values are, with their unit.
    pub title: &'static str,
    /// The keys of its lines.
    pub keys: &'static [&'static str],
    /// How values are spread over its height.
    pub scale: AxisScale,
}

const fn measure(
    key: &'static str,
    name: &'static str,
    heading: &'static str,
    decimals: usize,
) -> GrowthMeasure {
    GrowthMeasure { key, heading, name, decimals }
}

const fn panel(title: &'static str, keys: &'static [&'static str]) -> GrowthPanel {
    GrowthPanel { title, keys, scale: AxisScale::Linear }
}

const fn logarithmic(title: &'static str, keys: &'static [&'static str]) -> GrowthPanel {
    GrowthPanel { title, keys, scale: AxisScale::Logarithmic }
}

const PER_S: GrowthMeasure = measure("per_s", "transfers", "a second", 0);
const P50: GrowthMeasure = measure("p50_ms", "p50", "p50, ms", 2);
const P99: GrowthMeasure = measure("p99_ms", "p99", "p99, ms", 2);
const CPU: GrowthMeasure = measure("cpu_us", "all", "CPU, µs", 1);
const CPU_BANKS: GrowthMeasure = measure("banks_us", "banks", "banks' CPU, µs", 1);
const RESTART: GrowthMeasure = measure("restart_ms", "restart", "restart, ms", 0);

const SPEED_PANEL: GrowthPanel = panel("transfers a second", &["per_s"]);
const CPU_PANEL: GrowthPanel = panel("CPU a transfer, µs", &["cpu_us", "banks_us"]);

/// All curves, in the order of the page.
pub static CURVES: &[GrowthCurve] = &[
    GrowthCurve {
        name: "accounts",
        title: "Accounts",
        axis: "accounts of all three banks",
        scale: AxisScale::Logarithmic,
        points: &[1_000, 10_000, 100_000, 1_000_000],
        quick: &[1_000, 10_000, 100_000],
        long: &[10_000_000],
        range: (6, 12_000_000),
        measures: &[
            PER_S,
            P50,
            P99,
            CPU,
            CPU_BANKS,
            measure("account_bytes", "memory", "memory an account, bytes", 0),
            measure("peak_mib", "peak", "peak of all banks, MiB", 0),
            RESTART,
            measure("open_s", "opening", "opened in, s", 1),
        ],
        panels: &[
            SPEED_PANEL,
            CPU_PANEL,
            panel("memory an account, bytes", &["account_bytes"]),
            logarithmic("restart of all banks, ms", &["restart_ms"]),
        ],
        about: "\
64 clients with 16 transfers under way each, between random accounts of three banks. The memory of
an account, with its client, is what the banks hold more than new ones after a restart, before the
load, divided by the number of accounts; at fewer than 100,000 it is too little to be told apart.
The peak is that of opening, snapshots and the load. After the load all three banks are killed, and
the restart ends when the last one is ready and reaches the others.",
        measure: closed::accounts,
    },
    GrowthCurve {
        name: "banks",
        title: "Banks",
        axis: "banks",
        scale: AxisScale::Logarithmic,
        points: &[3, 4, 6, 8, 12, 16],
        quick: &[3, 8, 16],
        long: &[],
        range: (2, 16),
        measures: &[PER_S, P50, P99, CPU, CPU_BANKS],
        panels: &[CPU_PANEL, SPEED_PANEL],
        about: "\
64 clients; the transfers under way grow with the banks (16 each at three banks, 85 at sixteen), so
that as many are under way at each bank. All banks share the processors of one machine, so the cost
of a transfer is the figure to look at: flat is good.",
        measure: closed::banks,
    },
    GrowthCurve {
        name: "segments",
        title: "Segments of the journal",
        axis: "segments of each journal",
        scale: AxisScale::Logarithmic,
        points: &[10, 100, 1_000],
        quick: &[10, 100],
        long: &[],
        range: (2, 10_000),
        measures: &[
            measure("new_id_ns", "new id", "look-up of a new id, ns", 0),
            measure("indexes", "indexes", "indexes", 0),
            PER_S,
            CPU,
            CPU_BANKS,
            RESTART,
        ],
        panels: &[
            panel("look-up of a new id, ns", &["new_id_ns"]),
            CPU_PANEL,
            logarithmic("restart of all banks, ms", &["restart_ms"]),
        ],
        about: "\
The loader appends transactions of one bank to the journals of three, by the journal's own writer,
in segments of 64 KiB each, until there are enough; it indexes and merges them as banks do. A bank
asks the filter of each index for every id that it does not remember: the look-up is timed alone, on
the whole journal. Then the banks start on it, and 64 clients run 16 transfers each. Real segments
have 64 MiB; small ones show what their number costs, not what their size does.",
        measure: segments::measure,
    },
    GrowthCurve {
        name: "clients",
        title: "Clients",
        axis: "clients, one transfer under way each",
        scale: AxisScale::Logarithmic,
        points: &[1, 4, 16, 64, 256, 1_000],
        quick: &[1, 64, 1_000],
        long: &[],
        range: (1, 3_000),
        measures: &[PER_S, P50, P99, CPU, CPU_BANKS],
        panels: &[SPEED_PANEL, logarithmic("outcome after, ms", &["p50_ms", "p99_ms"]), CPU_PANEL],
        about: "\
Each client has one connection to each of three banks, and begins a transfer when the one before has
ended.",
        measure: closed::clients,
    },
    GrowthCurve {
        name: "time",
        title: "Time at full load",
        axis: "seconds",
        scale: AxisScale::Linear,
        points: &[60],
        quick: &[10],
        long: &[],
        range: (1, 43_200),
        measures: &[PER_S, measure("cores", "all", "processors busy", 2), CPU, CPU_BANKS],
        panels: &[
            SPEED_PANEL,
            panel("processors busy (seconds of CPU a second)", &["cores"]),
            CPU_PANEL,
        ],
        about: "\
64 clients with 16 transfers under way each, at three banks, without a pause. Journals and indexes
grow all the time; segments are indexed and snapshots are made meanwhile.",
        measure: closed::time,
    },
    GrowthCurve {
        name: "open-loop",
        title: "Open loop",
        axis: "offered load, % of the capacity",
        scale: AxisScale::Linear,
        points: &[25, 50, 75, 90],
        quick: &[25, 75],
        long: &[],
        range: (1, 100),
        measures: &[
            measure("offered_per_s", "offered", "offered a second", 0),
            PER_S,
            P50,
            measure("p90_ms", "p90", "p90, ms", 2),
            P99,
            measure("max_ms", "max", "max, ms", 1),
        ],
        panels: &[
            logarithmic("outcome after its due time, ms", &["p50_ms", "p99_ms", "max_ms"]),
            panel("transfers a second", &["per_s", "offered_per_s"]),
        ],
        about: "\
The capacity is what 64 clients with 16 transfers under way each reach at the same three banks just
before, the median of three runs. Then transfers are due at even intervals, whether the banks are
ready or not, and latency counts from the time at which each was due.",
        measure: open::latency,
    },
    GrowthCurve {
        name: "overload",
        title: "Overload",
        axis: "offered load, multiples of the capacity",
        scale: AxisScale::Linear,
        points: &[1, 2, 5],
        quick: &[2, 5],
        long: &[],
        range: (1, 50),
        measures: &[
            measure("offered_per_s", "offered", "offered a second", 0),
            measure("per_s", "committed", "committed a second", 0),
            measure("goodput_percent", "goodput", "% of the peak", 0),
            measure("probe_ms", "during", "another client waits, ms", 1),
            measure("recovery_ms", "recovery", "recovered after, ms", 0),
            measure("probes_refused", "refused", "of its transfers refused", 0),
            measure("refused", "refused", "of the load refused", 0),
        ],
        panels: &[
            panel("committed, % of the closed loop's peak", &["goodput_percent"]),
            panel("recovered after, ms", &["recovery_ms"]),
        ],
        about: "\
As above, with up to 16,000 transfers under way. Meanwhile, before and after, another client sends a
transfer by EXECUTE every 10 ms, and counts from the time at which it was due. The banks have
recovered at the end of the overload's last slow one (slower by 10 ms than the median before it)
that is followed by 100 ms without any.",
        measure: open::overload,
    },
    GrowthCurve {
        name: "slow-disk",
        title: "Slow disks",
        axis: "added to each sync, ms",
        scale: AxisScale::Steps,
        points: &[0, 1, 5, 20],
        quick: &[0, 5],
        long: &[],
        range: (0, 1_000),
        measures: &[
            PER_S,
            P50,
            P99,
            measure("clients_per_s", "64 × 1", "64 × 1, a second", 0),
            measure("alone_per_s", "one client", "one client, a second", 0),
            measure("alone_p50_ms", "p50, one client", "one client, p50, ms", 2),
            measure("alone_p99_ms", "p99, one client", "one client, p99, ms", 2),
        ],
        panels: &[
            logarithmic("transfers a second", &["per_s", "clients_per_s", "alone_per_s"]),
            logarithmic("outcome after, ms", &["p50_ms", "p99_ms", "alone_p50_ms", "alone_p99_ms"]),
        ],
        about: "\
A library that is loaded into each bank ([slow_sync.c](../benches/speed/growth/slow_sync.c)) makes
each `fdatasync` and `fsync` take so much longer; at 0 it is not loaded. 64 clients run 16 transfers
each, then one each, then one client runs alone.",
        measure: slow_disk::measure,
    },
];
