//! Names and rights: holders and tellers of three banks, whose rights change while their
//! transactions are under way; a stranger who ends transactions of others; banks that crash, links
//! that break, lines that are late.
//!
//! Whether a vote is right is told by a second, plain statement of the rules, below.

mod checks;

use crate::simulation::EventCounts;
use crate::simulation::plan::SeededRandom;
use crate::world::World;
use crate::world::names::{RightsMistake, access_of};
use consorcio_core::bank::io::{Origin, SessionId};
use consorcio_core::ids::TxId;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Token;
use consorcio_core::wire::transaction::Transaction;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const BANKS: usize = 3;
const STEPS: usize = 400;
/// Rounds after the faults are healed, and the length of each.
const ROUNDS: usize = 12;
const ROUND_US: u64 = 1_500_000;
/// Whoever drives; each begins its ids with its name. The stranger drives nothing.
const NAMES: [&str; 3] = ["ana", "rui", "caixa"];
const STRANGER: &str = "eve";
/// Ana's tax number, and that of somebody without a name.
const CPFS: [&str; 2] = ["00000000001", "00000000002"];
/// Each bank's accounts: the first is Ana's.
const ACCOUNTS: [&str; 2] = ["a", "o"];

/// The events that enough seeds must cover.
pub const MUST_COVER: [&str; 10] = [
    "OK of an owner",
    "OK over a link",
    "OK over a trusted link",
    "refused for a right",
    "refused for a right over a link",
    "right lost before the last vote",
    "stranger's tokens committed",
    "stranger told nothing",
    "owner taken out",
    "committed",
];

/// How a transaction is driven: never in two ways, so that the way of each vote is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RightsDriver {
    /// Its owner asks each bank.
    Owner,
    /// This bank drives it.
    Bank(usize),
}

struct OwnedTransaction {
    tx: TxId,
    owner: &'static str,
    by: RightsDriver,
    transaction: Arc<Transaction>,
}

struct RightsRun {
    world: World,
    random: SeededRandom,
    counts: EventCounts,
    transactions: Vec<OwnedTransaction>,
    /// Tokens that owners received, by transaction.
    tokens: BTreeMap<TxId, Vec<Token>>,
    /// Each bank's grants as the rules below read them: a name's roles, and the trusted banks.
    roles: Vec<BTreeMap<&'static str, &'static str>>,
    trust: Vec<Vec<usize>>,
    /// The votes that a bank has recorded.
    recorded: BTreeSet<(usize, TxId)>,
    next_session: u64,
}

/// Runs one seed.
///
/// # Errors
/// The invariant that failed.
pub fn run(seed: u64, mistake: Option<RightsMistake>) -> Result<EventCounts, String> {
    crate::world::caught::caught(|| {
        let mut run = RightsRun::new(seed, mistake);
        for _ in 0..STEPS {
            run.next();
            run.check_events();
        }
        run.heal();
        run.counts
    })
}

