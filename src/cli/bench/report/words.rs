//! The report of a benchmark as people read it, in 80 columns.

use super::super::super::language::{Lang, lang, say, word};
use super::super::super::output::{Paint, Tone, plain, took};
use super::super::super::table::TableLayout;
use super::{BenchReport, Figures};
use consorcio_core::money::Total;
use std::time::Duration;

impl BenchReport {
    pub(super) fn in_words(&self, paint: Paint) -> String {
        let mut text = self.title();
        // The unit stands once, so that all columns fit into 80.
        let headings =
            ["run", "committed", "/s", "p50 ms", "p75", "p90", "p99", "p99.9", "p99.99", "max"];
        let rows = self.lines().map(|(run, figures)| {
            let mut row =
                vec![plain(run), plain(figures.committed), plain(figures.committed_per_s)];
            let took = |us: u64| took(Duration::from_micros(us)).trim_end_matches(" ms").to_owned();
            row.extend(figures.latency_us.each().map(|us| plain(took(us))));
            row
        });
        let spare = ["p75", "p99.99", "p99.9"];
        let layout = TableLayout {
            headings: &headings,
            right: &headings[1..],
            spare: &spare,
            ..TableLayout::default()
        };
        text.push_str(&paint.table_of(&layout, rows.collect()));
        for (reason, count) in &self.figures.not_committed {
            let word = word!("not committed" / "não efetivadas");
            text.push_str(&format!("{word}  {count} {reason}\n"));
        }
        if self.figures.without_verdict > 0 {
            let left = self.figures.without_verdict;
            text.push_str(&say!(
                "no verdict     {left} when the clients left\n"
                    / "sem resultado  {left} quando os clientes saíram\n"
            ));
        }
        if let Some(behind @ 1..) = self.figures.behind {
            let detail = say!(
                "{behind} were due and never begun; they count with the time that they waited"
                    / "{behind} deviam começar e não começaram; contam com o tempo que esperaram"
            );
            let word = paint.text(Tone::Open, word!("behind" / "atrasadas"));
            text.push_str(&format!("{word}         {detail}\n"));
        }
        text.push_str(&self.money(paint));
        text
    }

    /// What was measured: the kind of transactions, and the load.
    fn title(&self) -> String {
        let BenchReport { kind, driver, clients, depth, seconds, accounts, .. } = self;
        let pace = match self.rate {
            Some(rate) => say!(
                "{rate}/s over {clients} clients (up to {depth} under way each)"
                    / "{rate}/s por {clients} clientes (até {depth} em curso em cada um)"
            ),
            None => say!(
                "{clients} clients x {depth} under way" / "{clients} clientes x {depth} em curso"
            ),
        };
        let hot = if self.hot { word!(", one of them hot" / ", uma delas disputada") } else { "" };
        let by = match (*driver, lang()) {
            ("bank", Lang::Pt) => "banco",
            ("client", Lang::Pt) => "cliente",
            (word, _) => word,
        };
        say!(
            "{kind} transactions, driven by the {by}: {pace}, {seconds} s, {accounts} accounts a \
             bank{hot}\n"
                / "transações {kind}, conduzidas pelo {by}: {pace}, {seconds} s, {accounts} \
                   contas por banco{hot}\n"
        )
    }

    /// Whether money was conserved.
    fn money(&self, paint: Paint) -> String {
        let Figures { balance_before, balance_after, cash_in, cash_out, conserved, .. } =
            self.figures;
        let (tone, word) = if conserved {
            (Tone::Good, word!("conserved" / "conservado"))
        } else {
            (Tone::Bad, word!("NOT CONSERVED" / "NÃO CONSERVADO"))
        };
        let word = paint.text(tone, word);
        let [before, after] = [balance_before, balance_after].map(Total);
        let [cash_in, cash_out] = [cash_in, cash_out].map(Total);
        say!(
            "money          {word}: {before} before, {after} after, cash in {cash_in}, cash out \
             {cash_out}\n"
                / "dinheiro       {word}: {before} antes, {after} depois, entradas {cash_in}, \
                   saídas {cash_out}\n"
        )
    }
}
