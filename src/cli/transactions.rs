//! The commands that run transactions: committed at all banks or at none.

use super::args::{Cash, DriveOptions};
use super::ending::{ROW_HEADINGS, TransactionEnding, ending, ending_of_execute};
use super::failure::{Failure, reason_in_words, unreachable};
use super::language::say;
use super::output::{CommandOutput, ErrorPart, Tone, micros, plain};
use super::table::TableLayout;
use super::typed::{Account, FromLeg, ToLeg, balance_legs};
use super::{Context, phases};
use consorcio_client::{BankAccount, BankVote, ClientError, DrivenTransaction, money_op};
use consorcio_core::commit::coordinator::{Standing, Verdict};
use consorcio_core::ids::{BankId, RegisterKey, RegisterValue, TaxId, Time, TxId};
use consorcio_core::limits::PATIENCE_MS_MAX;
use consorcio_core::money::Money;
use consorcio_core::wire::Reason;
use consorcio_core::wire::request::Request;
use consorcio_core::wire::token::Token;
use consorcio_core::wire::transaction::{Flow, Op, Transaction};
use consorcio_words::sentences::told;
use serde::Serialize;
use std::io::IsTerminal;
use std::sync::Arc;

/// `cliente` without a command: sets `storage` to 1 at all banks.
pub(crate) async fn set_storage_to_one(context: &Context) -> CommandOutput {
    let key = RegisterKey::new("storage").expect("a legal key");
    let value = RegisterValue::new("1").expect("a legal value");
    set(context, key, value, DriveOptions::default()).await
}

/// `set`: sets a register at every bank.
pub(crate) async fn set(
    context: &Context,
    key: RegisterKey,
    value: RegisterValue,
    drive: DriveOptions,
) -> CommandOutput {
    let output = execute(context, context.client.set_ops(&key, &value), drive).await;
    if let (Some(Failure::Aborted(_)), Some(short)) = (&output.failure, context.client.short_list())
    {
        let why = context.failure(short);
        let failure = Failure::Usage(say!(
            "a register is set at all banks: {why}. Nothing changed"
                / "um registro é gravado em todos os bancos: {why}. Nada mudou"
        ));
        return CommandOutput { text: output.text, ..CommandOutput::from(failure) };
    }
    output
}

/// `deposit`: pays cash into an account.
pub(crate) async fn deposit(context: &Context, cash: Cash) -> CommandOutput {
    execute(context, vec![money(&cash.account, Flow::Deposit, cash.amount, cash.cpf)], cash.drive)
        .await
}

/// `withdraw`: pays cash out of an account.
pub(crate) async fn withdraw(context: &Context, cash: Cash) -> CommandOutput {
    execute(context, vec![money(&cash.account, Flow::Withdraw, cash.amount, cash.cpf)], cash.drive)
        .await
}

/// `transfer`: moves money between accounts.
pub(crate) async fn transfer(
    context: &Context,
    from: &[FromLeg],
    to: &[ToLeg],
    drive: DriveOptions,
) -> CommandOutput {
    let credits = match balance_legs(from, to) {
        Ok(credits) => credits,
        Err(text) => return Failure::Usage(text).into(),
    };
    let debits =
        from.iter().map(|leg| money(&leg.account, Flow::Debit, leg.amount, leg.cpf.clone()));
    let credits =
        to.iter().zip(credits).map(|(leg, amount)| money(&leg.account, Flow::Credit, amount, None));
    execute(context, debits.chain(credits).collect(), drive).await
}

fn money(account: &Account, flow: Flow, amount: Money, cpf: Option<TaxId>) -> Op {
    let account = BankAccount { bank: account.bank, number: account.number.clone() };
    money_op(&account, flow, amount, cpf)
}

async fn execute(context: &Context, ops: Vec<Op>, drive: DriveOptions) -> CommandOutput {
    match prepare(context, &ops, &drive) {
        Err(failure) => failure.into(),
        Ok((tx, transaction)) => {
            // Until a bank may have a message; from then on what is known takes its place.
            context.interrupt_notice.set(say!(
                "interrupted: nothing of transaction {tx} was sent to any bank"
                    / "interrompido: nada da transação {tx} foi enviado a nenhum banco"
            ));
            match drive.via {
                None => {
                    let transaction = Arc::new(transaction);
                    let driven = if drive.step {
                        phases::drive(context, tx, transaction).await
                    } else {
                        context.client.drive(tx, transaction).await
                    };
                    output(context, &driven)
                }
                Some(bank) => via(context, bank, tx, transaction).await,
            }
        }
    }
}

