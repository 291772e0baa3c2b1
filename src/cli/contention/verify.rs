//! After a run: what became of every transaction, asked of every bank that it names. What clients
//! were told must be so, what they do not know gets an end, and nothing may stay undecided.

use super::super::Context;
use super::super::asking;
use super::super::failure::Failure;
use super::super::load::setup::SILENCE;
use super::super::load::{LoadRequest, Workload};
use super::tally::KnownOutcome;
use super::work::{ContentionWork, RunKind};
use consorcio_client::Connection;
use consorcio_core::ids::{BankId, BankSet, Time, TxId};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Questions under way at once to one bank.
const QUESTIONS: usize = 500;
/// Transactions that are asked about together.
const TOGETHER: usize = 2_000;
/// Between two attempts.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// More contradictions are counted, and not kept.
const KEPT: usize = 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Settled {
    /// Committed at every bank, as a client was told or as it turned out.
    pub committed: u64,
    /// Not committed anywhere.
    pub aborted: u64,
    /// Of those that their client did not know: committed.
    pub doubt_committed: u64,
    /// ... aborted.
    pub doubt_aborted: u64,
    /// Not what a client was told, or not the same at all banks.
    pub contradictions: Vec<String>,
    /// How many.
    pub contradictions_total: u64,
    /// Still without an end.
    pub undecided: Vec<TxId>,
    /// A bank that could not be asked to the end.
    pub silent: Option<Failure>,
}

/// A transaction of the run.
#[derive(Debug, Clone)]
struct RunCase {
    tx: TxId,
    banks: BankSet,
    told: KnownOutcome,
}

/// What the banks say of it together.
#[derive(Debug, PartialEq, Eq)]
enum RunEnd {
    Committed,
    Aborted,
    /// These banks voted OK and know no outcome.
    Open(BankSet),
    /// No bank has voted on it.
    Nowhere,
    Contradiction(String),
}

/// Asks about every transaction of every client until all have ended, or until `until`.
pub async fn settle(
    context: &Context,
    kind: &RunKind,
    told: &[Vec<KnownOutcome>],
    until: Instant,
    progress: impl Fn(u64, u64),
) -> Settled {
    let mut settled = Settled::default();
    let total = told.iter().map(|told| told.len() as u64).sum();
    let mut open: Vec<RunCase> = Vec::new();
    let mut banks = BankConnections { context, open: BTreeMap::new() };
    let mut done = 0;
    for (client, told) in (0..).zip(told) {
        let mut cases = cases(kind, client, told).peekable();
        while cases.peek().is_some() {
            let some: Vec<RunCase> = cases.by_ref().take(TOGETHER).collect();
            done += some.len() as u64;
            open.extend(banks.look(some, &mut settled, until).await);
            progress(done, total);
        }
    }
    while !open.is_empty() && Instant::now() < until && settled.silent.is_none() {
        sleep(AGAIN_AFTER).await;
        let mut still = Vec::new();
        for some in open.chunks(TOGETHER) {
            still.extend(banks.look(some.to_vec(), &mut settled, until).await);
        }
        open = still;
    }
    settled.undecided = open.into_iter().map(|case| case.tx).collect();
    settled
}

/// What client `client` asked for, made again from the seed, and what it was told.
fn cases<'a>(
    kind: &RunKind,
    client: u32,
    told: &'a [KnownOutcome],
) -> impl Iterator<Item = RunCase> + use<'a> {
    let mut work = ContentionWork::new(kind, client);
    told.iter().filter_map(move |told| match work.next() {
        LoadRequest::Change(tx, transaction, _) => {
            Some(RunCase { tx, banks: transaction.banks(), told: *told })
        }
        LoadRequest::Read(..) => None,
    })
}

/// Connections to all banks, made again where they are lost.
struct BankConnections<'a> {
    context: &'a Context,
    open: BTreeMap<BankId, Connection>,
}

