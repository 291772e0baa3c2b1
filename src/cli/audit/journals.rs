//! `audit --journals`: proves the banks' data folders, offline.

use super::super::Context;
use super::super::failure::Failure;
use super::super::language::{say, word};
use super::super::output::{CommandOutput, ErrorPart, Tone, plain};
use super::super::table::ToneCell;
use super::super::waiting::in_words as banks_in_words;
use super::{SumColumns, sum_cells};
use consorcio_audit::cut::Sums;
use consorcio_audit::{JournalAudit, prove};
use consorcio_core::ids::{BankId, TxId};
use consorcio_core::limits::AUDIT_SHOWN_MAX;
use consorcio_words::sentences::told;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
struct ProofDocument<'a> {
    /// `holds`, `broken`, or `unknown` if a journal is missing.
    verdict: &'static str,
    banks: Vec<BookDocument<'a>>,
    missing: Vec<BankId>,
    committed: u64,
    aborted: u64,
    undecided: u64,
    unproven: u64,
    pending: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Sums>,
    registers: usize,
    violations_total: usize,
    violations: Vec<ViolationDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorPart>,
}

#[derive(Serialize)]
struct BookDocument<'a> {
    bank: BankId,
    folder: String,
    records: u64,
    accounts: usize,
    undecided: usize,
    holds: bool,
    #[serde(flatten)]
    sums: Sums,
    #[serde(skip_serializing_if = "Option::is_none")]
    torn: Option<&'a str>,
}

#[derive(Serialize)]
struct ViolationDocument<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    tx: Option<&'a TxId>,
    banks: &'a [BankId],
    text: &'a str,
}

/// Reads the folders on another thread, so that Ctrl-C works meanwhile.
pub(super) async fn run(context: &Context, folders: Vec<PathBuf>) -> CommandOutput {
    let (sender, proved) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // The receiver is gone if the command was interrupted.
        let _ = sender.send(prove(&folders));
    });
    match proved.await {
        Ok(Ok(proof)) => output(context, &proof),
        Ok(Err(fault)) => Failure::Own(fault.to_string()).into(),
        Err(_) => Failure::Own("the audit of the journals ended early".into()).into(),
    }
}

fn output(context: &Context, proof: &JournalAudit) -> CommandOutput {
    let failure = failure(proof);
    let books = proof.banks.iter().map(|book| BookDocument {
        bank: book.bank,
        folder: book.folder.display().to_string(),
        records: book.records,
        accounts: book.accounts,
        undecided: book.undecided,
        holds: book.holds,
        sums: book.sums,
        torn: book.torn.as_deref(),
    });
    let violations = proof.violations.iter().map(|violation| ViolationDocument {
        tx: violation.tx.as_ref(),
        banks: &violation.banks,
        text: &violation.text,
    });
    let document = ProofDocument {
        verdict: verdict(proof),
        banks: books.collect(),
        missing: proof.missing.iter().collect(),
        committed: proof.committed,
        aborted: proof.aborted,
        undecided: proof.undecided,
        unproven: proof.unproven,
        pending: proof.pending,
        total: proof.total,
        registers: proof.registers,
        violations_total: proof.violations_total,
        violations: violations.collect(),
        error: failure.as_ref().map(ErrorPart::of),
    };
    CommandOutput::new(text(context, proof), &document).with_failure(failure)
}

fn verdict(proof: &JournalAudit) -> &'static str {
    if proof.violations_total > 0 {
        "broken"
    } else if proof.missing.is_empty() {
        "holds"
    } else {
        "unknown"
    }
}

fn failure(proof: &JournalAudit) -> Option<Failure> {
    if let Some(first) = proof.violations.first() {
        let more = match proof.violations_total.saturating_sub(1) {
            0 => String::new(),
            more => say!(" (and {more} more)" / " (e mais {more})"),
        };
        let first = told(&first.text);
        return Some(Failure::Own(say!(
            "the journals do not hold: {first}{more}" / "os diários não conferem: {first}{more}"
        )));
    }
    (!proof.missing.is_empty()).then(|| Failure::Doubt(missing(proof)))
}

fn missing(proof: &JournalAudit) -> String {
    let (banks, unproven) = (banks_in_words(proof.missing), proof.unproven);
    say!(
        "the journal of {banks} is missing: {unproven} transactions that name it are proved only \
         as far as the others know"
            / "falta o diário de {banks}: {unproven} transações que o nomeiam só estão provadas \
               até onde os outros sabem"
    )
}

/// Where it is too wide, counts go first: the verdict and the balances are why it is read.
fn columns() -> SumColumns {
    let headings = ["bank", "folder", "records", "accounts", "undecided"];
    SumColumns::new(&headings, &["undecided", "records", "accounts"], &["folder"])
}

