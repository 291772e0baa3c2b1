//! Requests, tokens and transactions made of the fuzzer's bytes.

use super::*;

impl FuzzedBank {
    pub(super) fn some_request(&self, bytes: &mut Bytes<'_>) -> String {
        let verb = bytes.below(20);
        let id = bytes.below(IDS.len());
        let tx = tx(IDS[id]);
        let mut out = Vec::new();
        match verb {
            0..=4 => request::write_prepare(&mut out, &tx, transaction(bytes).text()),
            5 | 6 => request::write_execute(&mut out, &tx, transaction(bytes).text()),
            7 | 8 => {
                let tokens: Vec<Token> =
                    (0..bytes.below(4)).map(|_| self.token(&tx, bytes)).collect();
                request::write_commit(&mut out, &tx, &tokens);
            }
            9 => {
                let token = bytes.flag().then(|| self.token(&tx, bytes));
                request::write_abort(&mut out, &tx, token.as_ref());
            }
            10 => request::write_resolve(&mut out, &tx),
            11 => Request::Status(tx).write_to(&mut out),
            12 => {
                let near = Time(self.now.wall_us + 10_000 * (i64::from(bytes.byte()) - 128));
                Request::Read(Read::Snapshot {
                    time: *bytes.pick(&[
                        None,
                        Some(near),
                        Some(self.core.clock()),
                        Some(Time::MAX),
                    ]),
                    reading: None,
                    accounts: bytes.flag(),
                    after: None,
                })
                .write_to(&mut out);
            }
            13 => {
                let cpf = bytes.pick(&["00000000001", "00000000003", "00000000004"]);
                return format!(r#"CLIENT {{"cpf":"{cpf}","name":"A","kind":"F"}}"#);
            }
            14 => {
                let number = bytes.pick(&["x", "z", "w", "v"]);
                let cpf = bytes.pick(&["00000000001", "00000000002", "00000000003"]);
                let joint = if bytes.flag() { r#","00000000004""# } else { "" };
                let deposit = bytes.pick(&AMOUNTS);
                return format!(
                    r#"ACCOUNT {{"number":"{number}","holders":["{cpf}"{joint}],"deposit":{deposit}}}"#
                );
            }
            15..=18 => out.extend_from_slice(
                bytes
                    .pick(&[
                        "VALUE",
                        "VALUE k",
                        "BALANCE x",
                        "BALANCE q",
                        "ACCOUNTS",
                        "CLIENTS",
                        "PENDING",
                        "HISTORY",
                        "HISTORY 1",
                        "HISTORY after=a",
                        "INFO",
                        "SNAPSHOT",
                        "SNAPSHOT accounts",
                        "ACCOUNTS 00000000001",
                        "PENDING after=a",
                        "SNAPSHOT accounts after=a:x",
                    ])
                    .as_bytes(),
            ),
            _ => {
                let count = bytes.below(256);
                return String::from_utf8_lossy(bytes.take(count)).into_owned();
            }
        }
        String::from_utf8(out).expect("requests are text")
    }

    /// A token that somebody may show: sealed by its bank, made up, or heard from this bank.
    pub(super) fn token(&self, tx: &TxId, bytes: &mut Bytes<'_>) -> Token {
        let kind = bytes.byte();
        if kind >= 0xfc {
            // Rarely: of this very bank, which stops when it does not hold that vote.
            let digest = Some(*transaction(bytes).digest());
            return self.identity.seal.token(
                self.identity.bank,
                Vote::Ok,
                tx,
                digest,
                self.core.clock(),
            );
        }
        if kind >= 0xe0 && !self.spoken.is_empty() {
            let (_, token) = bytes.pick(&self.spoken);
            return *token;
        }
        let peer = bank(self.identity.bank.index() + 1 + usize::from(kind & 1));
        let verdict = if kind & 0x0e == 0x0e { Vote::No } else { Vote::Ok };
        let token = self.peer_token(peer, verdict, tx, bytes);
        if kind & 0x30 == 0x30 { Token { mac: Some([kind; 16]), ..token } } else { token }
    }
}

/// All that a transaction moves, as withdrawals of an outside coordinator at one bank.
pub(super) fn withdrawals(bank: BankId, of: &Transaction) -> Arc<Transaction> {
    let withdrawal = |op: &Op| match &op.action {
        Action::Money { account, cpf, amount, .. } => {
            let (account, cpf, amount) = (account.clone(), cpf.clone(), *amount);
            Some(Op { bank, action: Action::Money { flow: Flow::Withdraw, account, cpf, amount } })
        }
        Action::Set { .. } => None,
    };
    let ops: Vec<Op> = of.ops().iter().filter_map(withdrawal).collect();
    Arc::new(Transaction::with_outside(bank, ops).unwrap_or_else(|fault| panic!("{fault}")))
}

/// A transaction of one of few shapes.
pub(super) fn transaction(bytes: &mut Bytes<'_>) -> Arc<Transaction> {
    let shape = bytes.byte();
    let amount = *bytes.pick(&AMOUNTS);
    let account = *bytes.pick(&["x", "y", "x", "q"]);
    let [a, b, c] = [0, 1, 2].map(|further| (usize::from(shape >> 4) + further) % BANKS);
    let money = |op: &str, bank: usize, account: &str, amount: i64| {
        format!(r#"{{"bank":{bank},"op":"{op}","account":"{account}","amount":{amount}}}"#)
    };
    let set = |bank: usize, key: &str| {
        format!(r#"{{"bank":{bank},"op":"set","key":"{key}","value":"{amount}"}}"#)
    };
    let twice = amount.saturating_mul(2);
    let ops = match shape & 7 {
        0 | 1 => vec![money("debit", a, account, amount), money("credit", b, "x", amount)],
        2 => {
            vec![
                money("debit", a, account, amount),
                money("debit", b, "x", amount),
                money("credit", c, "x", twice),
            ]
        }
        3 => vec![money("deposit", a, account, amount)],
        4 => vec![money("withdraw", a, account, amount), money("deposit", b, "x", amount)],
        5 => (0..BANKS).map(|bank| set(bank, "storage")).collect(),
        6 if shape & 0x80 == 0 => {
            vec![money("debit", a, account, amount), money("credit", a, "y", amount)]
        }
        6 => vec![money("debit", a, account, amount), money("credit", b, "x", 7)],
        _ => {
            let mut ops: Vec<String> = (0..BANKS).map(|bank| set(bank, "k")).collect();
            ops.extend([money("debit", a, account, amount), money("credit", b, "y", amount)]);
            ops
        }
    };
    let patience = if shape & 8 == 0 { "" } else { r#","patience_ms":5000"# };
    let text = format!(r#"{{"ops":[{}]{patience}}}"#, ops.join(","));
    Arc::new(Transaction::parse(&text).unwrap_or_else(|fault| panic!("{text}: {fault}")))
}

pub(super) fn tx(id: &str) -> TxId {
    TxId::new(id).expect("a legal id")
}

pub(super) fn bank(position: usize) -> BankId {
    BankId::new(position % BANKS).expect("few banks")
}
