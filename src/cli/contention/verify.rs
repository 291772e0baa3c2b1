//! Verifies a run: asks for every transaction at every bank that it names. Outcomes must be as
//! clients know them; unknown ones are resolved, and none may stay undecided.

use super::super::Context;
use super::super::failure::Failure;
use super::super::load::setup::SILENCE;
use super::super::load::{LoadRequest, Workload};
use super::super::requests;
use super::tally::KnownOutcome;
use super::work::{ContentionWork, RunParameters};
use consorcio_client::Connection;
use consorcio_core::ids::{BankId, BankSet, Time, TxId};
use consorcio_core::limits::{
    CONTENTION_FAULTS_KEPT_MAX, CONTENTION_RETRY_PAUSE_MS, CONTENTION_STATUS_REQUESTS_MAX,
    CONTENTION_VERIFIED_TOGETHER_MAX,
};
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const RETRY_PAUSE: Duration = Duration::from_millis(CONTENTION_RETRY_PAUSE_MS);

/// The result of verifying a run.
#[derive(Debug, Default)]
pub(super) struct Verification {
    /// Transactions committed at every bank.
    pub committed: u64,
    /// Transactions committed at no bank.
    pub aborted: u64,
    /// Committed transactions whose client did not know the outcome.
    pub doubt_committed: u64,
    /// Aborted transactions whose client did not know the outcome.
    pub doubt_aborted: u64,
    /// Outcomes that differ from the client's, or between banks.
    pub contradictions: Vec<String>,
    /// The number of all contradictions.
    pub contradictions_total: u64,
    /// Transactions that are still undecided.
    pub undecided: Vec<TxId>,
    /// The failure of a bank that stopped answering.
    pub silent: Option<Failure>,
}

/// A transaction of the run, with the outcome that its client knows.
#[derive(Debug, Clone)]
struct RunTransaction {
    tx: TxId,
    banks: BankSet,
    known: KnownOutcome,
}

/// The outcome by all banks that a transaction names.
#[derive(Debug, PartialEq, Eq)]
enum JointOutcome {
    Committed,
    Aborted,
    /// These banks voted OK and know no outcome.
    Open(BankSet),
    /// No bank has voted on it.
    Nowhere,
    Contradiction(String),
}

/// Asks about every transaction of every client until all are decided, or until `until`.
pub(super) async fn verify(
    context: &Context,
    parameters: &RunParameters,
    outcomes: &[Vec<KnownOutcome>],
    until: Instant,
    progress: impl Fn(u64, u64),
) -> Verification {
    let mut verification = Verification::default();
    let total = outcomes.iter().map(|known| known.len() as u64).sum();
    let mut open: Vec<RunTransaction> = Vec::new();
    let mut banks = BankConnections { context, open: BTreeMap::new() };
    let mut done = 0;
    for (client, known) in (0..).zip(outcomes) {
        let mut cases = cases(parameters, client, known).peekable();
        while cases.peek().is_some() {
            let some: Vec<RunTransaction> =
                cases.by_ref().take(CONTENTION_VERIFIED_TOGETHER_MAX).collect();
            done += some.len() as u64;
            open.extend(banks.check(some, &mut verification, until).await);
            progress(done, total);
        }
    }
    while !open.is_empty() && Instant::now() < until && verification.silent.is_none() {
        sleep(RETRY_PAUSE).await;
        let mut still = Vec::new();
        for some in open.chunks(CONTENTION_VERIFIED_TOGETHER_MAX) {
            still.extend(banks.check(some.to_vec(), &mut verification, until).await);
        }
        open = still;
    }
    verification.undecided = open.into_iter().map(|case| case.tx).collect();
    verification
}

/// The transactions of client `client`, generated again from the seed, with the outcomes that it
/// knows.
fn cases<'a>(
    parameters: &RunParameters,
    client: u32,
    known: &'a [KnownOutcome],
) -> impl Iterator<Item = RunTransaction> + use<'a> {
    let mut work = ContentionWork::new(parameters, client);
    known.iter().filter_map(move |known| match work.next() {
        LoadRequest::Change(tx, transaction, _) => {
            Some(RunTransaction { tx, banks: transaction.banks(), known: *known })
        }
        LoadRequest::Read(..) => None,
    })
}

