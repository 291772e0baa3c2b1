//! The report of a contention run, and its verdict.

use super::super::args::ContentionArguments;
use super::super::failure::Failure;
use super::super::language::{Lang, lang, say, word};
use super::super::output::{CommandOutput, ErrorPart, Paint, Tone, micros, plain, took};
use super::RunEnding;
use super::tally::ContentionTally;
use super::verify::Verification;
use super::work::RunParameters;
use consorcio_core::limits::CONTENTION_FAULTS_SHOWN_MAX;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Serialize)]
pub(super) struct ContentionReport {
    pub(super) run: String,
    pub(super) seed: u64,
    pub(super) clients: u32,
    pub(super) seconds: u32,
    pub(super) accounts: u32,
    pub(super) hot_percent: u32,
    pub(super) driver: &'static str,
    pub(super) committed: u64,
    pub(super) committed_per_s: u64,
    pub(super) reads: u64,
    pub(super) nok: BTreeMap<&'static str, u64>,
    pub(super) aborted: BTreeMap<&'static str, u64>,
    pub(super) in_doubt: u64,
    pub(super) in_doubt_committed: u64,
    pub(super) in_doubt_aborted: u64,
    pub(super) unread: u64,
    pub(super) connections_lost: u64,
    pub(super) latency_us: ContentionLatency,
    pub(super) cuts: u64,
    pub(super) cuts_not_possible: u64,
    pub(super) verdict: RunVerdict,
    pub(super) broken: Vec<String>,
    pub(super) contradictions_total: u64,
    pub(super) contradictions: Vec<String>,
    pub(super) undecided: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<ErrorPart>,
    #[serde(skip)]
    pub(super) failure: Option<Failure>,
}

#[derive(Serialize)]
pub(super) struct ContentionLatency {
    pub(super) p50: u64,
    pub(super) p90: u64,
    pub(super) p99: u64,
    pub(super) max: u64,
}

/// The checks of a run; `None` if a bank is missing, so that the result is not known.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct RunVerdict {
    /// Every cut added up, including the last one.
    conserved: Option<bool>,
    /// The run's registers are equal at all banks.
    registers_equal: Option<bool>,
    /// No bank holds a transaction undecided.
    all_decided: bool,
    /// Every outcome is as its client knows it, and the same at all banks.
    as_told: Option<bool>,
}

impl RunVerdict {
    fn new(tally: &ContentionTally, verification: &Verification, ending: &RunEnding) -> RunVerdict {
        let check = |fails: bool, is_known: bool| (fails || is_known).then_some(!fails);
        let registers_differ = tally.broken.iter().any(|text| text.contains("register "));
        let money_differs = !tally.broken.is_empty() && !registers_differ;
        RunVerdict {
            conserved: check(money_differs, ending.last_cut.is_ok()),
            registers_equal: check(registers_differ, ending.last_cut.is_ok()),
            all_decided: verification.undecided.is_empty() && ending.pending.is_empty(),
            as_told: check(
                verification.contradictions_total > 0,
                verification.silent.is_none() && verification.undecided.is_empty(),
            ),
        }
    }
}

/// The failure if transactions are still undecided.
fn still_undecided(undecided: &[String]) -> Option<Failure> {
    let (tx, count) = (undecided.first()?, undecided.len());
    let text = say!(
        "{count} transactions are still undecided, {tx} among them; cliente pending"
            / "{count} transações ainda em aberto, {tx} entre elas; cliente pendentes"
    );
    Some(Failure::Doubt(text))
}

/// The failure of the last cut. The list was right when the run began, so a list that is too short
/// now means that the consortium grew meanwhile.
fn last_cut_failure(failure: Failure) -> Failure {
    if let Failure::Usage(why) = failure { Failure::Doubt(why) } else { failure }
}

