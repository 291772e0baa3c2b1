//! The commands that change something at several banks: all of them do, or none.

use super::args::{Cash, Driving};
use super::conversation::Conversation;
use super::drive::{self, Course, Row};
use super::failure::{Failure, refused};
use super::output::{ErrorPart, Shown, Tone, micros, plain, utc};
use super::typed::{Account, FromLeg, ToLeg, balance_legs};
use super::{Context, asking};
use consorcio_core::commit::coordinator::{Standing, Verdict};
use consorcio_core::ids::{BankId, RegisterKey, RegisterValue, TaxId, Time, TxId};
use consorcio_core::money::Money;
use consorcio_core::wire::Reason;
use consorcio_core::wire::reply::Reply;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use consorcio_system::id_generator::IdGenerator;
use serde::Serialize;
use std::sync::Arc;

/// What the first system's client did: `storage` becomes 1 on all banks.
pub async fn set_storage_to_one(context: &Context) -> Shown {
    let key = RegisterKey::new("storage").expect("a legal key");
    let value = RegisterValue::new("1").expect("a legal value");
    set(context, key, value, Driving::default()).await
}

/// Sets a register at every bank.
pub async fn set(context: &Context, key: RegisterKey, value: RegisterValue, how: Driving) -> Shown {
    let op = |bank| Op { bank, action: Action::Set { key: key.clone(), value: value.clone() } };
    let ops = asking::all_banks(context).map(op).collect();
    let shown = execute(context, ops, how).await;
    if let (Some(Failure::Aborted(_)), Some(why)) =
        (&shown.failure, context.dial.met.short_list(context.dial.places))
    {
        let failure =
            Failure::Usage(format!("a register is set at all banks: {why}. Nothing changed"));
        return Shown { text: shown.text, ..Shown::from(failure) };
    }
    shown
}

/// Brings cash in.
pub async fn deposit(context: &Context, cash: Cash) -> Shown {
    execute(context, vec![money(&cash.account, Flow::Deposit, cash.amount, cash.cpf)], cash.how)
        .await
}

/// Takes cash out.
pub async fn withdraw(context: &Context, cash: Cash) -> Shown {
    execute(context, vec![money(&cash.account, Flow::Withdraw, cash.amount, cash.cpf)], cash.how)
        .await
}

/// Moves money between accounts.
pub async fn transfer(context: &Context, from: &[FromLeg], to: &[ToLeg], how: Driving) -> Shown {
    let credits = match balance_legs(from, to) {
        Ok(credits) => credits,
        Err(text) => return Failure::Usage(text).into(),
    };
    let debits =
        from.iter().map(|leg| money(&leg.account, Flow::Debit, leg.amount, leg.cpf.clone()));
    let credits =
        to.iter().zip(credits).map(|(leg, amount)| money(&leg.account, Flow::Credit, amount, None));
    execute(context, debits.chain(credits).collect(), how).await
}

fn money(account: &Account, flow: Flow, amount: Money, cpf: Option<TaxId>) -> Op {
    Op {
        bank: account.bank,
        action: Action::Money { flow, account: account.number.clone(), cpf, amount },
    }
}

async fn execute(context: &Context, ops: Vec<Op>, how: Driving) -> Shown {
    match prepare(context, &ops, &how) {
        Err(failure) => failure.into(),
        Ok((tx, transaction)) => match how.via {
            None => {
                let paused = how.pause_after_prepare;
                shown(context, &drive::drive(context, tx, Arc::new(transaction), paused).await)
            }
            Some(bank) => via(context, bank, tx, transaction).await,
        },
    }
}

fn prepare(context: &Context, ops: &[Op], how: &Driving) -> Result<(TxId, Transaction), Failure> {
    let patience_ms = how.patience.map(|seconds| seconds.saturating_mul(1000));
    let transaction =
        Transaction::from_ops(ops, patience_ms).map_err(|f| Failure::Usage(f.to_string()))?;
    for bank in transaction.banks().iter().chain(how.via) {
        asking::address(context, bank)?;
    }
    let tx = match &how.tx {
        Some(tx) => tx.clone(),
        None => IdGenerator::new()
            .map_err(|error| Failure::Own(format!("no randomness: {error}")))?
            .now(),
    };
    Ok((tx, transaction))
}

/// A transaction and what became of it, for programs.
#[derive(Serialize)]
struct Document<'a> {
    tx: &'a TxId,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<BankId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<BankId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oks: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    banks: Vec<BankDocument<'a>>,
    took_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// One bank's part in it.
