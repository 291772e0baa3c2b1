//! A timeline from the lines that were gathered: who took part, what belongs together, on one time
//! and in order.

use super::clocks::{Arrow, shifts};
use super::files::Logs;
use super::gather::Noted;
use super::line::{field, number};
use super::order::order;
use super::pair::{self, Pair, Party, pair, said};
use super::path;
use super::timeline::{Call, Event, Lane, LaneKind, Span, SpanKind, Timeline, Verdict};
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
    let mut events: Vec<Event> = merged
        .order
        .iter()
        .map(|line| {
            let told = &noted[*line];
            Event {
                lane: lane_of[&Party::Node(told.node)],
                at_us: merged.at[*line] - began,
                logged_us: told.at_us,
                event: told.event.clone(),
                detail: told.detail.clone(),
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
    timeline.note_troubles();
    timeline
}

/// The calls that the pairs tell of; each end among the `events`, at its line's place, is told its
/// call.
fn calls(
    pairs: &[Pair],
    noted: &[Noted],
    lane_of: &BTreeMap<Party, usize>,
    place: &[usize],
    events: &mut [Event],
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
        let load = pair
            .sent
            .or(pair.received)
            .map_or("", |line| noted[line].detail.split_once(' ').map_or("", |it| it.1));
        calls.push(Call {
            from,
            to,
            verb: pair.verb.clone(),
            load: load.to_owned(),
            said: pair.answered.or(pair.replied).map(|line| said(&noted[line]).to_owned()),
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
            matches!(line.event.as_str(), "recv" | "vote" | "reply" | "refuse" | "outcome")
        });
        let voted = || {
            let votes =
                own().filter(|line| line.event == "reply" && matches!(line.word(0), "OK" | "NOK"));
            votes.filter_map(|line| number(&line.detail, "by")).next()
        };
        let named = || {
            let port = log.name.split(' ').next()?.rsplit_once('-')?.1;
            let here = |line: &&Noted| {
                line.peer.as_deref().is_some_and(|peer| peer.ends_with(&format!(":{port}")))
            };
            noted
                .iter()
                .filter(|line| line.node != node && line.event != "recv")
                .filter(here)
                .find_map(|line| line.bank)
        };
        log.bank.or_else(|| serves.then(voted).flatten()).or_else(|| serves.then(named).flatten())
    });
    told.collect()
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

impl Timeline {
    /// What became of it, by all that is told.
    fn judge(&mut self) {
        let mut committed = None;
        let mut aborted: Option<(Option<String>, Option<u8>)> = None;
        let mut oks = BTreeSet::new();
        let mut banks = BTreeSet::new();
        // An outside coordinator has the last vote, and may refuse what its bank voted OK on.
        let mut outside = false;
        for event in self.events.iter().filter(|event| event.of_tx) {
            if let Some(named) = field(&event.detail, "banks") {
                banks.extend(named.split(',').filter_map(|bank| bank.parse::<u8>().ok()));
            }
            outside |=
                event.detail.split(' ').any(|word| word == "outside" || word == "by=outside");
            let lane_bank = self.lanes[event.lane].bank;
            let told = match event.event.as_str() {
                // Only who drives or serves knows; the words of a reply are told twice.
                "outcome" | "verdict" | "vote" | "reply" => event.detail.as_str(),
                "answer" => event
                    .detail
                    .split_once(' ')
                    .filter(|(verb, _)| pair::NAMED.contains(verb))
                    .map_or(&*event.detail, |it| it.1),
                "refuse" => {
                    let reason = event.detail.split(' ').next().map(str::to_owned);
                    aborted.get_or_insert((reason, lane_bank));
                    continue;
                }
                _ => continue,
            };
            let (word, rest) = told.split_once(' ').unwrap_or((told, ""));
            match word {
                "COMMITTED" => committed = committed.or(Some(number::<i64>(rest, "time"))),
                // The NOK of an id that was used for other bytes says nothing of these.
                "ABORTED" | "NOK" => {
                    let reason = rest.split(' ').next().map(str::to_owned);
                    let by = number(rest, "by").or(lane_bank.filter(|_| event.event == "vote"));
                    if reason.as_deref() != Some("duplicate-id") {
                        aborted.get_or_insert((reason, by));
                    }
                }
                "OK" => oks.extend(
                    number::<u8>(rest, "by").or(lane_bank.filter(|_| event.event == "vote")),
                ),
                _ => {}
            }
        }
        // EXECUTE of one bank is vote and outcome at once.
        oks.extend(
            self.events
                .iter()
                .filter(|event| event.event == "outcome")
                .filter_map(|event| field(&event.detail, "voted").and(self.lanes[event.lane].bank)),
        );
        self.banks = banks.into_iter().collect();
        self.oks = oks.into_iter().collect();
        self.commit_time = committed.flatten();
        let all_ok = !outside
            && !self.banks.is_empty()
            && self.banks.iter().all(|bank| self.oks.contains(bank));
        self.verdict = match (committed.is_some(), &aborted) {
            (true, Some(_)) => Verdict::Contradiction,
            (true, None) => Verdict::Committed,
            (false, Some(_)) if all_ok => Verdict::Contradiction,
            (false, Some(_)) => Verdict::Aborted,
            (false, None) if all_ok && self.all_oks_are_durable() => Verdict::Committed,
            (false, None) if self.oks.is_empty() => Verdict::Nothing,
            (false, None) => Verdict::Undecided,
        };
        if let (Verdict::Aborted | Verdict::Contradiction, Some((reason, by))) =
            (self.verdict, aborted)
        {
            (self.reason, self.refused_by) = (reason, by);
        }
    }

    /// An OK that was told or synced is on disk; one that was only decided may be lost.
    fn all_oks_are_durable(&self) -> bool {
        self.banks.iter().all(|bank| {
            let told = self.events.iter().filter(|event| {
                matches!(event.event.as_str(), "reply" | "answer") && event.detail.contains("OK ")
            });
            let synced =
                |event: &Event| event.event == "sync" && self.lanes[event.lane].bank == Some(*bank);
            told.filter_map(|event| number::<u8>(&event.detail, "by")).any(|by| by == *bank)
                || self.events.iter().any(synced)
        })
    }

    /// When it was told, and when the last bank knew.
    fn note_times(&mut self) {
        let is_end =
            |detail: &str| ["COMMITTED", "ABORTED"].iter().any(|word| detail.starts_with(word));
        let client = |event: &&Event| self.lanes[event.lane].kind == LaneKind::Client;
        let asked =
            |event: &&Event, verb| event.call.is_some_and(|call| self.calls[call].verb == verb);
        let verdict = self
            .events
            .iter()
            .filter(client)
            .find(|event| event.event == "verdict" && is_end(&event.detail));
        let answer = || {
            let told = self
                .events
                .iter()
                .filter(|event| matches!(event.event.as_str(), "answer" | "reply"));
            told.filter(|event| is_end(&event.detail)).find(|event| asked(event, "EXECUTE"))
        };
        // A bank that refused records no outcome: its own NOK is one.
        let outcomes = || {
            self.events.iter().filter(|event| match event.event.as_str() {
                "outcome" | "refuse" => true,
                "vote" => event.detail.starts_with("NOK"),
                _ => false,
            })
        };
        let answered = self.events.iter().filter(client).filter(|event| event.event == "answer");
        let answered =
            answered.filter(|event| is_end(&event.detail)).find(|event| asked(event, "EXECUTE"));
        let told = verdict.or(answered).or_else(answer).or_else(|| outcomes().next());
        let told = told.map(|event| (event.at_us, event.lane));
        (self.told_us, self.told_at) = told.unzip();
        self.settled_us = outcomes().map(|event| event.at_us).max();
        // The last OK that the driver heard before it told.
        let until = self.told_us.unwrap_or(i64::MAX);
        let heard =
            self.events.iter().filter(|event| event.event == "answer" && event.at_us <= until);
        let heard = heard.filter(|event| event.detail.starts_with("PREPARE OK"));
        self.last_ok =
            heard.filter_map(|event| Some((number(&event.detail, "by")?, event.at_us))).next_back();
    }

    fn note_spans(&mut self) {
        let mut spans = Vec::new();
        let end = self.events.last().map_or(0, |event| event.at_us);
        for lane in 0..self.lanes.len() {
            let own =
                || self.events.iter().enumerate().filter(move |(_, event)| event.lane == lane);
            let span = |kind, from_us: i64, to_us: Option<i64>| Span {
                lane,
                kind,
                from_us,
                to_us: to_us.unwrap_or(end).max(from_us),
                open: to_us.is_none(),
            };
            let after = |from: usize, words: &[&str]| {
                let later =
                    self.events[from..].iter().filter(|event| event.lane == lane && event.of_tx);
                let mut later = later.filter(|event| words.contains(&event.event.as_str()));
                later.next().map(|event| event.at_us)
            };
            if self.lanes[lane].kind == LaneKind::Client {
                let prepares =
                    self.calls.iter().filter(|call| call.from == lane && call.verb == "PREPARE");
                if let Some(first) = prepares.filter_map(|call| call.sent).min() {
                    // A driver works until its verdict; one that was killed never told it.
                    spans.push(span(
                        SpanKind::Drive,
                        self.events[first].at_us,
                        after(first, &["verdict"]),
                    ));
                }
                let others =
                    self.calls.iter().filter(|call| call.from == lane && call.verb != "PREPARE");
                let times = others.filter_map(|call| {
                    let (sent, answered) =
                        (self.events.get(call.sent?)?, self.events.get(call.answered?)?);
                    Some((sent.at_us, answered.at_us))
                });
                spans.extend(times.map(|(from, to)| span(SpanKind::Drive, from, Some(to))));
            }
            for (number, event) in own() {
                match event.event.as_str() {
                    "drive" => {
                        let told = own()
                            .filter(|(later, event)| *later > number && event.event == "reply");
                        let told = told.filter(|(_, event)| {
                            event.call.is_some_and(|call| self.calls[call].verb == "EXECUTE")
                        });
                        let told = told.map(|(_, event)| event.at_us).next();
                        spans.push(span(SpanKind::Drive, event.at_us, told));
                    }
                    "vote" if event.detail.starts_with("OK") => {
                        spans.push(span(SpanKind::Hold, event.at_us, after(number, &["outcome"])));
                    }
                    "doubt" => {
                        let restarted =
                            own().any(|(later, event)| later > number && event.event == "doubt");
                        let ended = after(number, &["outcome"]);
                        if !restarted || ended.is_some() {
                            spans.push(span(SpanKind::Doubt, event.at_us, ended));
                        }
                    }
                    _ => {}
                }
                if let "vote" | "refuse" | "outcome" = event.event.as_str() {
                    spans.extend(self.spans_until_durable(number, span));
                }
            }
        }
        spans.sort_by_key(|span| (span.lane, span.kind, span.from_us, span.to_us));
        spans.dedup();
        self.spans = spans;
    }

    /// What record `number` waited for: its turn, its batch, its sync.
    fn spans_until_durable(
        &self,
        number: usize,
        span: impl Fn(SpanKind, i64, Option<i64>) -> Span,
    ) -> Vec<Span> {
        let (mut spans, event) = (Vec::new(), &self.events[number]);
        if let Some(came) = path::came_before(self, number) {
            let came = self.events[came].at_us;
            if event.event != "outcome" && came < event.at_us {
                spans.push(span(SpanKind::Queue, came, Some(event.at_us)));
            }
        }
        if let Some(sync) = path::sync_of(self, number) {
            let begin = path::sync_begin(self, sync).max(event.at_us);
            if begin > event.at_us {
                spans.push(span(SpanKind::Batch, event.at_us, Some(begin)));
            }
            spans.push(span(SpanKind::Sync, begin, Some(self.events[sync].at_us)));
        }
        spans
    }

    fn note_troubles(&mut self) {
        let mut notes = Vec::new();
        for lane in self.lanes.iter().filter(|lane| lane.shift_us != 0) {
            let (name, shift) = (&lane.name, super::duration(lane.shift_us.abs()));
            let way = if lane.shift_us > 0 { "behind" } else { "ahead of" };
            notes.push(format!(
                "the clock of {name} is {shift} {way} the others'; its times are shifted, so that nothing arrives before it left"
            ));
        }
        for lane in self.lanes.iter().filter(|lane| !lane.logged) {
            let at =
                lane.address.as_ref().map_or(String::new(), |address| format!(" at {address}"));
            notes.push(format!(
                "there is no log of {}{at}: what it did is known from the others only",
                lane.name
            ));
        }
        let known: Vec<u8> = self.lanes.iter().filter_map(|lane| lane.bank).collect();
        for bank in self.banks.iter().filter(|bank| !known.contains(bank)) {
            notes.push(format!("no log tells that bank {bank}, which it names, heard of it"));
        }
        if self.verdict == Verdict::Contradiction {
            notes.push(
                "one log says committed and another one aborted: this must not be".to_owned(),
            );
        }
        if self.verdict == Verdict::Committed && self.told_us.is_none() {
            notes.push(
                "every bank's OK is durable, so it is committed, though nobody was left to say so"
                    .to_owned(),
            );
        }
        self.notes = notes;
    }
}
