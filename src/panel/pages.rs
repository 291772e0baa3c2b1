//! The pages: each is a value with all that the page shows, and a template that renders it.

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
        #[expect(missing_docs, reason = "the template uses the fields by these names")]
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
        /// The part of it that is held.
        held: Total,
        banks: Vec<BankView>,
        /// The newest transactions, newest first.
        newest: Vec<TxRow>,
    }
}

page! {
    LogIn, "entrar.html" {
        name: FormField,
        /// Always empty: a password is never sent back.
        password: FormField,
        /// The name in the browser's certificate, which may log in without a password.
        certificate: Option<String>,
        /// Why the last try failed.
        error: Option<String>,
        form_token: String,
        /// The path to which a log-in leads.
        back: String,
    }
}

page! {
    Accounts, "contas.html" {
        /// The text of the search.
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
        /// The sum of undecided credits.
        incoming: Money,
        entries: Vec<EntryView>,
        /// The balance before the oldest entry, if older ones exist.
        before: Option<Total>,
    }
}

page! {
    History, "historico.html" {
        /// The state of the filter.
        filter: Option<TxState>,
        rows: Vec<TxRow>,
        /// Is this the first page?
        first: bool,
        /// The link to the next page.
        next: Option<String>,
        /// The link to further undecided transactions.
        more_pending: Option<String>,
        /// Does the bank have older outcomes that it does not list?
        ends_early: bool,
    }
}

page! {
    Transaction, "detalhes.html" {
        row: TxRow,
        /// Its operations; `None` if this bank never received its bytes.
        legs: Option<Vec<LegView>>,
        /// The vote of each bank.
        votes: Vec<VoteView>,
        /// The banks that refused, with their reasons.
        detail: Option<String>,
        /// The path of the picture of its steps.
        picture: Option<String>,
        /// Its steps as text: time, node, event.
        steps: Vec<(String, String, String)>,
        /// The link to the form with the same participants.
        again: Option<String>,
    }
}

page! {
    NewClient, "cliente.html" {
        cpf: FormField,
        name: FormField,
        kind: FormField,
    }
}

page! {
    NewAccount, "conta.html" {
        cpf: FormField,
        number: FormField,
        /// The second holder of a joint account.
        second_cpf: FormField,
        /// The deposit at the opening.
        deposit: FormField,
    }
}

page! {
    /// The page «Depósito e saque».
    Cash, "caixa.html" {
        /// The id of the transaction, so that a form sent twice is executed once.
        tx: String,
        /// Is it a withdrawal?
        withdraw: bool,
        cpf: FormField,
        number: FormField,
        amount: FormField,
    }
}

page! {
    /// The page «Fazer transação», step one: the participants.
    Transact, "transacao.html" {
        /// The banks to choose from.
        banks: Vec<BankView>,
        /// The accounts that pay.
        sources: Vec<ParticipantForm>,
        destination: ParticipantForm,
        /// The error of the whole form.
        error: Option<String>,
    }
}

page! {
    /// The page «Fazer transação», step two: the confirmation.
    Summary, "resumo.html" {
        /// The id of the transaction, so that confirming twice executes it once.
        tx: String,
        /// Sources, with negative amounts, and the destination last.
        legs: Vec<LegView>,
        total: Total,
        /// The hidden fields that repeat the form.
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
        /// The result of «resolve now», if it was pressed.
        resolved: Option<Resolved>,
    }
}

page! {
    Audit, "auditoria.html" {
        /// The time of the cut as text.
        time: String,
        verdict: AuditVerdict,
        rows: Vec<AuditRow>,
        /// The sum over all banks, if all answered.
        sum: Option<AuditFigures>,
    }
}

page! {
    Demo, "demo.html" {
        rows: Vec<ProcessRow>,
    }
}

page! {
    /// The page of a problem.
    Failed, "erro.html" {
        title: String,
        /// The description of the problem.
        words: String,
    }
}
