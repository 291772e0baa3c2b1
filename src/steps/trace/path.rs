//! The critical path of a transaction: from where the outcome was first known back to the
//! beginning, always along the latest cause. Its legs add up to the transaction's duration.

use super::timeline::{LaneKind, Leg, LegKind, Timeline, TracedEvent};
use crate::line::Step;
use consorcio_core::wire::verb::Verb;
use consorcio_words::Lang;

/// The legs of the critical path, in the order of time.
pub(super) fn path(timeline: &Timeline) -> Vec<Leg> {
    let known = timeline.known_us.unwrap_or(i64::MAX);
    let end = timeline.events.iter().rposition(|event| {
        event.of_tx
            && event.at_us == known
            && matches!(
                event.step,
                Some(
                    Step::Verdict { .. }
                        | Step::Answer { .. }
                        | Step::Reply { .. }
                        | Step::Outcome { .. }
                        | Step::Vote { .. }
                        | Step::Refuse { .. }
                )
            )
    });
    let Some(end) = end else { return Vec::new() };
    let mut legs = Vec::new();
    let mut at = end;
    // Every step leads to an earlier event, so the loop ends.
    while let Some(before) = step(timeline, at, &mut legs) {
        debug_assert!(before < at, "causes precede effects");
        if before >= at {
            break;
        }
        at = before;
    }
    legs.reverse();
    legs.retain(|leg| leg.took_us() > 0);
    legs
}

/// One step back: the event that `at` waited for. Pushes the legs between them, the later first.
fn step(timeline: &Timeline, at: usize, legs: &mut Vec<Leg>) -> Option<usize> {
    let event = &timeline.events[at];
    let time = |event: usize| timeline.events[event].at_us;
    let mut leg = |kind, label: Bilingual, from_us: i64, to_us: i64| {
        let (label, portuguese) = label;
        legs.push(Leg { kind, lane: event.lane, label, portuguese, from_us, to_us });
    };
    let name = timeline.name(event.lane);
    let pt = |lane: usize| timeline.lanes[lane].name_in(Lang::Pt);
    let nome = pt(event.lane);
    if let Some(call) = event.call.map(|call| &timeline.calls[call]) {
        let (from, to) = (timeline.name(call.from), timeline.name(call.to));
        if call.received == Some(at)
            && let Some(sent) = call.sent
        {
            let label = message(call.verb.name(), (from, to), (&pt(call.from), &pt(call.to)));
            leg(LegKind::Network, label, time(sent), event.at_us);
            return Some(sent);
        }
        if call.answered == Some(at) && !call.lost {
            let word = call.reply.map_or("answer", |reply| reply.word);
            if let Some(replied) = call.replied {
                let label = message(word, (to, from), (&pt(call.to), &pt(call.from)));
                leg(LegKind::Network, label, time(replied), event.at_us);
                return Some(replied);
            }
            let sent = call.sent?;
            let verb = call.verb;
            let label = (format!("{verb} at {to}"), format!("{verb} no {}", pt(call.to)));
            leg(LegKind::Bank, label, time(sent), event.at_us);
            return Some(sent);
        }
        if call.replied == Some(at) {
            let received_us = call.received.map_or(i64::MIN, time);
            let syncs = (0..at).rev().filter(|sync| is_sync(timeline, *sync));
            let mut own = syncs.filter(|sync| timeline.events[*sync].lane == event.lane);
            if let Some(sync) = own.next().filter(|sync| time(*sync) >= received_us) {
                let label = (format!("{name} replies"), format!("{nome} responde"));
                leg(LegKind::Release, label, time(sync), event.at_us);
                return Some(sync);
            }
        }
    }
    if is_sync(timeline, at) {
        let record = record_of(timeline, at)?;
        let begin = sync_begin(timeline, at).max(time(record));
        let [sync, batch] = sync_labels(name, &nome);
        leg(LegKind::Sync, sync, begin, event.at_us);
        leg(LegKind::Batch, batch, time(record), begin);
        return Some(record);
    }
    if matches!(event.step, Some(Step::Vote { .. } | Step::Refuse { .. }))
        && let Some(request) = request_before(timeline, at)
    {
        let label = (format!("queue at {name}"), format!("fila no {nome}"));
        leg(LegKind::Queue, label, time(request), event.at_us);
        return Some(request);
    }
    let before = (0..at).rev().find(|before| {
        let other = &timeline.events[*before];
        other.lane == event.lane && other.of_tx
    })?;
    let (kind, label) = waits(timeline, before, event);
    leg(kind, label, time(before), event.at_us);
    Some(before)
}

/// A label in English and in Portuguese.
type Bilingual = (String, String);

