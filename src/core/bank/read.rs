//! Reads: clients, accounts, registers, history, undecided transactions, totals, and cuts.
//!
//! A reply waits for the newest record that it reflects, so a read never shows anything that a
//! crash could undo.

use crate::access::{Name, Way};
use crate::bank::decide::Deciding;
use crate::bank::io::Caller;
use crate::bank::known::HistoryEntry;
use crate::bank::own::View;
use crate::bank::volatile::Waits;
use crate::ids::{AccountNumber, RegisterKey, TaxId, Time, TxId};
use crate::limits::{HISTORY_MAX, LIST_BYTES_MAX, PENDING_PAGE_ITEMS_MAX, REFUSAL_TEXT_BYTES_MAX};
use crate::wire::answer::{
    AccountAnswer, HistoryAnswer, HistoryOutcome, InfoAnswer, PageWriter, PendingAnswer,
    RegisterAnswer,
};
use crate::wire::detail::{Detail, SingleWord};
use crate::wire::reading::Reading;
use crate::wire::reply::Reply;
use crate::wire::request::Read;
use crate::wire::transaction::{Action, Transaction};
use crate::wire::{Fault, Reason};
use std::borrow::Cow;

impl Deciding<'_> {
    /// Answers a read; `own` is the name that sees only what belongs to it.
    pub(super) fn read(&mut self, (caller, way): (Caller, Way), read: &Read, own: Option<&Name>) {
        let after = self.newest();
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
            Read::History { count, after: key } => {
                self.history(caller, *count, key.as_ref(), own);
            }
            Read::Pending { after: key } => self.pending(caller, key.as_ref(), own),
            Read::Info => self.info(caller),
            Read::Snapshot { time, reading, accounts, after } => {
                let at = (*time, reading.as_ref());
                self.snapshot((caller, way), at, *accounts, after.as_ref());
            }
        }
    }

    pub(super) fn clients(&mut self, caller: Caller, after: Option<&TaxId>) {
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.map(TaxId::as_str));
        for client in self.bank.ledger.clients_after(after) {
            if !page.push(client.cpf.as_str(), &client.answer()) {
                break;
            }
        }
        self.list(caller, page);
    }

    pub(super) fn accounts(
        &mut self,
        caller: Caller,
        cpf: Option<&TaxId>,
        after: Option<&AccountNumber>,
    ) {
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

    /// The value of a locked register waits for the decision, so reads at any bank are
    /// linearizable.
    pub(super) fn value(&mut self, caller: Caller, key: &RegisterKey) {
        if let Some(fault) = self.not_introduced() {
            self.refused(caller, fault);
        } else if !self.bank.ledger.knows_registers() {
            self.refused(caller, Fault::of(Reason::Unreachable, &Detail::RegistersUnknown));
        } else if self.bank.ledger.locked_by(key).is_some() {
            self.wait(caller, Waits::Value(key.clone()));
        } else {
            self.reply_value(caller, key);
        }
    }

    pub(super) fn reply_value(&mut self, caller: Caller, key: &RegisterKey) {
        let value = self.bank.ledger.value(key);
        let value = RegisterAnswer { key: Cow::Borrowed(key), value: Cow::Borrowed(value) };
        self.done(caller, &value, self.newest());
    }

    pub(super) fn history(
        &mut self,
        caller: Caller,
        count: Option<usize>,
        after: Option<&TxId>,
        own: Option<&Name>,
    ) {
        let view = self.view(own);
        let sees = |event: &&HistoryEntry| view.sees(&event.tx, event.transaction.as_deref());
        let history = &self.bank.history;
        // An id that it does not see is none.
        let is_key = after.and_then(|after| history.get(after)).as_ref().is_none_or(sees);
        let Some(events) = history.newest_before(after).filter(|_| is_key) else {
            let after = after.cloned().expect("only a key may be unknown");
            let detail = Detail::NotNewest { after, most: HISTORY_MAX };
            return self.refused(caller, Fault::of(Reason::Expired, &detail));
        };
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.map(TxId::as_str));
        for event in events.filter(sees).take(count.unwrap_or(HISTORY_MAX)) {
            let shorter = || shorter_line(event, &view);
            if !page.push_or(event.tx.as_str(), &history_line(event, &view), shorter) {
                break;
            }
        }
        self.list(caller, page);
    }

    pub(super) fn pending(&mut self, caller: Caller, after: Option<&TxId>, own: Option<&Name>) {
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.map(TxId::as_str));
        let view = self.view(own);
        let mut left = PENDING_PAGE_ITEMS_MAX;
        for (tx, prepared) in self.bank.undecided.after(after) {
            if !view.sees(tx, Some(&prepared.transaction)) {
                left -= 1;
                if left == 0 {
                    page.pass(tx.as_str());
                    page.end();
                    break;
                }
                continue;
            }
            let line = PendingAnswer {
                tx: Cow::Borrowed(tx),
                since: prepared.time,
                waiting_for: self.waiting_for(tx, prepared).iter().collect(),
                ops: Some(view.ops(tx, &prepared.transaction)),
                outside: prepared.transaction.has_outside(),
            };
            if !page.push(tx.as_str(), &line) {
                break;
            }
        }
        self.list(caller, page);
    }

    pub(super) fn info(&mut self, caller: Caller) {
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
        self.done(caller, &info, self.newest());
    }

    /// Wakes readers of registers that a decided transaction had locked.
    pub(super) fn wake_readers(&mut self, tx: &TxId) {
        let event = self.bank.history.get(tx);
        if let Some(HistoryEntry { transaction: Some(transaction), .. }) = event {
            for op in transaction.ops_of(self.bank.me()) {
                if let Action::Set { key, .. } = &op.action
                    && self.bank.ledger.locked_by(key).is_none()
                {
                    for waiter in
                        self.volatile.waiters_for(&Waits::Value(key.clone())).collect::<Vec<_>>()
                    {
                        if self.serve(waiter) {
                            self.reply_value(self.volatile.waiters[&waiter].caller, key);
                        }
                    }
                }
            }
        }
    }

    /// The clock's reading, with a MAC for other banks.
    pub(super) fn sealed_reading(&self) -> Reading {
        self.bank.identity.seal.reading(self.bank.me(), self.reading())
    }

    pub(super) fn list(&mut self, caller: Caller, page: PageWriter) {
        self.reply(caller, Reply::Done(page.into_array()), self.newest());
    }
}

