//! The workload of a contention client: a pure sequence of requests, derived from the seed and the
//! client's number, so that a run can be repeated, and verified afterwards.

use super::super::args::Mix;
use super::super::load::{LoadRequest, Workload};
use consorcio_core::ids::{AccountNumber, BankId, RegisterKey, RegisterValue, TxId};
use consorcio_core::limits::CONTENTION_AMOUNT_MAX;
use consorcio_core::money::Money;
use consorcio_core::wire::request::{Read, Request};
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use std::sync::Arc;

/// The registers of a run: few, so that clients contend for them.
const REGISTERS: u64 = 2;
/// The opening deposit of each account: small, so that some debits are refused.
pub(super) const OPENING_DEPOSIT: Money = Money(50_000);

/// The names of a run, which distinguish its objects from those of other runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunNames {
    /// A unique prefix of 16 characters; in closed mode behind the name of the client.
    pub run: String,
}

impl RunNames {
    /// The prefix of the run's accounts and registers.
    pub(super) fn prefix(&self) -> String {
        format!("c-{}-", self.run)
    }

    /// The number of account `at`, the same at each bank.
    pub(super) fn account(&self, at: u32) -> AccountNumber {
        AccountNumber::new(&format!("{}{at}", self.prefix())).expect("a legal number")
    }

    fn register(&self, at: u64) -> RegisterKey {
        RegisterKey::new(&format!("{}r{at}", self.prefix())).expect("a legal key")
    }

    /// The id of a client's request `number`: at most 24 bytes, so that it is stored inline.
    pub(super) fn tx(&self, client: u32, number: u32) -> TxId {
        let mut text = self.run.clone();
        digits(&mut text, client.into(), 2);
        digits(&mut text, number.into(), 6);
        TxId::new(&text).expect("letters and digits")
    }
}

fn digits(text: &mut String, number: u64, count: u32) {
    for at in (0..count).rev() {
        let digit = u32::try_from(number >> (5 * at) & 31).unwrap_or(0);
        text.push(char::from_digit(digit, 32).unwrap_or('0'));
    }
}

/// A client's sequence of requests.
#[derive(Debug, Clone)]
pub(super) struct ContentionWork {
    names: RunNames,
    banks: Vec<BankId>,
    mix: Mix,
    accounts: u32,
    hot: u32,
    random: u64,
    client: u32,
    count: u32,
}

/// The parameters that all clients of a run share.
#[derive(Debug, Clone)]
pub(super) struct RunParameters {
    pub names: RunNames,
    pub banks: Vec<BankId>,
    pub mix: Mix,
    /// The number of accounts at each bank.
    pub accounts: u32,
    /// The percentage of accesses that use the first account.
    pub hot: u32,
    pub seed: u64,
}

impl ContentionWork {
    /// The requests of client `client`.
    pub(super) fn new(parameters: &RunParameters, client: u32) -> ContentionWork {
        let RunParameters { names, banks, mix, accounts, hot, seed } = parameters.clone();
        let random = mixed(seed ^ mixed(u64::from(client) + 1));
        ContentionWork { names, banks, mix, accounts, hot, random, client, count: 0 }
    }

    fn request(&mut self) -> LoadRequest {
        let number = self.count;
        self.count += 1;
        let tx = self.names.tx(self.client, number);
        let Mix { set, transfer, composite, read: _ } = self.mix;
        let drawn = u32::try_from(self.below(self.mix.sum().into())).unwrap_or(0);
        if drawn < set {
            self.set(tx, number)
        } else if drawn < set + transfer {
            self.transfer(tx)
        } else if drawn < set + transfer + composite {
            self.composite(tx)
        } else {
            self.read()
        }
    }

    fn set(&mut self, tx: TxId, number: u32) -> LoadRequest {
        let register = self.below(REGISTERS);
        let key = self.names.register(register);
        let value = RegisterValue::new(&format!("{}-{number}", self.client)).expect("digits");
        let set = |bank: &BankId| Op {
            bank: *bank,
            action: Action::Set { key: key.clone(), value: value.clone() },
        };
        let ops: Vec<Op> = self.banks.iter().map(set).collect();
        let driver = self.bank();
        change(tx, ops, driver)
    }

    fn transfer(&mut self, tx: TxId) -> LoadRequest {
        let (from, amount) = (self.bank(), self.amount());
        let to = self.other_than(&[from]);
        let ops = vec![self.money(from, Flow::Debit, amount), self.money(to, Flow::Credit, amount)];
        change(tx, ops, from)
    }

    fn composite(&mut self, tx: TxId) -> LoadRequest {
        let (first, one, other) = (self.bank(), self.amount(), self.amount());
        let second = self.other_than(&[first]);
        let third = self.other_than(&[first, second]);
        let ops = vec![
            self.money(first, Flow::Debit, one),
            self.money(second, Flow::Debit, other),
            self.money(third, Flow::Credit, one + other),
        ];
        change(tx, ops, first)
    }

