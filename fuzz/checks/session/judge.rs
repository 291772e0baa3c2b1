//! What the bank puts out, judged: order, durability, outcomes, and what a restart finds.

use super::*;

impl FuzzedBank {
    pub(super) fn input(&mut self, input: &Input) {
        if self.stopped() {
            return;
        }
        let before = self.core.clock();
        let output = self.core.step(self.now, input);
        assert!(self.core.clock() >= before, "the clock went back");
        for record in output.records {
            may_be_caused(&record, input);
            if let Some(tx) = record.decides() {
                let twice = self.past.insert(tx.clone(), self.journal.len());
                assert_eq!(twice, None, "{tx} is decided twice");
            }
            self.journal.push(record);
        }
        assert_eq!(self.core.seq(), Seq::try_from(self.journal.len()).expect("a short journal"));
        self.core.check_invariants();
        if self.stopped() {
            // The stop is a record; nothing leaves any more.
            return;
        }
        for outgoing in &output.replies {
            assert!(
                outgoing.after.is_met(self.core.seq()),
                "{outgoing:?} waits for nothing that there is"
            );
            match self.owed.remove(&outgoing.to) {
                Some(request) => answers(&request, &outgoing.reply),
                None => assert!(
                    self.closed.contains(&outgoing.to.session),
                    "a second reply: {outgoing:?}"
                ),
            }
        }
        for sending in &output.sends {
            assert!(
                sending.after.is_met(self.core.seq()),
                "{sending:?} waits for nothing that there is"
            );
            assert!(
                sending.peer != self.identity.bank && sending.peer.index() < BANKS,
                "{sending:?}"
            );
        }
        self.replies.extend(output.replies);
        self.sends.extend(output.sends);
        self.release();
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.journal.len();
        self.release();
    }

