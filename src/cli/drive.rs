//! Drives one transaction: connections and time around the pure coordinator.

use super::conversation::slow_sync_ms;
use super::failure::{Failure, refused};
use super::post::{Arrival, Post};
use super::{Context, pause};
use consorcio_core::commit::coordinator::{
    Answer, Coordinator, Do, Event, Standing, Strategy, Verdict,
};
use consorcio_core::commit::message::{AskedVerb, Message};
use consorcio_core::ids::{BankId, BankSet, TxId};
use consorcio_core::limits::VOTE_TIMEOUT_MS;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::transaction::Transaction;
use consorcio_system::crash::{self, Step};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

/// A driver that knows its verdict waits this long for the banks' answers to it, then leaves.
const LEAVE_WITHIN: Duration = Duration::from_millis(VOTE_TIMEOUT_MS);

/// What happened to a transaction that this program drove.
pub struct Course {
    /// Its id.
    pub tx: TxId,
    /// What became of it.
    pub verdict: Verdict,
    /// Each named bank, by position.
    pub rows: Vec<Row>,
    /// From the first message to the verdict.
    pub took: Duration,
}

/// How one bank took it.
pub struct Row {
    /// Which bank.
    pub bank: BankId,
    /// Where it is.
    pub address: String,
    /// Its vote.
    pub standing: Standing,
    /// How long its vote took.
    pub took: Option<Duration>,
    /// Why it can't be reached, or what it said instead of a vote.
    pub trouble: Option<String>,
    /// Could it be connected to at the beginning?
    pub reached: bool,
    /// Where nothing was executed or recorded, as another than the bank was met, or it said so:
    /// what that means.
    pub nothing_done: Option<Failure>,
    /// Was it ever asked to vote?
    asked_to_vote: bool,
    /// Was it ever sent anything about this transaction?
    contacted: bool,
    /// Has it confirmed the outcome?
    pub confirmed: bool,
}

/// Drives `transaction` to a verdict, and sees to it that the banks hear of it.
///
/// All banks it names must be in the consortium.
pub async fn drive(
    context: &Context,
    tx: TxId,
    transaction: Arc<Transaction>,
    paused: bool,
) -> Course {
    let (sender, arrivals) = unbounded_channel();
    let mut posts = BTreeMap::new();
    let mut rows = Vec::new();
    for bank in transaction.banks().iter() {
        let address = context.consortium.address(bank).unwrap_or("-").to_owned();
        let post = Post::open(bank, address.clone(), context.dial.clone(), sender.clone());
        posts.insert(bank, post);
        rows.push(Row {
            bank,
            address,
            standing: Standing::Unasked,
            took: None,
            trouble: None,
            reached: true,
            nothing_done: None,
            asked_to_vote: false,
            contacted: false,
            confirmed: false,
        });
    }
    let coordinator = Coordinator::new(tx.clone(), transaction, Strategy::Parallel);
    let mut drive = Drive {
        context,
        coordinator,
        posts,
        rows,
        arrivals,
        verdict: None,
        timer: Instant::now(),
        began: Instant::now(),
        took: Duration::ZERO,
        paused,
    };
    drive.run().await;
    let verdict = drive.verdict.take().unwrap_or(Verdict::Unreached);
    if matches!(verdict, Verdict::Doubt(_)) {
        drive.ask_why_silent().await;
    }
    Course { tx, verdict, rows: drive.rows, took: drive.took }
}

struct Drive<'a> {
    context: &'a Context,
    coordinator: Coordinator,
    posts: BTreeMap<BankId, Post>,
    rows: Vec<Row>,
    arrivals: UnboundedReceiver<Arrival>,
    verdict: Option<Verdict>,
    timer: Instant,
    began: Instant,
    took: Duration,
    paused: bool,
}

