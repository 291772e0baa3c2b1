//! Transactions with an outside coordinator: one that this bank can't ask, and that is one more
//! voter.
//!
//! Such a transaction names one bank and withdraws there. It is committed exactly when this bank's
//! OK and the coordinator's are both recorded. The coordinator's vote comes last and is given a
//! time, as any vote is; that is the commit's time, so no cut waits for it. Its NOK may come from
//! elsewhere: an ABORT on a line, or the end of the time that it has. Nothing else stands for it:
//! no token, no question, no closed connection, no restart.

use crate::bank::decide::{Deciding, verb_of};
use crate::bank::end::Wanted;
use crate::bank::io::{After, Caller, Origin, Outcome, Past};
use crate::bank::known::{Ended, Known, Prepared};
use crate::bank::record::Record;
use crate::ids::TxId;
use crate::wire::Reason;
use crate::wire::detail::Detail;
use crate::wire::reply::Reply;
use crate::wire::request::Request;

impl Deciding<'_> {
    /// An outside coordinator's request.
    pub(super) fn outside(
        &mut self,
        caller: Caller,
        request: &Request,
        late: bool,
        past: Option<&Past>,
    ) {
        match request {
            Request::Prepare(tx, transaction) if transaction.has_outside() => {
                self.prepare(caller, tx, transaction, late, past);
            }
            Request::Commit(tx, _) => self.outside_ends(caller, tx, past, Wanted::Commit),
            Request::Abort(tx, _) => self.outside_ends(caller, tx, past, Wanted::Abort),
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

    /// The coordinator's vote. It has one on its own transactions alone: other people's outcomes
    /// are not told as its.
    fn outside_ends(&mut self, caller: Caller, tx: &TxId, past: Option<&Past>, wanted: Wanted) {
        match self.bank.known(tx, past) {
            Known::New => match wanted {
                Wanted::Commit => {
                    let text = Detail::NotVoted.to_string();
                    self.reply(caller, Reply::Doubt(tx.clone(), text), self.newest());
                }
                Wanted::Abort => self.tombstone(caller, tx, Reason::Refused),
            },
            Known::Prepared(prepared) if prepared.transaction.has_outside() => {
                let refusal = match wanted {
                    Wanted::Commit => None,
                    Wanted::Abort => Some(Reason::Refused),
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

    /// COMMIT and ABORT of others. Only the latter decides: it refuses for the coordinator. One
    /// from another bank is about other bytes of this id, and tokens are too: no other bank can
    /// hold a vote on these.
    pub(super) fn end_of_outside(
        &mut self,
        caller: Caller,
        origin: Origin,
        tx: &TxId,
        prepared: &Prepared,
        wanted: Wanted,
    ) {
        if wanted == Wanted::Abort && origin == Origin::Client {
            let (reply, after) = self.outside_votes(tx, prepared, Some(Reason::Refused));
            self.reply(caller, reply, after);
        } else {
            let text = Detail::OutsideUndecided.to_string();
            self.reply(caller, Reply::Doubt(tx.clone(), text), After::Record(prepared.seq));
        }
    }

    /// Records the coordinator's vote, `None` for OK, and with it the decision; tells what may be
    /// answered once that record is durable.
    pub(super) fn outside_votes(
        &mut self,
        tx: &TxId,
        prepared: &Prepared,
        refusal: Option<Reason>,
    ) -> (Reply, After) {
        // A commit's time is later than every cut that was told; at the end of time there is none
        // left.
        let refusal = refusal.or(self.has_no_later_time().then_some(Reason::Limit));
        let (own, time) = (prepared.own(), self.tick_clock());
        let after = self.record(Record::OutsideVoted { tx: tx.clone(), own, time, refusal });
        // There is no other vote's token: a bank makes one for an id, ever.
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
