//! Reads: clients, accounts, registers, history, what is pending, totals, and cuts.
//!
//! A reply waits for the records that it rests on: a read shows nothing that a crash could take
//! back.

use crate::bank::Change;
use crate::bank::decide::Deciding;
use crate::bank::io::{Caller, Seq};
use crate::bank::state::Event;
use crate::bank::volatile::{CutAsked, Waiter, Waits};
use crate::ids::{AccountNumber, RegisterKey, TaxId, Time, TxId};
use crate::limits::{
    ANSWER_WITHIN_MS, CUT_KEPT_MS, CUT_MARK_EVERY_US, CUT_PAGE_ITEMS_MAX, HISTORY_MAX,
    LIST_BYTES_MAX, REFUSAL_TEXT_BYTES_MAX, SNAPSHOT_AHEAD_MS_MAX,
};
use crate::wire::answer::{
    AccountAnswer, ClientAnswer, CutAccount, CutAnswer, HistoryAnswer, HistoryOutcome, InfoAnswer,
    OpAnswer, PageWriter, PendingAnswer, RegisterAnswer,
};
use crate::wire::detail::{Detail, Word};
use crate::wire::reading::Reading;
use crate::wire::reply::Reply;
use crate::wire::request::{Read, SnapshotKey};
use crate::wire::transaction::{Action, Transaction};
use crate::wire::{Fault, Reason};
use serde_json::value::RawValue;
use std::borrow::Cow;