impl ContentionReport {
    /// The report of a run that took `elapsed`.
    pub(super) fn new(
        arguments: &ContentionArguments,
        parameters: &RunParameters,
        tally: ContentionTally,
        verification: Verification,
        ending: RunEnding,
        elapsed: Duration,
    ) -> ContentionReport {
        let verdict = RunVerdict::new(&tally, &verification, &ending);
        let mut undecided: Vec<String> =
            verification.undecided.iter().map(|tx| tx.as_str().to_owned()).collect();
        undecided.extend(ending.pending);
        undecided.sort();
        undecided.dedup();
        let mix = &arguments.mix;
        let changes_only_fail = tally.committed == 0 && mix.set + mix.transfer + mix.composite > 0;
        let broken = tally.broken.first().or(verification.contradictions.first());
        let failure = broken
            .map(|text| Failure::Own(text.clone()))
            .or(verification.silent)
            .or_else(|| still_undecided(&undecided))
            .or_else(|| ending.last_cut.err().map(last_cut_failure))
            .or_else(|| {
                let text =
                    word!("no transaction was committed" / "nenhuma transação foi efetivada");
                let text = text.to_owned();
                changes_only_fail.then_some(Failure::Aborted(text))
            });
        let latency = &tally.latency_us;
        ContentionReport {
            run: parameters.names.run.clone(),
            seed: parameters.seed,
            clients: arguments.clients,
            seconds: arguments.seconds,
            accounts: arguments.accounts,
            hot_percent: arguments.hot,
            driver: if arguments.via_bank { "bank" } else { "client" },
            committed: tally.committed,
            committed_per_s: tally.committed.saturating_mul(1_000_000) / micros(elapsed).max(1),
            reads: tally.reads,
            in_doubt: tally.in_doubt,
            in_doubt_committed: verification.doubt_committed,
            in_doubt_aborted: verification.doubt_aborted,
            unread: tally.unread,
            connections_lost: tally.lost,
            latency_us: ContentionLatency {
                p50: latency.value_at_quantile(0.5),
                p90: latency.value_at_quantile(0.9),
                p99: latency.value_at_quantile(0.99),
                max: latency.max(),
            },
            cuts: tally.cuts,
            cuts_not_possible: tally.no_cuts,
            nok: tally.nok,
            aborted: tally.aborted,
            verdict,
            broken: tally.broken,
            contradictions_total: verification.contradictions_total,
            contradictions: verification.contradictions,
            undecided,
            error: failure.as_ref().map(ErrorPart::of),
            failure,
        }
    }

    /// The output in the chosen form.
    pub(super) fn output(self, paint: Paint) -> CommandOutput {
        let text = if paint.is_rows() { self.rows(paint) } else { self.words(paint) };
        let failure = self.failure.clone();
        CommandOutput::new(text, &self).with_failure(failure)
    }