impl RightsRun {
    fn new(seed: u64, mistake: Option<RightsMistake>) -> RightsRun {
        let mut world = World::new(BANKS);
        world.close_mode();
        world.closes_silent = true;
        world.plant_rights(mistake);
        let mut run = RightsRun {
            world,
            random: SeededRandom(seed),
            counts: EventCounts::new(),
            transactions: Vec::new(),
            tokens: BTreeMap::new(),
            roles: vec![BTreeMap::new(); BANKS],
            trust: vec![Vec::new(); BANKS],
            recorded: BTreeSet::new(),
            next_session: 0,
        };
        for bank in 0..BANKS {
            run.roles[bank] = BTreeMap::from([("ana", "holder"), ("caixa", "teller")]);
            run.grant(bank);
        }
        // A mistake about the banks' rights would refuse them.
        for bank in 0..BANKS {
            for (cpf, account) in CPFS.into_iter().zip(ACCOUNTS) {
                let client = format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#);
                let opened = format!(
                    r#"ACCOUNT {{"number":"{account}","holders":["{cpf}"],"deposit":100000}}"#
                );
                run.line(bank, "caixa", &client);
                run.line(bank, "caixa", &opened);
            }
        }
        run.world.eager_sync = run.random.chance(40);
        run.check_events();
        run
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A bank grants what `roles` and `trust` say.
    fn grant(&mut self, bank: usize) {
        let grant = |(name, role): (&&str, &&str)| match (*name, *role) {
            (name, "") => name.to_owned(),
            (name, "holder") => format!("{name} holder {}", CPFS[0]),
            (name, role) => format!("{name} {role}"),
        };
        let grants: Vec<String> = self.roles[bank].iter().map(grant).collect();
        let grants: Vec<&str> = grants.iter().map(String::as_str).collect();
        self.world.grant(bank, access_of(&grants, &self.trust[bank]));
    }

    fn session(&mut self, name: &str) -> u64 {
        self.next_session += 1;
        self.world.name_session(self.next_session, name.parse().unwrap());
        self.next_session
    }

    fn line(&mut self, bank: usize, name: &str, line: &str) {
        self.ask(bank, name, Request::parse(line).unwrap());
    }

    fn ask(&mut self, bank: usize, name: &str, request: Request) {
        let session = self.session(name);
        if self.world.is_up(bank) {
            self.world.request(bank, SessionId(session), Origin::Client, request, 0);
        }
    }

    fn next(&mut self) {
        match self.random.below(100) {
            0..5 => self.execute(),
            5..28 => self.drive_slowly(),
            28..36 => self.interfere(),
            36..66 => self.deliver(),
            66..76 => {
                let at = self.random.below(BANKS);
                self.world.sync(at);
            }
            76..83 => {
                let micros = u64::try_from(self.random.below(800_000)).unwrap();
                self.world.pass(micros);
                (0..BANKS).for_each(|bank| self.world.tick(bank));
            }
            83..91 => self.change_rights(),
            91..93 => {
                let at = self.random.below(BANKS);
                self.world.crash(at);
            }
            93..97 => {
                let down = (0..BANKS).find(|bank| !self.world.is_up(*bank));
                if let Some(bank) = down {
                    self.world.restart(bank);
                }
                self.world.connect_all();
            }
            97 => {
                let links: Vec<u64> = self.world.links.keys().copied().collect();
                if !links.is_empty() {
                    let link = *self.random.of(&links);
                    self.world.cut(link);
                }
            }
            _ => self.world.connect_all(),
        }
    }

    /// A new transaction between two banks, of any owner: mostly a transfer, sometimes cash.
    fn begin(&mut self, by: RightsDriver) -> usize {
        let owner = *self.random.of(&NAMES);
        let from = match by {
            RightsDriver::Bank(bank) if self.random.chance(60) => bank,
            RightsDriver::Bank(_) | RightsDriver::Owner => self.random.below(BANKS),
        };
        let to = (from + 1 + self.random.below(BANKS - 1)) % BANKS;
        let [first, second] =
            *self.random.of(&[["debit", "credit"], ["debit", "credit"], ["withdraw", "deposit"]]);
        let (one, other) = (*self.random.of(&ACCOUNTS), *self.random.of(&ACCOUNTS));
        let text = format!(
            "{{\"ops\":[{{\"bank\":{from},\"op\":\"{first}\",\"account\":\"{one}\",\"amount\":1}},\
             {{\"bank\":{to},\"op\":\"{second}\",\"account\":\"{other}\",\"amount\":1}}]}}"
        );
        let tx = TxId::new(&format!("{owner}.{}", self.transactions.len())).unwrap();
        let transaction = Arc::new(Transaction::parse(&text).unwrap());
        self.transactions.push(OwnedTransaction { tx, owner, by, transaction });
        self.transactions.len() - 1
    }

    fn execute(&mut self) {
        let bank = self.random.below(BANKS);
        let number = self.begin(RightsDriver::Bank(bank));
        let OwnedTransaction { tx, owner, transaction, .. } = &self.transactions[number];
        let (owner, request) = (*owner, Request::Execute(tx.clone(), Arc::clone(transaction)));
        self.ask(bank, owner, request);
    }

    /// One of the newest transactions, and one of its banks.
    fn newest(&mut self) -> Option<(usize, usize)> {
        let count = self.transactions.len();
        if count == 0 {
            return None;
        }
        let number = count - 1 - self.random.below(count.min(4));
        let banks: Vec<usize> =
            self.transactions[number].transaction.banks().iter().map(|bank| bank.index()).collect();
        Some((number, *self.random.of(&banks)))
    }

    /// An owner sends a request to one bank of its transaction.
    fn drive_slowly(&mut self) {
        if self.transactions.is_empty() || self.random.chance(15) {
            self.begin(RightsDriver::Owner);
        }
        let Some((number, bank)) = self.newest() else { return };
        let OwnedTransaction { tx, owner, by, transaction } = &self.transactions[number];
        let (tx, owner, by) = (tx.clone(), *owner, *by);
        let prepare = Request::Prepare(tx.clone(), Arc::clone(transaction));
        let tokens = self.tokens.get(&tx).cloned().unwrap_or_default();
        let request = match self.random.below(10) {
            0..6 if by == RightsDriver::Owner => prepare,
            0..8 => Request::Commit(tx, tokens),
            8 => Request::Abort(tx, tokens.first().copied()),
            _ => Request::Resolve(tx),
        };
        self.ask(bank, owner, request);
    }

    /// A stranger ends a transaction, with the tokens that it was told: none, some or all.
    fn interfere(&mut self) {
        let Some((number, bank)) = self.newest() else { return };
        let tx = self.transactions[number].tx.clone();
        let mut tokens = self.tokens.get(&tx).cloned().unwrap_or_default();
        tokens.truncate(self.random.below(3));
        let request = match self.random.below(4) {
            0 | 1 => Request::Commit(tx, tokens),
            2 => Request::Abort(tx, tokens.first().copied()),
            _ => Request::Resolve(tx),
        };
        self.check_events();
        self.ask(bank, STRANGER, request);
        self.check_stranger();
    }

    fn deliver(&mut self) {
        if !self.world.flights.is_empty() {
            let at = self.random.below(self.world.flights.len());
            self.world.deliver(at);
        }
    }

    /// A bank grants something else. Caixa's rights stay, so that there is always a teller.
    fn change_rights(&mut self) {
        let bank = self.random.below(BANKS);
        if self.random.chance(25) {
            let trusted = (0..BANKS).filter(|other| *other != bank);
            self.trust[bank] = trusted.filter(|_| self.random.chance(50)).collect();
        } else {
            let name = *self.random.of(&["ana", "rui"]);
            match *self.random.of(&["holder", "holder", "teller", "auditor", "", "out"]) {
                "out" => drop(self.roles[bank].remove(name)),
                role => drop(self.roles[bank].insert(name, role)),
            }
        }
        self.grant(bank);
    }

    /// All banks run and are linked, without further faults: then everything is decided.
    fn heal(&mut self) {
        self.world.eager_sync = true;
        for bank in 0..BANKS {
            self.world.sync(bank);
            if !self.world.is_up(bank) {
                self.world.restart(bank);
            }
        }
        for _ in 0..ROUNDS {
            self.world.connect_all();
            self.world.deliver_all();
            self.world.pass(ROUND_US);
            (0..BANKS).for_each(|bank| self.world.tick(bank));
            self.check_events();
        }
        for bank in 0..BANKS {
            let left = self.world.core(bank).oldest_undecided().cloned();
            assert_eq!(left, None, "undecided at bank {bank} though all are up");
        }
        self.world.audit();
    }
}