fn prepare(
    context: &Context,
    ops: &[Op],
    drive: &DriveOptions,
) -> Result<(TxId, Transaction), Failure> {
    let patience_ms = drive.patience.map(|seconds| seconds.saturating_mul(1000));
    // A person may look around that long before the banks end it by themselves.
    let is_person = drive.step && std::io::stdin().is_terminal();
    let patience_ms = patience_ms.or(is_person.then_some(PATIENCE_MS_MAX));
    let failure = |error: ClientError| context.failure(error);
    let transaction = context.client.transaction(ops, patience_ms).map_err(failure)?;
    if let Some(bank) = drive.via {
        context.client.address(bank).map_err(failure)?;
    }
    let tx = match &drive.tx {
        Some(tx) => tx.clone(),
        None => context.client.new_tx().map_err(failure)?,
    };
    Ok((tx, transaction))
}

/// The JSON document of a transaction and its outcome.
#[derive(Serialize)]
struct TransactionDocument<'a> {
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
    banks: Vec<VoteDocument<'a>>,
    took_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// The vote of one bank.
#[derive(Serialize)]
struct VoteDocument<'a> {
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

fn output(context: &Context, driven: &DrivenTransaction) -> CommandOutput {
    let ending = ending(context, driven);
    let text = if context.paint.is_rows() {
        votes_in_rows(context, driven, &ending)
    } else {
        votes_and_verdict(context, driven, &ending)
    };
    let done = ending.done(&driven.tx);
    let document = TransactionDocument {
        tx: &driven.tx,
        verdict: ending.verdict,
        time: ending.time,
        via: None,
        by: ending.by,
        reason: ending.reason,
        oks: Some(driven.oks()),
        banks: driven.votes.iter().map(bank_document).collect(),
        took_us: micros(driven.took),
        error: ending.failure.as_ref().map(ErrorPart::of),
    };
    CommandOutput { done, ..CommandOutput::new(text, &document).with_failure(ending.failure) }
}

/// For people: a table of the votes, and the verdict below it.
fn votes_and_verdict(
    context: &Context,
    driven: &DrivenTransaction,
    ending: &TransactionEnding,
) -> String {
    let rows = driven.votes.iter().map(|row| {
        let mut cells = vec![plain(row.bank)];
        cells.extend(vote_cells(context, row));
        cells
    });
    let layout = TableLayout {
        headings: &["bank", "address", "vote", "reason", "time"],
        right: &["time"],
        below: Some("reason"),
        spare: &["address"],
    };
    let table = context.paint.table_of(&layout, rows.collect());
    let (oks, banks) = (driven.oks(), driven.votes.len());
    // The table has the refusal of a bank; one that this driver asked for is explained below it.
    let by_itself = ending.reason.is_some_and(|reason| reason != Reason::Refused.as_str());
    let has_reason = by_itself && driven.votes.iter().any(|row| refuses(row, ending.by));
    let verdict = if has_reason { ending.painted_alone(context) } else { ending.painted(context) };
    let tx = &driven.tx;
    let mut text =
        say!("transaction {tx}\n" / "transação {tx}\n") + &format!("{table}OKs {oks}/{banks}\n");
    text.push_str(&format!("{verdict}\n"));
    for BankVote { bank, .. } in unconfirmed(driven) {
        text.push_str(&say!(
            "bank {bank} has not confirmed it yet; it learns it from the others by itself\n"
                / "o banco {bank} ainda não a confirmou; fica sabendo dela pelos outros\n"
        ));
    }
    text
}

/// Whether this is the row of the bank `by`, with its own refusal.
fn refuses(row: &BankVote, by: Option<BankId>) -> bool {
    let is_own = |token: &Token| token.bank == row.bank;
    Some(row.bank) == by && matches!(&row.standing, Standing::Refused(token, ..) if is_own(token))
}

/// For programs: each row has the transaction, and the vote of one bank.
fn votes_in_rows(
    context: &Context,
    driven: &DrivenTransaction,
    ending: &TransactionEnding,
) -> String {
    let rows = driven.votes.iter().map(|row| {
        let mut cells = ending.cells(context, &driven.tx, row.bank);
        cells.extend(vote_cells(context, row));
        cells
    });
    let headings = [&ROW_HEADINGS[..], &["address", "vote", "reason", "time ms"]].concat();
    context.paint.table(&headings, &[], rows.collect())
}