impl BankConnections<'_> {
    /// Asks about these; gives back those that are still open, and has the banks end them.
    async fn look(
        &mut self,
        cases: Vec<RunCase>,
        settled: &mut Settled,
        until: Instant,
    ) -> Vec<RunCase> {
        let replies = match self.statuses(&cases, until).await {
            Ok(replies) => replies,
            Err(failure) => {
                settled.silent = Some(failure);
                return cases;
            }
        };
        let mut open = Vec::new();
        let mut asks: Vec<(BankId, Request)> = Vec::new();
        for (case, replies) in cases.into_iter().zip(replies) {
            let doubt = case.told == KnownOutcome::Unknown;
            match (end(&replies), case.told) {
                (RunEnd::Contradiction(why), _) => settled.contradict(&case, why),
                (RunEnd::Committed, KnownOutcome::Aborted) => {
                    settled.contradict(
                        &case,
                        "its client was told that it is aborted, it is committed".into(),
                    );
                }
                (RunEnd::Aborted | RunEnd::Nowhere, KnownOutcome::Committed) => {
                    settled.contradict(
                        &case,
                        format!("its client was told that it is committed: {replies:?}"),
                    );
                }
                (
                    RunEnd::Committed,
                    KnownOutcome::Committed | KnownOutcome::Unknown | KnownOutcome::Nothing,
                ) => {
                    settled.committed += 1;
                    settled.doubt_committed += u64::from(doubt);
                }
                (
                    RunEnd::Aborted,
                    KnownOutcome::Aborted | KnownOutcome::Unknown | KnownOutcome::Nothing,
                )
                | (RunEnd::Nowhere, KnownOutcome::Aborted | KnownOutcome::Nothing) => {
                    settled.aborted += 1;
                    settled.doubt_aborted += u64::from(doubt);
                }
                (RunEnd::Open(at), _) => {
                    // Without tokens it has that bank ask the others.
                    asks.extend(
                        at.iter().map(|bank| (bank, Request::Commit(case.tx.clone(), Vec::new()))),
                    );
                    open.push(case);
                }
                (RunEnd::Nowhere, KnownOutcome::Unknown) => {
                    // A refusal for ever, so that nothing that is still on its way can change it.
                    let first = case.banks.iter().next();
                    asks.extend(first.map(|bank| (bank, Request::Resolve(case.tx.clone()))));
                    open.push(case);
                }
            }
        }
        for (bank, request) in asks {
            // What does not help now is asked for again.
            if let Some(connection) = self.open.get_mut(&bank)
                && connection.ask(&request).await.is_err()
            {
                self.open.remove(&bank);
            }
        }
        open
    }

    /// What each bank that is named says of each, in the order of the cases.
    async fn statuses(
        &mut self,
        cases: &[RunCase],
        until: Instant,
    ) -> Result<Vec<Vec<(BankId, Reply)>>, Failure> {
        let mut replies: Vec<Vec<(BankId, Reply)>> = vec![Vec::new(); cases.len()];
        for bank in asking::these_banks(self.context, None) {
            let named: Vec<usize> =
                (0..cases.len()).filter(|at| cases[*at].banks.has(bank)).collect();
            for some in named.chunks(QUESTIONS) {
                let txs: Vec<&TxId> = some.iter().map(|at| &cases[*at].tx).collect();
                let answers = loop {
                    match self.ask_all(bank, &txs).await {
                        Ok(answers) => break answers,
                        Err(failure) if Instant::now() >= until => return Err(failure),
                        // It may come back.
                        Err(_) => sleep(AGAIN_AFTER).await,
                    }
                };
                for (at, answer) in some.iter().zip(answers) {
                    replies[*at].push((bank, answer));
                }
            }
        }
        Ok(replies)
    }

    async fn ask_all(&mut self, bank: BankId, txs: &[&TxId]) -> Result<Vec<Reply>, Failure> {
        let client = &self.context.client;
        let asked = async {
            let mut connection = match self.open.remove(&bank) {
                Some(connection) => connection,
                None => client.connection(bank).await?,
            };
            let requests: Vec<Request> =
                txs.iter().map(|tx| Request::Status((*tx).clone())).collect();
            let replies = connection.ask_all(&requests, SILENCE).await?;
            Ok((connection, replies))
        };
        let (connection, replies) = asked.await.map_err(|error| self.context.failure(error))?;
        self.open.insert(bank, connection);
        Ok(replies)
    }
}