#[derive(Serialize)]
struct BankDocument<'a> {
    bank: BankId,
    address: &'a str,
    vote: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_us: Option<u64>,
    confirmed: bool,
}

fn shown(context: &Context, course: &Course) -> Shown {
    let ending = ending(context, &course.tx, &course.verdict, &course.rows);
    let text = if context.paint.is_rows() {
        votes_in_rows(context, course, &ending)
    } else {
        votes_and_verdict(context, course, &ending)
    };
    let done = ending.done(&course.tx);
    let document = Document {
        tx: &course.tx,
        verdict: ending.verdict,
        time: ending.time,
        via: None,
        by: ending.by,
        reason: ending.reason,
        oks: Some(drive::oks(&course.rows)),
        banks: course.rows.iter().map(bank_document).collect(),
        took_us: micros(course.took),
        error: ending.failure.as_ref().map(ErrorPart::of),
    };
    Shown { done, ..Shown::new(text, &document).failing(ending.failure) }
}

/// For people: the votes in a table, and what they mean below it.
fn votes_and_verdict(context: &Context, course: &Course, ending: &Ending) -> String {
    let rows = course.rows.iter().map(|row| {
        let mut cells = vec![plain(row.bank)];
        cells.extend(vote_cells(context, row));
        cells
    });
    let headings = ["bank", "address", "vote", "reason", "time"];
    let table = context.paint.table(&headings, &["time"], rows.collect());
    let (oks, banks) = (drive::oks(&course.rows), course.rows.len());
    let verdict = ending.painted(context);
    let mut text = format!("transaction {}\n{table}OKs {oks}/{banks}\n{verdict}\n", course.tx);
    for row in unconfirmed(course) {
        text.push_str(&format!(
            "bank {} has not confirmed it yet; it learns it from the others by itself\n",
            row.bank
        ));
    }
    text
}

/// What every row of a transaction begins with.
const ROW_HEADINGS: [&str; 4] = ["transaction", "verdict", "committed at", "bank"];

/// For programs: each row tells the whole, and one bank's part in it.
fn votes_in_rows(context: &Context, course: &Course, ending: &Ending) -> String {
    let rows = course.rows.iter().map(|row| {
        let mut cells = ending.cells(context, &course.tx, row.bank);
        cells.extend(vote_cells(context, row));
        cells
    });
    let headings = [&ROW_HEADINGS[..], &["address", "vote", "reason", "time ms"]].concat();
    context.paint.table(&headings, &[], rows.collect())
}

fn vote_cells(context: &Context, row: &Row) -> [(Tone, String); 4] {
    let (vote, tone) = vote(row);
    let took = row.took.map_or_else(|| plain(""), |took| context.paint.took(took));
    [plain(&row.address), (tone, vote.into()), plain(reason_and_text(row)), took]
}

/// Banks that voted OK and did not answer COMMIT or ABORT.
fn unconfirmed(course: &Course) -> impl Iterator<Item = &Row> {
    let known = matches!(course.verdict, Verdict::Committed(_) | Verdict::Aborted { .. });
    course
        .rows
        .iter()
        .filter(move |row| known && matches!(row.standing, Standing::Ok(_)) && !row.confirmed)
}

fn bank_document(row: &Row) -> BankDocument<'_> {
    let (reason, text) = match &row.standing {
        Standing::Refused(_, reason, text) => (Some(reason.as_str()), text.as_str()),
        Standing::Unasked | Standing::Asked | Standing::Silent => {
            (None, row.trouble.as_deref().unwrap_or_default())
        }
        Standing::Ok(_) => (None, ""),
    };
    BankDocument {
        bank: row.bank,
        address: &row.address,
        vote: vote(row).0,
        reason,
        text,
        took_us: row.took.map(micros),
        confirmed: row.confirmed,
    }
}

fn vote(row: &Row) -> (&'static str, Tone) {
    match &row.standing {
        Standing::Ok(_) => ("OK", Tone::Good),
        Standing::Refused(..) => ("NOK", Tone::Bad),
        Standing::Unasked => ("not asked", Tone::Plain),
        Standing::Asked | Standing::Silent if row.nothing_done.is_some() => ("none", Tone::Bad),
        Standing::Asked | Standing::Silent if row.reached => ("silent", Tone::Open),
        Standing::Asked | Standing::Silent => ("unreachable", Tone::Bad),
    }
}

fn reason_and_text(row: &Row) -> String {
    match &row.standing {
        Standing::Refused(_, reason, text) if text.is_empty() => reason.to_string(),
        Standing::Refused(_, reason, text) => format!("{reason}: {text}"),
        Standing::Unasked | Standing::Asked | Standing::Silent => {
            row.trouble.clone().unwrap_or_default()
        }
        Standing::Ok(_) => String::new(),
    }
}

