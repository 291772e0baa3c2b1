//! The checks of a run, over the results that the clients received and the banks' state at its end.

#[cfg(test)]
mod tests;

use super::cluster::ProxiedCluster;
use super::history::{ClientOp, Cut, OpKind, OpResult, now_us};
use super::linear::{self, RegisterAct, RegisterEvent};
use super::load::take_cut;
use super::{BANKS, OPENED_WITH, TOTAL, bank_of};
use crate::support::{Wire, wait_until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// STATUS requests in flight at once.
const STATUS_WINDOW: usize = 500;

/// Each transaction's commit time, or none where it is aborted.
type Outcomes = BTreeMap<String, Option<i64>>;

/// Waits until nothing is undecided, then runs all checks; returns the violations.
pub fn audit(cluster: &ProxiedCluster, ops: &mut Vec<ClientOp>) -> Vec<String> {
    let mut wires: Vec<Wire> = (0..BANKS).map(|bank| cluster.connect(bank)).collect();
    for (bank, wire) in wires.iter_mut().enumerate() {
        wait_until(&format!("bank {bank} has nothing undecided"), || {
            (ask(wire, "INFO")["undecided"] == 0 && wire.ask("PENDING") == "DONE []").then_some(())
        });
    }
    let mut violations = Vec::new();
    let outcomes = outcomes(ops, &mut wires, &mut violations);
    read_all(ops, &mut wires);
    check_infos(&mut wires, &mut violations);
    check_cuts(ops, &outcomes, &mut violations);
    check_order(ops, &outcomes, &mut violations);
    check_registers(ops, &mut violations);
    violations
}

/// Requests the status of every transaction at every bank that it names. They must agree with each
/// other, and with the result that the client received.
fn outcomes(ops: &[ClientOp], wires: &mut [Wire], violations: &mut Vec<String>) -> Outcomes {
    let mut replies: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (bank, wire) in wires.iter_mut().enumerate() {
        let named: Vec<&str> =
            ops.iter().filter(|op| op.banks().contains(&bank)).filter_map(ClientOp::tx).collect();
        for some in named.chunks(STATUS_WINDOW) {
            wire.send(&some.iter().map(|tx| format!("STATUS {tx}")).collect::<Vec<_>>().join("\n"));
            for tx in some {
                let reply = wire.receive().expect("the bank replies");
                replies.entry(tx).or_default().push(reply);
            }
        }
    }
    let mut outcomes = Outcomes::new();
    for op in ops {
        let Some(tx) = op.tx() else { continue };
        let time = match outcome(op, &replies[tx]) {
            Ok(time) => time,
            Err(violation) => {
                violations.push(violation);
                None
            }
        };
        outcomes.insert(tx.to_owned(), time);
    }
    outcomes
}

/// The commit time of a transaction by its banks' replies, or none where it is aborted.
fn outcome(op: &ClientOp, replies: &[String]) -> Result<Option<i64>, String> {
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
    let agrees = match &op.result {
        OpResult::Committed(received) => time == Some(*received),
        OpResult::Aborted(_) => commits == 0,
        OpResult::Unknown { .. } => true,
        OpResult::Value(_) | OpResult::Cut(_) | OpResult::NoReply => {
            unreachable!("no result of a transaction")
        }
    };
    if known && one && agrees { Ok(time) } else { Err(format!("{op:?} ended as {replies:?}")) }
}

/// Appends final reads to the history: all accounts, and every register at every bank.
fn read_all(ops: &mut Vec<ClientOp>, wires: &mut [Wire]) {
    let began_us = now_us();
    let time = ask(&mut wires[0], "SNAPSHOT")["time"].as_i64().expect("a cut has a time");
    let mut cut = Cut { time, ..Cut::default() };
    for (bank, wire) in wires.iter_mut().enumerate() {
        let reply = wire.ask(&format!("SNAPSHOT {time} accounts"));
        take_cut(bank, reply.strip_prefix("DONE ").unwrap_or_else(|| panic!("{reply}")), &mut cut);
    }
    ops.push(ClientOp {
        kind: OpKind::Cut { clock: Some(0) },
        began_us,
        ended_us: now_us(),
        verdict_us: None,
        result: OpResult::Cut(Box::new(cut)),
    });
    let keys: BTreeSet<String> =
        ops.iter().filter_map(|op| key_of(&op.kind)).map(str::to_owned).collect();
    for key in keys {
        for wire in wires.iter_mut() {
            let began_us = now_us();
            let value =
                ask(wire, &format!("VALUE {key}"))["value"].as_str().expect("a text").to_owned();
            let kind = OpKind::Get { key: key.clone() };
            let result = OpResult::Value(value);
            ops.push(ClientOp { kind, began_us, ended_us: now_us(), verdict_us: None, result });
        }
    }
}

fn check_infos(wires: &mut [Wire], violations: &mut Vec<String>) {
    let infos: Vec<Value> = wires.iter_mut().map(|wire| ask(wire, "INFO")).collect();
    let sum =
        |field: &str| infos.iter().map(|info| info[field].as_i64().unwrap_or(-1)).sum::<i64>();
    for (field, expected) in
        [("balance_total", TOTAL), ("held_total", 0), ("incoming_total", 0), ("undecided", 0)]
    {
        if sum(field) != expected {
            violations.push(format!("{field} ends at {}, not {expected}: {infos:?}", sum(field)));
        }
    }
}

/// Each cut must hold exactly the commits up to its time at all banks, sum to `TOTAL`, and have no
/// negative balance.
fn check_cuts(ops: &[ClientOp], outcomes: &Outcomes, violations: &mut Vec<String>) {
    let mut commits: Vec<(i64, &ClientOp)> =
        ops.iter().filter_map(|op| Some(((*outcomes.get(op.tx()?)?)?, op))).collect();
    commits.sort_by_key(|(time, _)| *time);
    let mut cuts: Vec<(&Cut, &ClientOp)> = ops
        .iter()
        .filter_map(|op| match &op.result {
            OpResult::Cut(cut) => Some((&**cut, op)),
            OpResult::Committed(_)
            | OpResult::Aborted(_)
            | OpResult::Unknown { .. }
            | OpResult::Value(_)
            | OpResult::NoReply => None,
        })
        .collect();
    cuts.sort_by_key(|(cut, _)| cut.time);
    let mut balances: BTreeMap<usize, i64> = OPENED_WITH.iter().copied().enumerate().collect();
    let mut registers: BTreeMap<String, String> = BTreeMap::new();
    let mut commits = commits.into_iter().peekable();
    for (cut, op) in cuts {
        while let Some((_, commit)) = commits.next_if(|(time, _)| *time <= cut.time) {
            match &commit.kind {
                OpKind::Transfer { from, to, amount, .. } => {
                    *balances.get_mut(from).expect("an account of this run") -= amount;
                    *balances.get_mut(to).expect("an account of this run") += amount;
                }
                OpKind::Set { key, value, .. } => {
                    registers.insert(key.clone(), value.clone());
                }
                OpKind::Get { .. } | OpKind::Cut { .. } => {}
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
            wrong.push("transfers between banks do not cancel".to_owned());
        }
        if !wrong.is_empty() {
            violations.push(format!("{op:?}: {}", wrong.join("; ")));
        }
    }
}

/// A cut at a bank's own clock must hold every transaction of that bank that a client knew to be
/// committed before it requested the cut.
fn check_order(ops: &[ClientOp], outcomes: &Outcomes, violations: &mut Vec<String>) {
    for bank in 0..BANKS {
        let mut commits: Vec<(u64, i64, &str)> = ops
            .iter()
            .filter(|op| matches!(op.result, OpResult::Committed(_)) && op.banks().contains(&bank))
            .filter_map(|op| Some((op.ended_us, (*outcomes.get(op.tx()?)?)?, op.tx()?)))
            .collect();
        commits.sort_unstable();
        let mut commits = commits.into_iter().peekable();
        let mut latest = (i64::MIN, "");
        for op in ops {
            let (OpKind::Cut { clock }, OpResult::Cut(cut)) = (&op.kind, &op.result) else {
                continue;
            };
            if *clock != Some(bank) {
                continue;
            }
            while let Some((_, time, tx)) =
                commits.next_if(|(ended_us, _, _)| *ended_us < op.began_us)
            {
                latest = latest.max((time, tx));
            }
            if latest.0 > cut.time {
                let (time, tx) = latest;
                violations.push(format!(
                    "{op:?}: lacks {tx}, committed at {time} before the cut was requested"
                ));
            }
        }
    }
}

/// The history of each register must be linearizable.
fn check_registers(ops: &[ClientOp], violations: &mut Vec<String>) {
    let mut histories: BTreeMap<&str, Vec<RegisterEvent>> = BTreeMap::new();
    for op in ops {
        let Some(key) = key_of(&op.kind) else { continue };
        let (act, ended) = match (&op.kind, &op.result) {
            // A write ends with the driver's verdict, not with the banks' replies to COMMIT: a read
            // that arrives at a bank before COMMIT waits for it.
            (OpKind::Set { value, .. }, OpResult::Committed(_)) => {
                (RegisterAct::Write(value.clone()), Some(op.verdict_us.unwrap_or(op.ended_us)))
            }
            (OpKind::Set { value, .. }, OpResult::Unknown { .. }) => {
                (RegisterAct::Write(value.clone()), None)
            }
            (OpKind::Get { .. }, OpResult::Value(value)) => {
                (RegisterAct::Read(value.clone()), Some(op.ended_us))
            }
            // An aborted write is no event, so a read of its value fails as a value never written.
            _ => continue,
        };
        histories.entry(key).or_default().push(RegisterEvent { began: op.began_us, ended, act });
    }
    for (key, events) in histories {
        if let Err(cause) = linear::check("0", &events) {
            violations.push(format!("register {key} is not linearizable: {cause}"));
        }
    }
}

fn key_of(kind: &OpKind) -> Option<&str> {
    match kind {
        OpKind::Set { key, .. } | OpKind::Get { key } => Some(key),
        OpKind::Transfer { .. } | OpKind::Cut { .. } => None,
    }
}

fn ask(wire: &mut Wire, line: &str) -> Value {
    let reply = wire.ask(line);
    let json = reply.strip_prefix("DONE ").unwrap_or_else(|| panic!("{line}: {reply}"));
    serde_json::from_str(json).unwrap()
}
