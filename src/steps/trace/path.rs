//! The way of an outcome: from whoever was told first back to the beginning, always along what came
//! last. The legs of that way are what made the transaction take as long as it did.

use super::line::number;
use super::timeline::{Event, LaneKind, Leg, LegKind, Timeline};

/// The legs in order of time.
pub fn path(timeline: &Timeline) -> Vec<Leg> {
    let told = timeline.told_us.unwrap_or(i64::MAX);
    let end = timeline.events.iter().rposition(|event| {
        event.of_tx
            && event.at_us == told
            && matches!(
                event.event.as_str(),
                "verdict" | "answer" | "reply" | "outcome" | "vote" | "refuse"
            )
    });
    let Some(end) = end else { return Vec::new() };
    let mut legs = Vec::new();
    let mut at = end;
    // Every step leads to an earlier event, so this ends.
    while let Some(before) = step(timeline, at, &mut legs) {
        debug_assert!(before < at, "causes come first");
        if before >= at {
            break;
        }
        at = before;
    }
    legs.reverse();
    legs.retain(|leg| leg.took_us() > 0);
    legs
}

/// One step back: which event `at` waited for, and the legs between, the later first.
fn step(timeline: &Timeline, at: usize, legs: &mut Vec<Leg>) -> Option<usize> {
    let event = &timeline.events[at];
    let time = |event: usize| timeline.events[event].at_us;
    let mut leg = |kind, what: String, from_us: i64, to_us: i64| {
        legs.push(Leg { kind, lane: event.lane, what, from_us, to_us });
    };
    let name = timeline.name(event.lane);
    if let Some(call) = event.call.map(|call| &timeline.calls[call]) {
        let (from, to) = (timeline.name(call.from), timeline.name(call.to));
        if call.received == Some(at)
            && let Some(sent) = call.sent
        {
            leg(
                LegKind::Network,
                format!("{} from {from} to {to}", call.verb),
                time(sent),
                event.at_us,
            );
            return Some(sent);
        }
        if call.answered == Some(at) && !call.lost {
            let word =
                call.said.as_deref().and_then(|said| said.split(' ').next()).unwrap_or("answer");
            if let Some(replied) = call.replied {
                leg(
                    LegKind::Network,
                    format!("{word} from {to} to {from}"),
                    time(replied),
                    event.at_us,
                );
                return Some(replied);
            }
            let sent = call.sent?;
            leg(LegKind::Bank, format!("{} at {to}", call.verb), time(sent), event.at_us);
            return Some(sent);
        }
        if call.replied == Some(at) {
            let came = call.received.map_or(i64::MIN, time);
            let syncs = (0..at).rev().filter(|sync| timeline.events[*sync].event == "sync");
            let mut own = syncs.filter(|sync| timeline.events[*sync].lane == event.lane);
            if let Some(sync) = own.next().filter(|sync| time(*sync) >= came) {
                leg(LegKind::Release, format!("{name} replies"), time(sync), event.at_us);
                return Some(sync);
            }
        }
    }
    if event.event == "sync" {
        let record = record_of(timeline, at)?;
        let begin = sync_begin(timeline, at).max(time(record));
        leg(LegKind::Sync, format!("sync at {name}"), begin, event.at_us);
        leg(LegKind::Batch, format!("{name} waits for its sync"), time(record), begin);
        return Some(record);
    }
    if matches!(event.event.as_str(), "vote" | "refuse")
        && let Some(came) = came_before(timeline, at)
    {
        leg(LegKind::Queue, format!("queue at {name}"), time(came), event.at_us);
        return Some(came);
    }
    let before = (0..at).rev().find(|before| {
        let other = &timeline.events[*before];
        other.lane == event.lane && other.of_tx
    })?;
    let (kind, what) = waits(timeline, before, event);
    leg(kind, what, time(before), event.at_us);
    Some(before)
}

/// What a node did between two of its own lines.
fn waits(timeline: &Timeline, before: usize, event: &Event) -> (LegKind, String) {
    let name = timeline.name(event.lane);
    let drives = timeline.lanes[event.lane].kind == LaneKind::Client;
    match event.event.as_str() {
        "timeout" => (LegKind::Wait, format!("{name} waits until its time-out")),
        "doubt" => (LegKind::Wait, format!("{name} waits until it asks ({})", event.detail)),
        "verdict" | "outcome" => (LegKind::Driver, format!("{name} decides")),
        "send" => (LegKind::Driver, format!("{name} sends")),
        "ask" => (LegKind::Wait, format!("{name} waits until it asks")),
        "gave-up" => (LegKind::Wait, format!("{name} waits for an answer")),
        // Who sent it has no log.
        "recv" => {
            let verb = event.detail.split(' ').next().unwrap_or("a request");
            (LegKind::Wait, format!("{name} waits for {verb}"))
        }
        word => {
            let kind = if drives || word == "drive" { LegKind::Driver } else { LegKind::Wait };
            (kind, format!("{name}: {} to {word}", timeline.events[before].event))
        }
    }
}

/// The request that made a bank vote or refuse: the last that came before, and was not answered
/// before.
pub fn came_before(timeline: &Timeline, record: usize) -> Option<usize> {
    let lane = timeline.events[record].lane;
    (0..record).rev().find(|came| {
        let event = &timeline.events[*came];
        let verb = event.call.map(|call| timeline.calls[call].verb.as_str());
        let verbs: &[&str] = match timeline.events[record].event.as_str() {
            "vote" => &["PREPARE", "EXECUTE"],
            _ => &["RESOLVE", "ABORT", "EXECUTE", "COMMIT"],
        };
        event.lane == lane
            && event.event == "recv"
            && verb.is_some_and(|verb| verbs.contains(&verb))
    })
}

/// The sync that made a record durable.
pub fn sync_of(timeline: &Timeline, record: usize) -> Option<usize> {
    let event = &timeline.events[record];
    let seq = number::<u64>(&event.detail, "seq")?;
    let later = timeline
        .events
        .iter()
        .enumerate()
        .skip(record)
        .filter(|(_, other)| other.lane == event.lane);
    for (at, other) in later {
        match other.event.as_str() {
            "sync" if number::<u64>(&other.detail, "upto").is_some_and(|upto| upto >= seq) => {
                return Some(at);
            }
            "start" => return None,
            _ => {}
        }
    }
    None
}

/// When a sync began.
pub fn sync_begin(timeline: &Timeline, sync: usize) -> i64 {
    let event = &timeline.events[sync];
    event.at_us - number::<i64>(&event.detail, "took_us").unwrap_or(0)
}

/// The first record of this transaction that a sync made durable.
fn record_of(timeline: &Timeline, sync: usize) -> Option<usize> {
    let lane = timeline.events[sync].lane;
    (0..sync).find(|record| {
        let event = &timeline.events[*record];
        event.lane == lane
            && event.of_tx
            && event.detail.contains("seq=")
            && sync_of(timeline, *record) == Some(sync)
    })
}
