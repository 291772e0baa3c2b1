//! What must hold of a run, from what the clients were told and from what the banks say at its end.

#[cfg(test)]
mod tests;

use super::cluster::ProxiedCluster;
use super::history::{Cut, Op, Told, What, now_us};
use super::linear::{self, RegisterAct, RegisterEvent};
use super::load::take_cut;
use super::{BANKS, OPENED_WITH, TOTAL, bank_of};
use crate::support::{Wire, wait_until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// STATUS questions that are under way at once.
const QUESTIONS: usize = 500;

/// What the banks say of each transaction: its time where it is committed.
type Outcomes = BTreeMap<String, Option<i64>>;

/// Waits until nothing is undecided, then checks all; gives each thing that does not hold.
pub fn audit(cluster: &ProxiedCluster, ops: &mut Vec<Op>) -> Vec<String> {
    let mut wires: Vec<Wire> = (0..BANKS).map(|bank| cluster.connect(bank)).collect();
    for (bank, wire) in wires.iter_mut().enumerate() {
        wait_until(&format!("the end of all doubts at bank {bank}"), || {
            (ask(wire, "INFO")["undecided"] == 0 && wire.ask("PENDING") == "DONE []").then_some(())
        });
    }
    let mut faults = Vec::new();
    let outcomes = outcomes(ops, &mut wires, &mut faults);
    read_all(ops, &mut wires);
    check_infos(&mut wires, &mut faults);
    check_cuts(ops, &outcomes, &mut faults);
    check_order(ops, &outcomes, &mut faults);
    check_registers(ops, &mut faults);
    faults
}

/// Asks every bank about every transaction: one outcome at all that it names, and the one that was
/// told.
fn outcomes(ops: &[Op], wires: &mut [Wire], faults: &mut Vec<String>) -> Outcomes {
    let mut said: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (bank, wire) in wires.iter_mut().enumerate() {
        let named: Vec<&str> =
            ops.iter().filter(|op| op.banks().contains(&bank)).filter_map(Op::tx).collect();
        for some in named.chunks(QUESTIONS) {
            wire.send(&some.iter().map(|tx| format!("STATUS {tx}")).collect::<Vec<_>>().join("\n"));
            for tx in some {
                let reply = wire.receive().expect("the bank goes on");
                said.entry(tx).or_default().push(reply);
            }
        }
    }
    let mut outcomes = Outcomes::new();
    for op in ops {
        let Some(tx) = op.tx() else { continue };
        let time = match outcome(op, &said[tx]) {
            Ok(time) => time,
            Err(why) => {
                faults.push(why);
                None
            }
        };
        outcomes.insert(tx.to_owned(), time);
    }
    outcomes
}

/// What the banks that a transaction names say of it: its time where it is committed.
fn outcome(op: &Op, replies: &[String]) -> Result<Option<i64>, String> {
    let words = |reply: &String| {
        let mut words = reply.split(' ').map(str::to_owned);
        (words.next().unwrap_or_default(), words.nth(1))
    };
    let all: Vec<_> = replies.iter().map(words).collect();
    let commits = all.iter().filter(|(word, _)| word == "COMMITTED").count();
    let known =
        all.iter().all(|(word, _)| ["COMMITTED", "ABORTED", "UNKNOWN"].contains(&word.as_str()));
    let one =
        commits == 0 || (commits == all.len() && all.iter().all(|(_, time)| *time == all[0].1));
    let time =
        if commits > 0 { all[0].1.as_ref().and_then(|time| time.parse().ok()) } else { None };
    let as_told = match &op.told {
        Told::Committed(told) => time == Some(*told),
        Told::Aborted(_) => commits == 0,
        Told::Unknown { .. } => true,
        Told::Value(_) | Told::Cut(_) | Told::Nothing => {
            unreachable!("a transaction is told otherwise")
        }
    };
    if known && one && as_told { Ok(time) } else { Err(format!("{op:?} ended as {replies:?}")) }
}

/// The last reads of all: every register at every bank, and all accounts.
fn read_all(ops: &mut Vec<Op>, wires: &mut [Wire]) {
    let began_us = now_us();
    let time = ask(&mut wires[0], "SNAPSHOT")["time"].as_i64().expect("a cut has a time");
    let mut cut = Cut { time, ..Cut::default() };
    for (bank, wire) in wires.iter_mut().enumerate() {
        let reply = wire.ask(&format!("SNAPSHOT {time} accounts"));
        take_cut(bank, reply.strip_prefix("DONE ").unwrap_or_else(|| panic!("{reply}")), &mut cut);
    }
    let cut = Told::Cut(Box::new(cut));
    ops.push(Op {
        what: What::Cut { clock: Some(0) },
        began_us,
        ended_us: now_us(),
        told_us: None,
        told: cut,
    });
    let keys: BTreeSet<String> =
        ops.iter().filter_map(|op| key_of(&op.what)).map(str::to_owned).collect();
    for key in keys {
        for wire in wires.iter_mut() {
            let began_us = now_us();
            let value =
                ask(wire, &format!("VALUE {key}"))["value"].as_str().expect("a text").to_owned();
            let what = What::Get { key: key.clone() };
            let told = Told::Value(value);
            ops.push(Op { what, began_us, ended_us: now_us(), told_us: None, told });
        }
    }
}

fn check_infos(wires: &mut [Wire], faults: &mut Vec<String>) {
    let infos: Vec<Value> = wires.iter_mut().map(|wire| ask(wire, "INFO")).collect();
    let sum =
        |field: &str| infos.iter().map(|info| info[field].as_i64().unwrap_or(-1)).sum::<i64>();
    for (field, due) in
        [("balance_total", TOTAL), ("held_total", 0), ("incoming_total", 0), ("undecided", 0)]
    {
        if sum(field) != due {
            faults.push(format!("{field} is {} and not {due} in the end: {infos:?}", sum(field)));
        }
    }
}

/// Each cut holds exactly the commits up to its time, at all banks; so it sums to all money there
/// is, and shows nothing negative.
fn check_cuts(ops: &[Op], outcomes: &Outcomes, faults: &mut Vec<String>) {
    let mut commits: Vec<(i64, &Op)> =
        ops.iter().filter_map(|op| Some(((*outcomes.get(op.tx()?)?)?, op))).collect();
    commits.sort_by_key(|(time, _)| *time);
    let mut cuts: Vec<(&Cut, &Op)> = ops
        .iter()
        .filter_map(|op| match &op.told {
            Told::Cut(cut) => Some((&**cut, op)),
            Told::Committed(_)
            | Told::Aborted(_)
            | Told::Unknown { .. }
            | Told::Value(_)
            | Told::Nothing => None,
        })
        .collect();
    cuts.sort_by_key(|(cut, _)| cut.time);
    let mut balances: BTreeMap<usize, i64> = OPENED_WITH.iter().copied().enumerate().collect();
    let mut registers: BTreeMap<String, String> = BTreeMap::new();
    let mut commits = commits.into_iter().peekable();
    for (cut, op) in cuts {
        while let Some((_, commit)) = commits.next_if(|(time, _)| *time <= cut.time) {
            match &commit.what {
                What::Transfer { from, to, amount, .. } => {
                    *balances.get_mut(from).expect("an account of this run") -= amount;
                    *balances.get_mut(to).expect("an account of this run") += amount;
                }
                What::Set { key, value, .. } => {
                    registers.insert(key.clone(), value.clone());
                }
                What::Get { .. } | What::Cut { .. } => {}
            }
        }
        let mut wrong = Vec::new();
        if cut.balances.values().sum::<i64>() != TOTAL {
            wrong.push(format!("the sum is {}", cut.balances.values().sum::<i64>()));
        }
        if cut.balances.values().any(|balance| *balance < 0) {
            wrong.push("a balance is negative".to_owned());
        }
        if cut.balances != balances {
            wrong.push(format!("the commits up to its time make {balances:?}"));
        }
        for (bank, shown) in cut.registers.iter().enumerate() {
            if *shown != registers {
                wrong.push(format!(
                    "the commits up to its time make registers {registers:?} at bank {bank}"
                ));
            }
        }
        for (bank, [total, cash_in, cash_out, came, went]) in cut.totals.iter().enumerate() {
            let own: i64 =
                cut.balances.iter().filter(|(at, _)| bank_of(**at) == bank).map(|(_, b)| b).sum();
            if *total != own || *total != cash_in - cash_out + came - went {
                wrong.push(format!("bank {bank}'s totals do not add up"));
            }
        }
        let across: i64 = cut.totals.iter().map(|[_, _, _, came, went]| came - went).sum();
        if across != 0 {
            wrong.push("what left a bank did not come to another".to_owned());
        }
        if !wrong.is_empty() {
            faults.push(format!("{op:?}: {}", wrong.join("; ")));
        }
    }
}

/// A cut of a bank's own clock holds all that anyone was told to be committed there before the cut
/// was asked for.
fn check_order(ops: &[Op], outcomes: &Outcomes, faults: &mut Vec<String>) {
    for bank in 0..BANKS {
        let mut told: Vec<(u64, i64, &str)> = ops
            .iter()
            .filter(|op| matches!(op.told, Told::Committed(_)) && op.banks().contains(&bank))
            .filter_map(|op| Some((op.ended_us, (*outcomes.get(op.tx()?)?)?, op.tx()?)))
            .collect();
        told.sort_unstable();
        let mut told = told.into_iter().peekable();
        let mut latest = (i64::MIN, "");
        for op in ops {
            let (What::Cut { clock }, Told::Cut(cut)) = (&op.what, &op.told) else { continue };
            if *clock != Some(bank) {
                continue;
            }
            while let Some((_, time, tx)) = told.next_if(|(ended_us, _, _)| *ended_us < op.began_us)
            {
                latest = latest.max((time, tx));
            }
            if latest.0 > cut.time {
                let (time, tx) = latest;
                faults.push(format!(
                    "{op:?}: later than {tx}, committed at {time}, and does not hold it"
                ));
            }
        }
    }
}

/// What was done to each register, and read of it, could have been done to a single one.
fn check_registers(ops: &[Op], faults: &mut Vec<String>) {
    let mut histories: BTreeMap<&str, Vec<RegisterEvent>> = BTreeMap::new();
    for op in ops {
        let Some(key) = key_of(&op.what) else { continue };
        let (act, ended) = match (&op.what, &op.told) {
            // From the verdict on, not from the banks' answers to it: a read that comes before
            // COMMIT waits for it.
            (What::Set { value, .. }, Told::Committed(_)) => {
                (RegisterAct::Write(value.clone()), Some(op.told_us.unwrap_or(op.ended_us)))
            }
            (What::Set { value, .. }, Told::Unknown { .. }) => {
                (RegisterAct::Write(value.clone()), None)
            }
            (What::Get { .. }, Told::Value(value)) => {
                (RegisterAct::Read(value.clone()), Some(op.ended_us))
            }
            // An abort never happened, so a read of its value is one of a value that nobody wrote.
            _ => continue,
        };
        histories.entry(key).or_default().push(RegisterEvent { began: op.began_us, ended, act });
    }
    for (key, events) in histories {
        if let Err(why) = linear::check("0", &events) {
            faults.push(format!("register {key} is not linearizable: {why}"));
        }
    }
}

fn key_of(what: &What) -> Option<&str> {
    match what {
        What::Set { key, .. } | What::Get { key } => Some(key),
        What::Transfer { .. } | What::Cut { .. } => None,
    }
}

fn ask(wire: &mut Wire, line: &str) -> Value {
    let reply = wire.ask(line);
    let json = reply.strip_prefix("DONE ").unwrap_or_else(|| panic!("{line}: {reply}"));
    serde_json::from_str(json).unwrap()
}
