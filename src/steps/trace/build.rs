//! A timeline from the lines that were gathered: who took part, what belongs together, on one time
//! and in order.

use super::clocks::{Arrow, shifts};
use super::files::Logs;
use super::gather::Noted;
use super::order::order;
use super::pair::{Pair, Party, pair};
use super::path;
use super::timeline::{Call, Lane, LaneKind, Timeline, TracedEvent, Verdict};
use crate::line::{Step, load_text, said_text};
use std::collections::{BTreeMap, BTreeSet};

/// A clock that goes back by more than this between two lines of one file was set back; less is how
/// lines of one process are written, which are told by several hands.
const SET_BACK_US: i64 = 500_000;

/// The timeline of `tx` from all lines that tell of it, in the order of each node's files.
pub fn build(logs: &Logs, tx: &str, noted: Vec<Noted>) -> Timeline {
    let bank_of = banks(logs, &noted);
    let pairs = pair(&noted, &bank_of);
    let merged = Merged::of(logs.nodes.len(), &noted, &pairs);
    let mut place = vec![0; noted.len()];
    for (number, line) in merged.order.iter().enumerate() {
        place[*line] = number;
    }
    let (lanes, lane_of) = lanes(logs, &noted, &pairs, &bank_of, &merged.shift_of_node);

    let began =
        merged.order.iter().find(|line| noted[**line].of_tx).map_or(0, |line| merged.at[*line]);
    let mut events: Vec<TracedEvent> = merged
        .order
        .iter()
        .map(|line| {
            let told = &noted[*line];
            TracedEvent {
                lane: lane_of[&Party::Node(told.node)],
                at_us: merged.at[*line] - began,
                logged_us: told.at_us,
                event: told.event.clone(),
                detail: told.detail.clone(),
                step: told.step.clone(),
                of_tx: told.of_tx,
                bank: told.bank,
                other: None,
                call: None,
            }
        })
        .collect();
    let calls = calls(&pairs, &noted, &lane_of, &place, &mut events);

    let mut timeline = Timeline {
        tx: tx.to_owned(),
        verdict: Verdict::Nothing,
        reason: None,
        refused_by: None,
        commit_time: None,
        began_us: began,
        told_us: None,
        told_at: None,
        settled_us: None,
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
    timeline.note_times();
    timeline.note_spans();
    timeline.path = path::path(&timeline);
    timeline.note_troubles(pairs.iter().filter(|pair| pair.by_order).count());
    timeline
}

/// The calls that the pairs tell of; each end among the `events`, at its line's place, is told its
/// call.
fn calls(
    pairs: &[Pair],
    noted: &[Noted],
    lane_of: &BTreeMap<Party, usize>,
    place: &[usize],
    events: &mut [TracedEvent],
) -> Vec<Call> {
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
        let answer = pair.answered.or(pair.replied).and_then(|line| match &noted[line].step {
            Some(Step::Reply { said, text, .. }) => Some((*said, text)),
            Some(Step::Answer { said, text, .. }) => said.map(|said| (said, text)),
            _ => None,
        });
        calls.push(Call {
            from,
            to,
            verb: pair.verb,
            n: pair.n,
            load: load_text(pair.load),
            carried: pair.load,
            said: answer.map(|(said, text)| said_text(said, text)),
            reply: answer.map(|(said, _)| said),
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

/// Which bank each node is: what its log says at a start, or else what its replies or others' lines
/// say.
fn banks(logs: &Logs, noted: &[Noted]) -> Vec<Option<u8>> {
    let told = logs.nodes.iter().enumerate().map(|(node, log)| {
        let own = || noted.iter().filter(|line| line.node == node);
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
                Some(Step::Reply { said, .. }) if matches!(said.word, "OK" | "NOK") => {
                    said.by.map(|bank| bank.as_u8())
                }
                _ => None,
            })
        };
        let named = || {
            let port = log.name.split(' ').next()?.rsplit_once('-')?.1;
            let here = |line: &&Noted| {
                line.peer.as_deref().is_some_and(|peer| peer.ends_with(&format!(":{port}")))
            };
            noted
                .iter()
                .filter(|line| line.node != node && !is_incoming(line))
                .filter(here)
                .find_map(|line| line.bank)
        };
        log.bank.or_else(|| serves.then(voted).flatten()).or_else(|| serves.then(named).flatten())
    });
    told.collect()
}

/// Is its other end one that turned to this node, from a port of its own?
fn is_incoming(line: &Noted) -> bool {
    matches!(line.step, Some(Step::Receive { .. } | Step::Reply { .. }))
}

/// All lines in order, and on one time.
struct Merged {
    order: Vec<usize>,
    /// Microseconds since 1970, of each line.
    at: Vec<i64>,
    shift_of_node: Vec<i64>,
}

impl Merged {
    fn of(nodes: usize, noted: &[Noted], pairs: &[Pair]) -> Merged {
        // A clock that was set back is another clock from then on.
        let mut clock_of = vec![0; noted.len()];
        let mut clocks = 0;
        let mut clock_of_node = vec![None; nodes];
        let mut chains: Vec<Vec<usize>> = Vec::new();
        for (number, line) in noted.iter().enumerate() {
            let before = number.checked_sub(1).map(|before| &noted[before]);
            let same = before.is_some_and(|before| {
                before.node == line.node && before.at_us - line.at_us < SET_BACK_US
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
            // Hands of one process write a bit out of order; by one clock that is put right.
            chain.sort_by_key(|line| (noted[*line].at_us, noted[*line].place));
        }
        let mut causes = Vec::new();
        for pair in pairs {
            causes.extend(pair.sent.zip(pair.received));
            causes.extend(pair.replied.zip(pair.answered));
        }
        let at = |line: usize| (clock_of[line], noted[line].at_us);
        let mut arrows: Vec<Arrow> =
            causes.iter().map(|(sent, came)| Arrow { sent: at(*sent), came: at(*came) }).collect();
        let mut own: Vec<Vec<usize>> = Vec::new();
        for (number, chain) in chains.iter().enumerate() {
            match own.last_mut() {
                Some(before) if noted[before[0]].node == noted[chain[0]].node => {
                    let (Some(last), Some(first)) = (before.last(), chain.first()) else {
                        continue;
                    };
                    arrows.push(Arrow { sent: (number - 1, noted[*last].at_us), came: at(*first) });
                    before.extend(chain);
                }
                _ => own.push(chain.clone()),
            }
        }
        let shifts = shifts(clocks, &arrows);
        let at: Vec<i64> =
            (0..noted.len()).map(|line| noted[line].at_us + shifts[clock_of[line]]).collect();
        let (order, at) = order(&at, &own, &causes);
        let shift_of = |clock: Option<usize>| clock.map_or(0, |clock| shifts[clock]);
        Merged { order, at, shift_of_node: clock_of_node.into_iter().map(shift_of).collect() }
    }
}

/// Who took part, clients first, then banks by their places; and where each stands.
fn lanes(
    logs: &Logs,
    noted: &[Noted],
    pairs: &[Pair],
    bank_of: &[Option<u8>],
    shifts: &[i64],
) -> (Vec<Lane>, BTreeMap<Party, usize>) {
    let mut parties: BTreeSet<&Party> =
        pairs.iter().flat_map(|pair| [&pair.from, &pair.to]).collect();
    let logged: Vec<Party> = noted
        .iter()
        .map(|line| line.node)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(Party::Node)
        .collect();
    parties.extend(&logged);
    let address = |bank: u8| {
        let told = noted.iter().filter(|line| {
            line.bank == Some(bank) && line.event != "recv" && line.event != "reply"
        });
        told.filter_map(|line| line.peer.clone()).next()
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
        noted.iter().position(|line| Party::Node(line.node) == *party && line.of_tx)
    };
    lanes.sort_by_key(|(party, lane)| {
        (
            lane.kind == LaneKind::Bank,
            lane.bank,
            first(party).map_or(i64::MAX, |line| noted[line].at_us),
        )
    });
    let of =
        lanes.iter().enumerate().map(|(number, (party, _))| ((*party).clone(), number)).collect();
    (lanes.into_iter().map(|(_, lane)| lane).collect(), of)
}
