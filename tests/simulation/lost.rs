//! A bank loses its disk, at any moment, with other banks away or there: what it promised must
//! never be contradicted, neither by what banks record nor by what anybody was told. Two or three
//! banks begin without journals, meet each other, work, crash and are cut off; then one of them
//! begins anew, and tries again and again.

use crate::simulation::Counts;
use crate::simulation::plan::Random;
use crate::world::{MeetMistake, Seen, World};
use consorcio::bank::io::{Origin, Outcome, SessionId};
use consorcio::bank::record::Record;
use consorcio::commit::proof::tokens_of;
use consorcio::ids::TxId;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::{Said, Token};
use consorcio::wire::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

const STEPS: usize = 400;
/// Rounds of the healing, and how long each takes.
const ROUNDS: usize = 40;
const ROUND_US: u64 = 500_000;

/// What enough seeds must have met.
pub const MUST_MEET: [&str; 9] = [
    "introduced",
    "committed",
    "aborted",
    "not introduced yet",
    "disk lost",
    "disk lost with a bank away",
    "disk lost with a vote undecided",
    "stopped, as it was met before",
    "statement changed on the way",
];

struct Losing {
    world: World,
    random: Random,
    counts: Counts,
    /// By number in the id.
    transactions: Vec<(TxId, Arc<Transaction>)>,
    /// Tokens that clients were told, by transaction.
    tokens: BTreeMap<TxId, Vec<Token>>,
    /// By transaction, whether it is committed, and who says so.
    outcomes: BTreeMap<TxId, (bool, String)>,
    /// By bank and transaction, whether it voted OK.
    votes: BTreeMap<(usize, TxId), bool>,
    lost: Option<usize>,
    next_session: u64,
}

/// Runs one seed.
///
/// # Errors
/// What is wrong in it.
pub fn run(seed: u64, mistake: Option<MeetMistake>) -> Result<Counts, String> {
    crate::world::caught::caught(|| {
        let mut losing = Losing::new(seed, mistake);
        for _ in 0..STEPS {
            losing.next();
            losing.look();
        }
        losing.heal();
        losing.counts
    })
}

