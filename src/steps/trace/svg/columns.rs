//! The columns of a drawing: the one driver, and the banks. Other clients have none, nor have
//! their questions.

use super::super::timeline::{LaneKind, Timeline};
use super::TIMES_END;
use consorcio_core::wire::verb::Verb;

/// The widest and the narrowest distance between two columns.
const GAPS: (i64, i64) = (24, 12);
/// The width that all columns together should not exceed.
const WIDTH: i64 = 108;

/// The columns, and the lane that each is of.
pub(super) struct DrawnColumns {
    /// The column of each lane; none for a lane that is not drawn.
    column_of: Vec<Option<usize>>,
    /// The first lane of each column.
    pub(super) lanes: Vec<usize>,
    /// The clients that are not drawn.
    pub(super) left_out: usize,
    pub(super) gap: i64,
}

impl DrawnColumns {
    pub(super) fn of(timeline: &Timeline) -> DrawnColumns {
        let driver = driver(timeline);
        let is_logged = |lane: usize| timeline.lanes[lane].logged;
        let (mut column_of, mut lanes, mut left_out) = (Vec::new(), Vec::new(), 0);
        let mut column_of_driver = None;
        for (number, lane) in timeline.lanes.iter().enumerate() {
            // A driver without a log is known by its connections alone, one to each bank.
            let is_driver = driver.is_some_and(|driver| {
                let unlogged = !is_logged(driver) && !is_logged(number);
                number == driver || (unlogged && drives(timeline, number))
            });
            let column = match lane.kind {
                LaneKind::Client if !is_driver => {
                    left_out += 1;
                    None
                }
                LaneKind::Client if column_of_driver.is_some() => column_of_driver,
                LaneKind::Client | LaneKind::Bank => {
                    lanes.push(number);
                    let column = Some(lanes.len() - 1);
                    if lane.kind == LaneKind::Client {
                        column_of_driver = column;
                    }
                    column
                }
            };
            column_of.push(column);
        }
        let count = i64::try_from(lanes.len()).unwrap_or(1).max(1);
        let gap = (WIDTH / count).clamp(GAPS.1, GAPS.0);
        DrawnColumns { column_of, lanes, left_out, gap }
    }

    /// The x of a lane's column.
    pub(super) fn x(&self, lane: usize) -> Option<i64> {
        self.column_of.get(lane).copied().flatten().map(|column| self.place(column))
    }

    pub(super) fn place(&self, column: usize) -> i64 {
        TIMES_END + self.gap / 2 + 8 + self.gap * i64::try_from(column).unwrap_or(0)
    }

    /// The x at which words begin, right of all columns.
    pub(super) fn words(&self) -> i64 {
        self.place(self.lanes.len().saturating_sub(1)) + self.gap / 2 + 6
    }

    /// Whether the event is drawn: its node has a column, and so has the other end of its call.
    pub(super) fn has(&self, timeline: &Timeline, event: usize) -> bool {
        let event = &timeline.events[event];
        let call = event.call.map(|call| &timeline.calls[call]);
        self.x(event.lane).is_some()
            && call.is_none_or(|call| self.x(call.from).is_some() && self.x(call.to).is_some())
    }
}

/// The client that sent the transaction; none if a bank drives it for a client that logs nothing.
fn driver(timeline: &Timeline) -> Option<usize> {
    let is_client = |lane: &usize| timeline.lanes[*lane].kind == LaneKind::Client;
    let of = |verbs: &[Verb]| {
        let mut calls = timeline.calls.iter().filter(|call| verbs.contains(&call.verb));
        calls.find_map(|call| Some(call.from).filter(is_client))
    };
    // After a restart the logs may have only how it ended.
    of(&[Verb::Prepare, Verb::Execute]).or_else(|| of(&[Verb::Commit, Verb::Abort]))
}

fn drives(timeline: &Timeline, lane: usize) -> bool {
    let verbs = [Verb::Prepare, Verb::Execute, Verb::Commit, Verb::Abort];
    timeline.calls.iter().any(|call| call.from == lane && verbs.contains(&call.verb))
}
