//! How a bank that joined later learns the registers from the others, and how a bank sends them.
//!
//! A bank sends its registers once it holds no undecided transaction that sets a register and does
//! not name the asking bank. It votes on no such transaction any more, because a set names all
//! banks of its list; so its pages lack no set, except those that the asking bank votes on itself.
//! A cut would not be enough: a set that was voted on before the cut's time may commit after it.
//! Pages may come from several banks, because this holds for each register by itself.

use crate::bank::Change;
use crate::bank::decide::Deciding;
use crate::bank::io::{After, Caller, CoreStep, Origin};
use crate::bank::record::Record;
use crate::commit::message::Message;
use crate::commit::registers::{PageQuery, RegistersPage, SetRegister};
use crate::ids::{BankId, BankSet, RegisterKey, TxId};
use crate::limits::{BACKOFF_MS_MAX, BACKOFF_MS_MIN, LIST_BYTES_MAX};
use crate::wire::detail::Detail;
use crate::wire::reply::Reply;
use crate::wire::{Fault, Reason};

/// The progress of learning, which a crash may lose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Learning {
    /// Random at each start, so that the id of a request is never used twice.
    pub run: [u8; 16],
    /// How many requests this run has sent.
    pub asked: u64,
    /// The unanswered request: its peer and id.
    pub under_way: Option<(BankId, TxId)>,
    /// The last key that was received.
    pub after: Option<RegisterKey>,
    /// The peer that was asked last.
    pub last: Option<BankId>,
    /// How many requests in a row failed.
    pub failed: u32,
    /// No request is sent before this moment of the monotonic clock, in microseconds.
    pub paused_until_us: u64,
}

/// Does a bank know its registers as soon as it is introduced? Among the banks that found a
/// consortium the first one does, since no register was ever set. A bank that has met banks with
/// lower positions may have joined them later.
pub(crate) fn knows_registers_at_introduction(me: BankId, met: BankSet) -> bool {
    met.iter().all(|other| other > me)
}

impl Learning {
    /// The id of the next request.
    fn nonce(&self) -> TxId {
        let run: String = self.run.iter().map(|byte| format!("{byte:02x}")).collect();
        TxId::new(&format!("{run}.{}", self.asked)).expect("hex digits, a dot and a number")
    }
}

impl Deciding<'_> {
    /// REGISTERS: sends a page to a bank that does not know its registers.
    pub(super) fn registers(
        &mut self,
        caller: Caller,
        origin: Origin,
        asker: BankId,
        nonce: &TxId,
        after: Option<&RegisterKey>,
    ) {
        if origin != Origin::Link {
            let text = Detail::OnLinkAlone.to_string();
            return self.reply(caller, Reply::Err(Reason::Refused, text), After::Now);
        }
        if let Err(fault) = self.may_send_registers(asker) {
            return self.refused(caller, fault);
        }
        let mut bytes = 0;
        let mut all = self.bank.ledger.set_registers_after(after).peekable();
        let mut registers: Vec<SetRegister> = Vec::new();
        while let Some(register) = all.next_if(|register| {
            bytes += page_bytes(register);
            bytes <= LIST_BYTES_MAX
        }) {
            registers.push(register);
        }
        let more = all.peek().is_some();
        let next = registers.last().map(|register| register.key.clone()).filter(|_| more);
        let asked = PageQuery { responder: self.bank.me(), asker, nonce, after };
        let page = RegistersPage::sealed(&self.bank.identity.seal, asked, registers, next);
        self.done(caller, &page, self.newest());
    }

    fn may_send_registers(&self, asker: BankId) -> Result<(), Fault> {
        if !self.bank.members.has(asker) || asker == self.bank.me() {
            return Err(Fault::of(Reason::Refused, &Detail::NotMember { bank: asker }));
        }
        if !self.bank.ledger.knows_registers() {
            return Err(Fault::of(Reason::Unreachable, &Detail::RegistersUnknown));
        }
        match self.bank.sets_without(asker) {
            0 => Ok(()),
            count => Err(Fault::of(Reason::Locked, &Detail::SetsOpen { count, bank: asker })),
        }
    }

    /// The other banks whose link is open.
    fn linked(&self) -> BankSet {
        let up = |bank: &BankId| self.volatile.peers[bank.index()].up;
        self.bank.members.without(self.bank.me()).iter().filter(up).collect()
    }

    /// When the next request is due, on the monotonic clock; `None` if none is needed, or no link
    /// is open.
    pub(crate) fn learn_due_us(&self) -> Option<u64> {
        let learning = &self.volatile.learning;
        let asks = self.bank.introduced
            && !self.bank.ledger.knows_registers()
            && learning.under_way.is_none();
        (asks && !self.linked().is_empty()).then_some(learning.paused_until_us)
    }

    /// Requests the next page from a bank whose link is open, unless this bank knows its registers.
    pub(super) fn learn(&mut self) {
        if self.learn_due_us().is_none_or(|due| due > self.now.mono_us) {
            return;
        }
        let (learning, up) = (&self.volatile.learning, self.linked());
        // The next page comes from the same bank; after a failure the next bank is asked.
        let from = learning.last.map_or(0, |last| last.index() + usize::from(learning.failed > 0));
        let next = up.iter().find(|bank| bank.index() >= from).or_else(|| up.iter().next());
        let Some(peer) = next else { return };
        let nonce = learning.nonce();
        self.change(Change::LearnRequested(peer, nonce.clone()));
        let message =
            Message::Registers { asker: self.bank.me(), nonce, after: learning.after.clone() };
        self.send(peer, message, After::Now);
    }

    /// Processes a peer's answer to REGISTERS. A page without a valid MAC changes nothing.
    pub(super) fn registers_answered(&mut self, peer: BankId, nonce: &TxId, reply: Option<&Reply>) {
        let learning = &self.volatile.learning;
        let is_due =
            learning.under_way.as_ref().is_some_and(|(asked, id)| *asked == peer && id == nonce);
        if !is_due {
            return;
        }
        let Some(Reply::Done(json)) = reply else { return self.learning_failed() };
        let asker = self.bank.me();
        let asked = PageQuery { responder: peer, asker, nonce, after: learning.after.as_ref() };
        match RegistersPage::read(&self.bank.identity.seal, asked, json) {
            Some(RegistersPage { registers, next, .. }) => {
                if let Some(latest) = registers.iter().map(|register| register.time).max() {
                    self.clock = self.clock.max(latest);
                }
                self.change(Change::LearnedPage(next.clone()));
                self.record(Record::RegistersLearned { registers, last: next.is_none() });
            }
            None => {
                self.out.steps.push(CoreStep::Unproved(nonce.clone(), peer));
                self.learning_failed();
            }
        }
    }

    fn learning_failed(&mut self) {
        let doubled = BACKOFF_MS_MIN << self.volatile.learning.failed.min(16);
        let pause_us = doubled.min(BACKOFF_MS_MAX) * 1_000;
        self.change(Change::LearnFailed(self.now.mono_us + pause_us));
    }
}

/// The most bytes that a register takes in a page.
fn page_bytes(register: &SetRegister) -> usize {
    let json = serde_json::to_string(register).expect("a register is plain JSON");
    json.len() + ",".len()
}

#[cfg(test)]
mod tests;
