//! Every branch of a bank: what follows from an input. Looks, changes nothing.
//!
//! Here: inputs, the protocol's verbs, registering. Beside it: `ask` (termination), `drive` (EXECUTE), `read`.

use crate::bank::Note;
use crate::bank::desk::{Desk, Waiter, Waits, Watch};
use crate::bank::io::{
    Asked, AskedVerb, Caller, CoreStep, DoubtCause, Input, Now, Origin, Outcome, Outgoing, Output, OwnVote,
    Past, Sending, Seq, SessionId,
};
use crate::bank::record::Record;
use crate::bank::state::{Bank, Ended, Known, Prepared};
use crate::commit::coordinator::Event;
use crate::commit::token::{Token, Verdict};
use crate::ids::{BankId, BankSet, Time, TxId};
use crate::ledger::Known as KnownHere;
use crate::limits::{
    ANSWER_WITHIN_MS, QUEUE_WAIT_MS_MAX, RESOLVE_AFTER_MS, UNDECIDED_BYTES_MAX, UNDECIDED_MAX,
};
use crate::wire::reply::Reply;
use crate::wire::request::{NewAccount, NewClient, Request};
use crate::wire::transaction::Transaction;
use crate::wire::{Fault, Reason};
use std::sync::Arc;

/// One decision under way: what it looks at, and what has come of it so far.
pub(crate) struct Deciding<'a> {
    pub bank: &'a Bank,
    pub desk: &'a Desk,
    pub now: Now,
    pub out: Output,
    /// The clock, with the records decided so far.
    clock: Time,
}