/// How a transaction ended, in the parts that people and programs are told.
struct Ending {
    /// For programs: `committed`, `aborted`, `unknown`, `unreached` or `refused`.
    verdict: &'static str,
    /// For people.
    words: &'static str,
    tone: Tone,
    rest: String,
    time: Option<Time>,
    by: Option<BankId>,
    reason: Option<&'static str>,
    failure: Option<Failure>,
}

impl Ending {
    fn new(verdict: &'static str, words: &'static str, tone: Tone, rest: String) -> Ending {
        Ending { verdict, words, tone, rest, time: None, by: None, reason: None, failure: None }
    }

    fn committed(time: Time) -> Ending {
        let rest = format!(" at {}", utc(time));
        Ending { time: Some(time), ..Ending::new("committed", "committed", Tone::Good, rest) }
    }

    fn aborted(by: BankId, reason: Reason, text: &str, silent: &[String]) -> Ending {
        let mut rest = if silent.is_empty() || reason != Reason::Refused {
            format!(": bank {by} refused: {reason}")
        } else {
            // That refusal is the one that this driver itself asked for.
            format!(": {} (bank {by} was asked to refuse it, for ever)", silent.join("; "))
        };
        if !text.is_empty() {
            rest.push_str(&format!(": {text}"));
        }
        let failure = Some(Failure::Aborted(format!("aborted{rest}")));
        let rest = format!("{rest}. Nothing changed at any bank.");
        let reason = Some(reason.as_str());
        Ending {
            by: Some(by),
            reason,
            failure,
            ..Ending::new("aborted", "aborted", Tone::Bad, rest)
        }
    }

    fn doubt(tx: &TxId, who: &str) -> Ending {
        let rest = format!(
            ": {who}. The banks end it by themselves as soon as they can; ask later with: cliente resolve {tx}"
        );
        let failure = Some(Failure::Doubt(format!("not known yet{rest}")));
        Ending { failure, ..Ending::new("unknown", "not known yet", Tone::Open, rest) }
    }

    fn unreached(why: String) -> Ending {
        let failure = Some(Failure::NoConnection(format!("nothing was sent: {why}")));
        Ending {
            failure,
            ..Ending::new("unreached", "nothing was sent", Tone::Bad, format!(": {why}"))
        }
    }

    /// No bank executed anything, for this reason.
    fn nothing(failure: Option<Failure>) -> Ending {
        let why = failure.as_ref().map_or(String::new(), |failure| format!(": {failure}"));
        let (verdict, reason) = match &failure {
            Some(Failure::Refused { reason, .. }) => ("refused", reason.map(Reason::as_str)),
            Some(_) | None => ("unreached", None),
        };
        Ending { failure, reason, ..Ending::new(verdict, "nothing was executed", Tone::Bad, why) }
    }

    /// The cells under `ROW_HEADINGS`.
    fn cells(&self, context: &Context, tx: &TxId, bank: BankId) -> Vec<(Tone, String)> {
        let time = self.time.map_or_else(|| plain(""), |time| context.paint.time(time));
        vec![plain(tx), (self.tone, self.verdict.into()), time, plain(bank)]
    }

    /// What it changed, in one sentence; nothing where it is not committed.
    fn done(&self, tx: &TxId) -> Option<String> {
        self.time.map(|time| format!("transaction {tx} is committed, at {}", utc(time)))
    }

    fn painted(&self, context: &Context) -> String {
        format!("{}{}", context.paint.text(self.tone, self.words), self.rest)
    }
}

