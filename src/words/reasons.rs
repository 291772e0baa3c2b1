//! The texts of each reason of the protocol: one table for the routes and the panel.

use super::Lang;
use consorcio_core::wire::Reason;

/// The texts of one reason.
struct Meaning {
    /// In Portuguese, as part of a sentence: `saldo insuficiente`.
    phrase: &'static str,
    /// In Portuguese, as the error of a route, with the remedy.
    error: &'static str,
    /// A sentence of the panel, in Portuguese and in English.
    sentence: [&'static str; 2],
}

macro_rules! reasons {
    ($($reason:ident: $phrase:literal, $error:literal, $pt:literal / $en:literal;)+) => {
        fn meaning(reason: Reason) -> Meaning {
            match reason {
                $(Reason::$reason => {
                    Meaning { phrase: $phrase, error: $error, sentence: [$pt, $en] }
                })+
            }
        }
    };
}

reasons! {
    InsufficientFunds: "saldo insuficiente",
        "Saldo insuficiente",
        "Saldo insuficiente." / "Not enough money available.";
    UnknownAccount: "conta não encontrada",
        "Conta não encontrada",
        "Esta conta não existe neste banco." / "There is no such account at that bank.";
    UnknownClient: "cliente não encontrado",
        "Cliente não encontrado",
        "Este cliente não existe neste banco." / "There is no such client at this bank.";
    NotHolder: "o CPF não é titular da conta",
        "O CPF não é titular da conta",
        "Este CPF não é titular da conta." / "This CPF does not hold the account.";
    Locked: "o registro espera outra transação",
        "O registro espera outra transação; tente de novo",
        "Outra transação está mudando este valor."
        / "Another transaction is changing this value.";
    Unbalanced: "débitos e créditos não batem",
        "Débitos e créditos não batem",
        "As partes da transação não se equilibram."
        / "The parts of the transaction do not balance.";
    DuplicateId: "o id já foi usado por outra transação",
        "O id já foi usado por outra transação",
        "Este identificador já foi usado." / "This id has been used already.";
    AlreadyExists: "já existe",
        "Já existe",
        "Já existe, com outros dados." / "It exists already, with other content.";
    Malformed: "pedido malformado",
        "Pedido malformado",
        "O pedido não pôde ser lido." / "The request could not be read.";
    Limit: "passa de um limite, ou o banco está ocupado",
        "Passa de um limite, ou o banco está ocupado",
        "Passa de um limite do banco." / "It is past one of the bank's limits.";
    Expired: "o tempo acabou",
        "O tempo acabou; tente de novo",
        "O prazo da transação acabou." / "The transaction ran out of time.";
    Refused: "recusada a pedido",
        "Recusada a pedido",
        "Recusada por quem a conduzia." / "Refused by whoever drove it.";
    Unreachable: "um banco não pôde ser alcançado",
        "Um banco não pôde ser alcançado; tente de novo",
        "Um dos bancos não respondeu." / "One of the banks did not answer.";
    NotIntroduced: "o banco ainda trabalha sozinho",
        "O banco ainda trabalha sozinho; nada foi registrado",
        "O banco ainda trabalha sozinho; nada foi registrado."
        / "The bank works alone so far; nothing was recorded.";
    DiskFull: "o disco do banco está cheio",
        "O disco do banco está cheio; nada foi registrado",
        "O disco do banco está cheio; nada foi registrado."
        / "The bank's disk is full; nothing was recorded.";
    Unreadable: "o que o banco registrou deste id não pode ser lido agora",
        "O que o banco registrou deste id não pode ser lido agora",
        "O que o banco registrou disto não pode ser lido agora."
        / "What the bank recorded of this can't be read now.";
    NotAllowed: "sem permissão",
        "Sem permissão",
        "Falta permissão para isto neste banco." / "There is no right to do this at that bank.";
}

/// The reason as part of a sentence, in Portuguese.
pub fn phrase(reason: Reason) -> &'static str {
    meaning(reason).phrase
}

/// The reason as the error of a route, in Portuguese, with the remedy.
pub fn error(reason: Reason) -> &'static str {
    meaning(reason).error
}

/// The reason as a sentence of the panel.
pub fn sentence(lang: Lang, reason: Reason) -> &'static str {
    let [pt, en] = meaning(reason).sentence;
    match lang {
        Lang::Pt => pt,
        Lang::En => en,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_a_reason_agree() {
        for reason in Reason::ALL {
            let Meaning { phrase, error, sentence } = meaning(reason);
            // The error begins with the phrase, and may continue after it.
            let first = phrase.chars().next().unwrap();
            let capital: String = first.to_uppercase().chain(phrase.chars().skip(1)).collect();
            let more = error.strip_prefix(&capital).unwrap_or_else(|| panic!("{reason}: {error}"));
            assert!(more.is_empty() || more.starts_with("; "), "{reason}: {error}");
            for sentence in sentence {
                assert!(sentence.ends_with('.') && sentence.len() > 5, "{reason}: {sentence}");
            }
        }
    }
}
