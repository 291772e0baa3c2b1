//! Builds spans from steps: each transaction is one trace, in which each bank has one span with its
//! parts as children. No socket and no clock here.
//!
//! Ids are hashes of the transaction's id, so banks agree on them without any message.

#[cfg(test)]
mod tests;

use consorcio_core::bank::io::Seq;
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::{OTEL_IDLE_US_MAX, OTEL_TRANSACTIONS_MAX};
use consorcio_core::wire::verb::Verb;
use consorcio_steps::steplog::{Entry, OtherEnd, Step};
use std::collections::{BTreeMap, VecDeque};

/// A span that has ended. Times are microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EndedSpan {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    pub(super) is_parent_remote: bool,
    pub(super) name: &'static str,
    pub(super) start_us: i64,
    pub(super) end_us: i64,
    pub(super) tx: TxId,
    /// The outcome or verb.
    pub(super) detail: &'static str,
}

/// The open spans of this bank.
#[derive(Debug)]
pub(super) struct SpanBuilder {
    bank: BankId,
    transactions: BTreeMap<TxId, TransactionSpan>,
    /// Decisions that are not durable yet, by the numbers of their records.
    unsynced: VecDeque<(Seq, Decision)>,
    /// Transactions that exceeded the bound.
    dropped: u64,
}

#[derive(Debug)]
struct TransactionSpan {
    parent: Option<[u8; 8]>,
    start_us: i64,
    last_us: i64,
    /// Requests about it that are not answered yet.
    requests: VecDeque<OpenRequest>,
    /// The number of its records that are not durable yet.
    unsynced: usize,
    outcome: Option<&'static str>,
    children: u64,
}

#[derive(Debug)]
struct OpenRequest {
    verb: &'static str,
    since_us: i64,
    /// It is decided, and now waits for other banks.
    is_decided: bool,
}

#[derive(Debug)]
struct Decision {
    tx: TxId,
    name: &'static str,
    detail: &'static str,
    is_outcome: bool,
    at_us: i64,
}

impl SpanBuilder {
    pub(super) fn new(bank: BankId) -> SpanBuilder {
        SpanBuilder { bank, transactions: BTreeMap::new(), unsynced: VecDeque::new(), dropped: 0 }
    }

    /// Processes the next step; spans that end with it go to `ended`.
    pub(super) fn step(&mut self, entry: &Entry, ended: &mut Vec<EndedSpan>) {
        let at_us = entry.at_us;
        match &entry.step {
            Step::Receive {
                peer,
                verb: verb @ (Verb::Prepare | Verb::Execute | Verb::Commit | Verb::Abort),
                tx: Some(tx),
                ..
            } => self.received(tx, verb.name(), *peer, at_us),
            Step::Vote { tx, seq, refusal, .. } => {
                let detail = if refusal.is_none() { "OK" } else { "NOK" };
                let decision =
                    Decision { tx: tx.clone(), name: "vote", detail, is_outcome: false, at_us };
                self.decided(*seq, decision, ended);
            }
            // The last vote decides: one record is both vote and outcome.
            Step::Outcome { tx, ending, seq, voted, .. } => {
                let name = if voted.is_some() { "vote" } else { "outcome" };
                let detail = outcome(ending);
                let decision = Decision { tx: tx.clone(), name, detail, is_outcome: true, at_us };
                self.decided(*seq, decision, ended);
            }
            Step::Refuse { tx, seq, .. } => {
                let decision = Decision {
                    tx: tx.clone(),
                    name: "outcome",
                    detail: "ABORTED",
                    is_outcome: true,
                    at_us,
                };
                self.decided(*seq, decision, ended);
            }
            Step::Drive(tx) => self.driven(tx, at_us, ended),
            Step::Sync { upto, took_us, .. } => {
                let took_us = i64::try_from(*took_us).unwrap_or(0);
                self.synced(*upto, at_us.saturating_sub(took_us), at_us, ended);
            }
            Step::Reply { tx: Some(tx), .. } => self.replied(tx, at_us, ended),
            Step::Receive { .. }
            | Step::Reply { tx: None, .. }
            | Step::Start(_)
            | Step::Node(_)
            | Step::Ready(_)
            | Step::Recover { .. }
            | Step::Connect(..)
            | Step::Disconnect(..)
            | Step::Bad(..)
            | Step::Drove { .. }
            | Step::Client(..)
            | Step::Account(..)
            | Step::Consortium(..)
            | Step::Key(..)
            | Step::Registers(..)
            | Step::Founded(..)
            | Step::Met(..)
            | Step::Introduced(..)
            | Step::Clock(..)
            | Step::Send { .. }
            | Step::Ask { .. }
            | Step::Answer { .. }
            | Step::Doubt(..)
            | Step::Timeout(..)
            | Step::GaveUp(_)
            | Step::Count { .. }
            | Step::Verdict { .. }
            | Step::LinkUp(..)
            | Step::LinkDown(..)
            | Step::Known(..)
            | Step::Fault(_)
            | Step::Stop(_) => {}
        }
    }