fn ending(context: &Context, tx: &TxId, verdict: &Verdict, rows: &[Row]) -> Ending {
    match verdict {
        Verdict::Committed(time) => Ending::committed(*time),
        Verdict::Aborted { by, reason, text, .. } => {
            Ending::aborted(*by, *reason, text, &drive::out_of_reach(rows))
        }
        Verdict::Doubt(_) | Verdict::Unreached if drive::nothing_done(rows).is_some() => {
            Ending::nothing(drive::nothing_done(rows).cloned())
        }
        Verdict::Doubt(_) if rows.iter().any(|row| row.nothing_done.is_some()) => {
            let without = rows.iter().filter_map(|row| row.nothing_done.as_ref());
            let mut why: Vec<String> = without.map(ToString::to_string).collect();
            let silent =
                |row: &&Row| row.nothing_done.is_none() && !matches!(row.standing, Standing::Ok(_));
            why.extend(
                rows.iter()
                    .filter(silent)
                    .map(|row| format!("bank {} may have voted OK", row.bank)),
            );
            if drive::oks(rows) > 0 {
                why.push(
                    "what was granted elsewhere waits until it can be refused there".to_owned(),
                );
            }
            Ending::doubt(tx, &why.join("; "))
        }
        Verdict::Doubt(silent) => {
            let hung = rows
                .iter()
                .find(|row| silent.has(row.bank) && row.reached && row.trouble.is_some());
            let silent: Vec<String> = silent.iter().map(|bank| bank.to_string()).collect();
            let who = match silent.as_slice() {
                [one] if let Some(Row { trouble: Some(why), .. }) = hung => {
                    format!("bank {one} is silent ({why}) and may have voted OK")
                }
                [one] => format!("bank {one} is silent and may have voted OK"),
                many => format!("banks {} are silent and may have voted OK", many.join(", ")),
            };
            Ending::doubt(tx, &who)
        }
        Verdict::Unreached => Ending::unreached(format!(
            "{}. Are they running? Start each; the first with: {}",
            drive::out_of_reach(rows).join("; "),
            rows.first().map_or(String::new(), |row| context.dial.start_command(&row.address))
        )),
    }
}

/// Has `bank` drive the transaction.
async fn via(context: &Context, bank: BankId, tx: TxId, transaction: Transaction) -> Shown {
    let began = std::time::Instant::now();
    let address = context.consortium.address(bank).unwrap_or("-");
    let ending = match Conversation::connect(bank, address, &context.dial).await {
        Err(why) => Ending::unreached(context.dial.unreachable(bank, address, &why)),
        Ok(mut conversation) => {
            context.known.replace(Some(format!(
                "interrupted: bank {bank} goes on with transaction {tx}. Ask later with: cliente resolve {tx}"
            )));
            match conversation.ask(&Request::Execute(tx.clone(), Arc::new(transaction))).await {
                Ok(reply) => ending_of_execute(&tx, bank, &reply),
                Err(failure) if conversation.is_a_stranger() => Ending::nothing(Some(failure)),
                Err(failure) => Ending::doubt(&tx, &failure.to_string()),
            }
        }
    };
    let took_us = micros(began.elapsed());
    let took = context.paint.took(began.elapsed());
    let text = if context.paint.is_rows() {
        let mut row = ending.cells(context, &tx, bank);
        row.extend([plain(address), plain(ending.reason.unwrap_or_default()), took]);
        let headings = [&ROW_HEADINGS[..], &["address", "reason", "time ms"]].concat();
        context.paint.table(&headings, &[], vec![row])
    } else {
        let verdict = ending.painted(context);
        format!("transaction {tx}, driven by bank {bank} at {address}, {}\n{verdict}\n", took.1)
    };
    let document = Document {
        tx: &tx,
        verdict: ending.verdict,
        time: ending.time,
        via: Some(bank),
        by: ending.by,
        reason: ending.reason,
        oks: None,
        banks: Vec::new(),
        took_us,
        error: ending.failure.as_ref().map(ErrorPart::of),
    };
    Shown { done: ending.done(&tx), ..Shown::new(text, &document).failing(ending.failure) }
}

fn ending_of_execute(tx: &TxId, bank: BankId, reply: &Reply) -> Ending {
    match reply {
        Reply::Committed(_, time, _, _) => Ending::committed(*time),
        Reply::Aborted(_, token, reason, _) => Ending::aborted(token.bank, *reason, "", &[]),
        Reply::Doubt(_, text) => Ending::doubt(tx, &format!("bank {bank} says: {text}")),
        // It may have been executed before.
        Reply::Err(Reason::Unreadable, text) => {
            Ending::doubt(tx, &format!("bank {bank} says: {text}"))
        }
        // Any other ERR is sent before anything is.
        Reply::Err(reason, text) | Reply::Refused(reason, text) => {
            let why = match refused(bank, *reason, text) {
                Failure::Refused { text, .. } if reason.nothing_recorded() => text,
                _ => format!("bank {bank} did not take it: {reason}: {text}"),
            };
            let rest = format!(": {why}");
            let text = format!("not executed{rest}");
            let failure = Some(Failure::Refused { reason: Some(*reason), text });
            Ending {
                failure,
                reason: Some(reason.as_str()),
                ..Ending::new("refused", "not executed", Tone::Bad, rest)
            }
        }
        Reply::Ok(..)
        | Reply::Nok(..)
        | Reply::Unknown(_)
        | Reply::Done(_)
        | Reply::Pong
        | Reply::Bye => Ending::doubt(tx, &format!("bank {bank} answered what it was not asked")),
    }
}
