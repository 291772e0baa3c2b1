//! Banks meet, a disk is lost or an old copy takes its place, a peer may be away: what was promised
//! is contradicted by nobody, whatever banks record and whatever anybody is told.

use super::Scene;
use crate::world::{MeetMistake, Seen, World};
use consorcio::bank::io::{Origin, Outcome, SessionId};
use consorcio::bank::record::Record;
use consorcio::commit::proof::tokens_of;
use consorcio::ids::{BankId, TxId};
use consorcio::wire::Reason;
use consorcio::wire::reply::Reply;
use consorcio::wire::request::Request;
use consorcio::wire::token::{Said, Token};
use consorcio::wire::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rounds of the healing, and how long each takes.
const ROUNDS: usize = 3;
const ROUND_US: u64 = 4_000_000;

#[derive(Debug, Clone, Copy)]
pub enum MeetingAct {
    /// A slow driver says something to a bank.
    Prepare(usize),
    Commit(usize),
    Resolve(usize),
    /// What is first on its lane arrives.
    Deliver(usize),
    Start(usize),
    Connect(usize, usize),
    Crash(usize),
    LoseDisk(usize),
    /// A journal's first records take its place.
    OldCopy(usize, usize),
}

#[derive(Debug, Clone, Copy, Default)]
struct MeetingBudget {
    losses: u8,
    crashes: u8,
    copies: u8,
    resolves: u8,
}

#[derive(Clone)]
pub struct Meeting {
    world: World,
    tx: TxId,
    transaction: Arc<Transaction>,
    budget: MeetingBudget,
    /// PREPAREs and COMMITs left, by bank.
    prepares: Vec<u8>,
    commits: Vec<u8>,
    /// OKs that the driver was told.
    tokens: Vec<Token>,
    outcome: Option<(bool, String)>,
    votes: BTreeMap<usize, bool>,
    lost: Option<usize>,
    /// Does an old copy lack a promise? Then only that it is missed is left.
    forgotten: bool,
    met: Vec<&'static str>,
}

