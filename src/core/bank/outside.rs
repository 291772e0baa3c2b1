//! Transactions with an outside coordinator: one more voter, which this bank can't ask.
//!
//! Such a transaction names one bank and withdraws there. It commits exactly when both this bank's
//! OK and the coordinator's are recorded. The coordinator votes last, and its vote gets a time like
//! any vote; that is the commit's time, so no cut waits for it. An ABORT on a line, or the end of
//! the coordinator's time, counts as its NOK. Nothing else does: no token, no question, no closed
//! connection, no restart.

use crate::bank::decide::{Deciding, verb_of};
use crate::bank::end::Requested;
use crate::bank::io::{After, Caller, Origin, Outcome, Past};
use crate::bank::known::{Ended, Known, Prepared};
use crate::bank::record::Record;
use crate::bank::vote::Arrival;
use crate::ids::TxId;
use crate::wire::Reason;
use crate::wire::detail::Detail;
use crate::wire::reply::Reply;
use crate::wire::request::Request;

impl Deciding<'_> {
    /// Processes a request of an outside coordinator.
    pub(super) fn outside(
        &mut self,
        caller: Caller,
        request: &Request,
        arrival: Arrival,
        past: Option<&Past>,
    ) {
        match request {
            Request::Prepare(tx, transaction) if transaction.has_outside() => {
                self.prepare(caller, tx, transaction, arrival, past);
            }
            Request::Commit(tx, _) => self.outside_ends(caller, tx, past, Requested::Commit),
            Request::Abort(tx, _) => self.outside_ends(caller, tx, past, Requested::Abort),
            Request::Prepare(..)
            | Request::Resolve(_)
            | Request::Status(_)
            | Request::Execute(..)
            | Request::Client(_)
            | Request::Account(_)
            | Request::Read(_)
            | Request::Local(_)
            | Request::Registers { .. } => {
                let text = Detail::NotOutsides { verb: verb_of(request) }.to_string();
                self.reply(caller, Reply::Err(Reason::Refused, text), After::Now);
            }
        }
    }

    /// Processes the coordinator's vote. It can vote on its own transactions only, and is not told
    /// the outcomes of others.
    fn outside_ends(
        &mut self,
        caller: Caller,
        tx: &TxId,
        past: Option<&Past>,
        requested: Requested,
    ) {
        match self.bank.known(tx, past) {
            Known::New => match requested {
                Requested::Commit => {
                    let text = Detail::NotVoted.to_string();
                    self.reply(caller, Reply::Doubt(tx.clone(), text), self.newest());
                }
                Requested::Abort => self.tombstone(caller, tx, Reason::Refused),
            },
            Known::Prepared(prepared) if prepared.transaction.has_outside() => {
                let refusal = match requested {
                    Requested::Commit => None,
                    Requested::Abort => Some(Reason::Refused),
                };
                let (reply, after) = self.outside_votes(tx, prepared, refusal);
                self.reply(caller, reply, after);
            }
            Known::Ended(ended) if ended.outside || ended.own.digest.is_none() => {
                let reply = self.outcome_reply(tx, &ended);
                self.reply(caller, reply, ended.after);
            }
            Known::Prepared(prepared) => self.not_outside(caller, After::Record(prepared.seq)),
            Known::Ended(ended) => self.not_outside(caller, ended.after),
        }
    }

    fn not_outside(&mut self, caller: Caller, after: After) {
        let text = Detail::NotOutside.to_string();
        self.reply(caller, Reply::Err(Reason::DuplicateId, text), after);
    }

    /// COMMIT and ABORT from others. Only an ABORT of a client decides: it refuses for the
    /// coordinator. An ABORT from another bank is about other bytes of this id, and so are tokens,
    /// because no other bank can hold a vote on these bytes.
    pub(super) fn end_of_outside(
        &mut self,
        caller: Caller,
        origin: Origin,
        tx: &TxId,
        prepared: &Prepared,
        requested: Requested,
    ) {
        if requested == Requested::Abort && origin == Origin::Client {
            let (reply, after) = self.outside_votes(tx, prepared, Some(Reason::Refused));
            self.reply(caller, reply, after);
        } else {
            let text = Detail::OutsideUndecided.to_string();
            self.reply(caller, Reply::Doubt(tx.clone(), text), After::Record(prepared.seq));
        }
    }

    /// Records the coordinator's vote (`None` is OK), which decides; returns the reply, which may
    /// leave once that record is durable.
    pub(super) fn outside_votes(
        &mut self,
        tx: &TxId,
        prepared: &Prepared,
        refusal: Option<Reason>,
    ) -> (Reply, After) {
        // A commit must be later than every cut that was taken; at the end of time that is not
        // possible.
        let refusal = refusal.or(self.has_no_later_time().then_some(Reason::Limit));
        let (own, time) = (prepared.own(), self.tick_clock());
        let after = self.record(Record::OutsideVoted { tx: tx.clone(), own, time, refusal });
        // There is no token of another vote: a bank makes only one for an id.
        let token = self.bank.own_token(tx, &own);
        let outcome = match refusal {
            None => Outcome::Committed(time),
            Some(reason) => Outcome::Aborted(token, reason),
        };
        let ended = Ended { own, outcome, text: Box::default(), after, outside: true };
        let reply = self.outcome_reply(tx, &ended);
        (reply, after)
    }
}