impl Drive<'_> {
    async fn run(&mut self) {
        let unreachable = self.connect().await;
        crash::step(Step::ClientReady);
        self.began = Instant::now();
        if self.rows.iter().any(|row| row.nothing_done.is_some()) {
            // One of them is another bank than the list says, so perhaps none is meant: nothing is
            // asked of any.
            let (tx, verdict) = (self.coordinator.tx(), Verdict::Unreached);
            self.context.story.verdict(tx, &verdict, 0, self.rows.len());
            self.verdict = Some(verdict);
            return;
        }
        self.event(Event::Begin { unreachable }).await;
        while !self.coordinator.is_done() && !self.knows_no_end() {
            let arrival = tokio::select! {
                arrival = self.arrivals.recv() => arrival,
                () = sleep_until(self.timer) => None,
            };
            match arrival {
                Some(Arrival::Opened(..)) => {}
                Some(Arrival::Answer(bank, verb, reply, took)) => {
                    self.note_answer(bank, verb, &reply, took);
                    self.event(Event::Answered(bank, verb, Answer::Believed(reply))).await;
                }
                Some(Arrival::Lost(bank, verb, loss)) => {
                    let row = self.row(bank);
                    row.trouble = Some(loss.why);
                    row.nothing_done = loss.nothing_done.or(row.nothing_done.take());
                    self.event(Event::Lost(bank, verb)).await;
                }
                None if self.verdict.is_some() => break,
                None => {
                    let silent = |row: &&Row| row.standing == Standing::Asked;
                    let silent = self.rows.iter().filter(silent).map(|row| row.bank).collect();
                    self.context.story.timed_out(self.coordinator.tx(), silent);
                    self.timer = Instant::now() + Duration::from_millis(VOTE_TIMEOUT_MS);
                    self.event(Event::TimeOut).await;
                }
            }
        }
    }

    /// Told, and nothing to tell the banks: they begin to ask each other as soon as this driver is
    /// gone.
    fn knows_no_end(&self) -> bool {
        matches!(self.verdict, Some(Verdict::Doubt(_) | Verdict::Unreached))
    }

    /// Waits until every bank is connected, or is known to be out of reach.
    async fn connect(&mut self) -> BankSet {
        let mut unreachable = BankSet::EMPTY;
        let mut open = self.rows.len();
        while open > 0 {
            match self.arrivals.recv().await {
                Some(Arrival::Opened(bank, result)) => {
                    open -= 1;
                    if let Err(loss) = result {
                        unreachable = unreachable.with(bank);
                        let row = self.row(bank);
                        row.reached = loss.nothing_done.is_some();
                        row.trouble = Some(loss.why);
                        row.nothing_done = loss.nothing_done;
                    }
                }
                Some(Arrival::Answer(..) | Arrival::Lost(..)) => {}
                None => break,
            }
        }
        unreachable
    }

    /// Tells the coordinator, and does what follows.
    async fn event(&mut self, event: Event) {
        let todo = self.coordinator.on(event);
        let commits = |one: &Do| matches!(one, Do::Tell(Verdict::Committed(_)));
        if todo.iter().any(commits) {
            crash::step(Step::ClientAllOk);
            if self.paused {
                self.take_standings();
                self.tell_what_is_known();
                pause::for_a_line(self.coordinator.tx()).await;
            }
        }
        for one in todo {
            match one {
                Do::Send(bank, message) => {
                    let row = self.row(bank);
                    row.contacted = true;
                    row.asked_to_vote |= matches!(message, Message::Prepare(..));
                    if let Some(post) = self.posts.get(&bank) {
                        post.send(message);
                    }
                }
                Do::StartTimer => {
                    self.timer = Instant::now() + Duration::from_millis(VOTE_TIMEOUT_MS)
                }
                Do::Tell(verdict) => {
                    self.took = self.began.elapsed();
                    self.timer = Instant::now() + LEAVE_WITHIN;
                    self.take_standings();
                    let oks = oks(&self.rows);
                    self.context.story.verdict(
                        self.coordinator.tx(),
                        &verdict,
                        oks,
                        self.rows.len(),
                    );
                    self.verdict = Some(verdict);
                }
                // Only a bank votes itself.
                Do::VoteSelf | Do::RefuseSelf(_) => {}
            }
        }
        self.take_standings();
        self.tell_what_is_known();
    }

    fn note_answer(&mut self, bank: BankId, verb: AskedVerb, reply: &Reply, took: Duration) {
        let row = self.row(bank);
        match verb {
            AskedVerb::Prepare => row.took = Some(took),
            AskedVerb::Abort | AskedVerb::Resolve | AskedVerb::Registers => {
                row.took.get_or_insert(took);
                row.confirmed = matches!(reply, Reply::Aborted(..));
            }
            AskedVerb::Commit => row.confirmed = matches!(reply, Reply::Committed(..)),
        }
        match reply {
            Reply::Err(reason, text) | Reply::Refused(reason, text) => {
                row.trouble = Some(format!("{reason}: {text}"));
                // It answers so where it holds no vote on the id. An ABORT that it says this to may
                // have come before a PREPARE that was lost on another connection.
                if reason.nothing_recorded() && (verb == AskedVerb::Prepare || !row.asked_to_vote) {
                    row.nothing_done = Some(refused(bank, *reason, text));
                }
            }
            Reply::Doubt(_, text) => row.trouble = Some(text.clone()),
            Reply::Ok(..)
            | Reply::Nok(..)
            | Reply::Committed(..)
            | Reply::Aborted(..)
            | Reply::Unknown(_)
            | Reply::Done(_)
            | Reply::Pong
            | Reply::Bye => {}
        }
    }

    /// Has those who were connected to and gave no vote say why, where they can.
    async fn ask_why_silent(&mut self) {
        for row in &mut self.rows {
            let silent = matches!(row.standing, Standing::Asked | Standing::Silent);
            if silent && row.reached && row.trouble.is_none() {
                let ms = slow_sync_ms(row.bank, &row.address, &self.context.dial).await;
                row.trouble =
                    ms.map(|ms| format!("its disk has not answered for {} s", ms / 1_000));
            }
        }
    }

    fn row(&mut self, bank: BankId) -> &mut Row {
        let at = self.rows.iter().position(|row| row.bank == bank);
        &mut self.rows[at.expect("only named banks have a post")]
    }

    fn take_standings(&mut self) {
        for ((_, standing), row) in self.coordinator.standings().zip(&mut self.rows) {
            if row.standing != *standing {
                row.standing = standing.clone();
            }
        }
    }

    /// What Ctrl-C would have to say.
    fn tell_what_is_known(&self) {
        let tx = self.coordinator.tx();
        let (oks, banks) = (oks(&self.rows), self.rows.len());
        let aborted = matches!(self.verdict, Some(Verdict::Aborted { .. }));
        let known = if oks == banks {
            // The votes are the decision, told or not.
            format!("transaction {tx} is committed (OKs {oks}/{banks})")
        } else if aborted {
            format!("transaction {tx} is aborted (OKs {oks}/{banks})")
        } else {
            format!(
                "the outcome of transaction {tx} is not known yet (OKs {oks}/{banks}); the banks end it by \
                 themselves. Ask later with: cliente resolve {tx}"
            )
        };
        let known = format!("interrupted: {known}");
        self.context.known.replace(Some(known));
    }
}

