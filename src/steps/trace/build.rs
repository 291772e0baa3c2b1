//! Builds a timeline from gathered lines: lanes, calls, and events in order on one time axis.

use super::caveats::Caveat;
use super::clocks::{Arrow, shifts};
use super::files::Logs;
use super::gather::GatheredLine;
use super::order::order;
use super::pair::{Pair, Party, pair};
use super::path;
use super::timeline::{Lane, LaneKind, Timeline, TraceVerdict, TracedCall, TracedEvent};
use crate::line::{Step, load_text, summary_text};
use consorcio_core::limits::TRACE_SET_BACK_US_MIN;
use std::collections::{BTreeMap, BTreeSet};

/// The timeline of `tx` from all its lines, which are in the order of each node's files.
pub(super) fn build(logs: &Logs, tx: &str, logged: Vec<GatheredLine>) -> Timeline {
    let bank_of = banks(logs, &logged);
    let pairs = pair(&logged, &bank_of);
    let merged = Merged::of(logs.nodes.len(), &logged, &pairs);
    let mut place = vec![0; logged.len()];
    for (number, line) in merged.order.iter().enumerate() {
        place[*line] = number;
    }
    let (lanes, lane_of) = lanes(logs, &logged, &pairs, &bank_of, &merged.shift_of_node);

    let began =
        merged.order.iter().find(|line| logged[**line].of_tx).map_or(0, |line| merged.at[*line]);
    let mut events: Vec<TracedEvent> = merged
        .order
        .iter()
        .map(|line| {
            let line_at = &logged[*line];
            TracedEvent {
                lane: lane_of[&Party::Node(line_at.node)],
                at_us: merged.at[*line] - began,
                logged_us: line_at.at_us,
                event: line_at.event.clone(),
                detail: line_at.detail.clone(),
                step: line_at.step.clone(),
                of_tx: line_at.of_tx,
                bank: line_at.bank,
                other: None,
                call: None,
            }
        })
        .collect();
    let calls = calls(&pairs, &logged, &lane_of, &place, &mut events);

    let mut timeline = Timeline {
        tx: tx.to_owned(),
        verdict: TraceVerdict::Nothing,
        reason: None,
        refused_by: None,
        commit_time: None,
        began_us: began,
        known_us: None,
        known_at: None,
        known_everywhere_us: None,
        banks: Vec::new(),
        oks: Vec::new(),
        last_ok: None,
        lanes,
        events,
        calls,
        spans: Vec::new(),
        path: Vec::new(),
        notes: Vec::new(),
    };
    timeline.judge();
    timeline.set_times();
    timeline.set_spans();
    timeline.path = path::path(&timeline);
    timeline.set_notes(pairs.iter().filter(|pair| pair.by_order).count());
    for (party, lane) in &lane_of {
        note_cut(&mut timeline, logs, party, *lane);
    }
    timeline
}

/// Notes where the log of a bank has lost lines of this transaction by rotation, or has none of it.
fn note_cut(timeline: &mut Timeline, logs: &Logs, party: &Party, lane: usize) {
    let has_line = timeline.events.iter().any(|event| event.lane == lane && event.of_tx);
    let (log, has_end) = match party {
        Party::Node(node) if !has_line => (logs.nodes.get(*node), false),
        Party::Node(node) if timeline.lacks_beginning(lane) => (logs.nodes.get(*node), true),
        // A bank whose log is here, without a line about it.
        Party::Bank(bank) => (logs.of_bank(*bank, timeline.lanes[lane].address.as_deref()), false),
        Party::Node(_) | Party::Address(_) => return,
    };
    let Some(log) = log else { return };
    let from_us = log.cut_at_us();
    if from_us.is_none() && has_end {
        return;
    }
    let lane = timeline.lanes[lane].clone();
    let missing = Caveat::NoLog(lane.clone());
    timeline.notes.retain(|note| *note != missing);
    timeline.notes.push(match from_us {
        Some(from_us) => Caveat::RotatedAway { lane, has_end, from_us },
        None => Caveat::NoLines(lane),
    });
}

