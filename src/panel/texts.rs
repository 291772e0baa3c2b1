//! All texts of the panel, in Portuguese and English side by side, so that no translation is
//! forgotten.

pub use consorcio_words::Lang;

/// All texts of the panel in this language.
pub fn texts(lang: Lang) -> &'static Texts {
    match lang {
        Lang::Pt => &PT,
        Lang::En => &EN,
    }
}

macro_rules! texts {
    ($($name:ident: $pt:literal / $en:literal;)*) => {
        /// The texts of the panel in one language.
        #[derive(Debug)]
        #[expect(missing_docs, reason = "the text of a field explains it")]
        pub struct Texts { $(pub $name: &'static str,)* }
        const PT: Texts = Texts { $($name: $pt,)* };
        const EN: Texts = Texts { $($name: $en,)* };
        const NAMES: &[(&str, &str, &str)] = &[$((stringify!($name), $pt, $en),)*];
    };
}

texts! {
    // The frame around every page.
    skip: "Pular para o conteúdo" / "Skip to content";
    menu: "Menu" / "Menu";
    bank: "Banco" / "Bank";
    this_bank: "este banco" / "this bank";
    language: "Idioma" / "Language";
    home: "Início" / "Overview";
    accounts: "Contas" / "Accounts";
    history: "Histórico" / "History";
    transact: "Fazer transação" / "New transaction";
    cash: "Depósito e saque" / "Deposit and withdraw";
    new_client: "Adicionar cliente" / "Add client";
    new_account: "Adicionar conta" / "Add account";
    pending: "Pendentes" / "Pending";
    audit: "Auditoria" / "Audit";
    demo: "Demonstração" / "Demonstration";
    live: "ao vivo" / "live";
    log_in: "Entrar" / "Log in";
    log_out: "Sair" / "Log out";
    user_name: "Nome" / "Name";
    password: "Senha" / "Password";
    certificate_found: "O certificado deste navegador é de" / "This browser's certificate is of";
    log_in_with_certificate: "Entrar com o certificado" / "Log in with the certificate";
    log_in_failed: "Nome ou senha incorretos." / "Wrong name or password.";
    log_in_later:
        "Muitas tentativas. A próxima é aceita em"
        / "Too many tries. The next one is taken in";
    log_in_busy:
        "Muitas entradas ao mesmo tempo. Tente de novo em um segundo."
        / "Too many log-ins at once. Try again in a second.";
    log_in_again:
        "A sessão terminou. Entre de novo; nada foi feito."
        / "The session has ended. Log in again; nothing was done.";
    not_allowed:
        "Você não tem permissão para esta página."
        / "You have no permission for this page.";
    offline_view: "sem conexão com este banco" / "no connection to this bank";
    // Início
    clients: "Clientes" / "Clients";
    money_here: "Dinheiro neste banco" / "Money at this bank";
    held_of_it: "reservados em transações" / "held by transactions";
    undecided: "Em aberto" / "Undecided";
    banks: "Bancos do consórcio" / "Banks of the consortium";
    online: "online" / "online";
    offline: "fora do ar" / "offline";
    newest: "Transações mais recentes" / "Newest transactions";
    nothing_yet: "Nada por aqui ainda." / "Nothing here yet.";
    first_transaction:
        "A primeira transação aparece aqui assim que passar."
        / "The first transaction appears here as it passes.";
    see_all: "Ver todas" / "See all";
    // Contas
    account: "Conta" / "Account";
    number: "Número" / "Number";
    holder: "Titular" / "Holder";
    holders: "Titulares" / "Holders";
    cpf: "CPF ou CNPJ" / "CPF or CNPJ";
    balance: "Saldo" / "Balance";
    held: "Reservado" / "Held";
    incoming: "A receber" / "Incoming";
    available: "Disponível" / "Available";
    search: "Buscar" / "Search";
    search_hint: "Número, nome, CPF ou CNPJ" / "Number, name, CPF or CNPJ";
    clear: "Limpar" / "Clear";
    copy: "Copiar" / "Copy";
    copied: "Copiado" / "Copied";
    joint: "conjunta" / "joint";
    no_accounts: "Este banco ainda não tem contas." / "This bank has no accounts yet.";
    more_accounts: "Mais contas" / "More accounts";
    no_match: "Nenhuma conta corresponde à busca." / "No account matches.";
    statement: "Extrato" / "Statement";
    when: "Quando" / "When";
    what: "O quê" / "What";
    amount: "Valor" / "Amount";
    balance_after: "Saldo após" / "Balance after";
    no_new_entries:
        "Nenhum movimento entre as transações mais novas deste banco."
        / "No entry among this bank's newest transactions.";
    no_entries: "Nenhum movimento ainda." / "No entries yet.";
    older_entries:
        "O extrato mostra os movimentos entre as 1.000 transações mais novas deste banco; os mais \
         antigos estão no diário (servidor journal PASTA). Antes deles o saldo era"
        / "The statement shows the entries among this bank's newest 1,000 transactions; older \
           ones stand in its journal (servidor journal FOLDER). Before them the balance was";
    opening: "Abertura" / "Opening";
    // Histórico
    transaction: "Transação" / "Transaction";
    transactions: "Transações" / "Transactions";
    status: "Situação" / "Status";
    all: "Todas" / "All";
    committed: "Efetivada" / "Committed";
    aborted: "Abortada" / "Aborted";
    in_doubt: "Em aberto" / "Undecided";
    unknown: "Desconhecida" / "Unknown";
    filter: "Filtrar" / "Filter";
    next_page: "Mais antigas" / "Older";
    first_page: "Mais novas" / "Newest";
    history_ends:
        "O banco lista só as suas 1.000 transações mais novas. As mais antigas estão no diário: \
         servidor journal PASTA."
        / "The bank lists only its newest 1,000 transactions. Older ones stand in its journal: \
           servidor journal FOLDER.";
    no_history: "Nenhuma transação com esta situação." / "No transaction with this status.";
    reason: "Motivo" / "Reason";
    participants: "Participantes" / "Participants";
    votes: "Votos" / "Votes";
    vote: "Voto" / "Vote";
    vote_ok: "OK" / "OK";
    vote_nok: "recusou" / "refused";
    vote_followed: "não votou, abortada" / "did not vote, aborted";
    vote_none: "não votou" / "did not vote";
    vote_waiting: "ainda não votou" / "has not voted yet";
    vote_silent: "não responde" / "does not answer";
    timeline: "Linha do tempo" / "Timeline";
    timeline_alt:
        "Mensagens e sincronizações desta transação, com os seus tempos"
        / "Messages and syncs of this transaction, with their times";
    steps: "Passos" / "Steps";
    place: "Onde" / "Where";
    no_timeline:
        "Os registros de passos deste banco não têm esta transação."
        / "This bank's step logs do not have this transaction.";
    at_time: "às" / "at";
    try_again: "Corrigir e tentar de novo" / "Correct and try again";
    not_known_here:
        "Este banco não conhece esta transação."
        / "This bank does not know this transaction.";
    running:
        "Em andamento: a página acompanha cada voto."
        / "Under way: the page follows each vote.";
    // Formulários
    name: "Nome" / "Name";
    kind: "Tipo" / "Kind";
    kind_hint: "Por exemplo: Físico, Jurídico" / "For example: Físico, Jurídico";
    cpf_hint:
        "CPF de 11 dígitos ou CNPJ de 14 letras e dígitos; pontos, traço e barra são opcionais"
        / "CPF of 11 digits or CNPJ of 14 letters and digits; dots, dash and slash are optional";
    save: "Salvar" / "Save";
    second_cpf: "CPF ou CNPJ do segundo titular" / "Second holder's CPF or CNPJ";
    second_cpf_hint: "Só para conta conjunta" / "For a joint account only";
    opening_deposit: "Depósito inicial" / "Opening deposit";
    amount_hint: "Por exemplo 1.234,56" / "For example 1.234,56";
    deposit: "Depositar" / "Deposit";
    withdraw: "Sacar" / "Withdraw";
    operation: "Operação" / "Operation";
    client_added: "Cliente cadastrado." / "Client added.";
    account_added: "Conta aberta." / "Account opened.";
    deposited: "Depósito feito." / "Deposited.";
    withdrawn: "Saque feito." / "Withdrawn.";
    please_correct: "Confira os campos marcados." / "Please check the marked fields.";
    // Fazer transação
    sources: "De" / "From";
    destination: "Para" / "To";
    source: "Origem" / "Source";
    destination_hint: "Recebe a soma das origens" / "Receives the sum of the sources";
    add_source: "Adicionar origem" / "Add a source";
    remove: "Remover" / "Remove";
    go_on: "Continuar" / "Continue";
    check: "Confira a transação" / "Check the transaction";
    total: "Total" / "Total";
    confirm: "Confirmar" / "Confirm";
    back: "Voltar" / "Back";
    step_one: "Passo 1 de 2: participantes" / "Step 1 of 2: participants";
    step_two: "Passo 2 de 2: resumo" / "Step 2 of 2: summary";
    all_or_nothing:
        "Ou acontece em todos os bancos, ou em nenhum."
        / "It happens at all banks or at none.";
    // Pendentes
    since: "Desde" / "Since";
    kept_by: "Quem segura" / "Kept by";
    resolve_now: "Resolver agora" / "Resolve now";
    more_pending: "Mais transações em aberto" / "More undecided transactions";
    first_pending: "Do começo" / "From the start";
    no_pending:
        "Nenhuma transação em aberto neste banco."
        / "No undecided transaction at this bank.";
    pending_explained:
        "Uma transação em aberto segura dinheiro até que todos os bancos que ela nomeia respondam."
        / "An undecided transaction holds money until every bank that it names answers.";
    outside: "um coordenador de fora" / "an outside coordinator";
    driver: "quem a conduz" / "whoever drives it";
    resolved_committed: "Efetivada em todos os bancos." / "Committed at all banks.";
    resolved_aborted: "Abortada em todos os bancos." / "Aborted at all banks.";
    resolved_doubt: "Ainda em aberto." / "Still undecided.";
    // Auditoria
    audit_explained:
        "Todos os bancos no mesmo instante, sem parar ninguém: saldos = entradas − saídas + \
         transferências."
        / "All banks at one instant, nobody stopped: balances = cash in − cash out + transfers.";
    cut_at: "Corte de" / "Cut of";
    cash_in: "Entradas" / "Cash in";
    cash_out: "Saídas" / "Cash out";
    transfers_in: "Transf. recebidas" / "Transfers in";
    transfers_out: "Transf. enviadas" / "Transfers out";
    sum: "Soma" / "Sum";
    adds_up: "Confere até o centavo." / "It adds up to the centavo.";
    does_not_add_up: "NÃO CONFERE." / "IT DOES NOT ADD UP.";
    incomplete: "Não dá para dizer: falta" / "It can't be said: missing";
    left_may_hold:
        "Não dá para dizer: um banco que saiu do consórcio pode ter o que falta."
        / "It can't be said: a bank that left the consortium may hold what is missing.";
    cut_waits: "O corte espera a transação" / "The cut waits for transaction";
    clock_leads:
        "Os horários das transações estão à frente do relógio desta máquina:"
        / "Commit times are ahead of this machine's clock:";
    clock_lags:
        "O relógio desta máquina saltou para a frente e ainda não é seguido; faltam"
        / "This machine's clock jumped ahead and is not followed yet; what is left:";
    cut_again: "Auditar de novo" / "Audit again";
    // Demonstração
    demo_explained:
        "Os botões agem de verdade nos processos dos bancos. O dinheiro tem que sobreviver a todos."
        / "The buttons act on the banks' real processes. The money has to survive all of them.";
    stop: "Encerrar" / "Stop";
    pause: "Congelar" / "Freeze";
    go: "Descongelar" / "Thaw";
    kill: "Matar" / "Kill";
    restart: "Religar" / "Restart";
    running_state: "rodando" / "running";
    paused_state: "congelado" / "frozen";
    down_state: "parado" / "down";
    no_own_freeze:
        "Este banco serve esta página e congelado não responderia mais: congele-o pelo painel de \
         outro banco."
        / "This bank serves this page and would not answer any more: freeze it from another \
           bank's panel.";
    done: "Feito." / "Done.";
    // Erros
    bank_ends: "Este banco está terminando" / "This bank is ending";
    question_refused: "O banco recusou a consulta" / "The bank refused the question";
    answer_unexpected:
        "O banco respondeu algo que não era esperado"
        / "The bank answered what was not expected";
    no_such_account: "Conta não encontrada" / "There is no such account at this bank";
    several:
        "Este id é de mais de uma transação, com resultados próprios:"
        / "This id stands for more than one transaction, each with its own outcome:";
    no_such_id: "Este identificador não é de transação" / "This is no transaction's id";
    no_demo:
        "Este consórcio não é uma demonstração (--demo)"
        / "This consortium is no demonstration (--demo)";
    not_in_demo: "não faz parte desta demonstração" / "takes no part in this demonstration";
    not_running: "não está rodando" / "is not running";
    already_running: "já está rodando" / "is running already";
    page_missing: "Esta página não existe." / "This page does not exist.";
    went_wrong: "Não foi possível" / "This could not be done";
    field_required: "Preencha este campo." / "Please fill in this field.";
    field_cpf:
        "O CPF tem 11 dígitos, o CNPJ 14 letras e dígitos."
        / "A CPF has 11 digits, a CNPJ 14 letters and digits.";
    field_amount: "Digite um valor como 1.234,56." / "Type an amount such as 1.234,56.";
    field_amount_positive:
        "O valor precisa ser maior que zero."
        / "The amount must be more than zero.";
    field_bank: "Este banco não existe no consórcio." / "This bank is not in the consortium.";
    field_number:
        "De 1 a 64 letras, números, ponto, traço ou sublinhado, sem caracteres invisíveis."
        / "1 to 64 letters, digits, dots, dashes or underscores, none of them invisible.";
    field_invisible:
        "Tem um caractere que não se vê; digite o texto de novo."
        / "It has a character that nobody sees; type the text anew.";
    field_same_holder:
        "O segundo titular precisa ser outra pessoa."
        / "The second holder must be somebody else.";
    field_one_individual:
        "Este cliente já tem uma conta individual neste banco."
        / "This client has an individual account at this bank already.";
    field_too_long: "Longo demais." / "Too long.";
}

/// Translates a Portuguese text of the panel, which routes use as well, into this language. Returns
/// any other text unchanged.
pub fn translated(lang: Lang, text: &str) -> &str {
    match lang {
        Lang::Pt => text,
        Lang::En => NAMES.iter().find(|(_, pt, _)| *pt == text).map_or(text, |(.., en)| en),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_empty() {
        for (name, pt, en) in NAMES {
            assert!(!pt.trim().is_empty() && !en.trim().is_empty(), "{name}");
        }
    }

    #[test]
    fn texts_of_routes_are_translated_into_english() {
        let text = texts(Lang::Pt).no_such_account;
        assert_eq!(translated(Lang::Pt, text), text);
        assert_eq!(translated(Lang::En, text), texts(Lang::En).no_such_account);
        assert_eq!(translated(Lang::En, "`x` falta"), "`x` falta");
    }
}