impl<'a> Deciding<'a> {
    pub fn new(bank: &'a Bank, desk: &'a Desk, now: Now) -> Deciding<'a> {
        Deciding { bank, desk, now, out: Output::default(), clock: bank.clock }
    }

    pub fn input(&mut self, input: &Input) {
        if self.bank.stopped.is_some() {
            return; // Whatever it said now could break a promise that it forgot.
        }
        match input {
            Input::Request { caller, origin, request, waited_us, past } => {
                self.request(*caller, *origin, request, *waited_us, past.as_ref());
            }
            Input::Closed(session) => self.closed(*session),
            Input::Answer { peer, asked, reply, past } => {
                self.answer(*peer, asked, reply.as_ref(), past.as_ref());
            }
            Input::PeerUp(peer) => self.note(Note::Link(*peer, true)),
            Input::PeerDown(peer) => self.note(Note::Link(*peer, false)),
            Input::PeerKnows(peer, time) => self.peer_knows(*peer, *time),
            Input::Tick => self.tick(),
            Input::Started => self.started(),
        }
    }

    /// What follows from what just became true: waiters of decided transactions wake, and questions go out.
    pub fn follow(&mut self, records: &[Record], notes: &[Note]) {
        for tx in records.iter().filter_map(Record::decides) {
            self.wake(tx);
        }
        let questions =
            |note: &Note| matches!(note, Note::Ask(..) | Note::Answered(..) | Note::Link(_, true));
        if notes.iter().any(questions) {
            self.put_questions();
        }
    }

    fn request(
        &mut self,
        caller: Caller,
        origin: Origin,
        request: &Request,
        waited_us: u64,
        past: Option<&Past>,
    ) {
        let late = waited_us >= QUEUE_WAIT_MS_MAX * 1_000;
        match request {
            Request::Prepare(tx, transaction) => self.prepare(caller, tx, transaction, late, past),
            Request::Commit(tx, tokens) => self.end(caller, origin, tx, tokens, past, Wanted::Commit),
            Request::Abort(tx, token) => {
                self.end(caller, origin, tx, token.as_slice(), past, Wanted::Abort);
            }
            Request::Resolve(tx) => self.resolve(caller, tx, past),
            Request::Status(tx) => self.status(caller, tx, past),
            other if origin == Origin::Link => {
                let text = format!("{} does not go over a link between banks", other.verb());
                self.reply(caller, Reply::Err(Reason::Refused, text), 0);
            }
            Request::Execute(tx, transaction) => self.execute(caller, tx, transaction, late, past),
            Request::Client(client) => self.client(caller, client),
            Request::Account(account) => self.account(caller, account),
            Request::Clients { .. }
            | Request::Accounts { .. }
            | Request::Balance(_)
            | Request::Value(_)
            | Request::History { .. }
            | Request::Pending { .. }
            | Request::Info
            | Request::Snapshot { .. } => self.read(caller, request),
            Request::Banks | Request::Peer(_) | Request::Ping | Request::Help | Request::Quit => {
                let text = format!("{} is answered by the session", request.verb());
                self.reply(caller, Reply::Err(Reason::Refused, text), 0);
            }
        }
    }

    fn prepare(
        &mut self,
        caller: Caller,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        late: bool,
        past: Option<&Past>,
    ) {
        if !self.names_me(caller, transaction) {
            return;
        }
        match self.bank.known(tx, past) {
            Known::Prepared(prepared) => {
                let own = prepared.own();
                let token = self.bank.own_token(tx, &own);
                if own.digest == Some(*transaction.digest()) {
                    let Watch { patient, .. } = self.desk.watches[tx];
                    if !patient {
                        let watch = Watch { session: Some(caller.session), ..self.desk.watches[tx].clone() };
                        self.note(Note::Watch(tx.clone(), watch));
                    }
                    self.reply(caller, Reply::Ok(tx.clone(), token), prepared.seq);
                } else {
                    self.duplicate(caller, tx, token, prepared.seq);
                }
            }
            Known::Ended(ended) => {
                let token = self.bank.own_token(tx, &ended.own);
                match (ended.own.digest, &ended.outcome) {
                    (Some(digest), _) if digest != *transaction.digest() => {
                        self.duplicate(caller, tx, token, ended.seq);
                    }
                    (Some(_), _) if ended.own.verdict == Verdict::Ok => {
                        self.reply(caller, Reply::Ok(tx.clone(), token), ended.seq);
                    }
                    (_, Outcome::Aborted(_, reason)) => {
                        let text = if ended.own.digest.is_none() {
                            "this bank was asked to refuse this id before".to_owned()
                        } else {
                            ended.text.to_string()
                        };
                        self.reply(caller, Reply::Nok(tx.clone(), token, *reason, text), ended.seq);
                    }
                    (_, Outcome::Committed(_)) => unreachable!("{tx} is committed without an OK"),
                }
            }
            Known::New => {
                let session = Some(caller.session);
                let (token, refusal, seq) = self.vote(tx, transaction, late, session);
                let reply = match &refusal {
                    None => Reply::Ok(tx.clone(), token),
                    Some(Fault { reason, text }) => Reply::Nok(tx.clone(), token, *reason, text.clone()),
                };
                self.reply(caller, reply, seq);
                self.own_vote(tx, transaction.digest(), token, refusal);
            }
        }
    }

    fn duplicate(&mut self, caller: Caller, tx: &TxId, token: Token, seq: Seq) {
        let text = "this id was used for other bytes".to_owned();
        self.reply(caller, Reply::Nok(tx.clone(), token, Reason::DuplicateId, text), seq);
    }

    /// A PREPARE or EXECUTE must name this bank, or it is no transaction for it: the id stays free.
    pub fn names_me(&mut self, caller: Caller, transaction: &Transaction) -> bool {
        let named = transaction.banks().has(self.bank.me());
        if !named {
            let text = format!("the transaction does not name this bank, {}", self.bank.me());
            self.reply(caller, Reply::Err(Reason::Malformed, text), 0);
        }
        named
    }

    /// Would this bank vote OK? A request that waited too long is refused without a look at the ledger: under
    /// load, work that has begun goes first.
    pub fn look(&self, transaction: &Transaction, late: bool) -> Result<(), Fault> {
        if late {
            return Err(Fault::new(
                Reason::Limit,
                format!("waited longer than {QUEUE_WAIT_MS_MAX} ms, the bank is busy"),
            ));
        }
        let bytes = self.bank.undecided_bytes + transaction.memory_bytes();
        if self.bank.undecided.len() >= UNDECIDED_MAX || bytes > UNDECIDED_BYTES_MAX {
            return Err(Fault::new(Reason::Limit, "too many undecided transactions at this bank"));
        }
        self.bank.ledger.check(self.bank.me(), self.bank.members, transaction)
    }

    /// Votes on an id that this bank knows nothing of.
    fn vote(
        &mut self,
        tx: &TxId,
        transaction: &Arc<Transaction>,
        late: bool,
        session: Option<SessionId>,
    ) -> (Token, Option<Fault>, Seq) {
        let refusal = self.look(transaction, late).err();
        let time = self.tick_clock();
        let verdict = if refusal.is_none() { Verdict::Ok } else { Verdict::No };
        let own = OwnVote { verdict, time, digest: Some(*transaction.digest()) };
        let seq = self.record(Record::Voted {
            tx: tx.clone(),
            time,
            transaction: Arc::clone(transaction),
            refusal: refusal.as_ref().map(|fault| (fault.reason, fault.text.clone())),
        });
        if refusal.is_none() {
            let patience = transaction.patience_ms();
            let wait_ms = patience.map_or(RESOLVE_AFTER_MS, u64::from);
            let watch = Watch {
                session: session.filter(|_| patience.is_none()),
                voted: time,
                deadline_us: self.now.mono_us + wait_ms * 1_000,
                patient: patience.is_some(),
                asking: false,
                granted: Vec::new(),
            };
            self.note(Note::Watch(tx.clone(), watch));
        }
        (self.bank.own_token(tx, &own), refusal, seq)
    }

    /// Records a refusal of the bytes of a transaction that this bank drives, or of its id alone.
    pub fn refuse(
        &mut self,
        tx: &TxId,
        transaction: Option<&Arc<Transaction>>,
        fault: &Fault,
    ) -> (Token, Seq) {
        let time = self.tick_clock();
        let digest = transaction.map(|transaction| *transaction.digest());
        let own = OwnVote { verdict: Verdict::No, time, digest };
        let record = match transaction {
            Some(transaction) => Record::Voted {
                tx: tx.clone(),
                time,
                transaction: Arc::clone(transaction),
                refusal: Some((fault.reason, fault.text.clone())),
            },
            None => Record::Refused { tx: tx.clone(), time, reason: fault.reason },
        };
        let seq = self.record(record);
        (self.bank.own_token(tx, &own), seq)
    }

    /// COMMIT and ABORT: told with tokens that convince, this bank acts at once; told less, it asks.
    fn end(
        &mut self,
        caller: Caller,
        origin: Origin,
        tx: &TxId,
        tokens: &[Token],
        past: Option<&Past>,
        wanted: Wanted,
    ) {
        let known = self.bank.known(tx, past);
        if self.forgot(tx, &known, tokens) {
            return;
        }
        match known {
            Known::New => match wanted {
                Wanted::Commit => {
                    let text = "this bank has not voted on it".to_owned();
                    self.reply(caller, Reply::Doubt(tx.clone(), text), self.bank.seq);
                }
                Wanted::Abort => self.tombstone(caller, tx, Reason::Refused),
            },
            Known::Ended(ended) => {
                let after = ended.seq;
                let reply = self.outcome_reply(tx, &ended);
                self.reply(caller, reply, after);
            }
            Known::Prepared(prepared) => match self.judge(tx, prepared, tokens) {
                Some((outcome, votes)) => {
                    let own = prepared.own();
                    self.decided(tx, prepared, outcome, votes);
                    let ended = Ended { own, outcome, text: Box::default(), seq: 0 };
                    let reply = self.outcome_reply(tx, &ended);
                    // Its proof is durable at the others; here the own vote suffices, the record may follow.
                    self.reply(caller, reply, prepared.seq);
                }
                None => {
                    self.ask(tx, prepared, DoubtCause::Asked);
                    if origin == Origin::Link {
                        let text = "no convincing tokens; this bank asks the others".to_owned();
                        self.reply(caller, Reply::Doubt(tx.clone(), text), 0);
                    } else {
                        self.wait(caller, Waits::Outcome(tx.clone()));
                    }
                }
            },
        }
    }

    /// What tokens from a driver prove: each counts only at its own id, from a bank that the transaction names,
    /// and for a COMMIT only with the digest of these bytes. Any other is as if it had not been given.
    fn judge(
        &self,
        tx: &TxId,
        prepared: &Prepared,
        tokens: &[Token],
    ) -> Option<(Outcome, Vec<(BankId, Time)>)> {
        let (transaction, me) = (&prepared.transaction, self.bank.me());
        let mut missing = transaction.banks().without(me);
        let mut time = prepared.time;
        let mut votes = Vec::with_capacity(missing.len());
        for token in tokens {
            let named = token.bank != me && transaction.banks().has(token.bank);
            if !named || !self.bank.identity.seal.proves(tx, token) {
                continue;
            }
            if token.refuses(transaction.digest()) {
                let reason = match token.verdict {
                    Verdict::Ok => Reason::DuplicateId,
                    Verdict::No => Reason::Refused,
                };
                return Some((Outcome::Aborted(*token, reason), vec![(token.bank, token.time)]));
            }
            if missing.has(token.bank) {
                missing = missing.without(token.bank);
                time = time.max(token.time);
                votes.push((token.bank, token.time));
            }
        }
        missing.is_empty().then_some((Outcome::Committed(time), votes))
    }

    fn resolve(&mut self, caller: Caller, tx: &TxId, past: Option<&Past>) {
        match self.bank.known(tx, past) {
            Known::New => self.tombstone(caller, tx, Reason::Expired),
            Known::Prepared(prepared) => {
                let token = self.bank.own_token(tx, &prepared.own());
                self.reply(caller, Reply::Ok(tx.clone(), token), prepared.seq);
            }
            Known::Ended(ended) => {
                let reply = self.outcome_reply(tx, &ended);
                self.reply(caller, reply, ended.seq);
            }
        }
    }

    fn status(&mut self, caller: Caller, tx: &TxId, past: Option<&Past>) {
        let reply = match self.bank.known(tx, past) {
            Known::New => Reply::Unknown(tx.clone()),
            Known::Prepared(prepared) => Reply::Ok(tx.clone(), self.bank.own_token(tx, &prepared.own())),
            Known::Ended(ended) => self.outcome_reply(tx, &ended),
        };
        self.reply(caller, reply, self.bank.seq);
    }

    /// A bank that has not voted refuses for ever.
    fn tombstone(&mut self, caller: Caller, tx: &TxId, reason: Reason) {
        let fault = Fault::new(reason, "");
        let (token, seq) = self.refuse(tx, None, &fault);
        self.reply(caller, Reply::Aborted(tx.clone(), token, reason), seq);
        if let Some(drive) = self.desk.drives.get(tx) {
            let digest = *drive.coordinator.transaction().digest();
            self.own_vote(tx, &digest, token, Some(fault));
        }
    }

    /// This bank has just voted on a transaction that it may be driving, on these bytes or others.
    fn own_vote(
        &mut self,
        tx: &TxId,
        digest: &crate::commit::token::Digest,
        token: Token,
        refusal: Option<Fault>,
    ) {
        let Some(drive) = self.desk.drives.get(tx) else { return };
        let mut refusal = refusal.map(|fault| (fault.reason, fault.text));
        if drive.coordinator.transaction().digest() != digest {
            refusal = Some((Reason::DuplicateId, "the id was used for other bytes meanwhile".to_owned()));
        }
        self.drive_event(tx, Event::OwnVote(token, refusal));
    }

    /// Records an outcome of a transaction that this bank voted OK on.
    pub fn decided(&mut self, tx: &TxId, prepared: &Prepared, outcome: Outcome, votes: Vec<(BankId, Time)>) {
        if let Outcome::Committed(time) = outcome {
            assert!(time >= prepared.time, "{tx} would commit before this bank's own vote");
            self.clock = self.clock.max(time);
        }
        self.record(Record::Decided { tx: tx.clone(), own: prepared.own(), outcome, votes });
    }

    pub fn outcome_reply(&self, tx: &TxId, ended: &Ended) -> Reply {
        match ended.outcome {
            Outcome::Committed(time) => {
                Reply::Committed(tx.clone(), time, self.bank.own_token(tx, &ended.own))
            }
            Outcome::Aborted(token, reason) => Reply::Aborted(tx.clone(), token, reason),
        }
    }

    /// A transaction is decided: whoever waited for its outcome, for its locks, or with a cut, is served.
    fn wake(&mut self, tx: &TxId) {
        if self.desk.watches.contains_key(tx) {
            self.note(Note::Ended(tx.clone()));
        }
        if self.desk.waiters.is_empty() {
            return;
        }
        let Known::Ended(ended) = self.bank.known(tx, None) else { return };
        for waiter in self.desk.waiters_for(&Waits::Outcome(tx.clone())).collect::<Vec<_>>() {
            let caller = self.desk.waiters[&waiter].caller;
            self.note(Note::Served(waiter));
            let reply = self.outcome_reply(tx, &ended);
            self.reply(caller, reply, ended.seq);
        }
        self.wake_readers(tx);
    }

    /// Shown its own valid token for a vote that it does not hold, a bank has forgotten a promise: it stops.
    fn forgot(&mut self, tx: &TxId, known: &Known<'_>, tokens: &[Token]) -> bool {
        let own = match known {
            Known::New => None,
            Known::Prepared(prepared) => Some(prepared.own()),
            Known::Ended(ended) => Some(ended.own),
        };
        let me = self.bank.me();
        let held = |token: &Token| {
            own.is_some_and(|own| {
                (own.verdict, own.time, own.digest) == (token.verdict, token.time, token.digest)
            })
        };
        let forgotten = tokens
            .iter()
            .find(|token| token.bank == me && !held(token) && self.bank.identity.seal.proves(tx, token));
        let Some(token) = forgotten else { return false };
        self.stop(&format!(
            "this bank was shown its own valid vote on {tx} of {}, which its journal does not hold",
            token.time
        ));
        true
    }

    fn peer_knows(&mut self, peer: BankId, time: Time) {
        let own = self.bank.known_votes[self.bank.me().index()];
        if time > own {
            self.stop(&format!(
                "bank {peer} knows of a vote of this bank at {time}, but its journal ends with {own}"
            ));
        }
    }

    fn stop(&mut self, what: &str) {
        let why = format!(
            "{what}: it forgot a promise (restored from an old copy, or wiped while its key lived on). \
             Put its newest journal back, or found a new consortium with a new key"
        );
        self.record(Record::Stopped { why });
    }

    /// What peers' answers say about this bank's own votes is looked at like a driver's tokens.
    fn answer(&mut self, peer: BankId, asked: &Asked, reply: Option<&Reply>, past: Option<&Past>) {
        let shown = match reply {
            Some(Reply::Aborted(_, token, _) | Reply::Ok(_, token) | Reply::Nok(_, token, ..)) => Some(token),
            Some(_) | None => None,
        };
        let known = self.bank.known(&asked.tx, past);
        if self.forgot(&asked.tx, &known, shown.map_or(&[], std::slice::from_ref)) {
            return;
        }
        match asked.verb {
            AskedVerb::Resolve => self.resolved(peer, &asked.tx, reply),
            AskedVerb::Prepare | AskedVerb::Commit | AskedVerb::Abort => {
                if self.desk.drives.contains_key(&asked.tx) {
                    let event = match reply {
                        Some(reply) => Event::Answered(peer, asked.verb, reply.clone()),
                        None => Event::Lost(peer, asked.verb),
                    };
                    self.drive_event(&asked.tx, event);
                }
            }
        }
    }

    fn client(&mut self, caller: Caller, client: &NewClient) {
        match self.bank.ledger.check_client(client) {
            Ok(KnownHere::New) => {
                let time = self.tick_clock();
                let seq = self.record(Record::ClientAdded { time, client: client.clone() });
                self.done(caller, client, seq);
            }
            Ok(KnownHere::Same) => self.done(caller, client, self.bank.seq),
            Err(fault) => self.refused(caller, fault),
        }
    }

    fn account(&mut self, caller: Caller, account: &NewAccount) {
        match self.bank.ledger.check_account(account) {
            Ok(KnownHere::New) => {
                let time = self.tick_clock();
                let seq = self.record(Record::AccountOpened { time, account: account.clone() });
                self.done(caller, &crate::ledger::AccountView::opened(account), seq);
            }
            Ok(KnownHere::Same) => match self.bank.ledger.account(&account.number) {
                Some(view) => self.done(caller, &view, self.bank.seq),
                None => unreachable!("an account that is the same exists"),
            },
            Err(fault) => self.refused(caller, fault),
        }
    }

    fn closed(&mut self, session: SessionId) {
        let theirs: Vec<TxId> = self.desk.of_session(session).cloned().collect();
        for tx in &theirs {
            if let Some(prepared) = self.bank.undecided.get(tx) {
                self.ask(tx, prepared, DoubtCause::DriverGone);
            }
        }
        self.note(Note::SessionEnded(session));
    }

    fn started(&mut self) {
        self.note(Note::Started(self.now.mono_us));
        self.note(Note::CutMark(self.now.mono_us, self.bank.clock, None));
        for (tx, prepared) in &self.bank.undecided {
            let watch = Watch {
                session: None,
                voted: prepared.time,
                deadline_us: self.now.mono_us,
                patient: true,
                asking: false,
                granted: Vec::new(),
            };
            self.note(Note::Watch(tx.clone(), watch));
            self.ask(tx, prepared, DoubtCause::Restart);
        }
    }

    fn tick(&mut self) {
        let now = self.now.mono_us;
        let due = self.desk.timers.iter().take_while(|(due, _)| *due <= now);
        let patient = self.desk.patient_timers.iter().take_while(|(due, _)| *due <= now);
        for (_, tx) in due.chain(patient) {
            if let Some(prepared) = self.bank.undecided.get(tx) {
                self.ask(tx, prepared, DoubtCause::TimeOut);
            }
        }
        let drives = self.desk.drive_timers.iter().take_while(|(due, _)| *due <= now);
        for (_, tx) in drives {
            self.drive_timed_out(tx);
        }
        let first = |timers: Option<&(u64, TxId)>| timers.is_some_and(|(due, _)| *due <= now);
        let desk = self.desk;
        if first(desk.timers.front())
            || first(desk.patient_timers.first())
            || first(desk.drive_timers.first())
        {
            self.out.notes.insert(0, Note::TimersSeen(now));
        }
        let over: Vec<u64> = desk
            .waiters
            .iter()
            .take_while(|(_, waiter)| waiter.deadline_us <= now)
            .map(|(id, _)| *id)
            .collect();
        for waiter in over {
            self.gave_up(waiter);
        }
        self.mark_cut();
        if desk.peers.iter().any(|peer| peer.up && !peer.questions.is_empty()) {
            self.put_questions();
        }
    }

    /// A wait is over without what it waited for.
    fn gave_up(&mut self, id: u64) {
        let waiter = &self.desk.waiters[&id];
        self.note(Note::Served(id));
        let reply = match &waiter.waits {
            Waits::Outcome(tx) => {
                self.out.steps.push(CoreStep::GaveUp(tx.clone()));
                Reply::Doubt(tx.clone(), self.doubt_text(tx))
            }
            Waits::Value(key) => {
                let holder = self.bank.ledger.locked_by(key).map(|tx| format!("{key} by {tx}"));
                Reply::Refused(Reason::Locked, holder.unwrap_or_else(|| key.to_string()))
            }
            Waits::Cut => {
                let holder = self.bank.undecided_by_time.first();
                Reply::Refused(Reason::Locked, holder.map(|(_, tx)| tx.to_string()).unwrap_or_default())
            }
        };
        self.reply(waiter.caller, reply, self.bank.seq);
    }

    pub fn wait(&mut self, caller: Caller, waits: Waits) {
        let deadline_us = self.now.mono_us + ANSWER_WITHIN_MS * 1_000;
        self.note(Note::Wait(Waiter { caller, deadline_us, waits, cut: None }));
    }

    /// The next time of this bank's clock: its wall clock, or one more than the last time it gave or met.
    pub fn tick_clock(&mut self) -> Time {
        let next = Time(self.now.wall_us.max(self.clock.0 + 1));
        assert!(next <= Time::MAX, "the clock is past what JSON carries exactly");
        self.clock = next;
        next
    }

    /// The clock's reading, which no record rests on.
    pub fn reading(&self) -> Time {
        self.clock.max(Time(self.now.wall_us))
    }

    pub fn move_clock(&mut self, time: Time) {
        self.clock = self.clock.max(time);
        self.record(Record::ClockMoved { time });
    }

    pub fn record(&mut self, record: Record) -> Seq {
        self.out.records.push(record);
        self.last_seq()
    }

    /// The number of the newest record, those decided here included.
    pub fn last_seq(&self) -> Seq {
        self.bank.seq + u64::try_from(self.out.records.len()).unwrap_or(u64::MAX)
    }

    pub fn note(&mut self, note: Note) {
        self.out.notes.push(note);
    }

    pub fn reply(&mut self, to: Caller, reply: Reply, after: Seq) {
        self.out.replies.push(Outgoing { to, reply, after });
    }

    pub fn send(&mut self, peer: BankId, message: crate::bank::io::Message, after: Seq) {
        self.out.sends.push(Sending { peer, message, after });
    }

    pub fn done<T: serde::Serialize>(&mut self, caller: Caller, value: &T, after: Seq) {
        let json = serde_json::to_string(value).expect("these values are plain JSON");
        self.reply(caller, Reply::Done(json), after);
    }

    pub fn refused(&mut self, caller: Caller, fault: Fault) {
        self.reply(caller, Reply::Refused(fault.reason, fault.text), self.bank.seq);
    }

    /// The banks other than this one that `transaction` names.
    pub fn others(&self, transaction: &Transaction) -> BankSet {
        transaction.banks().without(self.bank.me())
    }
}

/// What COMMIT and ABORT want.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Commit,
    Abort,
}

impl Prepared {
    /// The vote, as tokens bind it.
    pub fn own(&self) -> OwnVote {
        OwnVote { verdict: Verdict::Ok, time: self.time, digest: Some(*self.transaction.digest()) }
    }
}
