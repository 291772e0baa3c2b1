//! Banks meet; a disk is lost or replaced by an old copy; a peer may be down. No record and no
//! reply contradicts an earlier promise.

use super::Scene;
use crate::world::{MeetMistake, Seen, World};
use consorcio_core::bank::io::{Origin, Outcome, SessionId};
use consorcio_core::bank::record::Record;
use consorcio_core::commit::proof::tokens_of;
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::{Token, TokenKind};
use consorcio_core::wire::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rounds of healing, and the length of each.
const ROUNDS: usize = 3;
const ROUND_US: u64 = 4_000_000;

#[derive(Debug, Clone, Copy)]
pub enum MeetingAction {
    /// A slow driver sends PREPARE to a bank.
    Prepare(usize),
    Commit(usize),
    Resolve(usize),
    /// The first flight of a lane arrives.
    Deliver(usize),
    Start(usize),
    Connect(usize, usize),
    Crash(usize),
    LoseDisk(usize),
    /// The first records of a journal replace it.
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
pub struct MeetingScene {
    world: World,
    tx: TxId,
    transaction: Arc<Transaction>,
    budget: MeetingBudget,
    /// PREPAREs and COMMITs left, by bank.
    prepares: Vec<u8>,
    commits: Vec<u8>,
    /// OK tokens that the driver received.
    tokens: Vec<Token>,
    outcome: Option<(bool, String)>,
    votes: BTreeMap<usize, bool>,
    lost: Option<usize>,
    /// The old copy lacks a promise; only its detection is checked then.
    forgotten: bool,
    reached: Vec<&'static str>,
}

impl MeetingScene {
    pub fn unfounded(banks: usize) -> MeetingScene {
        let world = World::unfounded(banks);
        let ops: Vec<String> = (0..banks)
            .map(|bank| format!(r#"{{"bank":{bank},"op":"deposit","account":"a","amount":1}}"#))
            .collect();
        let text = format!(r#"{{"ops":[{}]}}"#, ops.join(","));
        let mut meeting = MeetingScene {
            world,
            tx: TxId::new("t0").unwrap(),
            transaction: Arc::new(Transaction::parse(&text).unwrap()),
            budget: MeetingBudget { resolves: 1, ..MeetingBudget::default() },
            prepares: vec![1; banks],
            // Of three banks only the last one gets COMMIT; the others learn from it.
            commits: (0..banks).map(|bank| u8::from(banks < 3 || bank == 2)).collect(),
            tokens: Vec::new(),
            outcome: None,
            votes: BTreeMap::new(),
            lost: None,
            forgotten: false,
            reached: Vec::new(),
        };
        (0..banks).for_each(|bank| meeting.start(bank));
        meeting
    }

    /// Banks that have met each other.
    pub fn founded(banks: usize) -> MeetingScene {
        let mut meeting = MeetingScene::unfounded(banks);
        meeting.world.connect_all();
        meeting.world.deliver_all();
        meeting.check_events();
        assert!(meeting.world.all_introduced());
        meeting.reached.clear();
        meeting
    }

    pub fn losing(mut self, losses: u8) -> MeetingScene {
        self.budget.losses = losses;
        self
    }

    pub fn crashing(mut self, crashes: u8) -> MeetingScene {
        self.budget.crashes = crashes;
        self
    }

    /// No RESOLVE at a bank that has not voted.
    pub fn without_resolves(mut self) -> MeetingScene {
        self.budget.resolves = 0;
        self
    }

    pub fn copying(mut self, copies: u8) -> MeetingScene {
        self.budget.copies = copies;
        self
    }

    pub fn mistaken(mut self, mistake: MeetMistake) -> MeetingScene {
        self.world.meet_mistake = Some(mistake);
        self
    }

    fn banks(&self) -> usize {
        self.world.nodes.len()
    }

    /// Starts a bank that is down, and opens its account if it has none.
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
        self.check_events();
    }

    fn ask(&mut self, at: usize, request: Request) {
        self.world.request(at, SessionId(100), Origin::Client, request, 0);
    }

    fn check_events(&mut self) {
        for seen in std::mem::take(&mut self.world.seen) {
            match seen {
                Seen::Recorded { bank, record, .. } => self.recorded(bank, &record),
                Seen::Reply { bank, reply, .. } => self.replied(bank, &reply),
                Seen::Stopped { bank, why } => {
                    assert!(self.lost == Some(bank), "bank {bank} stopped: {why}");
                    self.reached.push("stopped");
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
            Record::Introduced { .. } => self.reached.push("introduced"),
            _ => {}
        }
    }

    fn ends(&mut self, committed: bool, evidence: String) {
        self.reached.push(if committed { "committed" } else { "aborted" });
        if let Some((before, other)) = &self.outcome {
            assert!(*before == committed || self.forgotten, "{evidence}, but {other}");
        }
        self.outcome.get_or_insert((committed, evidence));
    }

    fn replied(&mut self, at: usize, reply: &Reply) {
        for token in tokens_of(reply) {
            let ok = token.kind != TokenKind::No;
            let before = *self.votes.entry(token.bank.index()).or_insert(ok);
            assert!(
                before == ok || self.forgotten,
                "bank {} votes twice, bank {at} reports {reply:?}",
                token.bank
            );
            if token.kind == TokenKind::Ok && !self.tokens.contains(&token) {
                self.tokens.push(token);
            }
        }
        match reply {
            Reply::Committed(..) => self.ends(true, format!("bank {at} reports {reply:?}")),
            Reply::Aborted(..) => self.ends(false, format!("bank {at} reports {reply:?}")),
            Reply::Err(Reason::NotIntroduced, text) if text.contains("is new") => {
                self.reached.push("not introduced yet");
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
        self.reached.push("old copy");
    }
}

impl Scene for MeetingScene {
    type Action = MeetingAction;

    fn acts(&self) -> Vec<MeetingAction> {
        let mut acts: Vec<MeetingAction> =
            self.world.deliverable().into_iter().map(MeetingAction::Deliver).collect();
        for at in 0..self.banks() {
            let MeetingBudget { losses, crashes, copies, resolves } = self.budget;
            if self.world.is_up(at) {
                acts.extend((self.prepares[at] > 0).then_some(MeetingAction::Prepare(at)));
                acts.extend(
                    (self.commits[at] > 0 && !self.tokens.is_empty())
                        .then_some(MeetingAction::Commit(at)),
                );
                acts.extend((resolves > 0).then_some(MeetingAction::Resolve(at)));
                acts.extend((crashes > 0).then_some(MeetingAction::Crash(at)));
                acts.extend(
                    (0..at).filter(|b| self.world.is_up(*b)).map(|b| MeetingAction::Connect(at, b)),
                );
            } else {
                acts.push(MeetingAction::Start(at));
            }
            acts.extend((losses > 0).then_some(MeetingAction::LoseDisk(at)));
            if copies > 0 {
                // An old copy keeps at least the list and the founding id, which one start writes
                // together.
                acts.extend(
                    (2..self.world.nodes[at].journal.len())
                        .map(|keep| MeetingAction::OldCopy(at, keep)),
                );
            }
        }
        acts
    }

    fn act(&mut self, act: MeetingAction) {
        match act {
            MeetingAction::Prepare(at) => {
                self.prepares[at] -= 1;
                self.ask(at, Request::Prepare(self.tx.clone(), Arc::clone(&self.transaction)));
            }
            MeetingAction::Commit(at) => {
                self.commits[at] -= 1;
                self.ask(at, Request::Commit(self.tx.clone(), self.tokens.clone()));
            }
            MeetingAction::Resolve(at) => {
                self.budget.resolves -= 1;
                self.ask(at, Request::Resolve(self.tx.clone()));
            }
            MeetingAction::Deliver(at) => {
                self.world.deliver(at);
            }
            MeetingAction::Start(at) => self.start(at),
            MeetingAction::Connect(a, b) => {
                self.world.connect(a, b);
                self.world.connect(b, a);
            }
            MeetingAction::Crash(at) => {
                self.budget.crashes -= 1;
                self.world.crash(at);
            }
            MeetingAction::LoseDisk(at) => {
                self.budget.losses -= 1;
                self.lost = Some(at);
                self.prepares[at] += 1;
                let peer_down = (0..self.banks()).any(|bank| bank != at && !self.world.is_up(bank));
                self.reached.push(if peer_down {
                    "disk lost with a bank down"
                } else {
                    "disk lost"
                });
                self.world.lose_disk(at);
            }
            MeetingAction::OldCopy(at, keep) => {
                self.budget.copies -= 1;
                self.prepares[at] += 1;
                self.old_copy(at, keep);
            }
        }
        self.check_events();
    }

    fn print(&self) -> String {
        let MeetingScene {
            budget, prepares, commits, tokens, outcome, votes, lost, forgotten, ..
        } = self;
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
            // A link that opens sends what was learned since the previous one; in the program an
            // open one does, too.
            let links: Vec<u64> = self.world.links.keys().copied().collect();
            links.into_iter().for_each(|link| self.world.cut(link));
            self.world.connect_all();
            self.world.deliver_all();
            self.world.pass(ROUND_US);
            (0..self.banks()).for_each(|bank| self.world.tick(bank));
            self.world.deliver_all();
            self.check_events();
        }
        let replaced = self
            .lost
            .filter(|lost| (0..self.banks()).any(|by| self.world.has_met_another(by, *lost)));
        for bank in (0..self.banks()).filter(|bank| Some(*bank) != self.lost || !self.forgotten) {
            assert_eq!(
                !self.world.is_up(bank),
                Some(bank) == replaced,
                "bank {bank} is up although it lost a promise, or down without a cause"
            );
        }
        if let Some(lost) = self.lost.filter(|lost| self.forgotten && self.world.is_up(*lost)) {
            self.check_lost_promise_detected(lost);
        } else if replaced.is_none() && !self.forgotten {
            assert!(self.world.all_introduced(), "some bank is not introduced");
            for bank in 0..self.banks() {
                assert_eq!(self.world.core(bank).undecided(), 0, "bank {bank} is in doubt");
            }
        }
        self.world.audit();
    }

    fn reached(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.reached)
    }
}

impl MeetingScene {
    /// No peer knows, as the last vote of a running bank on an old copy, a vote that the copy
    /// lacks.
    fn check_lost_promise_detected(&self, lost: usize) {
        for by in (0..self.banks()).filter(|by| *by != lost && self.world.is_up(*by)) {
            for (tx, token) in self.world.core(by).votes_to_send(BankId::new(lost).unwrap()) {
                let held = self.world.nodes[lost].journal.iter().any(|record| match record {
                    Record::Voted { tx: of, time, .. }
                    | Record::Executed { tx: of, time, .. }
                    | Record::Refused { tx: of, time, .. } => *of == tx && *time == token.time,
                    _ => false,
                });
                assert!(
                    held,
                    "bank {by} knows of a vote of bank {lost}, which runs without it: {token}"
                );
            }
        }
    }
}