/// The beginning of `text`: at most `bytes_max` bytes, whole characters only.
pub(super) fn beginning(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// A detail that is just this name.
fn named(name: &str) -> Detail {
    Detail::Named { name: SingleWord(name.to_owned()) }
}

fn history_line<'e>(event: &'e HistoryEntry, view: &View<'_>) -> HistoryAnswer<'e> {
    let transaction = event.transaction.as_deref();
    HistoryAnswer {
        tx: Cow::Borrowed(&event.tx),
        outcome: match event.reason {
            None => HistoryOutcome::Committed,
            Some(_) => HistoryOutcome::Aborted,
        },
        time: event.time,
        reason: event.reason.map(|reason| reason.as_str().into()),
        ops: transaction.map(|transaction| view.ops(&event.tx, transaction)),
        outside: transaction.is_some_and(Transaction::has_outside),
        driven: event.provenance.driven,
        by: event.provenance.by,
        // It may name accounts of others.
        text: Cow::Borrowed(if view.is_whole(&event.tx) { &event.provenance.text } else { "" }),
    }
}

/// As `history_line`, without what may be longer than a page.
fn shorter_line<'e>(event: &'e HistoryEntry, view: &View<'_>) -> HistoryAnswer<'e> {
    let line = history_line(event, view);
    let text = match line.text {
        Cow::Borrowed(text) => beginning(text, REFUSAL_TEXT_BYTES_MAX).into(),
        Cow::Owned(_) => Cow::Borrowed(""),
    };
    HistoryAnswer { ops: None, text, ..line }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