impl Meeting {
    /// So many banks without journals.
    pub fn unfounded(banks: usize) -> Meeting {
        let world = World::unfounded(banks);
        let ops: Vec<String> = (0..banks)
            .map(|bank| format!(r#"{{"bank":{bank},"op":"deposit","account":"a","amount":1}}"#))
            .collect();
        let text = format!(r#"{{"ops":[{}]}}"#, ops.join(","));
        let mut meeting = Meeting {
            world,
            tx: TxId::new("t0").unwrap(),
            transaction: Arc::new(Transaction::parse(&text).unwrap()),
            budget: MeetingBudget { resolves: 1, ..MeetingBudget::default() },
            prepares: vec![1; banks],
            // Of three banks the last one alone is told; the others learn it from it.
            commits: (0..banks).map(|bank| u8::from(banks < 3 || bank == 2)).collect(),
            tokens: Vec::new(),
            outcome: None,
            votes: BTreeMap::new(),
            lost: None,
            forgotten: false,
            met: Vec::new(),
        };
        (0..banks).for_each(|bank| meeting.start(bank));
        meeting
    }

    /// They have met each other.
    pub fn founded(banks: usize) -> Meeting {
        let mut meeting = Meeting::unfounded(banks);
        meeting.world.connect_all();
        meeting.world.settle();
        meeting.look();
        assert!(meeting.world.all_introduced());
        meeting.met.clear();
        meeting
    }

    pub fn losing(mut self, losses: u8) -> Meeting {
        self.budget.losses = losses;
        self
    }

    pub fn crashing(mut self, crashes: u8) -> Meeting {
        self.budget.crashes = crashes;
        self
    }

    /// Nobody asks a bank that has not voted.
    pub fn unasked(mut self) -> Meeting {
        self.budget.resolves = 0;
        self
    }

    pub fn copying(mut self, copies: u8) -> Meeting {
        self.budget.copies = copies;
        self
    }

    pub fn mistaken(mut self, mistake: MeetMistake) -> Meeting {
        self.world.meet_mistake = Some(mistake);
        self
    }

    fn banks(&self) -> usize {
        self.world.nodes.len()
    }

    /// It starts, and has the account, whatever it has forgotten.
    fn start(&mut self, at: usize) {
        self.world.restart(at);
        if self.world.is_up(at) && self.world.core(at).ledger().totals().accounts == 0 {
            self.world.line(at, 1, r#"CLIENT {"cpf":"00000000001","name":"P","kind":"F"}"#);
            self.world.line(
                at,
                1,
                r#"ACCOUNT {"number":"a","holders":["00000000001"],"deposit":5}"#,
            );
        }
        self.look();
    }

    fn ask(&mut self, at: usize, request: Request) {
        self.world.request(at, SessionId(100), Origin::Client, request, 0);
    }

    fn look(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { bank, record, .. } => self.recorded(bank, &record),
                Seen::Reply { bank, reply, .. } => self.told(bank, &reply),
                Seen::Stopped { bank, why } => {
                    assert!(self.lost == Some(bank), "bank {bank} stopped: {why}");
                    self.met.push("stopped");
                }
                _ => {}
            }
        }
    }

    fn recorded(&mut self, at: usize, record: &Record) {
        match record {
            Record::Decided { outcome: Outcome::Committed(_), .. } | Record::Executed { .. } => {
                self.ends(true, format!("bank {at} records {record:?}"));
            }
            Record::Decided { outcome: Outcome::Aborted(..), .. }
            | Record::Voted { refusal: Some(_), .. }
            | Record::Refused { .. } => self.ends(false, format!("bank {at} records {record:?}")),
            Record::Introduced { .. } => self.met.push("introduced"),
            _ => {}
        }
    }

    fn ends(&mut self, committed: bool, who: String) {
        self.met.push(if committed { "committed" } else { "aborted" });
        if let Some((before, by)) = &self.outcome {
            assert!(*before == committed || self.forgotten, "{who}, and {by}");
        }
        self.outcome.get_or_insert((committed, who));
    }

    fn told(&mut self, at: usize, reply: &Reply) {
        for token in tokens_of(reply) {
            let ok = token.said != Said::No;
            let before = *self.votes.entry(token.bank.index()).or_insert(ok);
            assert!(
                before == ok || self.forgotten,
                "bank {} votes twice, bank {at} tells {reply:?}",
                token.bank
            );
            if token.said == Said::Ok && !self.tokens.contains(&token) {
                self.tokens.push(token);
            }
        }
        match reply {
            Reply::Committed(..) => self.ends(true, format!("bank {at} tells {reply:?}")),
            Reply::Aborted(..) => self.ends(false, format!("bank {at} tells {reply:?}")),
            Reply::Err(Reason::NotIntroduced, text) if text.contains("is new") => {
                self.met.push("not introduced yet");
            }
            _ => {}
        }
    }

    fn old_copy(&mut self, at: usize, keep: usize) {
        let mut journal = self.world.nodes[at].journal.clone();
        if self.world.is_up(at) {
            self.world.crash(at);
        }
        let gone = journal.split_off(keep);
        let promise = |record: &Record| {
            matches!(
                record,
                Record::Voted { .. } | Record::Refused { .. } | Record::Executed { .. }
            )
        };
        self.forgotten |= gone.iter().any(promise);
        self.lost = Some(at);
        self.world.replace_journal(at, journal);
        self.met.push("old copy");
    }
}

impl Scene for Meeting {
    type Act = MeetingAct;

    fn acts(&self) -> Vec<MeetingAct> {
        let mut acts: Vec<MeetingAct> =
            self.world.deliverable().into_iter().map(MeetingAct::Deliver).collect();
        for at in 0..self.banks() {
            let MeetingBudget { losses, crashes, copies, resolves } = self.budget;
            if self.world.is_up(at) {
                acts.extend((self.prepares[at] > 0).then_some(MeetingAct::Prepare(at)));
                acts.extend(
                    (self.commits[at] > 0 && !self.tokens.is_empty())
                        .then_some(MeetingAct::Commit(at)),
                );
                acts.extend((resolves > 0).then_some(MeetingAct::Resolve(at)));
                acts.extend((crashes > 0).then_some(MeetingAct::Crash(at)));
                acts.extend(
                    (0..at).filter(|b| self.world.is_up(*b)).map(|b| MeetingAct::Connect(at, b)),
                );
            } else {
                acts.push(MeetingAct::Start(at));
            }
            acts.extend((losses > 0).then_some(MeetingAct::LoseDisk(at)));
            if copies > 0 {
                // The list and the founding id are one start's.
                acts.extend(
                    (2..self.world.nodes[at].journal.len())
                        .map(|keep| MeetingAct::OldCopy(at, keep)),
                );
            }
        }
        acts
    }

    fn act(&mut self, act: MeetingAct) {
        match act {
            MeetingAct::Prepare(at) => {
                self.prepares[at] -= 1;
                self.ask(at, Request::Prepare(self.tx.clone(), Arc::clone(&self.transaction)));
            }
            MeetingAct::Commit(at) => {
                self.commits[at] -= 1;
                self.ask(at, Request::Commit(self.tx.clone(), self.tokens.clone()));
            }
            MeetingAct::Resolve(at) => {
                self.budget.resolves -= 1;
                self.ask(at, Request::Resolve(self.tx.clone()));
            }
            MeetingAct::Deliver(at) => {
                self.world.deliver(at);
            }
            MeetingAct::Start(at) => self.start(at),
            MeetingAct::Connect(a, b) => {
                self.world.connect(a, b);
                self.world.connect(b, a);
            }
            MeetingAct::Crash(at) => {
                self.budget.crashes -= 1;
                self.world.crash(at);
            }
            MeetingAct::LoseDisk(at) => {
                self.budget.losses -= 1;
                self.lost = Some(at);
                self.prepares[at] += 1;
                let away = (0..self.banks()).any(|bank| bank != at && !self.world.is_up(bank));
                self.met.push(if away { "disk lost with a bank away" } else { "disk lost" });
                self.world.lose_disk(at);
            }
            MeetingAct::OldCopy(at, keep) => {
                self.budget.copies -= 1;
                self.prepares[at] += 1;
                self.old_copy(at, keep);
            }
        }
        self.look();
    }

    fn print(&self) -> String {
        let Meeting { budget, prepares, commits, tokens, outcome, votes, lost, forgotten, .. } =
            self;
        let outcome = outcome.as_ref().map(|(committed, _)| committed);
        let tokens: std::collections::BTreeSet<String> =
            tokens.iter().map(Token::to_string).collect();
        let known = format!("{tokens:?} {outcome:?} {votes:?} {lost:?} {forgotten}");
        format!("{} {budget:?} {prepares:?} {commits:?} {known}", self.world.print())
    }

    fn heal(mut self) {
        for _ in 0..ROUNDS {
            for bank in 0..self.banks() {
                if !self.world.is_up(bank) {
                    self.start(bank);
                }
            }
            // A link that opens shows what was learned since the one before; in the program an open
            // one does, too.
            let links: Vec<u64> = self.world.links.keys().copied().collect();
            links.into_iter().for_each(|link| self.world.cut(link));
            self.world.connect_all();
            self.world.settle();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| self.world.tick(bank));
            self.world.settle();
            self.look();
        }
        let replaced = self
            .lost
            .filter(|lost| (0..self.banks()).any(|by| self.world.has_met_another(by, *lost)));
        for bank in (0..self.banks()).filter(|bank| Some(*bank) != self.lost || !self.forgotten) {
            assert_eq!(
                !self.world.is_up(bank),
                Some(bank) == replaced,
                "bank {bank} is up, or is down"
            );
        }
        if let Some(lost) = self.lost.filter(|lost| self.forgotten && self.world.is_up(*lost)) {
            self.missed_by_nobody(lost);
        } else if replaced.is_none() && !self.forgotten {
            assert!(self.world.all_introduced(), "some bank is not introduced");
            for bank in 0..self.banks() {
                assert_eq!(self.world.core(bank).undecided(), 0, "bank {bank} is in doubt");
            }
        }
        self.world.audit();
    }

    fn met(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.met)
    }
}

impl Meeting {
    /// No peer knows as the last vote of a bank that works on one that its old copy lacks.
    fn missed_by_nobody(&self, lost: usize) {
        for by in (0..self.banks()).filter(|by| *by != lost && self.world.is_up(*by)) {
            for (tx, token) in self.world.core(by).votes_shown_to(BankId::new(lost).unwrap()) {
                let held = self.world.nodes[lost].journal.iter().any(|record| match record {
                    Record::Voted { tx: of, time, .. }
                    | Record::Executed { tx: of, time, .. }
                    | Record::Refused { tx: of, time, .. } => *of == tx && *time == token.time,
                    _ => false,
                });
                assert!(
                    held,
                    "bank {by} knows of a vote of bank {lost}, which works on without it: {token}"
                );
            }
        }
    }
}