/// Makes a call of each pair, and sets the call of each of the `events` that is one of its ends;
/// `place` maps lines to events.
fn calls(
    pairs: &[Pair],
    logged: &[GatheredLine],
    lane_of: &BTreeMap<Party, usize>,
    place: &[usize],
    events: &mut [TracedEvent],
) -> Vec<TracedCall> {
    let mut calls = Vec::new();
    for pair in pairs {
        let (from, to) = (lane_of[&pair.from], lane_of[&pair.to]);
        let at = |end: Option<usize>| end.map(|line| place[line]);
        let ends = [pair.sent, pair.received, pair.replied, pair.answered, pair.given_up].map(at);
        for event in ends.into_iter().flatten() {
            events[event].call = Some(calls.len());
            events[event].other = Some(if events[event].lane == from { to } else { from });
        }
        let [sent, received, replied, answered, given_up] = ends;
        let took =
            sent.zip(answered.or(given_up)).map(|(from, to)| events[to].at_us - events[from].at_us);
        let answer = pair.answered.or(pair.replied).and_then(|line| match &logged[line].step {
            Some(Step::Reply { summary, text, .. }) => Some((*summary, text)),
            Some(Step::Answer { summary, text, .. }) => summary.map(|summary| (summary, text)),
            _ => None,
        });
        calls.push(TracedCall {
            from,
            to,
            verb: pair.verb,
            n: pair.n,
            load: load_text(pair.load),
            carried: pair.load,
            reply_text: answer.map(|(summary, text)| summary_text(summary, text)),
            reply: answer.map(|(summary, _)| summary),
            sent,
            received,
            replied,
            answered: answered.or(given_up),
            lost: given_up.is_some(),
            took_us: took,
        });
    }
    calls
}

/// The bank of each node: from the start in its log, or else from its votes or from lines of other
/// nodes.
fn banks(logs: &Logs, logged: &[GatheredLine]) -> Vec<Option<u8>> {
    let banks = logs.nodes.iter().enumerate().map(|(node, log)| {
        let own = || logged.iter().filter(|line| line.node == node);
        let serves = own().any(|line| {
            matches!(
                line.step,
                Some(
                    Step::Receive { .. }
                        | Step::Vote { .. }
                        | Step::Reply { .. }
                        | Step::Refuse { .. }
                        | Step::Outcome { .. }
                )
            )
        });
        let voted = || {
            own().find_map(|line| match &line.step {
                Some(Step::Reply { summary, .. }) if matches!(summary.word, "OK" | "NOK") => {
                    summary.by.map(|bank| bank.as_u8())
                }
                _ => None,
            })
        };
        let named = || {
            let port = log.name.split(' ').next()?.rsplit_once('-')?.1;
            let here = |line: &&GatheredLine| {
                line.peer.as_deref().is_some_and(|peer| peer.ends_with(&format!(":{port}")))
            };
            logged
                .iter()
                .filter(|line| line.node != node && !is_incoming(line))
                .filter(here)
                .find_map(|line| line.bank)
        };
        log.bank.or_else(|| serves.then(voted).flatten()).or_else(|| serves.then(named).flatten())
    });
    banks.collect()
}

/// Whether the other end of the line made the connection, from a port of its own.
fn is_incoming(line: &GatheredLine) -> bool {
    matches!(line.step, Some(Step::Receive { .. } | Step::Reply { .. }))
}

/// All lines in order, on one time axis.
struct Merged {
    order: Vec<usize>,
    /// The time of each line, in microseconds since 1970.
    at: Vec<i64>,
    shift_of_node: Vec<i64>,
}

