//! `cliente audit`: one cut of all banks, repeated cuts, or all journals offline, with an exit
//! code. The checks are in `consorcio_audit`.

mod journals;
mod watch;

use super::Context;
use super::args::AuditArguments;
use super::cuts::{self, CutAnswers};
use super::failure::Failure;
use super::language::{say, word};
use super::output::{CommandOutput, ErrorPart, Paint, Tone, plain, utc};
use super::table::{TableLayout, ToneCell};
use super::waiting::in_words as banks_in_words;
use consorcio_audit::BankCut;
use consorcio_audit::cut::Sums;
use consorcio_client::{BankClock, Blocked, Extent};
use consorcio_core::ids::{BankId, Time};
use consorcio_core::limits::AUDIT_BLOCKED_SHOWN_MAX;
use consorcio_core::money::Total;
use consorcio_core::wire::answer::CutAccount;
use consorcio_words::sentences::told;
use serde::Serialize;
use std::collections::BTreeMap;

/// Runs `audit` in the mode that the arguments choose.
pub(crate) async fn run(context: &Context, arguments: AuditArguments) -> CommandOutput {
    if !arguments.journals.is_empty() {
        return journals::run(context, arguments.journals).await;
    }
    if let Some(every) = arguments.watch {
        return watch::run(context, every, arguments.accounts).await;
    }
    match take(context, None, arguments.accounts).await {
        Ok(taken) => output(context, &taken, arguments.accounts),
        Err(failure) => failure.into(),
    }
}

async fn take(
    context: &Context,
    last: Option<BankClock>,
    accounts: bool,
) -> Result<CutAnswers, Failure> {
    cuts::take(context, last, if accounts { Extent::All } else { Extent::Registers }).await
}

#[derive(Serialize)]
struct AuditDocument<'a> {
    time: Time,
    /// `holds`, `broken`, or `unknown` if a part is missing.
    verdict: &'static str,
    banks: Vec<AuditBank<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Sums>,
    registers: usize,
    faults: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

#[derive(Serialize)]
struct AuditBank<'a> {
    bank: BankId,
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    explained: Option<bool>,
    #[serde(flatten)]
    sums: Option<Sums>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<&'a [CutAccount<'static>]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registers: Option<&'a BTreeMap<String, String>>,
    /// `false` for a bank that joined later and does not know them yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    registers_known: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked_by: Vec<&'a Blocked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

/// The output of a cut, whole or partial.
fn output(context: &Context, taken: &CutAnswers, accounts: bool) -> CommandOutput {
    let failure = failure(taken);
    let document = document(taken, accounts, failure.as_ref());
    CommandOutput::new(text(context, taken, accounts), &document).with_failure(failure)
}

fn document<'a>(
    taken: &'a CutAnswers,
    accounts: bool,
    failure: Option<&Failure>,
) -> AuditDocument<'a> {
    let banks = taken.answers.iter().map(|answer| {
        let cut = answer.result.as_ref().ok();
        AuditBank {
            bank: answer.bank,
            address: &answer.address,
            explained: cut.map(|cut| cut.sums.holds()),
            sums: cut.map(|cut| cut.sums),
            accounts: cut.filter(|_| accounts).map(|cut| cut.accounts.as_slice()),
            registers: cut.filter(|cut| accounts && cut.registers_known).map(|cut| &cut.registers),
            registers_known: cut.filter(|cut| !cut.registers_known).map(|_| false),
            blocked_by: taken
                .blocked
                .iter()
                .filter(|blocked| blocked.bank == answer.bank)
                .collect(),
            error: answer.result.as_ref().err().map(ErrorPart::of),
        }
    });
    AuditDocument {
        time: taken.time,
        verdict: verdict(taken),
        banks: banks.collect(),
        total: taken.judged.is_whole().then_some(taken.judged.total),
        registers: taken.judged.registers,
        faults: &taken.judged.faults,
        error: failure.map(ErrorPart::of),
    }
}

/// A fault takes precedence over a missing part.
fn failure(taken: &CutAnswers) -> Option<Failure> {
    match taken.judged.faults.as_slice() {
        [] => taken.missing(),
        faults => Some(Failure::Own(format!("it does not add up: {}", faults.join("; ")))),
    }
}

fn verdict(taken: &CutAnswers) -> &'static str {
    if !taken.judged.faults.is_empty() {
        "broken"
    } else if taken.judged.is_whole() {
        "holds"
    } else {
        "unknown"
    }
}