impl Losing {
    fn new(seed: u64, mistake: Option<MeetMistake>) -> Losing {
        let mut random = Random(seed);
        let mut world = World::unfounded(2 + random.below(2));
        if random.chance(30) {
            world.blocked = [(0, 1), (1, 0)].into();
        }
        world.closes_silent = true;
        world.meet_mistake = mistake;
        world.eager_sync = random.chance(30);
        Losing {
            world,
            random,
            counts: Counts::new(),
            transactions: Vec::new(),
            tokens: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            votes: BTreeMap::new(),
            lost: None,
            next_session: 100,
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn banks(&self) -> usize {
        self.world.nodes.len()
    }

    fn any_bank(&mut self) -> usize {
        self.random.below(self.banks())
    }

    fn next(&mut self) {
        match self.random.below(100) {
            0..8 => self.fresh(),
            8..26 => self.say(),
            26..66 => {
                if !self.world.flights.is_empty() {
                    let at = self.random.below(self.world.flights.len());
                    self.world.deliver(at);
                }
            }
            66..76 => {
                let at = self.any_bank();
                self.world.sync(at);
            }
            76..82 => self.pass(),
            82..86 => {
                let at = self.any_bank();
                self.world.crash(at);
            }
            86..93 => {
                let at = self.any_bank();
                self.start(at);
                if self.random.chance(70) {
                    self.world.connect_all();
                }
            }
            93 => {
                let (a, b) = (self.any_bank(), self.any_bank());
                self.world.connect(a, b);
            }
            94 => {
                let links: Vec<u64> = self.world.links.keys().copied().collect();
                if !links.is_empty() {
                    let link = *self.random.of(&links);
                    self.world.cut(link);
                }
            }
            95 => self.lose(),
            96 => self.change_statement(),
            97 => self.block(),
            _ => self.world.connect_all(),
        }
    }

    /// A bank that is down starts, and has an account with money, whatever it has forgotten.
    fn start(&mut self, at: usize) {
        if self.world.is_up(at) {
            return;
        }
        self.world.restart(at);
        if self.world.is_up(at) && self.world.core(at).ledger().totals().accounts == 0 {
            let cpf = format!("{at:011}");
            self.world.line(at, 1, &format!(r#"CLIENT {{"cpf":"{cpf}","name":"P","kind":"F"}}"#));
            let account =
                format!(r#"ACCOUNT {{"number":"a{at}","holders":["{cpf}"],"deposit":1000000}}"#);
            self.world.line(at, 1, &account);
        }
    }

    /// Somebody asks a bank to drive a transfer between two banks, or drives it himself from now
    /// on.
    fn fresh(&mut self) {
        let (from, mut to) = (self.any_bank(), self.any_bank());
        if from == to {
            to = (to + 1) % self.banks();
        }
        let text = format!(
            r#"{{"ops":[{{"bank":{from},"op":"debit","account":"a{from}","amount":5}},{{"bank":{to},"op":"credit","account":"a{to}","amount":5}}]}}"#
        );
        let tx = TxId::new(&format!("t{}", self.transactions.len())).unwrap();
        let transaction = Arc::new(Transaction::parse(&text).unwrap());
        self.transactions.push((tx.clone(), Arc::clone(&transaction)));
        if self.random.chance(40) {
            let at = self.any_bank();
            self.ask(at, Request::Execute(tx, transaction));
        }
    }

    fn ask(&mut self, at: usize, request: Request) {
        self.next_session += 1;
        if self.world.is_up(at) {
            self.world.request(at, SessionId(self.next_session), Origin::Client, request, 0);
        }
    }

    /// A slow driver says something to one bank of one of the newest transactions.
    fn say(&mut self) {
        if self.transactions.is_empty() {
            return;
        }
        let newest = self.transactions.len();
        let (tx, transaction) =
            self.transactions[newest - 1 - self.random.below(newest.min(3))].clone();
        let banks: Vec<usize> = transaction.banks().iter().map(|bank| bank.index()).collect();
        let at = *self.random.of(&banks);
        let tokens = self.tokens.get(&tx).cloned().unwrap_or_default();
        let request = match self.random.below(10) {
            0..6 => Request::Prepare(tx, transaction),
            6..8 => Request::Commit(tx, tokens),
            8 => Request::Abort(tx, None),
            _ => Request::Resolve(tx),
        };
        self.ask(at, request);
    }

    fn pass(&mut self) {
        let micros = u64::try_from(self.random.below(800_000)).unwrap();
        self.world.pass(micros);
        (0..self.banks()).for_each(|bank| self.world.tick(bank));
    }

    fn lose(&mut self) {
        if self.lost.is_some() || self.transactions.is_empty() {
            return;
        }
        let at = self.any_bank();
        self.count("disk lost");
        if (0..self.banks()).any(|bank| bank != at && !self.world.is_up(bank)) {
            self.count("disk lost with a bank away");
        }
        if self.world.is_up(at) && self.world.core(at).undecided() > 0 {
            self.count("disk lost with a vote undecided");
        }
        self.lost = Some(at);
        self.world.lose_disk(at);
        self.start(at);
    }

    /// Two banks do not reach each other from now on, and others that did not do.
    fn block(&mut self) {
        let (a, b) = (self.any_bank(), self.any_bank());
        self.world.blocked = if a == b { [].into() } else { [(a, b), (b, a)].into() };
    }

    fn change_statement(&mut self) {
        if self.world.change_meeting() {
            self.count("statement changed on the way");
        }
    }

    /// Looks at all that was seen since the last look.
    fn look(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { bank, record, .. } => self.recorded(bank, &record),
                Seen::Reply { bank, reply, .. } => self.told(bank, &reply),
                Seen::Lost { records, .. } => {
                    // What was not synced was told to nobody.
                    for tx in records.iter().filter_map(Record::decides) {
                        self.outcomes.remove(tx);
                    }
                }
                Seen::Stopped { bank, why } => {
                    assert_eq!(Some(bank), self.lost, "bank {bank} stopped: {why}");
                    self.count(if why.contains("met this bank") {
                        "stopped, as it was met before"
                    } else {
                        "stopped, as it was shown a vote"
                    });
                }
                Seen::Answered { .. }
                | Seen::Sent { .. }
                | Seen::Step { .. }
                | Seen::DiskFailed { .. } => {}
            }
        }
    }

    fn recorded(&mut self, at: usize, record: &Record) {
        let who = || format!("bank {at} records {record:?}");
        match record {
            Record::Decided { tx, outcome: Outcome::Committed(_), .. }
            | Record::Executed { tx, .. } => {
                self.ends(tx, true, &who());
            }
            Record::Decided { tx, outcome: Outcome::Aborted(..), .. }
            | Record::Voted { tx, refusal: Some(_), .. }
            | Record::Refused { tx, .. } => self.ends(tx, false, &who()),
            Record::Introduced { .. } => self.count("introduced"),
            _ => {}
        }
    }

    fn ends(&mut self, tx: &TxId, committed: bool, who: &str) {
        self.count(if committed { "committed" } else { "aborted" });
        match self.outcomes.get(tx) {
            Some((before, by)) => assert_eq!(*before, committed, "{tx}: {who}, and {by}"),
            None => {
                self.outcomes.insert(tx.clone(), (committed, who.to_owned()));
            }
        }
    }

    /// What anybody was told stays true: an outcome, and each bank's one vote.
    fn told(&mut self, at: usize, reply: &Reply) {
        for token in tokens_of(reply) {
            let Some(tx) = reply.tx() else { continue };
            let voted_ok = match token.said {
                Said::Ok | Said::Committed | Said::Aborted => true,
                Said::No => false,
            };
            let of = token.bank.index();
            let before = *self.votes.entry((of, tx.clone())).or_insert(voted_ok);
            assert_eq!(
                before, voted_ok,
                "bank {of} has voted twice on {tx}, as bank {at} tells: {reply:?}"
            );
            let known = self.tokens.entry(tx.clone()).or_default();
            if token.said == Said::Ok && !known.contains(&token) {
                known.push(token);
            }
        }
        match reply {
            Reply::Committed(tx, ..) => self.ends(tx, true, &format!("bank {at} tells {reply:?}")),
            Reply::Aborted(tx, ..) => self.ends(tx, false, &format!("bank {at} tells {reply:?}")),
            Reply::Err(consorcio::wire::Reason::NotIntroduced, _) => {
                self.count("not introduced yet");
            }
            _ => {}
        }
    }

    /// All are there and reach each other: a bank that lost its disk stops, and without such a one
    /// everything ends.
    fn heal(&mut self) {
        self.world.blocked.clear();
        for _ in 0..ROUNDS {
            (0..self.banks()).for_each(|bank| self.start(bank));
            self.world.connect_all();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| {
                self.world.tick(bank);
                self.world.sync(bank);
            });
            self.world.settle();
            self.look();
        }
        let met_before = self
            .lost
            .filter(|lost| (0..self.banks()).any(|by| self.world.has_met_another(by, *lost)));
        for bank in 0..self.banks() {
            if Some(bank) == met_before {
                assert!(
                    !self.world.is_up(bank),
                    "bank {bank} was met with another journal, and works on"
                );
            } else {
                assert!(self.world.is_up(bank), "bank {bank} is down");
            }
        }
        if met_before.is_none() {
            assert!(self.world.all_introduced(), "some bank is not introduced");
            for bank in 0..self.banks() {
                assert_eq!(self.world.core(bank).undecided(), 0, "bank {bank} is in doubt");
            }
        }
        self.world.audit();
    }
}