impl Deciding<'_> {
    pub(super) fn read(&mut self, caller: Caller, read: &Read) {
        let after = self.bank.seq;
        match read {
            Read::Clients { after: key } => self.clients(caller, key.as_ref()),
            Read::Accounts { cpf, after: key } => self.accounts(caller, cpf.as_ref(), key.as_ref()),
            Read::Balance(number) => match self.bank.ledger.account(number) {
                Some(view) => self.done(caller, &view.answer(), after),
                None => {
                    self.refused(caller, Fault::of(Reason::UnknownAccount, &named(number.as_str())))
                }
            },
            Read::Value(key) => self.value(caller, key),
            Read::History { count, after: key } => self.history(caller, *count, key.as_ref()),
            Read::Pending { after: key } => self.pending(caller, key.as_ref()),
            Read::Info => self.info(caller),
            Read::Snapshot { time, reading, accounts, after } => {
                let asked = (*time, reading.as_ref());
                self.snapshot(caller, asked, *accounts, after.as_ref());
            }
        }
    }

    fn clients(&mut self, caller: Caller, after: Option<&TaxId>) {
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.map(TaxId::as_str));
        for client in self.bank.ledger.clients_after(after) {
            let created = self.bank.ledger.client_added(&client.cpf);
            let line = ClientAnswer { created, ..ClientAnswer::of(client) };
            if !page.push(client.cpf.as_str(), &line) {
                break;
            }
        }
        self.list(caller, page);
    }

    fn accounts(&mut self, caller: Caller, cpf: Option<&TaxId>, after: Option<&AccountNumber>) {
        if let Some(cpf) = cpf
            && self.bank.ledger.client(cpf).is_none()
        {
            return self.refused(caller, Fault::of(Reason::UnknownClient, &named(cpf.as_str())));
        }
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.map(AccountNumber::as_str));
        for view in self.bank.ledger.accounts_after(cpf, after) {
            let created = self.bank.ledger.account_opened(view.number);
            let line = AccountAnswer { created, ..view.answer() };
            if !page.push(view.number.as_str(), &line) {
                break;
            }
        }
        self.list(caller, page);
    }

    /// A locked register's value waits for the decision, so that reads at any bank are
    /// linearizable.
    fn value(&mut self, caller: Caller, key: &RegisterKey) {
        if let Some(fault) = self.not_introduced() {
            self.refused(caller, fault);
        } else if !self.bank.ledger.knows_registers() {
            self.refused(caller, Fault::of(Reason::Unreachable, &Detail::RegistersUnknown));
        } else if self.bank.ledger.locked_by(key).is_some() {
            self.wait(caller, Waits::Value(key.clone()));
        } else {
            self.tell_value(caller, key);
        }
    }

    fn tell_value(&mut self, caller: Caller, key: &RegisterKey) {
        let value = self.bank.ledger.value(key);
        let value = RegisterAnswer { key: Cow::Borrowed(key), value: Cow::Borrowed(value) };
        self.done(caller, &value, self.bank.seq);
    }

    fn history(&mut self, caller: Caller, count: Option<usize>, after: Option<&TxId>) {
        let Some(events) = self.bank.history.newest_before(after) else {
            let after = after.cloned().expect("only what follows a key may not be there");
            let detail = Detail::NotNewest { after, most: HISTORY_MAX };
            return self.refused(caller, Fault::of(Reason::Expired, &detail));
        };
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.map(TxId::as_str));
        for event in events.take(count.unwrap_or(HISTORY_MAX)) {
            if !page.push_or(event.tx.as_str(), &history_line(event), || shorter_line(event)) {
                break;
            }
        }
        self.list(caller, page);
    }

    fn pending(&mut self, caller: Caller, after: Option<&TxId>) {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.map(TxId::as_str));
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        for (tx, prepared) in self.bank.undecided.range::<TxId, _>(range) {
            let line = PendingAnswer {
                tx: Cow::Borrowed(tx),
                since: prepared.time,
                waiting_for: self.waiting_for(tx, prepared).iter().collect(),
                ops: Some(OpAnswer::all_of(&prepared.transaction)),
                outside: prepared.transaction.has_outside(),
            };
            if !page.push(tx.as_str(), &line) {
                break;
            }
        }
        self.list(caller, page);
    }

    fn info(&mut self, caller: Caller) {
        let totals = self.bank.ledger.totals();
        let info = InfoAnswer {
            bank: self.bank.me(),
            version: env!("CARGO_PKG_VERSION").into(),
            time: self.reading(),
            wall: Some(Time(self.now.shown_us)),
            reading: Some(self.sealed_reading()),
            uptime_s: (self.now.mono_us - self.volatile.started_us) / 1_000_000,
            clients: count(totals.clients),
            accounts: count(totals.accounts),
            balance_total: totals.balance,
            held_total: totals.held,
            incoming_total: totals.incoming,
            undecided: count(self.bank.undecided.len()),
            registers_known: self.bank.ledger.knows_registers(),
            unmet: self.unmet().iter().collect(),
            committed: self.bank.committed,
            aborted: self.bank.aborted,
        };
        self.done(caller, &info, self.bank.seq);
    }

    /// A cut: the clock moves past its time first, so that no later vote falls under it; then those
    /// of this bank's undecided votes that are not later are waited for. Nobody is stopped for it.
    fn snapshot(
        &mut self,
        caller: Caller,
        (time, reading): (Option<Time>, Option<&Reading>),
        accounts: bool,
        after: Option<&SnapshotKey>,
    ) {
        let time = time.unwrap_or_else(|| self.reading());
        if let Err(fault) = self.cut_possible(time, reading) {
            return self.refused(caller, fault);
        }
        if time > self.bank.clock {
            self.move_clock(time);
        }
        let asked = CutAsked { time, accounts, after: after.cloned() };
        if self.cut_must_wait(time) {
            let deadline_us = self.now.mono_us + ANSWER_WITHIN_MS * 1_000;
            self.change(Change::Wait(Waiter {
                caller,
                deadline_us,
                waits: Waits::Cut(time),
                cut: Some(asked),
            }));
        } else {
            self.tell_cut(caller, &asked, self.last_seq());
        }
    }

    /// A cut moves the clock, so nobody may ask for one of any time: it is at most a second ahead
    /// of this bank's own clocks, or no further than the clock of a bank of the consortium has
    /// been.
    fn cut_possible(&self, time: Time, reading: Option<&Reading>) -> Result<(), Fault> {
        let ahead = i64::try_from(SNAPSHOT_AHEAD_MS_MAX * 1_000).unwrap_or(0);
        let own = self.bank.clock.max(Time(self.now.wall_us.saturating_add(ahead)));
        let proved = reading.filter(|reading| self.bank.proves_reading(reading));
        if time > proved.map_or(own, |reading| own.max(reading.time)) {
            return Err(Fault::of(Reason::Limit, &Detail::CutAhead { time }));
        }
        if time < self.bank.ledger.cut_horizon() {
            return Err(cut_too_old(self.bank.ledger.cut_horizon()));
        }
        Ok(())
    }

    /// Could an undecided vote of this bank still commit at or before `time`? Not what an outside
    /// coordinator decides: its vote is later than the clock, which has been moved past `time`.
    fn cut_must_wait(&self, time: Time) -> bool {
        self.bank.undecided_by_time.first().is_some_and(|(vote, _)| *vote <= time)
    }

    fn tell_cut(&mut self, caller: Caller, asked: &CutAsked, after: Seq) {
        let ledger = &self.bank.ledger;
        let totals = match ledger.cut(asked.time) {
            Ok(totals) => totals,
            Err(expired) => return self.refused(caller, cut_too_old(expired.horizon)),
        };
        let mut cut = CutAnswer {
            bank: self.bank.me(),
            time: asked.time,
            balance_total: totals.balance_total,
            cash_in_total: totals.cash_in_total,
            cash_out_total: totals.cash_out_total,
            transfers_in_total: totals.transfers_in_total,
            transfers_out_total: totals.transfers_out_total,
            reading: Some(self.sealed_reading()),
            accounts: None,
            registers: None,
            registers_known: true,
            next: None,
        };
        if asked.accounts {
            self.fill_cut(&mut cut, asked);
        }
        self.done(caller, &cut, after);
    }

    /// One page of a cut: accounts, and behind the last of them registers. It looks at a bounded
    /// number of each, of which some may be later than the cut; so a page may be short, and another
    /// one follow.
    fn fill_cut(&self, cut: &mut CutPage, asked: &CutAsked) {
        let (ledger, most) = (&self.bank.ledger, CUT_PAGE_ITEMS_MAX);
        let after = asked.after.as_ref().map(SnapshotKey::to_text);
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.as_deref());
        let mut last = after.clone();
        if !matches!(asked.after, Some(SnapshotKey::Register(_))) {
            let then = ledger.cut_accounts_after(asked.time, asked.after_account(), most);
            let looked_at = then.len();
            for (number, balance) in then {
                let key = format!("a:{number}");
                match balance {
                    Some(balance) => {
                        let line = CutAccount { number: Cow::Borrowed(number), balance };
                        if !page.push(&key, &line) {
                            break;
                        }
                    }
                    None => page.pass(&key),
                }
                last = Some(key);
            }
            if looked_at == most {
                page.end();
            }
        }
        let room = page.room();
        let (accounts, next) = page.into_parts();
        (cut.accounts, cut.next) = (raw(accounts), next);
        if cut.next.is_some() {
            return;
        }
        let from = match &asked.after {
            Some(SnapshotKey::Register(key)) => Some(key),
            Some(SnapshotKey::Account(_)) | None => None,
        };
        if !ledger.knows_registers_at(asked.time) {
            cut.registers_known = false;
            return;
        }
        // Where no register fits beside the accounts, the next page begins behind the last account.
        let mut page = PageWriter::new(room, last.as_deref());
        let then = ledger.cut_registers_after(asked.time, from, most);
        let looked_at = then.len();
        for (key, value) in then {
            let Some(value) = value else {
                page.pass(&format!("r:{key}"));
                continue;
            };
            let value = Cow::Borrowed(value.as_str());
            let line = RegisterAnswer { key: Cow::Borrowed(key), value };
            if !page.push(&format!("r:{key}"), &line) {
                break;
            }
        }
        if looked_at == most {
            page.end();
        }
        let (registers, next) = page.into_parts();
        (cut.registers, cut.next) = (raw(registers), next);
    }

    /// A transaction is decided: its registers are free.
    pub(super) fn wake_readers(&mut self, tx: &TxId) {
        let event = self.bank.history.get(tx);
        if let Some(Event { transaction: Some(transaction), .. }) = event {
            for op in transaction.ops_of(self.bank.me()) {
                if let Action::Set { key, .. } = &op.action
                    && self.bank.ledger.locked_by(key).is_none()
                {
                    for waiter in
                        self.volatile.waiters_for(&Waits::Value(key.clone())).collect::<Vec<_>>()
                    {
                        if self.serve(waiter) {
                            self.tell_value(self.volatile.waiters[&waiter].caller, key);
                        }
                    }
                }
            }
        }
    }

    /// Transactions are decided: cuts that waited for them may be told.
    pub(super) fn wake_cuts(&mut self) {
        let oldest_vote = self.bank.undecided_by_time.first().map(|(time, _)| *time);
        for waiter in self.volatile.cut_waiters_before(oldest_vote).collect::<Vec<_>>() {
            let Waiter { caller, cut: Some(asked), .. } = &self.volatile.waiters[&waiter] else {
                continue;
            };
            if self.serve(waiter) {
                self.tell_cut(*caller, asked, self.bank.seq);
            }
        }
    }

    /// Now and then a moment of the clock is kept; the past of cuts before the kept time is
    /// forgotten, but not back beyond the oldest undecided vote.
    pub(super) fn mark_cut(&mut self) {
        let now = self.now.mono_us;
        let marks = &self.volatile.cut_marks;
        if marks.back().is_some_and(|(at, _)| now.saturating_sub(*at) < CUT_MARK_EVERY_US) {
            return;
        }
        let old = marks.iter().take_while(|(at, _)| now.saturating_sub(*at) >= CUT_KEPT_MS * 1_000);
        let oldest_vote = self.bank.undecided_by_time.first().map(|(time, _)| Time(time.0 - 1));
        let forget = old.last().map(|(_, time)| oldest_vote.map_or(*time, |vote| vote.min(*time)));
        self.change(Change::CutMark(now, self.bank.clock, forget));
    }

    /// What the clock has reached, so that other banks believe it.
    fn sealed_reading(&self) -> Reading {
        self.bank.identity.seal.reading(self.bank.me(), self.reading())
    }

    fn list(&mut self, caller: Caller, page: PageWriter) {
        self.reply(caller, Reply::Done(page.into_array()), self.bank.seq);
    }
}