    /// The verdict in one word.
    fn word(&self) -> &'static str {
        match self.failure {
            None => "holds",
            Some(Failure::Own(_)) => "fails",
            Some(_) => "unknown",
        }
    }

    fn rows(&self, paint: Paint) -> String {
        let ContentionLatency { p50, p90, p99, max } = self.latency_us;
        let sum = |by: &BTreeMap<&str, u64>| by.values().sum::<u64>();
        let cells: Vec<(&str, String)> = vec![
            ("run", self.run.clone()),
            ("seed", self.seed.to_string()),
            ("clients", self.clients.to_string()),
            ("seconds", self.seconds.to_string()),
            ("committed", self.committed.to_string()),
            ("committed_per_s", self.committed_per_s.to_string()),
            ("reads", self.reads.to_string()),
            ("nok", sum(&self.nok).to_string()),
            ("aborted", sum(&self.aborted).to_string()),
            ("in_doubt", self.in_doubt.to_string()),
            ("p50_us", p50.to_string()),
            ("p90_us", p90.to_string()),
            ("p99_us", p99.to_string()),
            ("max_us", max.to_string()),
            ("cuts", self.cuts.to_string()),
            ("verdict", self.word().to_owned()),
        ];
        let headings: Vec<&str> = cells.iter().map(|(heading, _)| *heading).collect();
        paint.table(&headings, &[], vec![cells.iter().map(|(_, cell)| plain(cell)).collect()])
    }

    fn words(&self, paint: Paint) -> String {
        let ContentionReport { run, clients, seconds, accounts, hot_percent, seed, .. } = self;
        let by = match (self.driver, lang()) {
            ("bank", Lang::Pt) => "banco",
            ("client", Lang::Pt) => "cliente",
            (word, _) => word,
        };
        let mut text = say!(
            "contention {run}: {clients} clients, {seconds} s, {accounts} accounts a bank of \
             which one is hot at {hot_percent} %, driven by the {by}, seed {seed}\n"
                / "disputa {run}: {clients} clientes, {seconds} s, {accounts} contas por banco, \
                   uma delas com {hot_percent} % dos acessos, conduzida pelo {by}, semente {seed}\n"
        );
        self.counts(&mut text);
        let possible = match self.cuts_not_possible {
            0 => String::new(),
            count => say!(
                ", {count} were not possible while a bank was down or in doubt"
                    / ", {count} não foram possíveis com um banco fora do ar ou em dúvida"
            ),
        };
        let cuts = self.cuts;
        text.push_str(&say!(
            "cuts        {cuts} added up{possible}\n" / "cortes      {cuts} conferem{possible}\n"
        ));
        for list in [&self.broken, &self.contradictions] {
            for line in list.iter().take(CONTENTION_FAULTS_SHOWN_MAX) {
                text.push_str(&format!("{}\n", paint.text(Tone::Bad, line)));
            }
            if list.len() > CONTENTION_FAULTS_SHOWN_MAX {
                let more = list.len() - CONTENTION_FAULTS_SHOWN_MAX;
                text.push_str(&say!("... and {more} more\n" / "... e mais {more}\n"));
            }
        }
        text.push_str(&self.verdict_in_words(paint));
        text
    }

    /// How many transactions ended how, and in which time.
    fn counts(&self, text: &mut String) {
        let ContentionReport { committed, committed_per_s, reads, in_doubt, unread, .. } = self;
        text.push_str(&say!(
            "committed   {committed} ({committed_per_s}/s), {reads} reads\n"
                / "efetivadas  {committed} ({committed_per_s}/s), {reads} leituras\n"
        ));
        for (reason, count) in &self.nok {
            text.push_str(&format!("NOK         {count} {reason}\n"));
        }
        for (reason, count) in &self.aborted {
            let word = word!("aborted   " / "abortadas ");
            text.push_str(&format!("{word}  {count} {reason}\n"));
        }
        if *in_doubt > 0 {
            let (ended, aborted) = (self.in_doubt_committed, self.in_doubt_aborted);
            text.push_str(&say!(
                "in doubt    {in_doubt}, of which {ended} turned out committed and {aborted} \
                 aborted\n"
                    / "em dúvida   {in_doubt}, das quais {ended} efetivadas e {aborted} abortadas \
                       no fim\n"
            ));
        }
        if self.connections_lost > 0 {
            let lost = self.connections_lost;
            text.push_str(&say!(
                "lost        {lost} connections, {unread} reads without an answer\n"
                    / "perdidas    {lost} conexões, {unread} leituras sem resposta\n"
            ));
        }
        let ContentionLatency { p50, p90, p99, max } = self.latency_us;
        let [p50, p90, p99, max] = [p50, p90, p99, max].map(|us| took(Duration::from_micros(us)));
        text.push_str(&say!(
            "committed after  p50 {p50} · p90 {p90} · p99 {p99} · max {max}\n"
                / "efetivadas após  p50 {p50} · p90 {p90} · p99 {p99} · máx. {max}\n"
        ));
    }

    /// What was checked, each with its result.
    pub(super) fn checks(&self) -> [(&'static str, Option<bool>); 4] {
        [
            (
                word!("no centavo is made or lost" / "nenhum centavo surge nem some"),
                self.verdict.conserved,
            ),
            (
                word!(
                    "registers are equal at all banks"
                        / "os registros são iguais em todos os bancos"
                ),
                self.verdict.registers_equal,
            ),
            (
                word!("nothing is left undecided" / "nada fica em aberto"),
                Some(self.verdict.all_decided),
            ),
            (
                word!(
                    "every outcome is as its client was told, at all banks"
                        / "cada resultado é o que o seu cliente soube, em todos os bancos"
                ),
                self.verdict.as_told,
            ),
        ]
    }

    /// The verdict in one sentence.
    pub(super) fn sentence(&self) -> (Tone, String) {
        match &self.failure {
            None => (Tone::Good, word!("All of it holds." / "Tudo confere.").to_owned()),
            Some(Failure::Own(why)) => {
                (Tone::Bad, say!("IT DOES NOT HOLD: {why}" / "NÃO CONFERE: {why}"))
            }
            Some(failure) => (
                Tone::Open,
                say!(
                    "It is not known whether all of it holds: {failure}"
                        / "Não se sabe se tudo confere: {failure}"
                ),
            ),
        }
    }

    fn verdict_in_words(&self, paint: Paint) -> String {
        let mut text = String::new();
        for (check, holds) in self.checks() {
            let (tone, word) = match holds {
                Some(true) => (Tone::Good, word!("yes" / "sim")),
                Some(false) => (Tone::Bad, word!("NO " / "NÃO")),
                None => (Tone::Open, "?  "),
            };
            text.push_str(&format!("{} {check}\n", paint.text(tone, word)));
        }
        let (tone, sentence) = self.sentence();
        text.push_str(&format!("{}\n", paint.text(tone, &sentence)));
        text
    }
}
