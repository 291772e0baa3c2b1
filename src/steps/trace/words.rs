//! The texts of a timeline for people, in English and Portuguese: durations, outcomes, requests,
//! and activities of nodes.

use super::timeline::{
    Lane, LaneKind, LegKind, SpanKind, Timeline, TraceVerdict, TracedCall, TracedEvent,
};
use crate::line::{Load, LoggedOutcome, OkCount, ReplySummary, Step};
use consorcio_core::wire::Reason;
use consorcio_words::{Lang, reasons};

/// Formats a duration in microseconds: `281 µs`, `1.649 ms`, `2.961 s`, `1 h 2 min`; in Portuguese
/// with a decimal comma.
pub fn duration(us: i64, lang: Lang) -> String {
    let (sign, us) = (if us < 0 { "-" } else { "" }, us.unsigned_abs());
    let parts = |unit: u64, name: &str| {
        let point = pick(lang, ".", ",");
        format!("{sign}{}{point}{:03} {name}", us / unit, us % unit * 1_000 / unit)
    };
    match us {
        0..1_000 => format!("{sign}{us} µs"),
        1_000..1_000_000 => parts(1_000, "ms"),
        1_000_000..60_000_000 => parts(1_000_000, "s"),
        60_000_000..3_600_000_000 => {
            format!("{sign}{} min {} s", us / 60_000_000, us % 60_000_000 / 1_000_000)
        }
        3_600_000_000.. => {
            format!("{sign}{} h {} min", us / 3_600_000_000, us % 3_600_000_000 / 60_000_000)
        }
    }
}

/// A reason of the protocol; a later version may have more of them.
pub fn reason_in_words(name: &str, lang: Lang) -> &str {
    match Reason::parse(name) {
        Some(reason) if lang == Lang::Pt => reasons::phrase(reason),
        Some(_) | None => name,
    }
}

/// The text in this language.
fn pick(lang: Lang, english: &'static str, portuguese: &'static str) -> &'static str {
    match lang {
        Lang::En => english,
        Lang::Pt => portuguese,
    }
}

impl Lane {
    /// The name of the node: `bank 0`, or that of a client.
    pub fn name_in(&self, lang: Lang) -> String {
        match (self.bank, self.logged) {
            (Some(bank), _) => format!("{} {bank}", pick(lang, "bank", "banco")),
            (None, false) if self.kind == LaneKind::Client => {
                pick(lang, "client", "cliente").to_owned()
            }
            (None, _) => self.name.clone(),
        }
    }
}

impl TraceVerdict {
    /// The text for people.
    pub fn in_words(self, lang: Lang) -> &'static str {
        match self {
            TraceVerdict::Committed => pick(lang, "committed", "efetivada"),
            TraceVerdict::Aborted => pick(lang, "aborted", "abortada"),
            TraceVerdict::Undecided => pick(lang, "undecided", "em aberto"),
            TraceVerdict::Nothing => pick(lang, "nothing happened", "nada aconteceu"),
            TraceVerdict::Contradiction => pick(lang, "CONTRADICTION", "CONTRADIÇÃO"),
        }
    }
}

impl SpanKind {
    /// The text for people.
    pub fn in_words(self, lang: Lang) -> &'static str {
        match self {
            SpanKind::Drive => pick(lang, "drives", "conduz"),
            SpanKind::Hold => pick(lang, "holds", "reserva"),
            SpanKind::Doubt => pick(lang, "in doubt", "em dúvida"),
            SpanKind::Queue => pick(lang, "queue", "fila"),
            SpanKind::Batch => pick(lang, "waits for its sync", "espera a sua vez no disco"),
            SpanKind::Sync => pick(lang, "sync", "gravação em disco"),
        }
    }
}

impl LegKind {
    /// The text for people.
    pub fn in_words(self, lang: Lang) -> &'static str {
        match self {
            LegKind::Network => pick(lang, "network", "rede"),
            LegKind::Queue => pick(lang, "queue and vote", "fila e voto"),
            LegKind::Batch => pick(lang, "wait for sync", "espera do disco"),
            LegKind::Sync => pick(lang, "sync", "disco"),
            LegKind::Release => pick(lang, "reply", "resposta"),
            LegKind::Bank => pick(lang, "bank", "banco"),
            LegKind::Driver => pick(lang, "driver", "cliente"),
            LegKind::Wait => pick(lang, "waits", "esperas"),
        }
    }
}

impl Timeline {
    /// The outcome in one line without colours: outcome, reason, duration.
    pub fn headline(&self, lang: Lang) -> String {
        let mut line = self.outcome_in_words(lang);
        for time in self.times_in_words(lang) {
            line.push_str(&format!(" · {time}"));
        }
        line
    }