fn text(context: &Context, proof: &JournalAudit) -> String {
    let paint = context.paint;
    let mut rows: Vec<_> = proof
        .banks
        .iter()
        .map(|book| {
            let head = [
                plain(book.bank),
                plain(book.folder.display()),
                plain(book.records),
                plain(book.accounts),
                plain(book.undecided),
            ];
            row(context, head, &book.sums, book.holds)
        })
        .collect();
    if let Some(total) = &proof.total {
        let records = proof.banks.iter().map(|book| book.records).sum::<u64>();
        let accounts = proof.banks.iter().map(|book| book.accounts).sum::<usize>();
        let head = [
            paint.term(Tone::Plain, "all"),
            plain(""),
            plain(records),
            plain(accounts),
            plain(proof.undecided),
        ];
        let holds = proof.violations_total == 0 && total.holds();
        rows.push(row(context, head, total, holds));
    }
    let table = paint.table_of(&columns().layout(), rows);
    format!("{table}{}", paint.words(sentences(paint, proof)))
}

/// The findings and the verdict.
fn sentences(paint: crate::output::Paint, proof: &JournalAudit) -> String {
    let mut text = String::new();
    for torn in proof.banks.iter().filter_map(|book| book.torn.as_ref()) {
        text.push_str(&say!(
            "A torn tail, of records that were never acknowledged: {torn}\n"
                / "Um fim rasgado, de registros que nunca foram confirmados: {torn}\n",
            torn = told(torn)
        ));
    }
    for violation in proof.violations.iter().take(AUDIT_SHOWN_MAX) {
        text.push_str(&format!("{}\n", paint.text(Tone::Bad, &told(&violation.text))));
    }
    if proof.violations_total > AUDIT_SHOWN_MAX {
        let more = proof.violations_total - AUDIT_SHOWN_MAX;
        let told = proof.violations.len();
        text.push_str(&say!(
            "... and {more} more; --json tells up to {told}\n"
                / "... e mais {more}; --json diz até {told}\n"
        ));
    }
    let JournalAudit { committed, aborted, undecided, pending, registers, .. } = proof;
    text.push_str(&say!(
        "{committed} transactions committed, {aborted} aborted, {undecided} undecided; {pending} \
         commits not yet recorded at a bank; {registers} registers\n"
            / "{committed} transações efetivadas, {aborted} abortadas, {undecided} pendentes; \
               {pending} ainda não registradas num banco; {registers} registros\n"
    ));
    let (tone, sentence) = match verdict(proof) {
        "holds" => (
            Tone::Good,
            word!(
                "Every transaction is committed at all banks that it names or at none; it adds up."
                    / "Toda transação está efetivada em todos os bancos que nomeia ou em nenhum; a \
                       soma confere."
            )
            .to_owned(),
        ),
        "broken" => (
            Tone::Bad,
            say!(
                "THE JOURNALS DO NOT HOLD: {count} violations. (If these folders are copies: were \
                 all made while all banks were stopped? Copies of different moments do not hold.)"
                    / "OS DIÁRIOS NÃO CONFEREM: {count} violações. (Se estas pastas são cópias: \
                       todas foram feitas com todos os bancos parados? Cópias de momentos \
                       diferentes não conferem.)",
                count = proof.violations_total
            ),
        ),
        _ => {
            let missing = missing(proof);
            let text = say!(
                "No verdict over all banks: {missing}."
                    / "Sem resultado para todos os bancos: {missing}."
            );
            (Tone::Open, text)
        }
    };
    text.push_str(&format!("{}\n", paint.text(tone, &sentence)));
    text
}

fn row(context: &Context, head: [ToneCell; 5], sums: &Sums, holds: bool) -> Vec<ToneCell> {
    head.into_iter().chain(sum_cells(context.paint, sums, holds)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_at_80_columns_and_at_40() {
        let amount = "R$ 19.918.012.044,78";
        let cells = ["0", "data/bank-0", "1234567", "1000", "0"];
        let row = cells.into_iter().chain([amount; 5]).chain(["holds"]).map(plain).collect();
        let text = |width| columns().layout().draw(false, width, vec![Vec::clone(&row)]);
        for width in [80, 40] {
            let lines = text(width);
            // The last line is a sentence, which is wrapped where it is printed.
            assert!(lines.lines().take(2).all(|line| line.chars().count() <= width), "{lines}");
            assert!(lines.contains(amount) && lines.contains("holds"), "{lines}");
        }
        assert!(text(80).contains("data/bank-0"), "{}", text(80));
        assert_eq!(text(300).matches(amount).count(), 5, "{}", text(300));
    }
}
