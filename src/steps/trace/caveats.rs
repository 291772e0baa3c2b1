//! What a reader of a timeline must know: clocks that were shifted, logs that are missing.

use super::duration;
use super::timeline::Lane;
use consorcio_words::Lang;
use serde::{Serialize, Serializer};
use std::path::PathBuf;

/// A note on a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caveat {
    /// The clock of this node differs from the others, so its times are shifted.
    Shifted(Lane),
    /// There is no log of this node.
    NoLog(Lane),
    /// The beginning of the transaction at this node, or all of it, was rotated away.
    RotatedAway {
        /// The node of the log.
        lane: Lane,
        /// Whether the log has a line of the transaction.
        has_end: bool,
        /// When the log begins now, in microseconds since 1970.
        from_us: i64,
    },
    /// The log of this bank has no line of the transaction.
    NoLines(Lane),
    /// This compressed file can't be decoded to its end, so lines may be missing.
    Damaged(PathBuf),
    /// No log shows that this bank, which the transaction names, received it.
    Unseen(u8),
    /// One log says committed and another one aborted.
    Contradiction,
    /// All votes are durable OKs, and no log has a verdict.
    NoVerdict,
    /// This number of requests was paired with its receipts by order alone.
    ByOrder(usize),
}

impl Caveat {
    /// The note as a sentence.
    pub fn in_words(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.in_english(),
            Lang::Pt => self.in_portuguese(),
        }
    }

    fn in_english(&self) -> String {
        match self {
            Caveat::Shifted(lane) => {
                let direction = if lane.shift_us > 0 { "behind" } else { "ahead of" };
                format!(
                    "the clock of {} is {} {direction} the others'; its times are shifted, so \
                     that nothing arrives before it left",
                    lane.name_in(Lang::En),
                    duration(lane.shift_us.abs(), Lang::En)
                )
            }
            Caveat::NoLog(lane) => {
                let at = lane.address.as_ref().map_or(String::new(), |it| format!(" at {it}"));
                let name = lane.name_in(Lang::En);
                format!("there is no log of {name}{at}: its part is known from other logs only")
            }
            Caveat::RotatedAway { lane, has_end, from_us } => {
                let what = if *has_end { "beginning" } else { "part" };
                format!(
                    "its {what} at {} was rotated away: that log begins {} (--log-keep and \
                     --log-transactions say how much is kept)",
                    lane.name_in(Lang::En),
                    utc(*from_us)
                )
            }
            Caveat::NoLines(lane) => {
                let name = lane.name_in(Lang::En);
                format!("the log of {name} has no line of it: its part is known from other logs")
            }
            Caveat::Damaged(path) => {
                format!(
                    "{} is damaged: lines of it are missing, and may be in a backup of the file",
                    path.display()
                )
            }
            Caveat::Unseen(bank) => {
                format!("no log shows that bank {bank}, which it names, received it")
            }
            Caveat::Contradiction => {
                "one log says committed and another one aborted: this must not be".to_owned()
            }
            Caveat::NoVerdict => {
                "every bank's OK is durable, so it is committed, though no log has a verdict"
                    .to_owned()
            }
            Caveat::ByOrder(calls) => {
                let them = if *calls == 1 { "request is" } else { "requests are" };
                format!(
                    "{calls} {them} paired by their order alone, the first sent with the first \
                     received: the logs have no numbers of them, or the same ones twice"
                )
            }
        }
    }

    fn in_portuguese(&self) -> String {
        match self {
            Caveat::Shifted(lane) => {
                let direction = if lane.shift_us > 0 { "atrasado" } else { "adiantado" };
                format!(
                    "o relógio de {} está {} {direction}; os seus tempos foram deslocados, para \
                     que nada chegue antes de ser enviado",
                    lane.name_in(Lang::Pt),
                    duration(lane.shift_us.abs(), Lang::Pt)
                )
            }
            Caveat::NoLog(lane) => {
                let at = lane.address.as_ref().map_or(String::new(), |it| format!(" em {it}"));
                let name = lane.name_in(Lang::Pt);
                format!("não há log de {name}{at}: a sua parte só é conhecida por outros logs")
            }
            Caveat::RotatedAway { lane, has_end, from_us } => {
                let what = if *has_end { "o seu começo" } else { "a sua parte" };
                format!(
                    "{what} em {} já foi apagado pela rotação: esse log começa em {} (--log-keep e \
                     --log-transactions dizem quanto é guardado)",
                    lane.name_in(Lang::Pt),
                    utc(*from_us)
                )
            }
            Caveat::NoLines(lane) => {
                let name = lane.name_in(Lang::Pt);
                format!("o log de {name} não tem linha dela: a sua parte vem de outros logs")
            }
            Caveat::Damaged(path) => {
                format!(
                    "{} está danificado: faltam linhas dele, que podem estar em uma cópia do \
                     arquivo",
                    path.display()
                )
            }
            Caveat::Unseen(bank) => {
                format!("nenhum log mostra que o banco {bank}, que ela nomeia, a recebeu")
            }
            Caveat::Contradiction => {
                "um log diz efetivada e outro abortada: isso não pode acontecer".to_owned()
            }
            Caveat::NoVerdict => {
                "o OK de cada banco está em disco, portanto foi efetivada, embora nenhum log \
                 tenha o resultado"
                    .to_owned()
            }
            Caveat::ByOrder(calls) => {
                let them = if *calls == 1 { "pedido foi ligado" } else { "pedidos foram ligados" };
                format!(
                    "{calls} {them} só pela ordem, o primeiro enviado ao primeiro recebido: os \
                     logs não têm os seus números, ou os têm duas vezes"
                )
            }
        }
    }
}

fn utc(at_us: i64) -> String {
    jiff::Timestamp::from_microsecond(at_us)
        .map_or_else(|_| at_us.to_string(), |at| format!("{at:.6}"))
}

impl Serialize for Caveat {
    /// As its English sentence, whatever the language of messages is.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.in_words(Lang::En))
    }
}