/// How many banks said OK.
pub fn oks(rows: &[Row]) -> usize {
    rows.iter().filter(|row| matches!(row.standing, Standing::Ok(_))).count()
}

/// Why no bank at all executed or recorded anything, where that is known: each was out of reach, or
/// another than the bank that was meant, or said so, or was never sent anything.
pub fn nothing_done(rows: &[Row]) -> Option<&Failure> {
    let none = rows.iter().all(|row| row.nothing_done.is_some() || !row.reached || !row.contacted);
    let mut failures = rows.iter().filter_map(|row| row.nothing_done.as_ref());
    let wrong_list = failures.clone().find(|failure| matches!(failure, Failure::Usage(_)));
    wrong_list.or_else(|| failures.next()).filter(|_| none)
}

/// The banks that could not be reached, gave no vote, or recorded nothing, in words.
pub fn out_of_reach(rows: &[Row]) -> Vec<String> {
    let words = |row: &Row| {
        let (bank, address) = (row.bank, &row.address);
        if let Some(failure) = &row.nothing_done {
            return failure.to_string();
        }
        let what = if row.reached { "gave no vote" } else { "can't be reached" };
        match &row.trouble {
            Some(why) => format!("bank {bank} at {address} {what} ({why})"),
            None => format!("bank {bank} at {address} {what}"),
        }
    };
    let without =
        |row: &&Row| row.nothing_done.is_some() || matches!(row.standing, Standing::Silent);
    rows.iter().filter(without).map(words).collect()
}