    /// Ends the spans that have been silent for too long at `now_us`. Runs over all transactions.
    pub(super) fn expire(&mut self, now_us: i64, ended: &mut Vec<EndedSpan>) {
        // While the disk hangs, a transaction with unsynced records is not silent: its sync will
        // still be counted.
        let silent = |span: &TransactionSpan| {
            span.unsynced == 0 && now_us.saturating_sub(span.last_us) >= OTEL_IDLE_US_MAX
        };
        let old = self.transactions.iter().filter(|(_, span)| silent(span));
        let old: Vec<TxId> = old.map(|(tx, _)| tx.clone()).collect();
        old.iter().for_each(|tx| self.end(tx, ended));
    }

    pub(super) fn end_all(&mut self, ended: &mut Vec<EndedSpan>) {
        while let Some(tx) = self.transactions.keys().next().cloned() {
            self.end(&tx, ended);
        }
        self.unsynced.clear();
    }

    /// The number of transactions dropped since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn received(&mut self, tx: &TxId, verb: &'static str, peer: OtherEnd, at_us: i64) {
        if !self.transactions.contains_key(tx) {
            if self.transactions.len() >= OTEL_TRANSACTIONS_MAX {
                self.dropped += 1;
                return;
            }
            // The bank that sent the request has a span in the same trace.
            let parent = match peer {
                OtherEnd::Link(_, bank) => Some(bank_span_id(tx, bank)),
                OtherEnd::Address(_) | OtherEnd::Bank(_) => None,
            };
            let span = TransactionSpan {
                parent,
                start_us: at_us,
                last_us: at_us,
                requests: VecDeque::new(),
                unsynced: 0,
                outcome: None,
                children: 0,
            };
            self.transactions.insert(tx.clone(), span);
        }
        if let Some(span) = self.transactions.get_mut(tx) {
            span.last_us = at_us;
            span.requests.push_back(OpenRequest { verb, since_us: at_us, is_decided: false });
        }
    }

    /// An EXECUTE was decided, and other banks are asked for their votes.
    fn driven(&mut self, tx: &TxId, at_us: i64, ended: &mut Vec<EndedSpan>) {
        let Some(span) = self.transactions.get_mut(tx) else { return };
        let Some(request) = span.requests.back_mut().filter(|request| !request.is_decided) else {
            return;
        };
        request.is_decided = true;
        let (verb, since_us) = (request.verb, request.since_us);
        span.child(self.bank, tx, "queue", verb, (since_us, at_us), ended);
        span.last_us = at_us;
    }

    fn decided(&mut self, seq: Seq, decision: Decision, ended: &mut Vec<EndedSpan>) {
        let Some(span) = self.transactions.get_mut(&decision.tx) else { return };
        if let Some(request) = span.requests.back_mut() {
            let (name, since_us) = match std::mem::replace(&mut request.is_decided, true) {
                false => ("queue", request.since_us),
                true => ("others", span.last_us),
            };
            let verb = request.verb;
            span.child(self.bank, &decision.tx, name, verb, (since_us, decision.at_us), ended);
        }
        span.last_us = decision.at_us;
        span.unsynced += 1;
        if decision.is_outcome {
            span.outcome = Some(decision.detail);
        }
        self.unsynced.push_back((seq, decision));
    }

    /// Runs over the decisions that one sync covers.
    fn synced(&mut self, upto: Seq, from_us: i64, to_us: i64, ended: &mut Vec<EndedSpan>) {
        while self.unsynced.front().is_some_and(|(seq, _)| *seq <= upto) {
            let Some((_, decision)) = self.unsynced.pop_front() else { break };
            let Decision { tx, name, detail, at_us, .. } = decision;
            let Some(span) = self.transactions.get_mut(&tx) else { continue };
            let sync_us = from_us.max(at_us);
            span.child(self.bank, &tx, name, detail, (at_us, sync_us), ended);
            span.child(self.bank, &tx, "sync", detail, (sync_us, to_us), ended);
            span.last_us = span.last_us.max(to_us);
            // Telemetry is wrong rather than fatal.
            span.unsynced = span.unsynced.saturating_sub(1);
            self.end_if_done(&tx, ended);
        }
    }

    fn replied(&mut self, tx: &TxId, at_us: i64, ended: &mut Vec<EndedSpan>) {
        let Some(span) = self.transactions.get_mut(tx) else { return };
        let Some(request) = span.requests.pop_front() else { return };
        // It waited for the last event: its record, or another bank.
        span.child(self.bank, tx, "reply", request.verb, (span.last_us, at_us), ended);
        span.last_us = span.last_us.max(at_us);
        self.end_if_done(tx, ended);
    }

    fn end_if_done(&mut self, tx: &TxId, ended: &mut Vec<EndedSpan>) {
        let is_done = |span: &TransactionSpan| {
            span.outcome.is_some() && span.unsynced == 0 && span.requests.is_empty()
        };
        if self.transactions.get(tx).is_some_and(is_done) {
            self.end(tx, ended);
        }
    }

    fn end(&mut self, tx: &TxId, ended: &mut Vec<EndedSpan>) {
        let Some(span) = self.transactions.remove(tx) else { return };
        ended.push(EndedSpan {
            trace: trace_id(tx),
            id: bank_span_id(tx, self.bank),
            parent: span.parent,
            is_parent_remote: span.parent.is_some(),
            name: "transaction",
            start_us: span.start_us,
            end_us: span.last_us,
            tx: tx.clone(),
            detail: span.outcome.unwrap_or("UNDECIDED"),
        });
    }
}

