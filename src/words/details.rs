//! Translates the detail texts of a bank: into Portuguese for the routes and the panel, and into
//! English with formatted amounts.
//!
//! The matches have no `_` arm, so a new detail does not compile until it has its texts here. A
//! text that is no known detail, for example of another version, is shown unchanged.

use super::Lang;
use super::reasons;
use consorcio_core::ids::{BankId, BankSet};
use consorcio_core::limits::BANKS_MAX;
use consorcio_core::money::Total;
use consorcio_core::wire::Reason;
use consorcio_core::wire::detail::{Banks, Detail, RefusalText, SingleWord};

/// The detail `text` of a bank in this language.
pub fn in_words(lang: Lang, text: &str) -> String {
    let (banks, its) = unfolded(text);
    let mut words = String::new();
    for (at, by) in banks.iter().enumerate() {
        words.push_str(&followed(lang, *by, at + 1 == banks.len() && its.is_empty()));
    }
    words + &alone(lang, &its)
}

/// A refusal as sentences: its reason and its detail.
pub fn refusal(lang: Lang, reason: Reason, text: &str) -> String {
    format!("{} {}", reasons::sentence(lang, reason), sentence(lang, text)).trim_end().to_owned()
}

/// The detail `text` as a sentence; empty if it is. A name at its beginning is not capitalized.
pub fn sentence(lang: Lang, text: &str) -> String {
    let words = in_words(lang, text);
    let begins_with_name =
        matches!(Detail::parse(text), None | Some(Detail::Named { .. } | Detail::HeldBy { .. }));
    let mut rest = words.chars();
    match rest.next() {
        None => String::new(),
        Some(_) if begins_with_name => words,
        Some(first) => first.to_uppercase().chain(rest).chain(['.']).collect(),
    }
}

/// The detail of the bank that refused first, without the banks that followed it.
pub fn first_words(lang: Lang, text: &str) -> String {
    alone(lang, &unfolded(text).1)
}

/// Splits a chain of refusals: the banks that each link names, and the innermost detail. The depth
/// is bounded by the number of banks.
fn unfolded(text: &str) -> (Vec<BankId>, String) {
    let (mut banks, mut rest) = (Vec::new(), text.to_owned());
    while banks.len() < BANKS_MAX
        && let Some(Detail::Follows { by, its: RefusalText(its) }) = Detail::parse(&rest)
    {
        banks.push(by);
        rest = its;
    }
    (banks, rest)
}

fn alone(lang: Lang, text: &str) -> String {
    match (Detail::parse(text), lang) {
        (None, _) => text.to_owned(),
        (Some(detail), Lang::Pt) => in_portuguese(&detail),
        (Some(detail), Lang::En) => in_english(&detail),
    }
}

fn followed(lang: Lang, by: BankId, is_all: bool) -> String {
    let after = if is_all { "" } else { ": " };
    match lang {
        Lang::Pt => format!("o banco {by} recusou{after}"),
        Lang::En => format!("bank {by} refused{after}"),
    }
}