fn vote_cells(context: &Context, row: &BankVote) -> [(Tone, String); 4] {
    let (vote, tone) = vote(row);
    let took = row.took.map_or_else(|| plain(""), |took| context.paint.took(took));
    [plain(&row.address), context.paint.term(tone, vote), plain(reason_and_text(row)), took]
}

/// Banks that voted OK and did not answer COMMIT or ABORT.
fn unconfirmed(driven: &DrivenTransaction) -> impl Iterator<Item = &BankVote> {
    let known = matches!(driven.verdict, Verdict::Committed(_) | Verdict::Aborted { .. });
    driven
        .votes
        .iter()
        .filter(move |row| known && matches!(row.standing, Standing::Ok(_)) && !row.confirmed)
}

fn bank_document(row: &BankVote) -> VoteDocument<'_> {
    let (reason, text) = match &row.standing {
        Standing::Refused(_, reason, text) => (Some(reason.as_str()), text.as_str()),
        Standing::Unasked | Standing::Asked | Standing::Silent => {
            (None, row.problem.as_deref().unwrap_or_default())
        }
        Standing::Ok(_) => (None, ""),
    };
    VoteDocument {
        bank: row.bank,
        address: &row.address,
        vote: vote(row).0,
        reason,
        text,
        took_us: row.took.map(micros),
        confirmed: row.confirmed,
    }
}

fn vote(row: &BankVote) -> (&'static str, Tone) {
    match &row.standing {
        Standing::Ok(_) => ("OK", Tone::Good),
        Standing::Refused(..) => ("NOK", Tone::Bad),
        Standing::Unasked => ("not asked", Tone::Plain),
        Standing::Asked | Standing::Silent if row.nothing_done.is_some() => ("none", Tone::Bad),
        Standing::Asked | Standing::Silent if row.reached => ("silent", Tone::Open),
        Standing::Asked | Standing::Silent => ("unreachable", Tone::Bad),
    }
}

fn reason_and_text(row: &BankVote) -> String {
    match &row.standing {
        // Another bank's refusal that this one passes on stands in that bank's row.
        Standing::Refused(token, ..) if token.bank != row.bank => {
            let by = token.bank;
            say!("as bank {by} refused" / "porque o banco {by} recusou")
        }
        Standing::Refused(_, reason, text) => reason_in_words(*reason, text),
        Standing::Unasked | Standing::Asked | Standing::Silent => {
            row.problem.as_deref().map_or(String::new(), told)
        }
        Standing::Ok(_) => String::new(),
    }
}

/// Has `bank` drive the transaction (EXECUTE).
async fn via(context: &Context, bank: BankId, tx: TxId, transaction: Transaction) -> CommandOutput {
    let began = std::time::Instant::now();
    let address = context.client.list().address(bank).unwrap_or("-");
    let ending = match context.client.connection(bank).await {
        Err(ClientError::Unreachable { why, .. }) => TransactionEnding::unreached(unreachable(
            context.client.list(),
            bank,
            address,
            &told(&why),
        )),
        Err(error) => TransactionEnding::unreached(context.failure(error).to_string()),
        Ok(mut connection) => {
            context.interrupt_notice.set(say!(
                "interrupted: bank {bank} goes on with transaction {tx}. Ask later with: cliente \
                    resolve {tx}" /
                "interrompido: o banco {bank} segue com a transação {tx}. Pergunte depois com: \
                    cliente resolver {tx}"
            ));
            match connection.ask(&Request::Execute(tx.clone(), Arc::new(transaction))).await {
                Ok(reply) => ending_of_execute(&tx, bank, &reply),
                Err(error) if connection.nothing_done() => {
                    TransactionEnding::nothing(Some(context.failure(error)))
                }
                Err(error) => TransactionEnding::doubt(&tx, &context.failure(error).to_string()),
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
        let (verdict, took) = (ending.painted(context), took.1);
        say!(
            "transaction {tx}, driven by bank {bank} at {address}, {took}\n{verdict}\n"
                / "transação {tx}, conduzida pelo banco {bank} em {address}, {took}\n{verdict}\n"
        )
    };
    let document = TransactionDocument {
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
    CommandOutput {
        done: ending.done(&tx),
        ..CommandOutput::new(text, &document).with_failure(ending.failure)
    }
}