    /// The outcome, and the reason of an abort.
    pub fn outcome_in_words(&self, lang: Lang) -> String {
        let word = self.verdict.in_words(lang);
        match self.verdict {
            TraceVerdict::Aborted => {
                let reason = reason_in_words(self.reason.as_deref().unwrap_or("refused"), lang);
                let by = pick(lang, "by bank", "pelo banco");
                let by = self.refused_by.map_or(String::new(), |bank| format!(" {by} {bank}"));
                format!("{word}: {reason}{by}")
            }
            TraceVerdict::Undecided => {
                let list = |banks: &mut dyn Iterator<Item = &u8>| {
                    banks.map(u8::to_string).collect::<Vec<_>>().join(", ")
                };
                let oks = list(&mut self.oks.iter());
                let silent = list(&mut self.banks.iter().filter(|bank| !self.oks.contains(bank)));
                match (lang, silent.is_empty()) {
                    (Lang::En, true) => {
                        format!("{word}: OK of bank {oks}; not each of them is known to be on disk")
                    }
                    (Lang::En, false) => {
                        format!("{word}: OK of bank {oks}; no vote of bank {silent} is known")
                    }
                    (Lang::Pt, true) => {
                        format!("{word}: OK do banco {oks}; não se sabe se cada um está em disco")
                    }
                    (Lang::Pt, false) => {
                        format!(
                            "{word}: OK do banco {oks}; não há voto conhecido do banco {silent}"
                        )
                    }
                }
            }
            TraceVerdict::Committed | TraceVerdict::Nothing | TraceVerdict::Contradiction => {
                word.to_owned()
            }
        }
    }

    /// When the outcome was known: to the driver, and to every bank.
    pub fn times_in_words(&self, lang: Lang) -> Vec<String> {
        let mut times = Vec::new();
        if let Some(known) = self.known_us {
            let (lane, took) =
                (self.known_at.and_then(|lane| self.lanes.get(lane)), duration(known, lang));
            let bank = lane.filter(|lane| lane.kind == LaneKind::Bank);
            times.push(match (bank.map(|bank| bank.name_in(lang)), lang) {
                (Some(bank), Lang::En) => format!("first known at {bank} after {took}"),
                (Some(bank), Lang::Pt) => format!("conhecida primeiro no {bank}, após {took}"),
                (None, Lang::En) => format!("told after {took}"),
                (None, Lang::Pt) => format!("cliente avisado após {took}"),
            });
        }
        if let Some(last) =
            self.known_everywhere_us.filter(|last| self.known_us.is_none_or(|first| *last > first))
        {
            let everywhere = pick(lang, "known at every bank after", "em todos os bancos após");
            times.push(format!("{everywhere} {}", duration(last, lang)));
        }
        times
    }
}

impl TracedCall {
    /// The request, for people.
    pub fn request_words(&self, lang: Lang) -> String {
        let verb = self.verb;
        match (self.carried, lang) {
            (Load::Nothing, _) => verb.to_string(),
            (Load::Tokens(0), Lang::En) => format!("{verb} without tokens"),
            (Load::Tokens(0), Lang::Pt) => format!("{verb} sem provas"),
            (Load::Tokens(1), Lang::En) => format!("{verb} with a token"),
            (Load::Tokens(1), Lang::Pt) => format!("{verb} com uma prova"),
            (Load::Tokens(tokens), Lang::En) => format!("{verb} with {tokens} tokens"),
            (Load::Tokens(tokens), Lang::Pt) => format!("{verb} com {tokens} provas"),
            (Load::Ops(1, _) | Load::OpsOutside(1, _), Lang::En) => {
                format!("{verb} of one operation")
            }
            (Load::Ops(1, _) | Load::OpsOutside(1, _), Lang::Pt) => {
                format!("{verb} de uma operação")
            }
            (Load::Ops(ops, _) | Load::OpsOutside(ops, _), Lang::En) => {
                format!("{verb} of {ops} operations")
            }
            (Load::Ops(ops, _) | Load::OpsOutside(ops, _), Lang::Pt) => {
                format!("{verb} de {ops} operações")
            }
        }
    }

    /// The reply, for people: without the numbers that other columns have.
    pub fn reply_words(&self) -> String {
        match self.reply {
            Some(ReplySummary { word: word @ ("NOK" | "ABORTED"), reason, .. }) => {
                format!("{word} {}", reason.map_or("", Reason::as_str))
            }
            Some(ReplySummary { word, .. }) => word.to_owned(),
            None => String::new(),
        }
    }
}