/// Connections to all banks, redialled after a loss.
struct BankConnections<'a> {
    context: &'a Context,
    open: BTreeMap<BankId, Connection>,
}

impl BankConnections<'_> {
    /// Asks about these transactions, has the banks decide the open ones, and returns these.
    async fn check(
        &mut self,
        cases: Vec<RunTransaction>,
        verification: &mut Verification,
        until: Instant,
    ) -> Vec<RunTransaction> {
        let replies = match self.statuses(&cases, until).await {
            Ok(replies) => replies,
            Err(failure) => {
                verification.silent = Some(failure);
                return cases;
            }
        };
        let mut open = Vec::new();
        let mut asks: Vec<(BankId, Request)> = Vec::new();
        for (case, replies) in cases.into_iter().zip(replies) {
            let doubt = case.known == KnownOutcome::Unknown;
            match (joint_outcome(&replies), case.known) {
                (JointOutcome::Contradiction(why), _) => verification.contradict(&case, why),
                (JointOutcome::Committed, KnownOutcome::Aborted) => {
                    verification.contradict(
                        &case,
                        "aborted for its client, and committed at the banks".into(),
                    );
                }
                (JointOutcome::Aborted | JointOutcome::Nowhere, KnownOutcome::Committed) => {
                    verification.contradict(
                        &case,
                        format!("committed for its client, and not at the banks: {replies:?}"),
                    );
                }
                (
                    JointOutcome::Committed,
                    KnownOutcome::Committed | KnownOutcome::Unknown | KnownOutcome::Nothing,
                ) => {
                    verification.committed += 1;
                    verification.doubt_committed += u64::from(doubt);
                }
                (
                    JointOutcome::Aborted,
                    KnownOutcome::Aborted | KnownOutcome::Unknown | KnownOutcome::Nothing,
                )
                | (JointOutcome::Nowhere, KnownOutcome::Aborted | KnownOutcome::Nothing) => {
                    verification.aborted += 1;
                    verification.doubt_aborted += u64::from(doubt);
                }
                (JointOutcome::Open(at), _) => {
                    // A COMMIT without tokens has the bank ask the others.
                    asks.extend(
                        at.iter().map(|bank| (bank, Request::Commit(case.tx.clone(), Vec::new()))),
                    );
                    open.push(case);
                }
                (JointOutcome::Nowhere, KnownOutcome::Unknown) => {
                    // Have a bank refuse it permanently, so that no message still on its way can
                    // commit it.
                    let first = case.banks.iter().next();
                    asks.extend(first.map(|bank| (bank, Request::Resolve(case.tx.clone()))));
                    open.push(case);
                }
            }
        }
        for (bank, request) in asks {
            // A failed request is repeated in the next attempt.
            if let Some(connection) = self.open.get_mut(&bank)
                && connection.ask(&request).await.is_err()
            {
                self.open.remove(&bank);
            }
        }
        open
    }

    /// The status of each transaction at each bank that it names, in the order of the cases.
    async fn statuses(
        &mut self,
        cases: &[RunTransaction],
        until: Instant,
    ) -> Result<Vec<Vec<(BankId, Reply)>>, Failure> {
        let mut replies: Vec<Vec<(BankId, Reply)>> = vec![Vec::new(); cases.len()];
        for bank in requests::these_banks(self.context, None) {
            let named: Vec<usize> =
                (0..cases.len()).filter(|at| cases[*at].banks.has(bank)).collect();
            for some in named.chunks(CONTENTION_STATUS_REQUESTS_MAX) {
                let txs: Vec<&TxId> = some.iter().map(|at| &cases[*at].tx).collect();
                let answers = loop {
                    match self.ask_all(bank, &txs).await {
                        Ok(answers) => break answers,
                        Err(failure) if Instant::now() >= until => return Err(failure),
                        // The bank may come back.
                        Err(_) => sleep(RETRY_PAUSE).await,
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

/// The outcome that follows from the replies of all banks that a transaction names.
fn joint_outcome(replies: &[(BankId, Reply)]) -> JointOutcome {
    let mut committed: Option<(BankId, Time)> = None;
    let (mut aborted, mut open, mut unknown) = (None, BankSet::EMPTY, BankSet::EMPTY);
    for (bank, reply) in replies {
        match reply {
            Reply::Committed(_, time, _, _) => match committed {
                Some((other, before)) if before != *time => {
                    let text = format!(
                        "committed as of {before} at bank {other} and of {time} at bank {bank}"
                    );
                    return JointOutcome::Contradiction(text);
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
            | Reply::Help(_)
            | Reply::Bye => {
                return JointOutcome::Contradiction(format!(
                    "bank {bank} answers STATUS with {reply:?}"
                ));
            }
        }
    }
    match (committed, aborted) {
        (Some((at, _)), Some(bank)) => JointOutcome::Contradiction(format!(
            "committed at bank {at} and aborted at bank {bank}"
        )),
        (Some((at, _)), None) if !unknown.is_empty() => JointOutcome::Contradiction(format!(
            "committed at bank {at}, and another bank never voted on it"
        )),
        _ if !open.is_empty() => JointOutcome::Open(open),
        (Some(_), None) => JointOutcome::Committed,
        (None, Some(_)) => JointOutcome::Aborted,
        (None, None) => JointOutcome::Nowhere,
    }
}

impl Verification {
    fn contradict(&mut self, case: &RunTransaction, why: String) {
        self.contradictions_total += 1;
        if self.contradictions.len() < CONTENTION_FAULTS_KEPT_MAX {
            self.contradictions.push(format!("transaction {}: {why}", case.tx));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consorcio_core::wire::Reason;
    use consorcio_core::wire::token::{Digest, Seal, Vote};

    fn bank(n: usize) -> BankId {
        BankId::new(n).unwrap()
    }

    #[test]
    fn the_joint_outcome_follows_from_all_replies() {
        let tx = TxId::new("t").unwrap();
        let token = |at: usize, verdict| {
            Seal::keyed([9; 32]).token(bank(at), verdict, &tx, Some(Digest::of(b"x")), Time(3))
        };
        let ok = |at: usize| (bank(at), Reply::Ok(tx.clone(), token(at, Vote::Ok)));
        let committed = |at: usize, time: i64| {
            (bank(at), Reply::Committed(tx.clone(), Time(time), token(at, Vote::Ok), None))
        };
        let aborted = |at: usize| {
            (bank(at), Reply::Aborted(tx.clone(), token(at, Vote::No), Reason::Expired, None))
        };
        let unknown = |at: usize| (bank(at), Reply::Unknown(tx.clone()));
        assert_eq!(joint_outcome(&[committed(0, 5), committed(1, 5)]), JointOutcome::Committed);
        assert_eq!(joint_outcome(&[aborted(0), unknown(1)]), JointOutcome::Aborted);
        assert_eq!(joint_outcome(&[unknown(0), unknown(1)]), JointOutcome::Nowhere);
        assert_eq!(
            joint_outcome(&[committed(0, 5), ok(1)]),
            JointOutcome::Open(BankSet::EMPTY.with(bank(1)))
        );
        assert_eq!(
            joint_outcome(&[aborted(0), ok(1)]),
            JointOutcome::Open(BankSet::EMPTY.with(bank(1)))
        );
        for broken in [
            [committed(0, 5), committed(1, 6)],
            [committed(0, 5), aborted(1)],
            [committed(0, 5), unknown(1)],
            [committed(0, 5), (bank(1), Reply::Pong)],
        ] {
            assert!(matches!(joint_outcome(&broken), JointOutcome::Contradiction(_)), "{broken:?}");
        }
    }
}