fn text(context: &Context, taken: &CutAnswers, accounts: bool) -> String {
    let paint = context.paint;
    let cuts = || taken.answers.iter().filter_map(|answer| answer.result.as_ref().ok());
    if accounts && paint.is_rows() {
        return rows_of_all(context, cuts());
    }
    let mut text = paint.words({
        let time = utc(taken.time);
        say!("all banks as of {time}\n" / "todos os bancos em {time}\n")
    });
    let columns = SumColumns::new(&["bank", "address"], &["address"], &[]);
    let mut rows: Vec<_> = taken
        .answers
        .iter()
        .map(|answer| match &answer.result {
            Ok(cut) => sums_row(context, answer.bank, &answer.address, &cut.sums),
            Err(_) => {
                let mut row = vec![plain(answer.bank), plain(&answer.address)];
                row.resize(columns.headings.len() - 1, plain(""));
                row.push(paint.term(Tone::Bad, "no cut"));
                row
            }
        })
        .collect();
    if taken.judged.is_whole() {
        let (_, all) = paint.term(Tone::Plain, "all");
        rows.push(sums_row(context, all, "", &taken.judged.total));
    }
    text.push_str(&paint.table_of(&columns.layout(), rows));
    if accounts {
        text.push_str(&listing(context, cuts()));
    }
    let mut words = String::new();
    for fault in &taken.judged.faults {
        words.push_str(&format!("{}\n", paint.text(Tone::Bad, &told(fault))));
    }
    words.push_str(&missing_lines(context, taken));
    for bank in taken.judged.registers_unknown.iter() {
        let text = say!(
            "bank {bank} came later and did not know its registers yet at that time; the others' \
                are compared"
                / "o banco {bank} veio depois e ainda não conhecia os seus registros nesse tempo; \
                os dos outros são comparados"
        );
        words.push_str(&format!("{}\n", paint.text(Tone::Open, &text)));
    }
    words.push_str(&sentence(context, taken));
    text.push_str(&paint.words(words));
    text
}

fn sums_row(
    context: &Context,
    bank: impl ToString,
    address: &str,
    sums: &Sums,
) -> Vec<(Tone, String)> {
    let head = [plain(bank), plain(address)];
    head.into_iter().chain(sum_cells(context.paint, sums, sums.holds())).collect()
}

/// The columns of sums, and whether they add up, which both audits have behind their own.
const SUM_HEADINGS: [&str; 6] =
    ["balances", "cash in", "cash out", "transfers in", "transfers out", "verdict"];

/// The columns of an audit's table.
struct SumColumns {
    headings: Vec<&'static str>,
    spare: Vec<&'static str>,
}

impl SumColumns {
    /// Two columns of text and those of figures, before the sums. On a narrow terminal `first` are
    /// left out before the sums, and `last` after them.
    fn new(head: &[&'static str], first: &[&'static str], last: &[&'static str]) -> SumColumns {
        let [_, cash_in, cash_out, transfers_in, transfers_out, _] = SUM_HEADINGS;
        let sums = [cash_out, cash_in, transfers_out, transfers_in];
        SumColumns {
            headings: [head, &SUM_HEADINGS].concat(),
            spare: [first, &sums, last].concat(),
        }
    }

    fn layout(&self) -> TableLayout<'_> {
        TableLayout {
            headings: &self.headings,
            right: &self.headings[2..self.headings.len() - 1],
            below: None,
            spare: &self.spare,
        }
    }
}

/// The cells of `SUM_HEADINGS`.
fn sum_cells(paint: Paint, sums: &Sums, holds: bool) -> [ToneCell; 6] {
    [
        paint.money(sums.balance_total),
        paint.money(sums.cash_in_total),
        paint.money(sums.cash_out_total),
        paint.money(sums.transfers_in_total),
        paint.money(sums.transfers_out_total),
        verdict_cell(paint, holds),
    ]
}

/// The cell that says whether a row adds up.
fn verdict_cell(paint: Paint, holds: bool) -> ToneCell {
    if holds { paint.term(Tone::Good, "holds") } else { paint.term(Tone::Bad, "BROKEN") }
}

/// One table of all accounts and registers, for programs.
fn rows_of_all<'a>(context: &Context, cuts: impl Iterator<Item = &'a BankCut>) -> String {
    let mut rows = Vec::new();
    for cut in cuts {
        rows.extend(cut.accounts.iter().map(|account| {
            let balance = context.paint.money(account.balance.0);
            vec![plain(cut.bank), plain("account"), plain(&account.number), balance]
        }));
        let register =
            |(key, value)| vec![plain(cut.bank), plain("register"), plain(key), plain(value)];
        rows.extend(cut.registers.iter().map(register));
    }
    context.paint.table(&["bank", "kind", "name", "value"], &[], rows)
}