#[expect(clippy::too_many_lines, reason = "a flat table: one arm a text")]
fn in_portuguese(detail: &Detail) -> String {
    match detail {
        Detail::Unbalanced => "débitos e créditos não batem".into(),
        Detail::NotEverywhere => {
            "um registro é mudado uma vez em cada banco do consórcio, para um só valor".into()
        }
        Detail::TooManyUndecided => "há transações em aberto demais neste banco".into(),
        Detail::BankSilent => "um banco não respondeu, e este ainda não tinha votado".into(),
        Detail::OtherBytes => "este identificador já foi usado para outro conteúdo".into(),
        Detail::OtherBytesMeanwhile => "o identificador foi usado para outro conteúdo enquanto \
                                        isso"
            .into(),
        Detail::DroveForOthers => {
            "este banco a conduziu sem tomar parte nela; um banco que ela nomeia sabe como \
             terminou"
                .into()
        }
        Detail::OtherBytesDriven => "este identificador está em uso aqui com outro conteúdo".into(),
        Detail::DiskFull => {
            "o disco deste banco está cheio: não tem lugar para a próxima parte do seu diário, e \
             até lá não aceita nada novo"
                .into()
        }
        Detail::Unreadable => {
            "o que o diário deste banco guarda deste identificador não pode ser lido agora, e por \
             isso aqui ninguém conhece o resultado"
                .into()
        }
        Detail::RefusedBefore => "já tinham pedido a este banco que recusasse este \
                                  identificador"
            .into(),
        Detail::RefusedForOutside => "foi recusada pelo seu coordenador externo".into(),
        Detail::NotOutside => {
            "este identificador foi usado para uma transação sem coordenador externo".into()
        }
        Detail::OutsideUndecided => {
            "o seu coordenador externo não votou; ele ainda pode, ou ABORT recusa por ele".into()
        }
        Detail::Busy => "o banco está ocupado; nada foi enviado".into(),
        Detail::Unreached => "nenhum dos bancos pôde ser alcançado; nada foi enviado".into(),
        Detail::NotVoted => "este banco não votou nela".into(),
        Detail::NoTokens => "faltam provas dos votos; este banco pergunta aos outros".into(),
        Detail::ClockAtEnd => "o relógio está no fim dos tempos que podem ser escritos".into(),
        Detail::NoPlace => "há conexões demais, tente mais tarde".into(),
        Detail::NoProof => {
            "as suas provas não bastam, e ela é de outro nome; ninguém é perguntado".into()
        }
        Detail::OwnIdsOnly { name, example } => {
            format!("o identificador de uma transação de {name} é como {example}")
        }
        Detail::ForeignId { bank, tx } => {
            format!("a ligação do banco {bank} não começa a transação {tx}")
        }
        Detail::NoRightToMove { name, op, number } => {
            format!("{name} não tem permissão para {op} na conta {number} aqui")
        }
        Detail::NoRightToSet { name, key } => {
            format!("{name} não tem permissão para mudar o registro {key} aqui")
        }
        Detail::LinkCredits { bank, op } => {
            format!("sem confiança, a ligação do banco {bank} só traz créditos, e não {op}")
        }
        Detail::NotOwn { tx, name } => format!("{tx} é de outro nome, não de {name}"),
        Detail::NoRight { name, verb } => format!("{name} não tem permissão para {verb} aqui"),
        Detail::Invisible { field, character } => {
            format!("{} não pode ter o caractere invisível {character}", words_of(field))
        }
        Detail::Untrimmed { field } => {
            format!("{} não pode começar nem terminar com espaço", words_of(field))
        }
        Detail::Dots { field } => format!("{} não pode ser `.` nem `..`", words_of(field)),
        Detail::NotMember { bank } => format!("o banco {bank} não está no consórcio"),
        Detail::Follows { by, its } => followed(Lang::Pt, *by, its.0.is_empty()) + &its.0,
        Detail::NotNamed { bank } => format!("a transação não nomeia este banco, o {bank}"),
        Detail::NotIntroduced { banks: Banks(banks) } => match banks.len() {
            1 => format!(
                "o diário deste banco é novo: só trabalha sozinho até encontrar o banco \
                          {}",
                list(*banks)
            ),
            _ => {
                format!(
                    "o diário deste banco é novo: só trabalha sozinho até encontrar os bancos \
                         {}",
                    list(*banks)
                )
            }
        },
        Detail::NoAnswer { banks: Banks(banks) } => match banks.len() {
            0 => "o resultado ainda não é conhecido".into(),
            1 => format!(
                "o resultado ainda não é conhecido; falta a resposta do banco \
                          {}",
                list(*banks)
            ),
            _ => {
                format!(
                    "o resultado ainda não é conhecido; faltam as respostas dos bancos \
                         {}",
                    list(*banks)
                )
            }
        },
        Detail::TooManyOps { most } => format!("mais de {most} operações"),
        Detail::RegisterLocked { key, tx } => format!("o registro {key} espera a transação {tx}"),
        Detail::NoAccount { number } => format!("a conta {number} não existe"),
        Detail::NotHolder { cpf, number } => format!("{cpf} não é titular da conta {number}"),
        Detail::Short { number, available, asked } => {
            let (available, asked) = (Total(*available), Total(*asked));
            format!("a conta {number} tem {available} disponíveis, são pedidos {asked}")
        }
        Detail::Full { number, more } => {
            format!("a conta {number} não comporta mais {}", Total(*more))
        }
        Detail::OtherAccount { number } => {
            format!(
                "a conta {number} já existe aqui com outros titulares ou outro depósito \
                     inicial"
            )
        }
        Detail::BadHolders { number } => {
            format!("a conta {number} precisa de um titular, ou de dois diferentes")
        }
        Detail::BadDeposit { deposit } => format!("o depósito de {} é negativo", Total(*deposit)),
        Detail::OtherClient { cpf } => format!(
            "o cliente {cpf} já existe aqui com outro nome ou \
                                                tipo"
        ),
        Detail::NoClient { cpf } => format!("o cliente {cpf} não existe"),
        Detail::OneIndividual { cpf, number } => format!(
            "{cpf} já tem a conta individual \
            {number}"
        ),
        Detail::ClientsFull { most } => format!("não cabem mais de {most} clientes"),
        Detail::AccountsFull { most } => format!("não cabem mais de {most} contas"),
        Detail::MovesAtMost { most } => {
            format!("no modo fechado uma operação move no máximo {}", Total(i128::from(*most)))
        }
        Detail::ShareFull { name, most } => format!(
            "{name} tem {most} transações em aberto aqui, e não pode ter mais; termine uma antes"
        ),
        Detail::WaitedLong { ms } => format!("esperou mais de {ms} ms, o banco está ocupado"),
        Detail::NotNewest { after, most } => {
            format!("{after} não está entre os {most} resultados mais novos")
        }
        Detail::CutAhead { .. } => "o corte está mais de um segundo à frente dos relógios deste \
                                    banco"
            .into(),
        Detail::CutTooOld { .. } => "este banco só guarda cortes mais novos".into(),
        Detail::NotOutsides { verb } => format!("este {verb} não é de um coordenador externo"),
        Detail::NoOutside { verb } => format!(
            "{verb} não aceita transações de um coordenador \
                                               externo"
        ),
        Detail::NotOnLink { verb } => format!("{verb} não passa por uma ligação entre bancos"),
        Detail::OnLinkAlone => "REGISTERS só é perguntado por um banco, pela sua \
                                ligação"
            .to_owned(),
        Detail::RegistersUnknown => {
            "este banco ainda não conhece os seus registros; ele os pergunta aos outros".to_owned()
        }
        Detail::SetsOpen { count, bank } => {
            format!(
                "{count} transações não decididas definem um registro e não citam o banco \
                     {bank}"
            )
        }
        Detail::OfSession { verb } => format!("{verb} é respondido pela sessão"),
        Detail::HeldBy { key, tx } => format!("{key} espera a transação {tx}"),
        Detail::Named { name } => name.to_string(),
    }
}

