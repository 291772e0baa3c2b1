//! A checker for the linearizability of one register: Wing & Gong's search (_Testing and Verifying
//! Concurrent Objects_, 1993) with Lowe's cache of visited states (_Testing for linearizability_,
//! 2017).
//!
//! Every write has a unique value, which keeps the window small: a write whose outcome is unknown
//! either was never read, and then can be omitted, or took effect before the first read of it
//! ended.

use std::collections::{BTreeMap, BTreeSet, HashSet};

/// An operation with its times, in any unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterEvent {
    pub began: u64,
    /// When its reply arrived; none if it never did.
    pub ended: Option<u64>,
    pub act: RegisterAct,
}

/// A write or a read, with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegisterAct {
    /// The value is unique among all writes.
    Write(String),
    Read(String),
}

/// A state of the search: the events before `low` and those in `beyond` are ordered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SearchState {
    low: usize,
    beyond: BTreeSet<usize>,
    /// The event that wrote the current value; none for the initial value.
    writer: Option<usize>,
}

/// An event in the form that the search uses.
struct Operation {
    began: u64,
    ended: u64,
    /// `None` for a write; for a read, the event that wrote its value, or none if it is initial.
    read: Option<Option<usize>>,
}

/// Checks that the events are linearizable as those of one register with the value `first` before
/// them.
///
/// # Errors
/// The first event that no order reaches, with those around it.
pub fn check(first: &str, events: &[RegisterEvent]) -> Result<(), String> {
    let events = bounded(events);
    let items = items(first, &events)?;
    let mut stack = vec![SearchState { low: 0, beyond: BTreeSet::new(), writer: None }];
    let mut seen = HashSet::new();
    let mut farthest = 0;
    while let Some(state) = stack.pop() {
        if state.low == items.len() {
            return Ok(());
        }
        farthest = farthest.max(state.low);
        if !seen.insert(state.clone()) {
            continue;
        }
        let possible = possible(&items, &state);
        // A read that fits does not change the register, so taking it at once loses no order.
        let fits = |at: &&usize| items[**at].read == Some(state.writer);
        if let Some(read) = possible.iter().find(fits) {
            stack.push(state.with(*read, state.writer));
        } else {
            // Pushed in reverse, so that the earliest is tried first.
            for write in possible.iter().rev().filter(|at| items[**at].read.is_none()) {
                stack.push(state.with(*write, Some(*write)));
            }
        }
    }
    let around = &events[farthest.saturating_sub(6)..events.len().min(farthest + 7)];
    let around: Vec<String> = around.iter().map(|event| format!("  {event:?}")).collect();
    Err(format!("no order of these events, of {}:\n{}", events.len(), around.join("\n")))
}

impl SearchState {
    fn with(&self, at: usize, writer: Option<usize>) -> SearchState {
        let mut next = SearchState { low: self.low, beyond: self.beyond.clone(), writer };
        next.beyond.insert(at);
        while next.beyond.remove(&next.low) {
            next.low += 1;
        }
        next
    }
}

/// The events that may come next: those that began before every unordered event ended.
fn possible(items: &[Operation], state: &SearchState) -> Vec<usize> {
    let mut first_end = u64::MAX;
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate().skip(state.low) {
        if item.began > first_end {
            break;
        }
        if !state.beyond.contains(&at) {
            first_end = first_end.min(item.ended);
            found.push(at);
        }
    }
    found.retain(|at| items[*at].began <= first_end);
    found
}

/// The events to order, sorted by their beginning: completed reads, and writes that completed or
/// were read. A write that was read took effect before the first read of it ended.
fn bounded(events: &[RegisterEvent]) -> Vec<RegisterEvent> {
    let mut read_by: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        if let (RegisterAct::Read(value), Some(ended)) = (&event.act, event.ended) {
            let first = read_by.entry(value).or_insert(ended);
            *first = ended.min(*first);
        }
    }
    let mut kept: Vec<RegisterEvent> = events
        .iter()
        .filter_map(|event| {
            let read = match &event.act {
                RegisterAct::Write(value) => read_by.get(value.as_str()).copied(),
                RegisterAct::Read(_) => None,
            };
            let ended = [event.ended, read].into_iter().flatten().min()?;
            Some(RegisterEvent { ended: Some(ended), ..event.clone() })
        })
        .collect();
    kept.sort_by_key(|event| event.began);
    kept
}