/// All accounts, then all registers with their value at each bank, for people.
fn listing<'a>(context: &Context, cuts: impl Iterator<Item = &'a BankCut> + Clone) -> String {
    let mut accounts = Vec::new();
    let mut registers = Vec::new();
    for cut in cuts {
        let named = |account: &CutAccount<'_>| format!("{}/{}", cut.bank, account.number);
        accounts.extend(
            cut.accounts
                .iter()
                .map(|account| vec![plain(named(account)), context.paint.money(account.balance.0)]),
        );
        registers.extend(cut.registers.iter().map(|(key, value)| (key, cut.bank, value)));
    }
    registers.sort();
    let registers: Vec<_> = registers
        .iter()
        .map(|(key, bank, value)| vec![plain(key), plain(bank), plain(value)])
        .collect();
    let mut text = context.paint.table(&["account", "balance"], &["balance"], accounts);
    if !registers.is_empty() {
        text.push_str(&context.paint.table(&["register", "bank", "value"], &[], registers));
    }
    text
}

/// Lines for each bank without a part in the cut: the reason, or the transactions that block it.
fn missing_lines(context: &Context, taken: &CutAnswers) -> String {
    let mut text = String::new();
    for answer in &taken.answers {
        let Err(failure) = &answer.result else { continue };
        let blocked: Vec<_> =
            taken.blocked.iter().filter(|blocked| blocked.bank == answer.bank).collect();
        let mut lines: Vec<String> = blocked
            .iter()
            .take(AUDIT_BLOCKED_SHOWN_MAX)
            .map(|blocked| cuts::in_words(blocked))
            .collect();
        if blocked.is_empty() {
            lines.push(failure.to_string());
        } else if blocked.len() > AUDIT_BLOCKED_SHOWN_MAX {
            let more = blocked.len() - AUDIT_BLOCKED_SHOWN_MAX;
            lines.push(say!(
                "... and {more} more transactions; cliente pending lists them"
                    / "... e mais {more} transações; cliente pendentes as lista"
            ));
        }
        for line in lines {
            text.push_str(&format!("{}\n", context.paint.text(Tone::Open, &line)));
        }
    }
    text
}

fn sentence(context: &Context, taken: &CutAnswers) -> String {
    let total = &taken.judged.total;
    let (tone, text) = match verdict(taken) {
        "holds" => {
            let those = if taken.judged.registers_unknown.is_empty() {
                ""
            } else {
                word!(" that know theirs" / " que conhecem os seus")
            };
            let registers = match taken.judged.registers {
                0 => String::new(),
                1 => say!(
                    "; the one register is equal at all banks{those}"
                        / "; o único registro é igual em todos os bancos{those}"
                ),
                count => say!(
                    "; {count} registers are equal at all banks{those}"
                        / "; {count} registros são iguais em todos os bancos{those}"
                ),
            };
            let balance = Total(total.balance_total);
            let (cash_in, cash_out) = (Total(total.cash_in_total), Total(total.cash_out_total));
            let text = say!(
                "It adds up: {balance} = cash in {cash_in} - cash out {cash_out}; transfers \
                    cancel{registers}."
                    / "A soma confere: {balance} = entradas {cash_in} - saídas {cash_out}; as \
                    transferências se anulam{registers}."
            );
            (Tone::Good, text)
        }
        "broken" => (Tone::Bad, word!("IT DOES NOT ADD UP." / "A SOMA NÃO CONFERE.").to_owned()),
        _ if taken.judged.left_may_hold => {
            let off = Total(total.transfers_in_total - total.transfers_out_total);
            let text = say!(
                "No verdict: transfers are {off} off, and a bank that left the consortium may hold \
                    the rest."
                    / "Sem resultado: às transferências faltam {off}, e um banco que deixou o \
                    consórcio pode ter o resto."
            );
            (Tone::Open, text)
        }
        _ => {
            let missing = banks_in_words(taken.judged.missing);
            let text = say!(
                "No verdict over all banks: the cut of {missing} is missing."
                    / "Sem resultado para todos os bancos: falta o corte de {missing}."
            );
            (Tone::Open, text)
        }
    };
    format!("{}\n", context.paint.text(tone, &text))
}