    fn read(&mut self) -> LoadRequest {
        let bank = self.bank();
        if self.below(2) == 0 {
            let account = self.account();
            LoadRequest::Read(bank, Request::Read(Read::Balance(account)))
        } else {
            let register = self.below(REGISTERS);
            LoadRequest::Read(bank, Request::Read(Read::Value(self.names.register(register))))
        }
    }

    fn money(&mut self, bank: BankId, flow: Flow, amount: i64) -> Op {
        let account = self.account();
        Op { bank, action: Action::Money { flow, account, cpf: None, amount: Money(amount) } }
    }

    fn account(&mut self) -> AccountNumber {
        let hot = self.below(100) < u64::from(self.hot);
        let any = self.below(self.accounts.into());
        self.names.account(if hot { 0 } else { u32::try_from(any).unwrap_or(0) })
    }

    fn amount(&mut self) -> i64 {
        i64::try_from(1 + self.below(CONTENTION_AMOUNT_MAX)).unwrap_or(1)
    }

    fn bank(&mut self) -> BankId {
        let at = self.below(self.banks.len() as u64);
        self.banks[usize::try_from(at).unwrap_or(0)]
    }

    /// A bank that is not taken, if there is one.
    fn other_than(&mut self, taken: &[BankId]) -> BankId {
        let free: Vec<BankId> =
            self.banks.iter().copied().filter(|bank| !taken.contains(bank)).collect();
        let at = self.below(free.len().max(1) as u64);
        usize::try_from(at).ok().and_then(|at| free.get(at)).copied().unwrap_or(taken[0])
    }

    /// A number below `bound`; SplitMix64 (Steele, Lea & Flood, 2014).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.random) % bound.max(1)
    }
}

impl Workload for ContentionWork {
    fn next(&mut self) -> LoadRequest {
        self.request()
    }
}

fn change(tx: TxId, ops: Vec<Op>, driver: BankId) -> LoadRequest {
    LoadRequest::Change(
        tx,
        Arc::new(Transaction::from_ops(ops, None).expect("a legal transaction")),
        driver,
    )
}

fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(seed: u64, banks: usize) -> RunParameters {
        RunParameters {
            names: RunNames { run: "0123456789abcdef".into() },
            banks: (0..banks).filter_map(BankId::new).collect(),
            mix: "set:1,transfer:8,composite:2,read:1".parse().unwrap(),
            accounts: 3,
            hot: 20,
            seed,
        }
    }

    fn sequence(parameters: &RunParameters, client: u32) -> Vec<LoadRequest> {
        let mut work = ContentionWork::new(parameters, client);
        (0..500).map(|_| work.next()).collect()
    }

    #[test]
    fn the_same_seed_generates_the_same_requests() {
        assert_eq!(sequence(&parameters(7, 3), 4), sequence(&parameters(7, 3), 4));
        assert_ne!(sequence(&parameters(7, 3), 4), sequence(&parameters(8, 3), 4));
        assert_ne!(sequence(&parameters(7, 3), 4), sequence(&parameters(7, 3), 5));
    }

    #[test]
    fn requests_are_legal_and_of_each_kind() {
        for banks in 1..=4 {
            let parameters = parameters(1, banks);
            let requests = sequence(&parameters, 0);
            let consortium = parameters.banks.iter().copied().collect();
            let changes = requests.iter().filter_map(|request| match request {
                LoadRequest::Change(tx, transaction, driver) => Some((tx, transaction, driver)),
                LoadRequest::Read(..) => None,
            });
            let mut sizes = std::collections::BTreeSet::new();
            for (tx, transaction, driver) in changes {
                assert!(tx.as_str().len() <= 24 && tx.as_str().starts_with("0123456789abcdef"));
                assert!(transaction.is_balanced() && transaction.registers_are_uniform(consortium));
                assert!(transaction.banks().has(*driver));
                sizes.insert(transaction.ops().len());
            }
            assert!(sizes.contains(&2) && sizes.contains(&3), "{sizes:?}");
            let reads =
                requests.iter().filter(|request| matches!(request, LoadRequest::Read(..))).count();
            assert!((10..100).contains(&reads), "{reads}");
        }
    }

    #[test]
    fn ids_of_a_run_differ() {
        let names = RunNames { run: "0123456789abcdef".into() };
        let ids: std::collections::BTreeSet<_> = (0..50)
            .flat_map(|client| (0..50).map(move |n| (client, n)))
            .map(|(c, n)| names.tx(c, n))
            .collect();
        assert_eq!(ids.len(), 2_500);
    }
}