impl Merged {
    fn of(nodes: usize, logged: &[GatheredLine], pairs: &[Pair]) -> Merged {
        // A clock that was set back counts as another clock from then on.
        let mut clock_of = vec![0; logged.len()];
        let mut clocks = 0;
        let mut clock_of_node = vec![None; nodes];
        let mut chains: Vec<Vec<usize>> = Vec::new();
        for (number, line) in logged.iter().enumerate() {
            let before = number.checked_sub(1).map(|before| &logged[before]);
            let same = before.is_some_and(|before| {
                before.node == line.node && before.at_us - line.at_us < TRACE_SET_BACK_US_MIN
            });
            if !same {
                chains.push(Vec::new());
                clocks += 1;
                clock_of_node[line.node].get_or_insert(clocks - 1);
            }
            clock_of[number] = clocks - 1;
            chains[clocks - 1].push(number);
        }
        for chain in &mut chains {
            // Threads of one process write slightly out of order; sorting by its clock repairs
            // that.
            chain.sort_by_key(|line| (logged[*line].at_us, logged[*line].place));
        }
        let mut causes = Vec::new();
        for pair in pairs {
            causes.extend(pair.sent.zip(pair.received));
            causes.extend(pair.replied.zip(pair.answered));
        }
        let at = |line: usize| (clock_of[line], logged[line].at_us);
        let mut arrows: Vec<Arrow> = causes
            .iter()
            .map(|(sent, received)| Arrow { sent: at(*sent), received: at(*received) })
            .collect();
        let mut own: Vec<Vec<usize>> = Vec::new();
        for (number, chain) in chains.iter().enumerate() {
            match own.last_mut() {
                Some(before) if logged[before[0]].node == logged[chain[0]].node => {
                    let (Some(last), Some(first)) = (before.last(), chain.first()) else {
                        continue;
                    };
                    arrows.push(Arrow {
                        sent: (number - 1, logged[*last].at_us),
                        received: at(*first),
                    });
                    before.extend(chain);
                }
                _ => own.push(chain.clone()),
            }
        }
        let shifts = shifts(clocks, &arrows);
        let at: Vec<i64> =
            (0..logged.len()).map(|line| logged[line].at_us + shifts[clock_of[line]]).collect();
        let (order, at) = order(&at, &own, &causes);
        let shift_of = |clock: Option<usize>| clock.map_or(0, |clock| shifts[clock]);
        Merged { order, at, shift_of_node: clock_of_node.into_iter().map(shift_of).collect() }
    }
}

/// The lanes, clients first, then banks by position; and the lane of each party.
fn lanes(
    logs: &Logs,
    logged: &[GatheredLine],
    pairs: &[Pair],
    bank_of: &[Option<u8>],
    shifts: &[i64],
) -> (Vec<Lane>, BTreeMap<Party, usize>) {
    let mut parties: BTreeSet<&Party> =
        pairs.iter().flat_map(|pair| [&pair.from, &pair.to]).collect();
    let nodes: Vec<Party> = logged
        .iter()
        .map(|line| line.node)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(Party::Node)
        .collect();
    parties.extend(&nodes);
    let address = |bank: u8| {
        let lines = logged.iter().filter(|line| {
            line.bank == Some(bank) && line.event != "recv" && line.event != "reply"
        });
        lines.filter_map(|line| line.peer.clone()).next()
    };
    let mut lanes: Vec<(&Party, Lane)> = parties
        .into_iter()
        .map(|party| {
            let (kind, bank, address, name) = match party {
                Party::Node(node) => {
                    let log = &logs.nodes[*node];
                    let serves = bank_of[*node].is_some() || log.name.starts_with("servidor");
                    let kind = if serves { LaneKind::Bank } else { LaneKind::Client };
                    let bank = bank_of[*node];
                    (
                        kind,
                        bank,
                        bank.and_then(|bank| log.address.clone().or_else(|| address(bank))),
                        log.name.clone(),
                    )
                }
                Party::Bank(bank) => (LaneKind::Bank, Some(*bank), address(*bank), String::new()),
                Party::Address(peer) => {
                    (LaneKind::Client, None, Some(peer.clone()), "client".to_owned())
                }
            };
            let name = bank.map_or(name, |bank| format!("bank {bank}"));
            let logged = matches!(party, Party::Node(_));
            let shift_us = if let Party::Node(node) = party { shifts[*node] } else { 0 };
            (party, Lane { name, kind, bank, address, logged, shift_us })
        })
        .collect();
    let first = |party: &Party| {
        logged.iter().position(|line| Party::Node(line.node) == *party && line.of_tx)
    };
    lanes.sort_by_key(|(party, lane)| {
        (
            lane.kind == LaneKind::Bank,
            lane.bank,
            first(party).map_or(i64::MAX, |line| logged[line].at_us),
        )
    });
    let of =
        lanes.iter().enumerate().map(|(number, (party, _))| ((*party).clone(), number)).collect();
    (lanes.into_iter().map(|(_, lane)| lane).collect(), of)
}