impl TransactionSpan {
    fn child(
        &mut self,
        bank: BankId,
        tx: &TxId,
        name: &'static str,
        detail: &'static str,
        (start_us, end_us): (i64, i64),
        ended: &mut Vec<EndedSpan>,
    ) {
        self.children += 1;
        let number = self.children.to_le_bytes();
        ended.push(EndedSpan {
            trace: trace_id(tx),
            id: hash(
                "consorcio otel part of a bank's span",
                tx,
                &[&[bank.as_u8()], &number[..]].concat(),
            ),
            parent: Some(bank_span_id(tx, bank)),
            is_parent_remote: false,
            name,
            start_us,
            // The clock may have been set back.
            end_us: end_us.max(start_us),
            tx: tx.clone(),
            detail,
        });
    }
}

fn outcome(ending: &consorcio_steps::steplog::LoggedOutcome) -> &'static str {
    use consorcio_steps::steplog::LoggedOutcome;
    match ending {
        LoggedOutcome::Committed(_) | LoggedOutcome::Outside(_, None) => "COMMITTED",
        LoggedOutcome::Aborted(..)
        | LoggedOutcome::Outside(_, Some(_))
        | LoggedOutcome::Unreached => "ABORTED",
        LoggedOutcome::Unknown(_) => "UNKNOWN",
    }
}

/// The trace of a transaction, at every bank.
pub(super) fn trace_id(tx: &TxId) -> [u8; 16] {
    hash("consorcio otel trace", tx, &[])
}

/// The span of what `bank` did for a transaction.
pub(super) fn bank_span_id(tx: &TxId, bank: BankId) -> [u8; 8] {
    hash("consorcio otel span of a bank", tx, &[bank.as_u8()])
}

fn hash<const N: usize>(context: &str, tx: &TxId, more: &[u8]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(tx.as_str().as_bytes());
    hasher.update(&[0]).update(more);
    let mut id = [0; N];
    hasher.finalize_xof().fill(&mut id);
    id
}
