//! SNAPSHOT: this bank's part of a cut.

use crate::access::Way;
use crate::bank::Change;
use crate::bank::backlog::WorkBudget;
use crate::bank::decide::Deciding;
use crate::bank::io::{After, Caller, DoubtCause};
use crate::bank::volatile::{CutRequest, Waiter, Waits};
use crate::ids::Time;
use crate::limits::{
    ANSWER_WITHIN_MS, CUT_ASKS_AFTER_MS, CUT_KEPT_MS, CUT_MARK_EVERY_US, CUT_PAGE_ITEMS_MAX,
    LIST_BYTES_MAX, OUTCOME_RECORD_BYTES_MAX, SNAPSHOT_AHEAD_MS_MAX,
};
use crate::wire::answer::{CutAccount, CutAnswer, PageWriter, RegisterAnswer};
use crate::wire::detail::Detail;
use crate::wire::reading::Reading;
use crate::wire::request::SnapshotKey;
use crate::wire::{Fault, Reason};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A page of a cut; its lists are already serialized.
type CutPage = CutAnswer<Box<RawValue>, Box<RawValue>>;

impl Deciding<'_> {
    /// Takes a cut. First the clock moves past the cut's time, so that no later vote gets an
    /// earlier time; then the reply waits for this bank's undecided votes up to that time. No other
    /// request waits for it.
    pub(super) fn snapshot(
        &mut self,
        (caller, way): (Caller, Way),
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
        let request = CutRequest { time, accounts, after: after.cloned() };
        if self.cut_must_wait(time) {
            if way != Way::Open {
                let due_us = self.now.mono_us + CUT_ASKS_AFTER_MS * 1_000;
                self.change(Change::CutWaits(due_us, time));
            }
            let deadline_us = self.now.mono_us + ANSWER_WITHIN_MS * 1_000;
            self.change(Change::Wait(Waiter {
                caller,
                deadline_us,
                waits: Waits::Cut(time),
                cut: Some(request),
            }));
        } else {
            self.reply_cut(caller, &request, self.decision());
        }
    }

    /// Checks that a cut's time is allowed. A cut moves the clock, so its time is at most a second
    /// ahead of this bank's own clocks, or as far as the reading of another bank proves.
    pub(super) fn cut_possible(&self, time: Time, reading: Option<&Reading>) -> Result<(), Fault> {
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

    /// Asks about the votes in the way of cuts that have waited, from where the last decision
    /// stopped: a patient transaction of a stranger must not keep an audit waiting.
    pub(super) fn cuts_waited(&mut self, budget: &mut WorkBudget) {
        let (bank, watch, now) = (self.bank, &self.volatile.cut_watch, self.now.mono_us);
        let (mut waits, mut asked) = (0, watch.asked);
        for (_, cut) in watch.waits.iter().take_while(|(due, _)| *due <= now) {
            let later = bank.undecided.voted_after(asked);
            for (vote, tx, prepared) in later.take_while(|(vote, ..)| vote <= cut) {
                if !budget.take(OUTCOME_RECORD_BYTES_MAX) {
                    return self.change(Change::CutsAsked(waits, asked));
                }
                self.ask(tx, prepared, DoubtCause::CutWaits);
                asked = vote;
            }
            asked = asked.max(*cut);
            waits += 1;
        }
        if waits > 0 {
            self.change(Change::CutsAsked(waits, asked));
        }
    }

    /// Can an undecided vote of this bank still commit at or before `time`? One with an outside
    /// coordinator can't: that vote will be later than the clock, which has moved past `time`.
    pub(super) fn cut_must_wait(&self, time: Time) -> bool {
        self.bank.undecided.oldest().is_some_and(|(vote, _)| vote <= time)
    }

    pub(super) fn reply_cut(&mut self, caller: Caller, request: &CutRequest, after: After) {
        let ledger = &self.bank.ledger;
        let totals = match ledger.cut(request.time) {
            Ok(totals) => totals,
            Err(expired) => return self.refused(caller, cut_too_old(expired.horizon)),
        };
        let mut cut = CutAnswer {
            bank: self.bank.me(),
            time: request.time,
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
        if request.accounts {
            self.fill_cut(&mut cut, request);
        }
        self.done(caller, &cut, after);
    }

    /// Fills one page of a cut: first accounts, and after the last of them registers. It scans a
    /// bounded number of each, some of which may be newer than the cut. So a page may be short and
    /// yet not be the last.
    pub(super) fn fill_cut(&self, cut: &mut CutPage, request: &CutRequest) {
        let (ledger, most) = (&self.bank.ledger, CUT_PAGE_ITEMS_MAX);
        let after = request.after.as_ref().map(SnapshotKey::to_text);
        let mut page = PageWriter::new(LIST_BYTES_MAX, after.as_deref());
        let mut last = after.clone();
        if !matches!(request.after, Some(SnapshotKey::Register(_))) {
            let then = ledger.cut_accounts_after(request.time, request.after_account(), most);
            let scanned = then.len();
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
            if scanned == most {
                page.end();
            }
        }
        let room = page.room();
        let (accounts, next) = page.into_parts();
        (cut.accounts, cut.next) = (raw(accounts), next);
        if cut.next.is_some() {
            return;
        }
        let from = match &request.after {
            Some(SnapshotKey::Register(key)) => Some(key),
            Some(SnapshotKey::Account(_)) | None => None,
        };
        if !ledger.knows_registers_at(request.time) {
            cut.registers_known = false;
            return;
        }
        // If no register fits beside the accounts, the next page begins after the last account.
        let mut page = PageWriter::new(room, last.as_deref());
        let then = ledger.cut_registers_after(request.time, from, most);
        let scanned = then.len();
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
        if scanned == most {
            page.end();
        }
        let (registers, next) = page.into_parts();
        (cut.registers, cut.next) = (raw(registers), next);
    }

    /// Replies to cuts that waited for transactions which are now decided.
    pub(super) fn wake_cuts(&mut self) {
        let oldest_vote = self.bank.undecided.oldest().map(|(time, _)| time);
        for waiter in self.volatile.cut_waiters_before(oldest_vote).collect::<Vec<_>>() {
            let Waiter { caller, cut: Some(request), .. } = &self.volatile.waiters[&waiter] else {
                continue;
            };
            if self.serve(waiter) {
                self.reply_cut(*caller, request, self.newest());
            }
        }
    }

    /// Periodically records the clock, and drops the past of cuts that are too old; but keeps all
    /// from the oldest undecided vote on.
    pub(super) fn mark_cut(&mut self) {
        let now = self.now.mono_us;
        let marks = &self.volatile.cut_marks;
        if marks.back().is_some_and(|(at, _)| now.saturating_sub(*at) < CUT_MARK_EVERY_US) {
            return;
        }
        let old = marks.iter().take_while(|(at, _)| now.saturating_sub(*at) >= CUT_KEPT_MS * 1_000);
        let oldest_vote = self.bank.undecided.oldest().map(|(time, _)| Time(time.0 - 1));
        let forget = old.last().map(|(_, time)| oldest_vote.map_or(*time, |vote| vote.min(*time)));
        self.change(Change::CutMark(now, self.bank.clock, forget));
    }
}

fn cut_too_old(oldest: Time) -> Fault {
    Fault::of(Reason::Expired, &Detail::CutTooOld { oldest })
}

fn raw(json: String) -> Option<Box<RawValue>> {
    RawValue::from_string(json).ok()
}
