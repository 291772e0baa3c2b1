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
        #[expect(missing_docs, reason = "a field has the name that its template shows it by")]
        #[template(path = $path, config = "askama.toml")]
        pub struct $name {
            pub f: Frame,
            $($(#[$field_doc])* pub $field: $type,)*
        }
    };
}

page! {
    Home, "inicio.html" {
        /// Clients of this bank.
        clients: u64,
        /// Accounts of this bank; a joint one counts once.
        accounts: u64,
        /// All balances of this bank.
        money: Total,
        /// What of it is held.
        held: Total,
        banks: Vec<BankView>,
        /// The newest transactions, newest first.
        newest: Vec<TxRow>,
    }
}

page! {
    Accounts, "contas.html" {
        /// What was searched for.
        search: String,
        rows: Vec<AccountRow>,
        /// The link to the next page.
        next: Option<String>,
    }
}

page! {
    Statement, "extrato.html" {
        account: AccountRow,
        available: Money,
        /// What is coming in.
        incoming: Money,
        entries: Vec<EntryView>,
        /// The balance before the oldest entry shown, where older ones exist.
        before: Option<Total>,
    }
}

page! {
    History, "historico.html" {
        /// The situation that is filtered by.
        filter: Option<State>,
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
    Transaction, "detalhes.html" {
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
    NewClient, "cliente.html" {
        cpf: Field,
        name: Field,
        kind: Field,
    }
}

page! {
    NewAccount, "conta.html" {
        cpf: Field,
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
        cpf: Field,
        number: Field,
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
        total: Total,
        /// The fields of the form, to be sent again.
        fields: Vec<(String, String)>,
    }
}

page! {
    Pending, "pendentes.html" {
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
    Audit, "auditoria.html" {
        /// The cut's time, in words.
        time: String,
        verdict: AuditVerdict,
        rows: Vec<AuditRow>,
        /// Over all banks, where all answered.
        sum: Option<AuditFigures>,
    }
}

page! {
    Demo, "demo.html" {
        rows: Vec<ProcessRow>,
    }
}

page! {
    /// What could not be done or found.
    Failed, "erro.html" {
        title: String,
        /// What is the matter.
        words: String,
    }
}