/// What the banks that a transaction names say of it together.
fn end(replies: &[(BankId, Reply)]) -> RunEnd {
    let mut committed: Option<(BankId, Time)> = None;
    let (mut aborted, mut open, mut unknown) = (None, BankSet::EMPTY, BankSet::EMPTY);
    for (bank, reply) in replies {
        match reply {
            Reply::Committed(_, time, _, _) => match committed {
                Some((other, before)) if before != *time => {
                    let text = format!(
                        "committed as of {before} at bank {other} and of {time} at bank {bank}"
                    );
                    return RunEnd::Contradiction(text);
                }
                Some(_) | None => committed = Some((*bank, *time)),
            },
            Reply::Aborted(..) => aborted = Some(*bank),
            Reply::Ok(..) => open = open.with(*bank),
            Reply::Unknown(_) => unknown = unknown.with(*bank),
            Reply::Nok(..)
            | Reply::Doubt(..)
            | Reply::Done(_)
            | Reply::Refused(..)
            | Reply::Err(..)
            | Reply::Pong
            | Reply::Bye => {
                return RunEnd::Contradiction(format!("bank {bank} answers STATUS with {reply:?}"));
            }
        }
    }
    match (committed, aborted) {
        (Some((at, _)), Some(bank)) => {
            RunEnd::Contradiction(format!("committed at bank {at} and aborted at bank {bank}"))
        }
        (Some((at, _)), None) if !unknown.is_empty() => RunEnd::Contradiction(format!(
            "committed at bank {at}, and another bank never voted on it"
        )),
        _ if !open.is_empty() => RunEnd::Open(open),
        (Some(_), None) => RunEnd::Committed,
        (None, Some(_)) => RunEnd::Aborted,
        (None, None) => RunEnd::Nowhere,
    }
}

impl Settled {
    fn contradict(&mut self, case: &RunCase, why: String) {
        self.contradictions_total += 1;
        if self.contradictions.len() < KEPT {
            self.contradictions.push(format!("transaction {}: {why}", case.tx));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::wire::Reason;
    use consorcio_core::wire::token::{Digest, Seal, Verdict};

    fn bank(n: usize) -> BankId {
        BankId::new(n).unwrap()
    }

    #[test]
    fn what_banks_say_together() {
        let tx = TxId::new("t").unwrap();
        let token = |at: usize, verdict| {
            Seal::keyed([9; 32]).token(bank(at), verdict, &tx, Some(Digest::of(b"x")), Time(3))
        };
        let ok = |at: usize| (bank(at), Reply::Ok(tx.clone(), token(at, Verdict::Ok)));
        let committed = |at: usize, time: i64| {
            (bank(at), Reply::Committed(tx.clone(), Time(time), token(at, Verdict::Ok), None))
        };
        let aborted = |at: usize| {
            (bank(at), Reply::Aborted(tx.clone(), token(at, Verdict::No), Reason::Expired, None))
        };
        let unknown = |at: usize| (bank(at), Reply::Unknown(tx.clone()));
        assert_eq!(end(&[committed(0, 5), committed(1, 5)]), RunEnd::Committed);
        assert_eq!(end(&[aborted(0), unknown(1)]), RunEnd::Aborted);
        assert_eq!(end(&[unknown(0), unknown(1)]), RunEnd::Nowhere);
        assert_eq!(end(&[committed(0, 5), ok(1)]), RunEnd::Open(BankSet::EMPTY.with(bank(1))));
        assert_eq!(end(&[aborted(0), ok(1)]), RunEnd::Open(BankSet::EMPTY.with(bank(1))));
        for broken in [
            [committed(0, 5), committed(1, 6)],
            [committed(0, 5), aborted(1)],
            [committed(0, 5), unknown(1)],
            [committed(0, 5), (bank(1), Reply::Pong)],
        ] {
            assert!(matches!(end(&broken), RunEnd::Contradiction(_)), "{broken:?}");
        }
    }
}