/// The beginning of `text`, at most so many bytes.
pub(super) fn beginning(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// What is refused is this name's thing.
fn named(name: &str) -> Detail {
    Detail::Named { name: Word(name.to_owned()) }
}

fn cut_too_old(oldest: Time) -> Fault {
    Fault::of(Reason::Expired, &Detail::CutTooOld { oldest })
}

/// A page of a cut, whose lists are JSON already.
type CutPage = CutAnswer<Box<RawValue>, Box<RawValue>>;

fn history_line(event: &Event) -> HistoryAnswer<'_> {
    let transaction = event.transaction.as_deref();
    HistoryAnswer {
        tx: Cow::Borrowed(&event.tx),
        outcome: match event.reason {
            None => HistoryOutcome::Committed,
            Some(_) => HistoryOutcome::Aborted,
        },
        time: event.time,
        reason: event.reason.map(|reason| reason.as_str().into()),
        ops: transaction.map(OpAnswer::all_of),
        outside: transaction.is_some_and(Transaction::has_outside),
        driven: event.how.driven,
        by: event.how.by,
        text: Cow::Borrowed(&event.how.text),
    }
}

/// The same without what may be longer than a page.
fn shorter_line(event: &Event) -> HistoryAnswer<'_> {
    let text = Cow::Borrowed(beginning(&event.how.text, REFUSAL_TEXT_BYTES_MAX));
    HistoryAnswer { ops: None, text, ..history_line(event) }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn raw(json: String) -> Option<Box<RawValue>> {
    RawValue::from_string(json).ok()
}
