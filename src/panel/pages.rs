//! The pages themselves: each is a value whose fields are all that it shows, and a template that
//! shows it.

use super::frame::Frame;
use super::views::*;
use askama::Template;
use consorcio_core::money::{Money, Total};

macro_rules! page {
    ($(#[$doc:meta])* $name:ident, $path:literal {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Template)]
        #[template(path = $path, config = "askama.toml")]
        pub struct $name {
            /// Around it.
            pub f: Frame,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

page! {
    /// 1. Início.
    Home, "inicio.html" {
        /// Clients of this bank.
        clients: u64,
        /// Accounts of this bank; a joint one counts once.
        accounts: u64,
        /// All balances of this bank.
        money: Total,
        /// What of it is held.
        held: Total,
        /// All banks.
        banks: Vec<BankView>,
        /// The newest transactions, newest first.
        newest: Vec<TxRow>,
    }
}

page! {
    /// 2. Contas.
    Accounts, "contas.html" {
        /// What was searched for.
        search: String,
        /// What matches.
        rows: Vec<AccountRow>,
        /// The link to the next page.
        next: Option<String>,
    }
}

page! {
    /// An account's statement.
    Statement, "extrato.html" {
        /// The account.
        account: AccountRow,
        /// What is available.
        available: Money,
        /// What is coming in.
        incoming: Money,
        /// Newest first.
        entries: Vec<EntryView>,
        /// The balance before the oldest entry shown, where older ones exist.
        before: Option<Total>,
    }
}

page! {
    /// 3. Histórico.
    History, "historico.html" {
        /// The situation that is filtered by.
        filter: Option<State>,
        /// Newest first.
        rows: Vec<TxRow>,
        /// Is this the first page?
        first: bool,
        /// The link to the next page.
        next: Option<String>,
        /// The link to undecided transactions that do not stand here.
        more_pending: Option<String>,
        /// Does the bank have outcomes that it does not list any more?
        ends_early: bool,
    }
}

page! {
    /// One transaction.
    Transaction, "detalhes.html" {
        /// In short.
        row: TxRow,
        /// Its operations; `None` where the bank never saw its bytes.
        legs: Option<Vec<LegView>>,
        /// What each bank says.
        votes: Vec<VoteView>,
        /// Who refused, and why in that bank's words.
        detail: Option<String>,
        /// The path of the picture of its steps.
        picture: Option<String>,
        /// Its steps as text: time, node, what.
        steps: Vec<(String, String, String)>,
        /// The form with the same participants, to try again.
        again: Option<String>,
    }
}

page! {
    /// 4. Adicionar cliente.
    NewClient, "cliente.html" {
        /// CPF.
        cpf: Field,
        /// Name.
        name: Field,
        /// Kind.
        kind: Field,
    }
}

page! {
    /// 4. Adicionar conta.
    NewAccount, "conta.html" {
        /// The holder.
        cpf: Field,
        /// The account's number.
        number: Field,
        /// The second holder of a joint account.
        second_cpf: Field,
        /// What is brought in at the opening.
        deposit: Field,
    }
}

page! {
    /// 4. Depósito e saque.
    Cash, "caixa.html" {
        /// The id that it will have, so that a form sent twice is done once.
        tx: String,
        /// Is it a withdrawal?
        withdraw: bool,
        /// The holder.
        cpf: Field,
        /// The account.
        number: Field,
        /// How much.
        amount: Field,
    }
}

page! {
    /// 5. Fazer transação, step one.
    Transact, "transacao.html" {
        /// The banks to choose from.
        banks: Vec<BankView>,
        /// Where money comes from.
        sources: Vec<ParticipantForm>,
        /// Where it goes.
        destination: ParticipantForm,
        /// What is wrong with all of it.
        error: Option<String>,
    }
}

page! {
    /// 5. Fazer transação, step two.
    Summary, "resumo.html" {
        /// The id that it will have, so that confirming twice does it once.
        tx: String,
        /// Sources, with negative amounts, and the destination last.
        legs: Vec<LegView>,
        /// What moves.
        total: Total,
        /// The fields of the form, to be sent again.
        fields: Vec<(String, String)>,
    }
}

page! {
    /// 6. Pendentes.
    Pending, "pendentes.html" {
        /// By id.
        rows: Vec<PendingRow>,
        /// Is this the first page?
        first: bool,
        /// The link to the next page.
        next: Option<String>,
        /// What came of «resolve now», just before.
        resolved: Option<Resolved>,
    }
}

page! {
    /// 7. Auditoria.
    Audit, "auditoria.html" {
        /// The cut's time, in words.
        time: String,
        /// What it means.
        verdict: AuditVerdict,
        /// Each bank.
        rows: Vec<AuditRow>,
        /// Over all banks, where all answered.
        sum: Option<AuditFigures>,
    }
}

page! {
    /// 8. Demonstração.
    Demo, "demo.html" {
        /// Each bank's process.
        rows: Vec<ProcessRow>,
    }
}

page! {
    /// What could not be done or found.
    Failed, "erro.html" {
        /// The heading.
        title: String,
        /// What is the matter.
        words: String,
    }
}