fn items(first: &str, events: &[RegisterEvent]) -> Result<Vec<Operation>, String> {
    let mut writers = BTreeMap::from([(first, None)]);
    for (at, event) in events.iter().enumerate() {
        if let RegisterAct::Write(value) = &event.act {
            let other = writers.insert(value, Some(at));
            assert!(other.is_none(), "each write has a unique value, but {value} is written twice");
        }
    }
    let item = |event: &RegisterEvent| {
        let read = match &event.act {
            RegisterAct::Write(_) => None,
            RegisterAct::Read(value) => match writers.get(value.as_str()) {
                Some(writer) => Some(*writer),
                None => return Err(format!("a value that was never written: {event:?}")),
            },
        };
        let ended = event.ended.unwrap_or(u64::MAX);
        if ended < event.began {
            return Err(format!("read before it was written: {event:?} until {ended}"));
        }
        Ok(Operation { began: event.began, ended, read })
    };
    events.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `w1 0-5` writes 1 from 0 to 5, `r1 3-4` reads it, `w2 3-` is a write of unknown outcome.
    fn verdict(history: &str) -> Result<(), String> {
        let events: Vec<RegisterEvent> = history
            .split(", ")
            .map(|text| {
                let (act, times) = text.split_once(' ').unwrap();
                let (began, ended) = times.split_once('-').unwrap();
                let value = act[1..].to_owned();
                RegisterEvent {
                    began: began.parse().unwrap(),
                    ended: ended.parse().ok(),
                    act: if act.starts_with('w') {
                        RegisterAct::Write(value)
                    } else {
                        RegisterAct::Read(value)
                    },
                }
            })
            .collect();
        check("0", &events)
    }

    #[track_caller]
    fn good(history: &str) {
        assert_eq!(verdict(history), Ok(()), "{history}");
    }

    #[track_caller]
    fn bad(history: &str) {
        assert!(verdict(history).is_err(), "{history}");
    }

    #[test]
    fn linearizable_histories() {
        good("r0 0-1");
        good("w1 0-1, r1 2-3");
        good("w1 0-9, r0 1-2, r1 3-4");
        good("w1 0-9, w2 0-9, r2 1-2, r1 3-4, r1 10-11");
        good("w1 0-9, w2 0-9, r1 1-2, r2 3-4, r2 10-11");
        good("w1 0-1, w2 2-3, w3 2-3, r2 4-5");
        good("w1 0-5, r1 5-6");
    }

    #[test]
    fn histories_that_are_not_linearizable() {
        bad("r1 0-1");
        bad("w1 0-1, r0 2-3");
        bad("r1 0-1, w1 2-3");
        bad("w1 0-9, r1 1-2, r0 3-4");
        bad("w1 0-1, w2 2-3, r1 4-5");
        bad("w1 0-9, w2 0-9, r1 1-2, r2 3-4, r1 5-6");
        bad("w1 0-9, w2 0-9, r1 10-11, r2 12-13");
        bad("w1 0-1, w2 0-9, w3 2-3, r3 4-5, r2 5-6, r3 7-8");
    }

    #[test]
    fn an_unknown_write_may_take_effect_at_any_time_or_never() {
        good("w1 0-, r0 5-6, r0 7-8");
        good("w1 0-, r0 5-6, r1 7-8, r1 9-10");
        good("w1 0-, w2 1-2, r2 3-4, r1 5-6");
        bad("w1 0-, r1 5-6, r0 7-8");
        bad("w1 0-, w2 1-2, r1 3-4, r2 5-6, r1 7-8");
        bad("r1 0-1, w1 2-");
        good("r1 0-, w2 1-2");
    }

    #[test]
    fn long_histories_with_many_unknown_writes_are_fast() {
        let mut history = Vec::new();
        for round in 0..3_000u64 {
            let at = round * 10;
            history.push(format!("w{} {at}-{}", round + 1, at + 9));
            history.push(format!("wx{round} {at}-"));
            history.push(format!("r{} {}-{}", round + 1, at + 5, at + 12));
            if round % 7 == 6 {
                history.push(format!("rx{} {}-{}", round - 6, at + 4, at + 13));
            }
        }
        good(&history.join(", "));
        history.push("r2999 30005-30006".to_owned());
        bad(&history.join(", "));
    }
}
