//! Checks of cuts against what was committed.

use super::*;

impl Simulation<'_> {
    /// At each bank the balance is what came in minus what went out; over all banks transfers
    /// cancel.
    pub(super) fn cut_read(&mut self, at: usize, json: &str) {
        let answer: serde_json::Value = serde_json::from_str(json).unwrap();
        let figure = |name: &str| i128::from(answer[name].as_i64().unwrap());
        let figures @ [balance, cash_in, cash_out, transfers_in, transfers_out] = [
            "balance_total",
            "cash_in_total",
            "cash_out_total",
            "transfers_in_total",
            "transfers_out_total",
        ]
        .map(figure);
        assert_eq!(
            balance,
            cash_in - cash_out + transfers_in - transfers_out,
            "a cut of bank {at}"
        );
        let time = answer["time"].as_i64().unwrap();
        let durable = self.durable(at);
        self.unsynced[at].cut_read(at, durable, time);
        self.reads.cut_up_to[at] = self.reads.cut_up_to[at].max(time);
        let mut registers = None;
        if let Some(accounts) = answer["accounts"].as_array() {
            self.coverage.count("cut with accounts");
            let sum: i128 =
                accounts.iter().map(|line| i128::from(line["balance"].as_i64().unwrap())).sum();
            assert_eq!(sum, balance, "accounts in the cut of bank {at} at {time}");
            assert!(
                accounts.iter().all(|line| line["balance"].as_i64() >= Some(0)),
                "{accounts:?}"
            );
            let lines = answer["registers"].as_array().unwrap();
            let line = |line: &serde_json::Value| {
                let text = |name: &str| line[name].as_str().unwrap().to_owned();
                (text("key"), text("value"))
            };
            registers = Some(lines.iter().map(line).collect::<Vec<_>>());
        }
        for (key, value) in registers.iter().flatten() {
            let written = self.written_at(key, value);
            assert!(
                written.is_some_and(|at| at.0 <= time),
                "{key}={value} in the cut of bank {at} at {time}"
            );
        }
        let cuts = self.reads.cuts.entry(time).or_default();
        if cuts.is_empty() {
            self.reads.cut_times.push(time);
        }
        for other in cuts.values() {
            if let (Some(ours), Some(theirs)) = (&registers, &other.registers) {
                assert_eq!(ours, theirs, "registers of all banks in the cut at {time}");
            }
        }
        let known = cuts.entry(at).or_insert(CutFigures { figures, registers: None });
        assert_eq!(known.figures, figures, "bank {at} returns two different cuts at {time}");
        known.registers = known.registers.take().or(registers);
        if cuts.len() == self.world.nodes.len() {
            let cancel: i128 = cuts.values().map(|cut| cut.figures[3] - cut.figures[4]).sum();
            assert_eq!(cancel, 0, "transfers do not cancel in the cut at {time}");
            self.coverage.count("whole cut");
        }
    }

    /// Every served cut contains exactly the commits and openings up to its time.
    pub fn cuts_hold_what_was_committed(&mut self) {
        for at in 0..self.banks() {
            let me = crate::simulation::run::bank(at);
            let mut changes: Vec<(i64, [i128; 5])> = Vec::new();
            for ((bank, _), (time, deposit)) in &self.openings {
                if *bank == at {
                    changes.push((time.0, [*deposit, *deposit, 0, 0, 0]));
                }
            }
            for version in self.facts.iter().flat_map(|facts| &facts.versions) {
                let Some(time) = version.time.filter(|_| version.committed.has(me)) else {
                    continue;
                };
                for op in version.transaction.ops_of(me) {
                    let Action::Money { flow, amount, .. } = &op.action else { continue };
                    let amount = amount.wide();
                    changes.push((
                        time.0,
                        match flow {
                            Flow::Deposit => [amount, amount, 0, 0, 0],
                            Flow::Withdraw => [-amount, 0, amount, 0, 0],
                            Flow::Credit => [amount, 0, 0, amount, 0],
                            Flow::Debit => [-amount, 0, 0, 0, amount],
                        },
                    ));
                }
            }
            changes.sort_unstable();
            let mut changes = changes.into_iter().peekable();
            let mut sum = [0; 5];
            for (time, cuts) in &self.reads.cuts {
                while let Some((_, change)) = changes.next_if(|(at, _)| at <= time) {
                    sum.iter_mut().zip(change).for_each(|(sum, change)| *sum += change);
                }
                if let Some(cut) = cuts.get(&at) {
                    assert_eq!(
                        cut.figures, sum,
                        "the cut of bank {at} at {time} differs from what was committed"
                    );
                }
            }
        }
    }

    /// Registers a new client with an account, or an existing one, possibly with another name.
    pub fn register(&mut self) {
        let at = self.random.below(self.banks());
        let next = self.accounts[at].len();
        let is_new = next < ACCOUNTS_MAX && self.random.chance(50);
        let position = if is_new { next } else { self.random.below(next) };
        let number = account(at, position);
        if is_new {
            self.accounts[at].push(number.clone());
        }
        let name = if self.random.chance(10) { "Q" } else { "P" };
        let cpf = holder(&number);
        self.world.line(
            at,
            REGISTRAR,
            &format!(r#"CLIENT {{"cpf":"{cpf}","name":"{name}","kind":"F"}}"#),
        );
        let deposit =
            if position < ACCOUNTS { OPENING } else { 10 * i64::try_from(position).unwrap() };
        let other = holder(&account(at, 0));
        let joint = if position % 3 == 2 && position >= ACCOUNTS {
            format!(r#","{other}""#)
        } else {
            String::new()
        };
        self.world.line(
            at,
            REGISTRAR,
            &format!(
                r#"ACCOUNT {{"number":"{number}","holders":["{cpf}"{joint}],"deposit":{deposit}}}"#
            ),
        );
    }
}