    /// What rests on nothing that a crash could take leaves.
    pub(super) fn release(&mut self) {
        if self.stopped() {
            return;
        }
        let durable = Seq::try_from(self.synced).expect("a short journal");
        let (leave, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.replies)
            .into_iter()
            .partition(|outgoing| outgoing.after.is_met(durable));
        self.replies = stay;
        leave.iter().for_each(|outgoing| self.heard(outgoing));
        let (go, keep): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sends)
            .into_iter()
            .partition(|sending| sending.after.is_met(durable));
        self.sends = keep;
        self.asked.extend(go.into_iter().map(|sending| (sending.peer, sending.message.key())));
    }

    /// A reply left. Votes in it must be on disk, and outcomes stay what they are.
    pub(super) fn heard(&mut self, Outgoing { to, reply, .. }: &Outgoing) {
        let driven = self.driven.contains(to);
        match reply {
            Reply::Ok(tx, token) | Reply::Nok(tx, token, ..) => {
                assert_eq!(token.bank, self.identity.bank);
                assert!(self.holds_vote(tx, token), "{reply:?} is spoken before it is on disk");
                self.spoken.push((tx.clone(), *token));
            }
            Reply::Committed(tx, time, token, _) if token.bank == self.identity.bank => {
                assert!(
                    self.holds_vote(tx, token),
                    "{reply:?} is spoken before its vote is on disk"
                );
                self.told(tx, Some(*time));
            }
            Reply::Aborted(tx, token, _, _)
                if token.kind == TokenKind::Ok && token.bank == self.identity.bank =>
            {
                assert!(
                    self.holds_vote(tx, token),
                    "{reply:?} is spoken before its vote is on disk"
                );
                if !driven {
                    self.told(tx, None);
                }
            }
            // What it drives may be other bytes than those that it voted on, or none of its
            // business.
            Reply::Committed(..) | Reply::Aborted(..) if driven => {}
            Reply::Committed(..) => panic!("{reply:?} without a vote of this bank"),
            Reply::Aborted(tx, ..) => self.told(tx, None),
            Reply::Doubt(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Help(_)
            | Reply::Bye => {}
        }
    }

    pub(super) fn told(&mut self, tx: &TxId, outcome: Option<Time>) {
        let outside =
            |record: &Record| matches!(record, Record::OutsideVoted { tx: of, .. } if of == tx);
        let unsynced = self.journal[self.synced..].iter().any(outside);
        assert!(!unsynced, "{tx} was told before its outside coordinator's vote is on disk");
        let before = self.told.insert(tx.clone(), outcome);
        assert!(
            before.is_none_or(|before| before == outcome),
            "{tx} was told {before:?}, and now {outcome:?}"
        );
    }

    /// Is this own vote on disk?
    pub(super) fn holds_vote(&self, of: &TxId, token: &Token) -> bool {
        self.journal[..self.synced].iter().any(|record| match record {
            Record::Voted { tx, time, refusal, .. } => {
                tx == of && *time == token.time && refusal.is_some() == token.is_refusal()
            }
            Record::Refused { tx, time, .. } => {
                tx == of && *time == token.time && token.is_refusal()
            }
            Record::Executed { tx, time, .. } => {
                tx == of && *time == token.time && token.kind == TokenKind::Ok
            }
            Record::Consortium { .. }
            | Record::Decided { .. }
            | Record::ClientAdded { .. }
            | Record::AccountOpened { .. }
            | Record::ClockMoved { .. }
            | Record::KeyKnown { .. }
            | Record::RegistersLearned { .. }
            | Record::Founded { .. }
            | Record::Met { .. }
            | Record::Registered { .. }
            | Record::Introduced { .. }
            | Record::Stopped { .. }
            | Record::OutsideVoted { .. }
            | Record::Drove { .. } => false,
        })
    }

    /// The process is gone, and with it what was not synced; it starts again on what is left.
    pub(super) fn crash(&mut self) {
        self.audit();
        self.journal.truncate(self.synced);
        let synced = self.synced;
        self.past.retain(|_, at| *at < synced);
        // An outcome that tokens proved may leave before its record is on disk; only liars can
        // prove another one then.
        let past = &self.past;
        self.told.retain(|tx, _| past.contains_key(tx));
        self.owed.clear();
        self.replies.clear();
        self.sends.clear();
        self.asked.clear();
        self.up.clear();
        self.lives += 1;
        self.core = self.replayed();
        self.core.check_invariants();
        self.input(&Input::Started(Start::default()));
    }

    /// The links are gone and time goes on: every request gets its reply.
    pub(super) fn ends(mut self) {
        for _ in 0..4 {
            self.sync();
            for (peer, asked) in std::mem::take(&mut self.asked) {
                self.answered(peer, asked, None);
            }
            self.sync();
            self.pass(1_000 * (ANSWER_WITHIN_MS + 1));
        }
        self.sync();
        if !self.stopped() {
            assert!(self.owed.is_empty(), "never answered: {:?}", self.owed);
            assert!(self.replies.is_empty());
        }
        self.audit();
    }

    /// The bank is what its journal and its snapshot say.
    pub(super) fn audit(&self) {
        assert!(self.core.same_as(&self.replayed()), "the bank is not what its journal says");
        let restored = Core::from_snapshot(self.identity.clone(), &self.core.to_snapshot());
        let restored = restored.unwrap_or_else(|error| panic!("its own snapshot: {error}"));
        assert!(self.core.same_as(&restored), "the bank is not what its snapshot says");
    }

    pub(super) fn replayed(&self) -> Core {
        let mut core = Core::new(self.identity.clone());
        self.journal.iter().for_each(|record| core.apply(record));
        core
    }

    pub(super) fn past_of(&self, tx: &TxId) -> Option<Past> {
        if self.core.knows(tx) {
            return None;
        }
        self.past.get(tx).map(|at| Past { record: self.journal[*at].clone() })
    }

    pub(super) fn stopped(&self) -> bool {
        self.core.stopped().is_some()
    }
}

/// A reply is one line that can be read, about the transaction that was asked about.
pub(super) fn answers(request: &Request, reply: &Reply) {
    let mut out = Vec::new();
    reply.write_to(&mut out);
    let mut lines = Lines::new();
    lines.space(out.len()).extend_from_slice(&out);
    let Some(Ok(line)) = lines.next() else { panic!("{reply:?} is no line") };
    let read = Reply::parse(line).unwrap_or_else(|fault| panic!("{line:?}: {fault}"));
    assert!(reply.tx().is_none() || reply.tx() == request.tx(), "{request:?} got {reply:?}");
    assert_eq!(read.tx(), reply.tx());
    assert!(
        lines.next().is_none() && lines.waiting_bytes() == 0,
        "{reply:?} is more than one line"
    );
}

/// An outside coordinator's OK is its own; its NOK comes from itself, from a client's ABORT, or
/// with time.
pub(super) fn may_be_caused(record: &Record, by: &Input) {
    let Record::OutsideVoted { tx: of, refusal, .. } = record else { return };
    let caused = match (by, refusal) {
        (Input::Request { origin: Origin::Outside, request: Request::Commit(tx, _), .. }, None) => {
            tx == of
        }
        (
            Input::Request {
                origin: Origin::Outside | Origin::Client,
                request: Request::Abort(tx, _),
                ..
            },
            Some(Reason::Refused),
        ) => tx == of,
        (Input::Tick, Some(Reason::Expired)) => true,
        _ => false,
    };
    assert!(caused, "{by:?} brings about {record:?}");
}