/// The Portuguese name of a field of a line.
fn words_of(field: &SingleWord) -> &str {
    match field.0.as_str() {
        "`account`" | "`number`" => "o número da conta",
        "`key`" => "a chave",
        "`value`" => "o valor",
        "`name`" => "o nome",
        "`kind`" => "o tipo",
        other => other,
    }
}

/// The text of the protocol, but with amounts as people write them.
#[expect(clippy::too_many_lines, reason = "a flat table: one arm a text")]
fn in_english(detail: &Detail) -> String {
    match detail {
        Detail::Short { number, available, asked } => {
            format!(
                "account {number} has {} available, {} are asked",
                Total(*available),
                Total(*asked)
            )
        }
        Detail::Full { number, more } => {
            format!("account {number} can't hold {} more", Total(*more))
        }
        Detail::BadDeposit { deposit } => format!("deposit {} is below zero", Total(*deposit)),
        Detail::MovesAtMost { most } => {
            format!("in closed mode an operation moves at most {}", Total(i128::from(*most)))
        }
        Detail::NoAnswer { banks: Banks(BankSet::EMPTY) } => "not known yet".into(),
        Detail::CutAhead { .. } => {
            "the cut is more than a second ahead of this bank's clocks".into()
        }
        Detail::CutTooOld { .. } => "this bank keeps newer cuts only".into(),
        Detail::Unbalanced
        | Detail::NotEverywhere
        | Detail::TooManyUndecided
        | Detail::BankSilent
        | Detail::OtherBytes
        | Detail::OtherBytesMeanwhile
        | Detail::DroveForOthers
        | Detail::OtherBytesDriven
        | Detail::DiskFull
        | Detail::Unreadable
        | Detail::RefusedBefore
        | Detail::RefusedForOutside
        | Detail::NotOutside
        | Detail::OutsideUndecided
        | Detail::Busy
        | Detail::Unreached
        | Detail::NotVoted
        | Detail::NoTokens
        | Detail::ClockAtEnd
        | Detail::NoPlace
        | Detail::Invisible { .. }
        | Detail::Untrimmed { .. }
        | Detail::Dots { .. }
        | Detail::NoProof
        | Detail::OwnIdsOnly { .. }
        | Detail::ForeignId { .. }
        | Detail::NoRightToMove { .. }
        | Detail::NoRightToSet { .. }
        | Detail::LinkCredits { .. }
        | Detail::NotOwn { .. }
        | Detail::NoRight { .. }
        | Detail::NotMember { .. }
        | Detail::Follows { .. }
        | Detail::NotNamed { .. }
        | Detail::NotIntroduced { .. }
        | Detail::NoAnswer { .. }
        | Detail::TooManyOps { .. }
        | Detail::RegisterLocked { .. }
        | Detail::NoAccount { .. }
        | Detail::NotHolder { .. }
        | Detail::OtherAccount { .. }
        | Detail::BadHolders { .. }
        | Detail::OtherClient { .. }
        | Detail::NoClient { .. }
        | Detail::OneIndividual { .. }
        | Detail::ClientsFull { .. }
        | Detail::AccountsFull { .. }
        | Detail::ShareFull { .. }
        | Detail::WaitedLong { .. }
        | Detail::NotNewest { .. }
        | Detail::NotOutsides { .. }
        | Detail::NoOutside { .. }
        | Detail::NotOnLink { .. }
        | Detail::OfSession { .. }
        | Detail::OnLinkAlone
        | Detail::RegistersUnknown
        | Detail::SetsOpen { .. }
        | Detail::HeldBy { .. }
        | Detail::Named { .. } => detail.to_string(),
    }
}

fn list(banks: BankSet) -> String {
    let names: Vec<String> = banks.iter().map(|bank| bank.to_string()).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} e {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