impl LoggedOutcome {
    /// The first word of the outcome, and the reason of an abort.
    pub(super) fn words(self) -> (&'static str, Option<Reason>) {
        match self {
            LoggedOutcome::Committed(_) | LoggedOutcome::Outside(_, None) => ("COMMITTED", None),
            LoggedOutcome::Aborted(_, reason) | LoggedOutcome::Outside(_, Some(reason)) => {
                ("ABORTED", Some(reason))
            }
            LoggedOutcome::Unknown(_) => ("UNKNOWN", None),
            LoggedOutcome::Unreached => ("UNREACHED", None),
        }
    }

    fn in_words(self) -> String {
        let (word, reason) = self.words();
        reason.map_or(word.to_owned(), |reason| format!("{word} {reason}"))
    }
}

impl TracedEvent {
    /// The duration that the event itself has.
    pub fn took_us(&self) -> Option<i64> {
        match self.step {
            Some(
                Step::Recover { took_us, .. }
                | Step::Sync { took_us, .. }
                | Step::LinkUp(_, took_us),
            ) => i64::try_from(took_us).ok(),
            _ => None,
        }
    }

    /// The activity of the node, for people.
    pub fn in_words(&self, lang: Lang) -> String {
        let Some(step) = &self.step else { return format!("{} {}", self.event, self.detail) };
        match lang {
            Lang::En => self.in_english(step),
            Lang::Pt => self.in_portuguese(step),
        }
    }

    fn in_english(&self, step: &Step) -> String {
        match step {
            Step::Vote { refusal: None, .. } => "votes OK".to_owned(),
            Step::Vote { refusal: Some(reason), .. } => format!("votes NOK {reason}"),
            Step::Refuse { reason, .. } => format!("refuses it permanently: {reason}"),
            Step::Outcome { ending, .. } => format!("records {}", ending.in_words()),
            Step::Drove { ending, .. } => {
                format!("keeps for its history: {}", ending.in_words())
            }
            Step::Verdict { ending, oks: (oks, banks), .. } => {
                let (word, reason) = ending.words();
                let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
                format!("verdict {word}, OKs {oks}/{banks}{reason}")
            }
            Step::Count { from, oks: OkCount(oks, banks), .. } => {
                format!("counts the OK of bank {from}: {oks}/{banks}")
            }
            Step::Sync { records: 1, .. } => "one record synced".to_owned(),
            Step::Sync { records, .. } => format!("{records} records synced"),
            Step::Doubt(_, cause) => format!("in doubt: {}", cause.as_str()),
            Step::Drive(_) => "drives it".to_owned(),
            Step::Timeout(..) => format!("time-out: {}", self.detail),
            Step::GaveUp(_) => "answers its clients that it is not known yet".to_owned(),
            Step::Answer { verb: Some(verb), summary: None, .. } => {
                format!("no answer to {verb}")
            }
            Step::Start(_) => "starts".to_owned(),
            Step::Recover { undecided, .. } => {
                format!("has read its journal, {undecided} undecided")
            }
            Step::LinkDown(bank, why) => format!("no line to bank {bank}: {why}"),
            _ => format!("{} {}", self.event, self.detail),
        }
    }

    fn in_portuguese(&self, step: &Step) -> String {
        match step {
            Step::Vote { refusal: None, .. } => "vota OK".to_owned(),
            Step::Vote { refusal: Some(reason), .. } => format!("vota NOK {reason}"),
            Step::Refuse { reason, .. } => format!("recusa de vez: {reason}"),
            Step::Outcome { ending, .. } => format!("registra {}", ending.in_words()),
            Step::Drove { ending, .. } => {
                format!("guarda no seu histórico: {}", ending.in_words())
            }
            Step::Verdict { ending, oks: (oks, banks), .. } => {
                let (word, reason) = ending.words();
                let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
                format!("resultado {word}, OKs {oks}/{banks}{reason}")
            }
            Step::Count { from, oks: OkCount(oks, banks), .. } => {
                format!("conta o OK do banco {from}: {oks}/{banks}")
            }
            Step::Sync { records: 1, .. } => "registro em disco".to_owned(),
            Step::Sync { records, .. } => format!("{records} registros em disco"),
            Step::Doubt(_, cause) => format!("em dúvida: {}", cause.as_str()),
            Step::Drive(_) => "conduz a transação".to_owned(),
            Step::Timeout(..) => format!("prazo esgotado: {}", self.detail),
            Step::GaveUp(_) => "responde que o resultado ainda não é conhecido".to_owned(),
            Step::Answer { verb: Some(verb), summary: None, .. } => {
                format!("{verb} sem resposta")
            }
            Step::Start(_) => "inicia".to_owned(),
            Step::Recover { undecided, .. } => {
                format!("leu o seu diário, {undecided} em aberto")
            }
            Step::LinkDown(bank, why) => format!("sem ligação com o banco {bank}: {why}"),
            _ => format!("{} {}", self.event, self.detail),
        }
    }
}