/// The labels of a sync, and of the wait for it.
fn sync_labels(name: &str, nome: &str) -> [Bilingual; 2] {
    [
        (format!("sync at {name}"), format!("gravação no {nome}")),
        (format!("{name} waits for its sync"), format!("{nome} espera o disco")),
    ]
}

/// The label of a message from one node to another, with their names in both languages.
fn message(word: &str, (from, to): (&str, &str), (de, para): (&str, &str)) -> Bilingual {
    (format!("{word} from {from} to {to}"), format!("{word} de {de} para {para}"))
}

/// The activity of a node between two of its own lines.
fn waits(timeline: &Timeline, before: usize, event: &TracedEvent) -> (LegKind, Bilingual) {
    let name = timeline.name(event.lane);
    let nome = timeline.lanes[event.lane].name_in(Lang::Pt);
    let drives = timeline.lanes[event.lane].kind == LaneKind::Client;
    let label = |english: &str, portuguese: &str| {
        (format!("{name} {english}"), format!("{nome} {portuguese}"))
    };
    match &event.step {
        Some(Step::Timeout(..)) => {
            (LegKind::Wait, label("waits until its time-out", "espera até o seu prazo"))
        }
        Some(Step::Doubt(_, cause)) => {
            let cause = cause.as_str();
            let english = format!("waits until it asks ({cause})");
            (LegKind::Wait, label(&english, &format!("espera até perguntar ({cause})")))
        }
        Some(Step::Verdict { .. } | Step::Outcome { .. }) => {
            (LegKind::Driver, label("decides", "decide"))
        }
        Some(Step::Count { .. }) => (LegKind::Driver, label("counts an OK", "conta um OK")),
        Some(Step::Send { .. }) => (LegKind::Driver, label("sends", "envia")),
        Some(Step::Ask { .. }) => {
            (LegKind::Wait, label("waits until it asks", "espera até perguntar"))
        }
        Some(Step::GaveUp(_)) => {
            (LegKind::Wait, label("waits for an answer", "espera uma resposta"))
        }
        // The sender has no log.
        Some(Step::Receive { verb, .. }) => {
            (LegKind::Wait, label(&format!("waits for {verb}"), &format!("espera {verb}")))
        }
        step => {
            let is_drive = matches!(step, Some(Step::Drive(_)));
            let kind = if drives || is_drive { LegKind::Driver } else { LegKind::Wait };
            let (from, to) = (&timeline.events[before].event, &event.event);
            (kind, (format!("{name}: {from} to {to}"), format!("{nome}: {from} a {to}")))
        }
    }
}

fn is_sync(timeline: &Timeline, event: usize) -> bool {
    matches!(timeline.events[event].step, Some(Step::Sync { .. }))
}

/// The request that made a bank vote or refuse: the last one that it received before.
pub(super) fn request_before(timeline: &Timeline, record: usize) -> Option<usize> {
    let lane = timeline.events[record].lane;
    let verbs: &[Verb] = match timeline.events[record].step {
        Some(Step::Vote { .. }) => &[Verb::Prepare, Verb::Execute],
        _ => &[Verb::Resolve, Verb::Abort, Verb::Execute, Verb::Commit],
    };
    (0..record).rev().find(|request| {
        let event = &timeline.events[*request];
        event.lane == lane
            && matches!(&event.step, Some(Step::Receive { verb, .. }) if verbs.contains(verb))
    })
}

/// The sync that made the record durable.
pub(super) fn sync_of(timeline: &Timeline, record: usize) -> Option<usize> {
    let event = &timeline.events[record];
    let seq = event.step.as_ref()?.seq()?;
    let later = timeline
        .events
        .iter()
        .enumerate()
        .skip(record)
        .filter(|(_, other)| other.lane == event.lane);
    for (at, other) in later {
        match other.step {
            Some(Step::Sync { upto, .. }) if upto >= seq => return Some(at),
            Some(Step::Start(_)) => return None,
            _ => {}
        }
    }
    None
}

/// The time at which a sync began.
pub(super) fn sync_begin(timeline: &Timeline, sync: usize) -> i64 {
    let event = &timeline.events[sync];
    event.at_us - event.took_us().unwrap_or(0)
}

/// The first record of this transaction that the sync made durable.
fn record_of(timeline: &Timeline, sync: usize) -> Option<usize> {
    let lane = timeline.events[sync].lane;
    (0..sync).find(|record| {
        let event = &timeline.events[*record];
        event.lane == lane
            && event.of_tx
            && event.step.as_ref().is_some_and(|step| step.seq().is_some())
            && sync_of(timeline, *record) == Some(sync)
    })
}
